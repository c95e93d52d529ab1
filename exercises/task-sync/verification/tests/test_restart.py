"""The service keeps no state of its own: it survives a restart of itself and of its database."""

import socket
import time
from dataclasses import dataclass

import pytest
from control import database, restart_service
from service import holds, same
from shapes import state, states
from user import User, check_tokens, removal, upsert

pytestmark = [pytest.mark.control, pytest.mark.timeout(120)]

STOP_SECONDS = 10
CONNECTIONS = 25


@dataclass
class Before:
    """What a client holds when the service goes away, and how the restart went."""

    user: User
    tasks: list
    gone: dict
    keyed: dict
    etag: str
    page_cursor: str
    sync_cursor: str
    used_refresh: str
    fresh_refresh: str
    replay: dict
    restart: dict


@pytest.fixture(scope="module")
def before(service, new_user):
    """A client with tasks, tokens, keys and cursors; the service is restarted once for all tests of this group."""
    user = new_user()
    tasks = [user.create(f"task {number}", status="doing") for number in range(3)]
    tasks[1] = user.change(tasks[1]["id"], status="done")
    keyed = user.create("keyed", key="before the restart")
    gone = user.create("gone")
    user.remove(gone["id"])
    used = user.log_in()["refresh_token"]
    fresh = refresh(service, used).expect(200, "a refresh token works").json()["refresh_token"]
    replay = upsert("5d3c0a3e-7a86-4b8f-8a3e-0c1f4b8c2d11", "synchronised")
    user.sync(replay)
    tasks += [keyed, user.read(replay["id"])]
    _, page_cursor = user.page(limit=2)
    sync_cursor = user.sync()["cursor"]
    with idle_connection(service):
        restart = restart_service()
    service.reconnect()
    etag = f'"{tasks[1]["version"]}"'
    return Before(user, tasks, gone, keyed, etag, page_cursor, sync_cursor, used, fresh, replay, restart)


def idle_connection(service):
    """A connection that a client keeps open after one request."""
    line = socket.create_connection((service.host, service.port), timeout=5)
    line.sendall(f"GET /health HTTP/1.1\r\nHost: {service.host}:{service.port}\r\n\r\n".encode())
    line.recv(64)
    return line


def refresh(service, token):
    return service.request("POST", "/auth/refresh", json={"refresh_token": token})


def test_comes_back(service, before):
    """The service is ready again after a restart."""
    holds(before.restart.get("ok"), "the service is ready within 30 s of its start", before.restart)
    service.request("GET", "/health").expect(200, "the service is ready")


def test_ends_in_time(before):
    """The service ends within 10 seconds of SIGTERM, also while clients keep connections open."""
    stopped = before.restart.get("stopped_ms")
    holds(stopped is not None, "the service ends within 10 s of SIGTERM", before.restart)
    holds(stopped <= STOP_SECONDS * 1000, "ends within 10 s of SIGTERM", f"after {stopped} ms")


def test_tasks_survive(before):
    """Tasks, deletions and counts are the same after a restart."""
    user = before.user
    for task in before.tasks:
        user.must_still_have(task, "the service keeps its state in the database")
    user.must_not_have(before.gone["id"], "a deleted task stays deleted")


def test_access_token_survives(service, before):
    """An access token from before the restart is still valid."""
    answer = service.request("GET", "/stats", token=before.user.access)
    answer.expect(200, "the token has not expired, and its key is JWT_SECRET")


def test_login_survives(before):
    """A user from before the restart can log in."""
    before.user.log_in()


def test_refresh_rotation_survives(service, before):
    """A used refresh token is still refused after a restart, an unused one still works once."""
    fresh = refresh(service, before.fresh_refresh).expect(200, "this refresh token was not used yet")
    check_tokens(fresh)
    refresh(service, before.fresh_refresh).expect(401, "a refresh token works once")
    refresh(service, before.used_refresh).expect(401, "this refresh token was used before the restart")


def test_idempotency_survives(before):
    """An Idempotency-Key from before the restart still names its task."""
    again = before.user.create("another", key="before the restart")
    same(state(again), state(before.keyed), "the task first created with the key")


def test_etag_survives(before):
    """An ETag from before the restart still matches, once."""
    user, task = before.user, before.user.create()
    user.patch(before.tasks[1]["id"], {"title": "x"}, '"999"').expect(412, "this is not the ETag")
    changed = user.change(task["id"], f'"{task["version"]}"', title="changed")
    same(changed["version"], task["version"] + 1, "the version is one higher")
    answer = user.get(before.tasks[1]["id"]).expect(200, "one's own task can be read")
    answer.ensure(answer.headers.get("etag") == before.etag, f"the ETag is still {before.etag}")


def test_page_cursor_survives(before):
    """A list cursor from before the restart still works."""
    items, _ = before.user.page(limit=50, cursor=before.page_cursor)
    rest = [task["id"] for task in items]
    same(rest, [task["id"] for task in reversed(before.tasks[:3])], "the page goes on where it ended")


def test_sync_cursor_survives(before):
    """A synchronisation cursor from before the restart still works."""
    task = before.user.create("after the restart")
    changed = states(before.user.sync(since=before.sync_cursor)["changes"])
    holds(task["id"] in changed, "every task changed after `since` comes back", changed)
    unchanged = {task["id"] for task in before.tasks if task["id"] in changed}
    same(unchanged, set(), "only tasks changed after `since` come back")


def test_replay_survives(before):
    """A change from before the restart that is sent again is not applied twice."""
    outcome = before.user.sync(before.replay)
    same(outcome["applied"], [before.replay["id"]], "a replay counts as applied")
    before.user.must_still_have(before.tasks[-1], "a replay writes nothing")


def test_deletion_survives(before):
    """A task deleted before the restart is still listed as deleted and cannot be created again."""
    outcome = before.user.sync(upsert(before.gone["id"], "again"), removal(before.gone["id"], 99), since=None)
    holds(before.gone["id"] in outcome["deleted"], "every deleted task is in `deleted`", outcome["deleted"])
    same(outcome["conflicts"], {before.gone["id"]: None}, "a create over a deleted id is a conflict")


def test_database_restart(service, user):
    """The service recovers from a restart of its database without being restarted itself."""
    task = user.create("durable", key="durable")
    token = user.tokens["refresh_token"]
    database("restart")
    recovered = answers_again(user, seconds=10)
    holds(recovered, "the service survives a restart of the database", "errors for 10 s")
    service.request("GET", "/health").expect(200, "the database is reachable")
    user.must_still_have(task, "the service keeps its state in the database")
    same(user.create("other", key="durable")["id"], task["id"], "the task first created with the key")
    check_tokens(refresh(service, token).expect(200, "this refresh token was not used yet"))
    user.change(task["id"], title="changed")
    same(user.stats()["total"], 1, "the state is in the database")


def answers_again(user, seconds):
    """Whether requests succeed again, often enough in a row for every pooled connection, within `seconds`."""
    deadline = time.monotonic() + seconds
    row = 0
    while row < CONNECTIONS and time.monotonic() < deadline:
        row = row + 1 if user.request("GET", "/stats").status == 200 else 0
        if row == 0:
            time.sleep(0.1)
    return row >= CONNECTIONS
