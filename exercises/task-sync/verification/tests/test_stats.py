"""GET /stats: counts of one's own tasks by status, always right."""

from tables import cases
from together import at_once
from user import new_id, removal, upsert


def counts(todo=0, doing=0, done=0):
    return {"todo": todo, "doing": doing, "done": done, "total": todo + doing + done}


def test_new_user(user):
    """A new user has no tasks."""
    assert user.stats() == counts()


def test_after_creations(user):
    """Every created task is counted under its status at once."""
    expected = {"todo": 0, "doing": 0, "done": 0}
    for status in ("todo", "done", "doing", "done", "done"):
        user.create(status=status)
        expected[status] += 1
        assert user.stats() == counts(**expected)
    user.create()
    assert user.stats() == counts(todo=2, doing=1, done=3), "contract: status is todo unless given"


def test_after_changes(user):
    """A changed status is counted at once, another changed field changes no count."""
    task = user.create()
    assert user.stats() == counts(todo=1)
    user.change(task["id"], status="doing")
    assert user.stats() == counts(doing=1)
    user.change(task["id"], title="renamed")
    assert user.stats() == counts(doing=1)
    user.change(task["id"], status="done", title="finished")
    assert user.stats() == counts(done=1)


def test_after_deletes(user):
    """A deleted task is not counted any more."""
    first, second = user.create(status="done"), user.create()
    assert user.stats() == counts(todo=1, done=1)
    user.remove(first["id"])
    assert user.stats() == counts(todo=1)
    user.delete(first["id"]).expect(404, "the task was deleted already")
    user.remove(second["id"])
    assert user.stats() == counts()


def test_after_sync(user, rng):
    """Creations, updates and deletes of a synchronisation are counted at once."""
    first, second = new_id(rng), new_id(rng)
    outcome = user.sync(upsert(first, "first"), upsert(second, "second", status="done"))
    versions = {task["id"]: task["version"] for task in outcome["changes"]}
    assert user.stats() == counts(todo=1, done=1)
    user.sync(upsert(first, "first", versions[first], status="doing"), removal(second, versions[second]))
    assert user.stats() == counts(doing=1)


@cases(
    "attempt",
    {
        "a refused creation": lambda user, task: user.post({"title": ""}).expect(422, "no title"),
        "a repeated Idempotency-Key": lambda user, task: user.post({"title": "x"}, "key").expect(201, "repeated"),
        "a stale change": lambda user, task: user.patch(task["id"], {"status": "done"}, '"99"').expect(412, "stale"),
        "a refused change": lambda user, task: user.patch(task["id"], {"status": "dones"}).expect(422, "no status"),
        "a conflict": lambda user, task: user.sync(upsert(task["id"], "x", 99, status="done")),
        "a stale delete": lambda user, task: user.sync(removal(task["id"], 99)),
        "a replayed creation": lambda user, task: user.sync(upsert(task["id"], "kept", status="doing")),
    },
)
def test_after_requests_that_write_nothing(user, attempt):
    """What writes nothing changes no count."""
    task = user.create("kept", key="key", status="doing")
    assert user.stats() == counts(doing=1)
    attempt(user, task)
    assert user.stats() == counts(doing=1)


def test_after_a_replay(user, rng):
    """A replayed synchronisation is counted once."""
    fresh = new_id(rng)
    for _ in range(3):
        user.sync(upsert(fresh, "once"))
        assert user.stats() == counts(todo=1)
    version = user.read(fresh)["version"]
    for _ in range(2):
        user.sync(removal(fresh, version))
        assert user.stats() == counts()


def test_beside_writers(user, rng):
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
        assert stats["total"] == stats["todo"] + stats["doing"] + stats["done"], f"contract: counts add up: {stats}"
    assert user.stats() == counts(doing=2, done=20), "contract: the counts are exact once all writers are done"


def test_many_changes_of_one_task_at_once(user):
    """When many change the status of one task at once, it is counted once, under its last status."""
    task = user.create()
    wanted = ["todo", "doing", "done"] * 5
    at_once(*(lambda status=status: user.change(task["id"], status=status) for status in wanted))
    assert user.stats() == counts(**{user.read(task["id"])["status"]: 1})


def test_reader_never_sees_the_past(user):
    """A count that is read after a write was answered includes it, also beside another reader."""

    def write():
        for number in range(1, 16):
            user.create()
            total = user.stats()["total"]
            assert total == number, f"contract: {number} tasks were created. received: total {total}"

    at_once(write, lambda: [user.stats() for _ in range(40)])
