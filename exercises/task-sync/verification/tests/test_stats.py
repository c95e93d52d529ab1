"""GET /stats: counts of one's own tasks by status, always right."""

import pytest
from service import same
from tables import cases
from together import at_once
from user import new_id, removal, upsert


def counts(todo=0, doing=0, done=0):
    return {"todo": todo, "doing": doing, "done": done, "total": todo + doing + done}


@pytest.fixture
def counted(user):
    """A function that tells by how much the counts grew since the test began."""
    before = user.stats()
    return lambda: {name: count - before[name] for name, count in user.stats().items()}


def test_new_user(newcomer):
    """A new user has no tasks."""
    same(newcomer.stats(), counts(), "there are no tasks yet")


def test_after_creations(user, counted):
    """Every created task is counted under its status at once."""
    expected = {"todo": 0, "doing": 0, "done": 0}
    for status in ("todo", "done", "doing", "done", "done"):
        user.create(status=status)
        expected[status] += 1
        same(counted(), counts(**expected), "the counts grew by")
    user.create()
    same(counted(), counts(todo=2, doing=1, done=3), "status is todo unless given")


def test_after_changes(user, counted):
    """A changed status is counted at once, another changed field changes no count."""
    task = user.create()
    same(counted(), counts(todo=1), "the counts grew by")
    user.change(task["id"], status="doing")
    same(counted(), counts(doing=1), "the counts grew by")
    user.change(task["id"], title="renamed")
    same(counted(), counts(doing=1), "the counts grew by")
    user.change(task["id"], status="done", title="finished")
    same(counted(), counts(done=1), "the counts grew by")


def test_after_deletes(user, counted):
    """A deleted task is not counted any more."""
    first, second = user.create(status="done"), user.create()
    same(counted(), counts(todo=1, done=1), "the counts grew by")
    user.remove(first["id"])
    same(counted(), counts(todo=1), "the counts grew by")
    user.delete(first["id"]).expect(404, "the task was deleted already")
    user.remove(second["id"])
    same(counted(), counts(), "the counts grew by")


def test_after_sync(user, rng, counted):
    """Creations, updates and deletes of a synchronisation are counted at once."""
    first, second = new_id(rng), new_id(rng)
    user.sync(upsert(first, "first"), upsert(second, "second", status="done"))
    versions = {task_id: user.read(task_id)["version"] for task_id in (first, second)}
    same(counted(), counts(todo=1, done=1), "the counts grew by")
    user.sync(upsert(first, "first", versions[first], status="doing"), removal(second, versions[second]))
    same(counted(), counts(doing=1), "the counts grew by")


@cases(
    "attempt",
    {
        "a refused creation": lambda user, task: user.post({"title": ""}).expect(422, "no title"),
        "a repeated Idempotency-Key": lambda user, task: user.post({"title": "x"}, task["title"]).expect(
            201, "repeated"
        ),
        "a stale change": lambda user, task: user.patch(task["id"], {"status": "done"}, '"99"').expect(412, "stale"),
        "a refused change": lambda user, task: user.patch(task["id"], {"status": "dones"}).expect(422, "no status"),
        "a conflict": lambda user, task: user.sync(upsert(task["id"], "x", 99, status="done")),
        "a stale delete": lambda user, task: user.sync(removal(task["id"], 99)),
        "a replayed creation": lambda user, task: user.sync(upsert(task["id"], task["title"], status="doing")),
    },
)
def test_after_requests_that_write_nothing(user, rng, counted, attempt):
    """What writes nothing changes no count."""
    name = new_id(rng)
    task = user.create(name, key=name, status="doing")
    same(counted(), counts(doing=1), "the counts grew by")
    attempt(user, task)
    same(counted(), counts(doing=1), "the counts grew by")


def test_after_a_replay(user, rng, counted):
    """A replayed synchronisation is counted once."""
    fresh = new_id(rng)
    for _ in range(3):
        user.sync(upsert(fresh, "once"))
        same(counted(), counts(todo=1), "a replay is counted once")
    version = user.read(fresh)["version"]
    for _ in range(2):
        user.sync(removal(fresh, version))
        same(counted(), counts(), "a replay is counted once")


def test_beside_writers(user, rng, counted):
    """Counts read while others write add up, and are exact in the end."""
    tasks = [user.create() for _ in range(4)]
    fresh = [new_id(rng) for _ in range(10)]
    seen = []

    def change(task):
        for status in ("doing", "done", "todo", "doing"):
            user.change(task["id"], status=status)

    def read():
        seen.extend(user.stats() for _ in range(25))

    at_once(
        lambda: change(tasks[0]),
        lambda: change(tasks[1]),
        lambda: [user.create(status="done") for _ in range(10)],
        lambda: [user.remove(task["id"]) for task in tasks[2:]],
        lambda: user.sync(*(upsert(task_id, "synchronised", status="done") for task_id in fresh)),
        read,
    )
    for stats in seen:
        same(stats["total"], stats["todo"] + stats["doing"] + stats["done"], f"counts add up: {stats}")
    same(counted(), counts(doing=2, done=20), "the counts are exact once all writers are done")


def test_many_changes_of_one_task_at_once(user, counted):
    """When many change the status of one task at once, it is counted once, under its last status."""
    task = user.create()
    wanted = ["todo", "doing", "done"] * 5
    at_once(*(lambda status=status: user.change(task["id"], status=status) for status in wanted))
    same(counted(), counts(**{user.read(task["id"])["status"]: 1}), "the counts grew by")


def test_reader_never_sees_the_past(user, counted):
    """A count that is read after a write was answered includes it, also beside another reader."""

    def write():
        for number in range(1, 16):
            user.create()
            total = counted()["total"]
            same(total, number, f"{number} tasks were created")

    at_once(write, lambda: [user.stats() for _ in range(40)])
