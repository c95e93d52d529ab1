"""A user sees and changes only their own tasks."""

import json

import pytest
from shapes import state, states
from tables import cases
from user import new_id, removal, upsert

UNKNOWN_ID = "0d9f1d3c-6a55-4f2a-9d5e-1b7c55a0c0de"


@pytest.fixture
def task(user):
    """A task of the user; the other user is the one who tries."""
    return user.create("private matter", status="doing")


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


def test_list_shows_only_own_tasks(user, other, task):
    """The list, also with search and filter, shows only one's own tasks."""
    own = other.create("private matter too", status="doing")
    for filters in ({}, {"q": "private"}, {"status": "doing"}, {"q": "matter", "status": "doing"}):
        assert states(other.list(**filters)) == states([own]), f"contract: only one's own tasks, with {filters}"


def test_search_injection_shows_no_foreign_task(user, other, task):
    """A search made of SQL shows no tasks of other users."""
    for text in ("' OR 1=1 --", "%' OR '1'='1", "x') OR ('1'='1", '" OR ""="', "%", "\\' OR 1=1 --"):
        items, _ = other.page(q=text)
        assert items == [], f"contract: {text!r} is ordinary text and this user has no tasks. received: {items}"


def test_stats_count_only_own_tasks(user, other, task):
    """The counts are those of one's own tasks."""
    other.create(status="done")
    assert other.stats() == {"todo": 0, "doing": 0, "done": 1, "total": 1}
    assert user.stats() == {"todo": 0, "doing": 1, "done": 0, "total": 1}


def test_sync_returns_only_own_tasks(user, other, task):
    """A synchronisation returns only one's own tasks and deletions."""
    gone = user.create()
    user.remove(gone["id"])
    own = other.create("own")
    outcome = other.sync()
    assert states(outcome["changes"]) == states([own]), "contract: only one's own tasks"
    assert outcome["deleted"] == [], "contract: only one's own deletions"


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
    assert outcome["applied"] == [], "contract: another user's task does not exist"
    assert outcome["conflicts"] == {task["id"]: None}, "contract: a conflict, and the server has no such task: null"
    user.must_still_have(task, "another user changes nothing")


def test_same_id_for_two_users(user, other, rng):
    """Two users can have a task with the same id, and each sees and changes their own."""
    task_id = new_id(rng)
    for owner, title in ((user, "first"), (other, "second")):
        outcome = owner.sync(upsert(task_id, title))
        assert outcome["applied"] == [task_id], "contract: task ids are unique per user, so this one is free"
    assert (user.read(task_id)["title"], other.read(task_id)["title"]) == ("first", "second")
    changed = user.change(task_id, title="first, changed")
    assert other.read(task_id)["title"] == "second", "contract: a user changes only their own tasks"
    other.remove(task_id)
    user.must_still_have(changed, "another user deletes only their own tasks")
    other.must_not_have(task_id, "the task was deleted")
    assert user.sync()["deleted"] == [] and other.sync()["deleted"] == [task_id]


def test_id_of_a_posted_task_is_free_for_others(user, other, task):
    """The id of another user's task can be taken for a task of one's own, without learning of it."""
    outcome = other.sync(upsert(task["id"], "my own"))
    assert (outcome["applied"], outcome["conflicts"]) == ([task["id"]], {}), "contract: ids are unique per user"
    assert other.read(task["id"])["title"] == "my own"
    user.must_still_have(task, "another user changes nothing")


def test_same_id_deleted_by_the_other(user, other, rng):
    """An id that another user deleted is still free."""
    task_id = new_id(rng)
    version = user.sync(upsert(task_id, "first"))["changes"][0]["version"]
    user.sync(removal(task_id, version))
    outcome = other.sync(upsert(task_id, "second"))
    assert outcome["applied"] == [task_id], "contract: task ids are unique per user, so this one is free"
    user.must_not_have(task_id, "another user brings nothing back")


def test_same_idempotency_key_for_two_users(user, other):
    """The same Idempotency-Key of two users creates a task for each."""
    first, second = user.create("first", key="the same key"), other.create("second", key="the same key")
    assert second["title"] == "second", "contract: keys are per user. received: the other user's task"
    assert first["id"] != second["id"]
    assert states(user.list()) == states([first]) and states(other.list()) == states([second])
    assert state(other.create("third", key="the same key")) == state(second)


def test_foreign_list_cursor(user, other):
    """A list cursor of another user shows none of their tasks."""
    for number in range(4):
        user.create(f"private {number}")
    other.create("own")
    _, cursor = user.page(limit=2)
    answer = other.request("GET", "/tasks", params={"cursor": cursor})
    answer.expect((200, 422), "another user's cursor is refused or means nothing")
    answer.ensure(b"private" not in answer.body, "a user sees only their own tasks")


def test_foreign_sync_cursor(user, other):
    """A synchronisation cursor of another user shows none of their tasks."""
    cursor = user.sync()["cursor"]
    user.create("private")
    answer = other.send_sync(since=cursor).expect((200, 422), "another user's cursor is refused or means nothing")
    answer.ensure(b"private" not in answer.body, "a user sees only their own tasks")
