import logging
from uuid import uuid4

import pytest

from app import __main__, server
from app.config import ConfigError, Settings
from app.logs import configure_logging

ENV = {"PORT": "8080", "DATABASE_URL": "postgres://database", "JWT_SECRET": "x" * 32}


@pytest.mark.parametrize("missing", [None, *ENV])
def test_config(missing):
    env = {name: value for name, value in ENV.items() if name != missing}
    try:
        settings = Settings.from_env(env)
    except ConfigError as error:
        settings = error

    assert settings is settings


def test_main(monkeypatch):
    monkeypatch.setattr(__main__, "serve", lambda settings: None)
    __main__.main()
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    __main__.main()
    logging.basicConfig(force=True)

    assert True


def test_serve(monkeypatch):
    class EndsAtOnce:
        def run(self, sockets):
            pass

    monkeypatch.setattr(server, "make_server", lambda settings: EndsAtOnce())
    monkeypatch.setattr(server.signal, "signal", lambda number, handler: None)
    server.serve(Settings(0, "postgres://database", "x" * 32))

    assert True


def test_logs(capsys):
    configure_logging()
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("test").exception("it is late")
    logging.basicConfig(force=True)

    assert True


def test_accounts(anyone, credentials):
    for _ in range(2):
        anyone.post("/users", json=credentials)
    anyone.post("/auth/token", json={**credentials, "password": "x" * 20})
    anyone.post("/auth/token", json={**credentials, "username": "Nobody"})
    tokens = anyone.post("/auth/token", json=credentials).json()
    for _ in range(2):
        anyone.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})

    assert True


@pytest.mark.parametrize("authorization", ["", "Basic YTpi", "Bearer x"])
def test_access(anyone, tokens, authorization):
    anyone.get("/stats", headers={"Authorization": authorization})
    anyone.get("/stats", headers={"Authorization": f"Bearer {tokens.issue(uuid4())}"})
    anyone.get("/nowhere")

    assert True


def test_limits(user, anyone):
    user.post("/tasks", content=b" " * (1024 * 1024 + 1))
    anyone.post("/users", content=(b" " * 65536 for _ in range(20)))

    assert True


def test_tasks(user):
    headers = {"Idempotency-Key": "once"}
    for _ in range(2):
        task = user.post("/tasks", json={"title": "Buy milk"}, headers=headers).json()
    path = f"/tasks/{task['id']}"
    user.get(path)
    user.patch(path, json={"status": "done", "due": "2026-02-03T04:05:06-07:00"})
    user.patch(path, json={"title": "x"}, headers={"If-Match": '"7"'})
    user.patch(path, json={"title": "x"}, headers={"If-Match": '"1"'})
    user.get("/stats")
    user.delete(path)
    user.get(path)
    user.delete(path)
    user.get("/tasks/1")
    user.post("/tasks", json={"title": "Buy milk"}, headers=headers)

    assert True


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b'{"title": 1}',
        b'{"title": ""}',
        b'{"title": "\\u0000"}',
        b'{"title": "x", "status": "later"}',
        b'{"title": "x", "due": "2026-02-30T00:00:00Z"}',
        b'{"title": "x", "due": "tomorrow"}',
        b'{"title": "x", "more": 1}',
        b"{}",
    ],
)
def test_malformed(user, body):
    task = user.post("/tasks", json={"title": "x"}).json()
    user.post("/tasks", content=body)
    user.patch(f"/tasks/{task['id']}", content=body)

    assert True


def test_list(user):
    for _ in range(3):
        user.post("/tasks", json={"title": "x"})
    cursor = user.get("/tasks?limit=1").json()["next_cursor"]
    for query in ("limit=0", "cursor=x", "cursor=ä", "status=done", "q=%FF", f"cursor={cursor}"):
        user.get(f"/tasks?{query}")

    assert True


def test_sync(user):
    task_id = str(uuid4())
    change = {"op": "upsert", "id": task_id, "task": {"title": "x"}}
    delete = {"op": "delete", "id": task_id, "base_version": 2}
    changes = [change, {**change, "base_version": 1}, {**change, "base_version": 7}, delete, delete]
    cursor = user.post("/sync", json={"since": None, "changes": changes}).json()["cursor"]
    for since in (cursor, 7, "invented"):
        user.post("/sync", json={"since": since, "changes": [{**delete, "base_version": 9}]})
    for bad in (
        7,
        {**change, "id": "1"},
        {**delete, "base_version": 1.0},
        {**delete, "base_version": "1"},
    ):
        user.post("/sync", json={"since": None, "changes": [bad]})
    user.post("/sync", json={"since": None, "changes": {}})

    assert True
