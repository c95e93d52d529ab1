from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus
from uuid import uuid4

import pytest

from app.sync import Change
from app.tasks import Content, Task

CONTENT = Content("Buy milk")
NOW = datetime.now(UTC)


def new_id():
    return str(uuid4())


def upsert(task_id, base_version=None, **task):
    change = {"op": "upsert", "id": task_id, "task": {"title": "x", **task}}
    return change if base_version is None else {**change, "base_version": base_version}


def delete(task_id, base_version):
    return {"op": "delete", "id": task_id, "base_version": base_version}


def sync(client, *changes, since=None):
    return client.post("/sync", json={"since": since, "changes": changes})


def stored(version, *, deleted=False, content=CONTENT):
    return Task(uuid4(), content, version, NOW, NOW, 1, 1, deleted)


@pytest.mark.parametrize(
    ("base_version", "content", "server", "in_place", "fits"),
    [
        (None, CONTENT, None, False, True),
        (None, CONTENT, stored(1), True, False),
        (None, CONTENT, stored(2), False, False),
        (None, CONTENT, stored(1, content=Content("other")), False, False),
        (None, CONTENT, stored(2, deleted=True), False, False),
        (1, CONTENT, None, False, False),
        (1, CONTENT, stored(1), False, True),
        (1, CONTENT, stored(2), True, False),
        (1, CONTENT, stored(2, content=Content("other")), False, False),
        (1, CONTENT, stored(2, deleted=True), False, False),
        (2, CONTENT, stored(2, deleted=True), False, False),
        (1, None, None, False, False),
        (1, None, stored(1), False, True),
        (1, None, stored(2), False, False),
        (1, None, stored(2, deleted=True), True, False),
        (1, None, stored(3, deleted=True), False, False),
    ],
)
def test_when_a_change_is_in_place_and_when_it_fits(base_version, content, server, in_place, fits):
    change = Change(uuid4(), base_version, content)

    assert change.is_in_place(server) == in_place
    assert change.fits(server) == fits


def test_applies_changes_in_order(user):
    task_id, gone = new_id(), new_id()

    answer = sync(
        user,
        upsert(task_id, title="first", status="done"),
        upsert(gone),
        upsert(task_id, 1, title="second"),
        delete(gone, 1),
    )

    result = answer.json()
    assert answer.status_code == HTTPStatus.OK
    assert result["applied"] == [task_id, gone, task_id, gone]
    assert result["conflicts"] == []
    assert result["deleted"] == [gone]
    assert [(task["id"], task["title"], task["version"]) for task in result["changes"]] == [
        (task_id, "second", 2)
    ]
    assert user.get(f"/tasks/{task_id}").json() == result["changes"][0]
    assert user.get("/stats").json() == {"todo": 1, "doing": 0, "done": 0, "total": 1}


def test_an_upsert_replaces_the_whole_task(user):
    task_id = new_id()
    sync(user, upsert(task_id, description="long", status="done", due="2026-01-01T00:00:00Z"))

    task = sync(user, upsert(task_id, 1, title="short")).json()["changes"][0]

    assert (task["description"], task["status"], task["due"]) == ("", "todo", None)


def test_a_replay_applies_nothing_twice(user):
    task_id, gone = new_id(), new_id()
    sync(user, upsert(gone))
    changes = [upsert(task_id, due="2026-01-01T00:00:00Z"), delete(gone, 1)]
    first = sync(user, *changes).json()

    again = sync(user, *changes, since=first["cursor"]).json()

    assert again == {**first, "changes": [], "deleted": []}


def test_conflicts_return_what_the_server_has(user):
    kept, gone = new_id(), new_id()
    sync(user, upsert(kept), upsert(gone), delete(gone, 1))
    server = user.get(f"/tasks/{kept}").json()
    unknown = new_id()
    changes = [
        upsert(kept, title="again"),
        upsert(kept, 7),
        delete(kept, 7),
        upsert(gone),
        upsert(gone, 2),
        delete(gone, 7),
        upsert(unknown, 1),
        delete(unknown, 1),
    ]

    result = sync(user, *changes).json()

    assert result["applied"] == []
    assert result["conflicts"] == [
        {"id": change["id"], "server": server if change["id"] == kept else None}
        for change in changes
    ]


def test_ids_are_unique_per_user(new_user):
    task_id = new_id()
    clients = [new_user(), new_user()]

    for number, client in enumerate(clients):
        assert sync(client, upsert(task_id, title=f"of {number}")).json()["applied"] == [task_id]

    titles = [client.get(f"/tasks/{task_id}").json()["title"] for client in clients]
    assert titles == ["of 0", "of 1"]


def test_tells_what_changed_since_the_cursor(user):
    old = user.post("/tasks", json={"title": "old"}).json()
    deleted = user.post("/tasks", json={"title": "deleted"}).json()
    cursor = sync(user).json()["cursor"]
    new = user.post("/tasks", json={"title": "new"}).json()
    short_lived = user.post("/tasks", json={"title": "short-lived"}).json()
    for task in (deleted, short_lived):
        user.delete(f"/tasks/{task['id']}")

    result = sync(user, since=cursor).json()
    everything = sync(user).json()

    assert result["changes"] == [new]
    assert result["deleted"] == [deleted["id"], short_lived["id"]]
    assert everything["changes"] == [old, new]
    assert sync(user, since=result["cursor"]).json()["changes"] == []


def test_misses_nothing_that_is_written_meanwhile(user):
    with ThreadPoolExecutor(4) as pool:
        writes = [pool.submit(sync, user, upsert(new_id())) for _ in range(40)]
        seen, cursor = set(), None
        while not all(write.done() for write in writes):
            result = sync(user, since=cursor).json()
            seen |= {task["id"] for task in result["changes"]}
            cursor = result["cursor"]
    seen |= {task["id"] for task in sync(user, since=cursor).json()["changes"]}

    assert seen == {task["id"] for task in sync(user).json()["changes"]}
    assert len(seen) == len(writes)


def test_takes_the_largest_batch_at_once(user):
    changes = [upsert(new_id()) for _ in range(500)]

    result = sync(user, *changes).json()

    assert result["applied"] == [change["id"] for change in changes]
    newest = user.get("/tasks", params={"limit": 1}).json()["items"][0]
    assert newest["id"] == changes[-1]["id"]


@pytest.mark.parametrize(
    "bad",
    [
        7,
        {},
        {"op": "upsert", "id": "1", "task": {"title": "x"}},
        {"op": "rename", "id": str(uuid4()), "task": {"title": "x"}},
        {"op": "upsert", "id": str(uuid4())},
        {"op": "upsert", "id": str(uuid4()), "task": {"title": "x", "version": 1}},
        {"op": "upsert", "id": str(uuid4()), "task": {"title": "x"}, "base_version": None},
        {"op": "upsert", "id": str(uuid4()), "task": {"title": "x"}, "base_version": "1"},
        {"op": "delete", "id": str(uuid4())},
        {"op": "delete", "id": str(uuid4()), "base_version": 1, "task": {}},
    ],
)
def test_one_malformed_change_refuses_the_whole(user, bad):
    answer = sync(user, upsert(new_id()), bad)

    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert user.get("/stats").json()["total"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {"since": None},
        {"changes": []},
        {"since": None, "changes": {}},
        {"since": 0, "changes": []},
        {"since": "invented", "changes": []},
        {"since": None, "changes": [upsert(new_id()) for _ in range(501)]},
    ],
)
def test_refuses_a_malformed_request(user, body):
    assert user.post("/sync", json=body).status_code == HTTPStatus.UNPROCESSABLE_ENTITY


def test_a_cursor_of_the_list_is_no_since(user):
    for _ in range(2):
        user.post("/tasks", json={"title": "x"})
    cursor = user.get("/tasks", params={"limit": 1}).json()["next_cursor"]

    assert sync(user, since=cursor).status_code == HTTPStatus.UNPROCESSABLE_ENTITY


def test_unknown_fields_around_a_task_are_ignored(user):
    body = {"since": None, "changes": [{**upsert(new_id()), "device": 1}], "device": 1}

    assert user.post("/sync", json=body).status_code == HTTPStatus.OK
