"""A user sees and changes only their own tasks."""

import json

import pytest
from service import holds, same
from shapes import state, states
from tables import cases
from user import new_id, removal, upsert

UNKNOWN_ID = "0d9f1d3c-6a55-4f2a-9d5e-1b7c55a0c0de"


@pytest.fixture
def secret(rng):
    """A word that no other task has in its title."""
    return f"secret {new_id(rng)}"


@pytest.fixture
def task(user, secret):
    """A task of the user; the other user is the one who tries."""
    return user.create(secret, status="doing")


def outline(answer, task_id):
    """What an error says, without the id asked for and without what differs from answer to answer (moment, trace)."""
    try:
        problem = json.loads(answer.body.replace(task_id.encode(), b"ID"))
    except ValueError:
        return answer.body
    if not isinstance(problem, dict):
        return problem
    return sorted(problem), [problem.get(name) for name in ("type", "title", "status", "detail")]


@cases(
    "method, body",
    {"read": ("GET", None), "change": ("PATCH", {"title": "taken over"}), "delete": ("DELETE", None)},
)
def test_foreign_task(user, other, task, method, body):
    """Another user's task is answered exactly like one that does not exist."""
    headers = {"If-Match": "*"} if method == "PATCH" else {}
    foreign = other.request(method, f"/tasks/{task['id']}", json=body, headers=headers)
    foreign.expect(404, "another user's task does not exist")
    unknown = other.request(method, f"/tasks/{UNKNOWN_ID}", json=body, headers=headers).expect(404, "no such task")
    same = outline(foreign, task["id"]) == outline(unknown, UNKNOWN_ID)
    foreign.ensure(same, f"exactly the answer for an id that does not exist, which is {unknown}")
    user.must_still_have(task, "another user changes nothing")


@pytest.mark.parametrize("match", [None, '"1"', '"999"', "*"])
def test_foreign_task_with_any_if_match(user, other, task, match):
    """Changing another user's task is 404, whatever the If-Match."""
    other.patch(task["id"], {"title": "taken over"}, match).expect(404, "another user's task does not exist")
    user.must_still_have(task, "another user changes nothing")


def test_list_shows_only_own_tasks(other, task, secret):
    """The list, also with search and filter, shows only one's own tasks."""
    own = other.create(f"my {secret}", status="doing")
    for filters in ({}, {"q": secret}, {"status": "doing"}, {"q": secret, "status": "doing"}):
        listed = [one["id"] for one in other.list(limit=100, **filters)]
        holds(own["id"] in listed, "one's own tasks are listed", listed)
        holds(task["id"] not in listed, "only one's own tasks are listed", listed)


def test_search_injection_shows_no_foreign_task(other, task):
    """A search made of SQL shows no tasks of other users."""
    for text in ("' OR 1=1 --", "%' OR '1'='1", "x') OR ('1'='1", '" OR ""="', "%", "\\' OR 1=1 --"):
        items, _ = other.page(q=text)
        same(items, [], f"{text!r} is ordinary text that no title of this user has")


def test_stats_count_only_own_tasks(user, other):
    """The counts are those of one's own tasks."""
    before = other.stats()
    for status in ("todo", "doing", "done"):
        user.create(status=status)
    same(other.stats(), before, "another user's tasks are not counted")


def test_sync_returns_only_own_tasks(user, other, task):
    """A synchronisation returns only one's own tasks and deletions."""
    gone = user.create()
    user.remove(gone["id"])
    own = other.create("own")
    outcome = other.sync(since=None)
    changed = states(outcome["changes"])
    holds(own["id"] in changed, "every task of the user comes back", changed)
    holds(task["id"] not in changed, "only tasks of the user come back", changed)
    holds(gone["id"] not in outcome["deleted"], "only deletions of the user come back", outcome["deleted"])


@cases(
    "change",
    {
        "an update": lambda task: upsert(task["id"], "taken over", task["version"]),
        "a delete": lambda task: removal(task["id"], task["version"]),
    },
)
def test_sync_does_not_touch_foreign_tasks(user, other, task, change):
    """Updating or deleting another user's task through /sync is a conflict without a task."""
    outcome = other.sync(change(task))
    same(outcome["applied"], [], "another user's task does not exist")
    same(outcome["conflicts"], {task["id"]: None}, "a conflict, and the server has no such task: null")
    user.must_still_have(task, "another user changes nothing")


def test_same_id_for_two_users(user, other, rng):
    """Two users can have a task with the same id, and each sees and changes their own."""
    task_id = new_id(rng)
    for owner, title in ((user, "first"), (other, "second")):
        outcome = owner.sync(upsert(task_id, title))
        same(outcome["applied"], [task_id], "task ids are unique per user, so this one is free")
    same(
        (user.read(task_id)["title"], other.read(task_id)["title"]),
        ("first", "second"),
        "each user reads their own task",
    )
    changed = user.change(task_id, title="first, changed")
    same(other.read(task_id)["title"], "second", "a user changes only their own tasks")
    other.remove(task_id)
    user.must_still_have(changed, "another user deletes only their own tasks")
    other.must_not_have(task_id, "the task was deleted")
    first, second = user.sync(since=None)["deleted"], other.sync(since=None)["deleted"]
    holds(task_id not in first, "only deletions of the user come back", first)
    holds(task_id in second, "every deletion of the user comes back", second)


def test_id_of_a_posted_task_is_free_for_others(user, other, task):
    """The id of another user's task can be taken for a task of one's own, without learning of it."""
    outcome = other.sync(upsert(task["id"], "my own"))
    same((outcome["applied"], outcome["conflicts"]), ([task["id"]], {}), "ids are unique per user")
    same(other.read(task["id"])["title"], "my own", "the task that this user made")
    user.must_still_have(task, "another user changes nothing")


def test_same_id_deleted_by_the_other(user, other, rng):
    """An id that another user deleted is still free."""
    task_id = new_id(rng)
    user.sync(upsert(task_id, "first"))
    user.remove(task_id)
    outcome = other.sync(upsert(task_id, "second"))
    same(outcome["applied"], [task_id], "task ids are unique per user, so this one is free")
    user.must_not_have(task_id, "another user brings nothing back")


def test_same_idempotency_key_for_two_users(user, other, rng):
    """The same Idempotency-Key of two users creates a task for each."""
    key = new_id(rng)
    first, second = user.create("first", key=key), other.create("second", key=key)
    same(second["title"], "second", "keys are per user")
    holds(first["id"] != second["id"], "keys are per user: two users, two tasks", "one task for both")
    user.must_not_have(second["id"], "another user's task does not exist")
    same(state(user.create("third", key=key)), state(first), "the first task of this user")
    same(state(other.create("third", key=key)), state(second), "the first task of this user")


def test_foreign_list_cursor(user, other, secret):
    """A list cursor of another user shows none of their tasks."""
    for number in range(4):
        user.create(f"{secret} {number}")
    other.create("own")
    _, cursor = user.page(limit=2)
    answer = other.request("GET", "/tasks", params={"cursor": cursor})
    answer.expect((200, 422), "another user's cursor is refused or means nothing")
    answer.ensure(secret.encode() not in answer.body, "a user sees only their own tasks")


def test_foreign_sync_cursor(user, other, secret):
    """A synchronisation cursor of another user shows none of their tasks."""
    cursor = user.sync()["cursor"]
    user.create(secret)
    answer = other.send_sync(since=cursor).expect((200, 422), "another user's cursor is refused or means nothing")
    answer.ensure(secret.encode() not in answer.body, "a user sees only their own tasks")
