"""Requests that run at the same moment: nothing is done twice, nothing is lost."""

import threading
from random import Random

from offline import Replica
from outcomes import server_task, stored, versions
from service import holds, same
from shapes import state, states
from tables import cases
from together import at_once, repeated, statuses
from user import check_tokens, new_id, removal, upsert

EIGHT = range(8)
SIXTEEN = range(16)


def test_registrations_of_one_name(service, newcomer):
    """When many register the same username at once, one gets it."""
    body = newcomer.credentials
    answers = at_once(*(lambda: service.request("POST", "/users", json=body) for _ in EIGHT))
    same(statuses(answers), [201] + [409] * 7, "one 201, else 409")
    newcomer.log_in()


@repeated
def test_refreshes_with_one_token(service, newcomer):
    """When a refresh token is used many times at once, one use works."""
    newcomer.tokens  # noqa: B018 - the user is registered
    body = {"refresh_token": newcomer.log_in()["refresh_token"]}
    answers = at_once(*(lambda: service.request("POST", "/auth/refresh", json=body) for _ in EIGHT))
    same(statuses(answers), [200] + [401] * 7, "one 200, else 401")
    check_tokens(next(answer for answer in answers if answer.status == 200))


@repeated
def test_creations_with_one_key(user, rng):
    """16 creations with the same Idempotency-Key at once create one task."""
    before, key = user.create(), new_id(rng)
    total = user.stats()["total"]
    tasks = at_once(*(lambda number=number: user.create(f"title {number}", key=key) for number in SIXTEEN))
    same(len({task["id"] for task in tasks}), 1, "all get the task first created with the key")
    same(len({task["title"] for task in tasks}), 1, "all get the task first created with the key")
    same(user.newest(2), [tasks[0]["id"], before["id"]], "one task is created")
    same(user.stats()["total"] - total, 1, "one task is created")


def test_creations_with_different_keys(user):
    """16 creations with different Idempotency-Keys at once create 16 tasks."""
    user.access  # noqa: B018 - log in before the race
    tasks = at_once(*(lambda number=number: user.create(f"title {number}", key=f"{number}") for number in SIXTEEN))
    created = {task["id"] for task in tasks}
    same(len(created), 16, "every key creates a task")
    same(set(user.newest(16)), created, "every created task is listed")


@repeated
def test_changes_with_one_etag(user):
    """Of 16 changes with the same ETag at once, exactly one succeeds and the others are 412."""
    task = user.create()
    etag = f'"{task["version"]}"'
    answers = at_once(
        *(lambda number=number: user.patch(task["id"], {"title": f"title {number}"}, etag) for number in SIXTEEN)
    )
    same(statuses(answers), [200] + [412] * 15, "one 200, else 412")
    winner = next(answer for answer in answers if answer.status == 200).json()
    now = user.read(task["id"])
    same(state(now), state(winner), "the change that was answered 200 is the one that was made")
    same(now["version"], task["version"] + 1, "the version is one higher")


@repeated
def test_changes_with_star(user):
    """16 changes with If-Match * at once are all made, one after another."""
    task = user.create()
    changed = at_once(*(lambda number=number: user.change(task["id"], title=f"t {number}") for number in SIXTEEN))
    received = sorted(one["version"] for one in changed)
    expected = [task["version"] + 1 + number for number in SIXTEEN]
    same(received, expected, "each change raises the version by one")
    last = max(changed, key=lambda one: one["version"])
    same(state(user.read(task["id"])), state(last), "the last change stands")


@repeated
def test_changes_of_different_fields(user):
    """Changes of different fields of one task at once do not undo each other."""
    task = user.create()
    changes = ({"title": "new"}, {"description": "new"}, {"status": "done"}, {"due": "2031-05-06T07:08:09Z"})
    at_once(*(lambda change=change: user.change(task["id"], **change) for change in changes))
    now = user.read(task["id"])
    received = (now["title"], now["description"], now["status"], now["due"] is not None, now["version"])
    same(received, ("new", "new", "done", True, task["version"] + 4), "no change is lost")


@repeated
def test_deletes_of_one_task(user):
    """Of many deletes of one task at once, exactly one succeeds and the others are 404."""
    task = user.create()
    answers = at_once(*(lambda: user.delete(task["id"]) for _ in EIGHT))
    same(statuses(answers), [204] + [404] * 7, "one 204, else 404")


@repeated
def test_deletes_beside_changes(user):
    """A delete beside changes of the same task wins in the end, and the task stays deleted."""
    task = user.create()
    cursor = user.sync()["cursor"]
    *changes, delete = at_once(
        *(lambda number=number: user.patch(task["id"], {"title": f"t {number}"}) for number in EIGHT),
        lambda: user.delete(task["id"]),
    )
    delete.expect(204, "nobody else deletes the task")
    allowed = all(answer.status in (200, 404) for answer in changes)
    holds(allowed, "a change is made (200) or comes too late (404)", statuses(changes))
    user.must_not_have(task["id"], "a deleted task stays deleted")
    outcome = user.sync(since=cursor)
    same((outcome["changes"], outcome["deleted"]), ([], [task["id"]]), "the task is deleted")


@repeated
def test_creations_of_one_id(user, rng):
    """Of many clients that create the same id with different content at once, exactly one succeeds."""
    task_id = new_id(rng)
    user.access  # noqa: B018 - log in before the race
    outcomes = at_once(*(lambda number=number: user.sync(upsert(task_id, f"client {number}")) for number in EIGHT))
    applied = [outcome for outcome in outcomes if outcome["applied"] == [task_id]]
    same(len(applied), 1, "one creation is applied, the rest conflicts")
    now = user.read(task_id)
    for outcome in outcomes:
        if outcome not in applied:
            same(state(server_task(outcome, task_id)), state(now), "the server's task comes back")


@repeated
def test_replays_of_one_creation(user, rng):
    """A creation that arrives many times at once is made once and counts as applied for all."""
    task_id = new_id(rng)
    user.access  # noqa: B018 - log in before the race
    outcomes = at_once(*(lambda: user.sync(upsert(task_id, "the same")) for _ in EIGHT))
    received = [outcome["applied"] for outcome in outcomes]
    same(received, [[task_id]] * 8, "a replay counts as applied")
    same(user.read(task_id)["version"], stored(user, rng)["version"], "a replay writes nothing")


@repeated
def test_updates_of_one_version(user, rng):
    """Of many clients that update the same version at once, exactly one succeeds."""
    task = user.create()
    outcomes = at_once(
        *(lambda number=number: user.sync(upsert(task["id"], f"c {number}", task["version"])) for number in EIGHT)
    )
    applied = [outcome for outcome in outcomes if outcome["applied"]]
    same(len(applied), 1, "one update is applied, the rest conflicts")
    same(user.read(task["id"])["version"], task["version"] + 1, "the version is one higher")


@repeated
def test_sync_beside_patch(user):
    """An update by /sync and changes by PATCH of the same version at once: exactly one succeeds."""
    task = user.create()
    etag = f'"{task["version"]}"'
    *answers, outcome = at_once(
        *(lambda number=number: user.patch(task["id"], {"title": f"p {number}"}, etag) for number in EIGHT),
        lambda: user.sync(upsert(task["id"], "synchronised", task["version"])),
    )
    made = len(outcome["applied"]) + sum(answer.status == 200 for answer in answers)
    same(made, 1, "only one of them has the stored version")
    same(user.read(task["id"])["version"], task["version"] + 1, "the version is one higher")


def test_synchronisations_in_opposite_order(user, rng):
    """Clients that update the same tasks in opposite order at once are all answered, and every task is updated once."""
    wanted = [new_id(rng) for _ in range(30)]
    outcome = user.sync(*(upsert(task_id, "start") for task_id in wanted), since=None)
    version = versions(outcome, wanted)
    for _ in range(3):
        there = [upsert(task_id, "there", version[task_id]) for task_id in wanted]
        back = [upsert(task_id, "back", version[task_id]) for task_id in reversed(wanted)]
        outcomes = at_once(
            lambda there=there: user.sync(*there),
            lambda back=back: user.sync(*back),
            lambda there=there: user.sync(*there[15:], *there[:15]),
        )
        tasks = {task["id"]: task for task in user.sync(since=None)["changes"]}
        for task_id in wanted:
            version[task_id] += 1
            winners = {"back"} if task_id in outcomes[1]["applied"] else {"there"}
            holds(tasks[task_id]["title"] in winners, f"who was told so made the update: {winners}", tasks[task_id])
            same(tasks[task_id]["version"], version[task_id], "every task is updated once")


def test_creations_beside_each_other(user):
    """Tasks that many clients create at once are all there."""
    user.access  # noqa: B018 - log in before the race
    made = at_once(*(lambda: [user.create() for _ in range(4)] for _ in EIGHT))
    created = {task["id"] for tasks in made for task in tasks}
    same(len(created), 32, "every POST creates a task")
    same(set(user.newest(32)), created, "every created task is listed")


# No lost change


def write_one_by_one(user, rng, rounds):
    """Create, change and delete single tasks through the REST operations."""
    for _ in range(rounds):
        task = user.create("single")
        if rng.random() < 0.5:
            user.change(task["id"], title="changed", status="done")
        if rng.random() < 0.3:
            user.remove(task["id"])


def write_in_batches(user, rng, batches, size):
    """Create tasks in large synchronisations, then update and delete some of them."""
    for _ in range(batches):
        wanted = [new_id(rng) for _ in range(size)]
        outcome = user.sync(*(upsert(task_id, "batch") for task_id in wanted), since=None)
        version = versions(outcome, wanted)
        user.sync(
            *(upsert(task_id, "renamed", version[task_id]) for task_id in wanted[: size // 3]),
            *(removal(task_id, version[task_id]) for task_id in wanted[-size // 4 :]),
        )


@cases("batches, size", {"small batches": (8, 5), "large batches": (2, 120)})
def test_no_change_is_lost(newcomer, rng, batches, size):
    """A client that synchronises while others write ends up with exactly the server's tasks."""
    user = newcomer
    user.access  # noqa: B018 - log in before the race
    replica = Replica(user)
    done = threading.Event()
    dice = [Random(rng.random()) for _ in range(2)]  # one each: threads would take turns in no fixed order

    def write():
        try:
            at_once(
                lambda: write_in_batches(user, dice[0], batches, size),
                lambda: write_one_by_one(user, dice[1], 25),
            )
        finally:
            done.set()

    at_once(write, lambda: replica.pull_until(done))
    replica.pull()
    server = states(user.list(limit=100))
    missed = {task_id for task_id in server if task_id not in replica.tasks}
    undead = {task_id for task_id in replica.tasks if task_id not in server}
    holds(not missed, "every task changed after `since` is returned", f"{len(missed)} tasks were never returned")
    holds(not undead, "every task deleted after `since` is returned", f"{len(undead)} deletions were never returned")
    same(states(replica.tasks.values()), server, "the last state of every task is returned")
