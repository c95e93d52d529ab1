"""POST /sync: two-way synchronisation of offline clients."""

import pytest
from malformed import MALFORMED, NEVER_ISSUED
from offline import Client
from outcomes import buried, only_applied, only_conflict, server_task, stored
from service import holds, same
from shapes import check_task, content, state, states
from tables import cases
from user import new_id, removal, upsert

# Create


def test_nothing_to_do(newcomer):
    """A first synchronisation of an empty account returns nothing but a cursor."""
    outcome = newcomer.sync()
    same(
        [outcome[name] for name in ("applied", "conflicts", "changes", "deleted")],
        [[], {}, [], []],
        "nothing was applied, nothing changed",
    )


def test_create(user, rng):
    """An upsert with a fresh id creates the task under this id."""
    task_id, cursor = new_id(rng), user.sync()["cursor"]
    fields = {"description": "offline", "status": "doing", "due": "2031-05-06T07:08:09+02:00"}
    outcome = user.sync(upsert(task_id, "made offline", **fields), since=cursor)
    only_applied(outcome, task_id)
    answer = user.get(task_id).expect(200, "the synchronised task can be read")
    task = check_task(answer, answer.json())
    answer.ensure(content(task) == content({"title": "made offline", **fields}), "the task is stored as it was sent")
    answer.ensure(answer.headers.get("etag") == f'"{task["version"]}"', "the ETag is the quoted version")
    same(states(outcome["changes"]), states([task]), "changes made now are in `changes`")
    same(states(user.page(limit=1)[0]), states([task]), "a synchronised task is listed like any other")


def test_create_with_defaults(user, rng):
    """An upsert with only a title creates a task with the defaults."""
    defaults = {"title": "just a title", "description": "", "status": "todo", "due": None}
    same(content(stored(user, rng, "just a title")), defaults, "fields left out get their defaults")


def test_create_with_the_longest_fields(user, rng):
    """The limits of a synchronised task are those of any task, counted in code points."""
    emoji = "\N{GRINNING FACE}"
    task = stored(user, rng, emoji * 200, description=emoji * 2000)
    same((task["title"], task["description"]), (emoji * 200, emoji * 2000), "the task is stored as it was sent")


def test_create_over_existing(user, rng):
    """Creating over an id that exists is a conflict; the server's task comes back unchanged."""
    task = stored(user, rng, "mine")
    only_conflict(user.sync(upsert(task["id"], "another")), task["id"], task)
    user.must_still_have(task, "a conflict writes nothing")


def test_create_over_posted(user):
    """Creating over the id of a task that was made by POST is a conflict."""
    task = user.create("posted")
    only_conflict(user.sync(upsert(task["id"], "another")), task["id"], task)
    user.must_still_have(task, "a conflict writes nothing")


def test_create_over_deleted(user, rng):
    """Creating over an id that was deleted is a conflict without a task, and does not bring it back."""
    task = buried(user, rng)
    only_conflict(user.sync(upsert(task["id"], "back again")), task["id"], None)
    only_conflict(user.sync(upsert(task["id"], task["title"])), task["id"], None)
    user.must_not_have(task["id"], "a deleted task stays deleted")


def test_create_over_deleted_by_rest(user):
    """Creating over the id of a task that DELETE removed is a conflict without a task."""
    task = user.create("posted")
    user.remove(task["id"])
    only_conflict(user.sync(upsert(task["id"], "back again")), task["id"], None)
    user.must_not_have(task["id"], "a deleted task stays deleted")


# Update


def test_update(user, rng):
    """An upsert with the stored version replaces the task and raises its version by one."""
    task = stored(user, rng, "before")
    fields = {"description": "new", "status": "done", "due": "2032-02-02T02:02:02Z"}
    only_applied(user.sync(upsert(task["id"], "after", task["version"], **fields)), task["id"])
    now = user.read(task["id"])
    same(content(now), content({"title": "after", **fields}), "an upsert replaces the task")
    same(now["version"], task["version"] + 1, "the version is one higher")


def test_update_resets_what_it_leaves_out(user, rng):
    """An upsert replaces the whole task: fields left out get their defaults."""
    task = stored(user, rng, "full", description="text", status="done", due="2032-02-02T02:02:02Z")
    only_applied(user.sync(upsert(task["id"], "bare", task["version"])), task["id"])
    defaults = {"title": "bare", "description": "", "status": "todo", "due": None}
    same(content(user.read(task["id"])), defaults, "fields left out get their defaults")


def test_update_posted_task(user):
    """A task that was made by POST and changed by PATCH can be updated by /sync."""
    task = user.change(user.create("posted")["id"], title="patched")
    only_applied(user.sync(upsert(task["id"], "synchronised", task["version"])), task["id"])
    now = user.read(task["id"])
    same((now["title"], now["version"]), ("synchronised", task["version"] + 1), "the update is made")


@cases("distance", {"an older version": -1, "a newer version": 1, "a version far away": 1000})
def test_update_conflict(user, rng, distance):
    """An upsert with a base_version other than the stored one is a conflict and writes nothing."""
    task = user.change(stored(user, rng, "first")["id"], title="second")
    only_conflict(user.sync(upsert(task["id"], "stale", task["version"] + distance)), task["id"], task)
    user.must_still_have(task, "a conflict writes nothing")


@pytest.mark.parametrize("base_version", [0, -1])
def test_update_conflict_with_odd_version(user, rng, base_version):
    """A base_version that no task ever has is a conflict."""
    task = stored(user, rng)
    only_conflict(user.sync(upsert(task["id"], "stale", base_version)), task["id"], task)


def test_update_with_huge_version(user, rng):
    """A base_version beyond 64 bits is a conflict (or refused), not a crash."""
    task = stored(user, rng)
    answer = user.send_sync(upsert(task["id"], "huge", 2**70))
    answer.expect((200, 422), "an integer is a valid base_version, and no task has this one")
    user.must_still_have(task, "a conflict writes nothing")


def test_update_unknown(user, rng):
    """Updating an id that never existed is a conflict without a task."""
    task_id = new_id(rng)
    only_conflict(user.sync(upsert(task_id, "never there", 1)), task_id, None)
    user.must_not_have(task_id, "a conflict writes nothing")


def test_update_deleted(user, rng):
    """Updating a deleted task is a conflict without a task."""
    task = buried(user, rng)
    for base_version in (task["version"], task["version"] + 2):
        only_conflict(user.sync(upsert(task["id"], "zombie", base_version)), task["id"], None)
    user.must_not_have(task["id"], "a deleted task stays deleted")


# Delete


def test_delete(user, rng):
    """A delete with the stored version removes the task."""
    task = stored(user, rng)
    cursor = user.sync()["cursor"]
    outcome = user.sync(removal(task["id"], task["version"]), since=cursor)
    only_applied(outcome, task["id"])
    same(outcome["deleted"], [task["id"]], "a task deleted now is in `deleted`")
    user.must_not_have(task["id"], "the task was deleted")
    newest = user.newest(1)
    holds(task["id"] not in newest, "a deleted task is not listed", newest)


@cases("distance", {"an older version": -1, "a newer version": 1})
def test_delete_conflict(user, rng, distance):
    """A delete with a base_version other than the stored one is a conflict and deletes nothing."""
    task = user.change(stored(user, rng, "first")["id"], title="second")
    only_conflict(user.sync(removal(task["id"], task["version"] + distance)), task["id"], task)
    user.must_still_have(task, "a conflict writes nothing")


def test_delete_unknown(user, rng):
    """Deleting an id that never existed is a conflict without a task."""
    task_id = new_id(rng)
    only_conflict(user.sync(removal(task_id, 1)), task_id, None)


def test_delete_deleted_with_other_version(user, rng):
    """Deleting a deleted task with a version that it never had is a conflict without a task."""
    task = buried(user, rng)
    only_conflict(user.sync(removal(task["id"], task["version"] + 5)), task["id"], None)


# Order


def test_changes_are_applied_in_order(user, rng):
    """Changes of one request are applied one after another."""
    task = stored(user, rng, "one")
    version, cursor = task["version"], user.sync()["cursor"]
    changes = (upsert(task["id"], "two", version), upsert(task["id"], "three", version + 1, status="done"))
    outcome = user.sync(*changes, since=cursor)
    same((set(outcome["applied"]), outcome["conflicts"]), ({task["id"]}, {}), "both changes are applied")
    now = user.read(task["id"])
    same(
        (now["title"], now["status"], now["version"]), ("three", "done", version + 2), "both changes are made, in order"
    )
    same(states(outcome["changes"]), states([now]), "`changes` has the task once, as it is now")


def test_update_and_delete_in_one_request(user, rng):
    """A task can be updated and then deleted within one request."""
    task = stored(user, rng, "one")
    cursor = user.sync()["cursor"]
    outcome = user.sync(
        upsert(task["id"], "two", task["version"]), removal(task["id"], task["version"] + 1), since=cursor
    )
    same((set(outcome["applied"]), outcome["conflicts"]), ({task["id"]}, {}), "both changes are applied")
    same((outcome["changes"], outcome["deleted"]), ([], [task["id"]]), "in the end it is deleted")
    user.must_not_have(task["id"], "the task was deleted")


def test_second_change_conflicts_with_the_first(user, rng):
    """A change that the one before it made stale is a conflict; the first stays."""
    task = stored(user, rng, "one")
    outcome = user.sync(upsert(task["id"], "two", task["version"]), upsert(task["id"], "rival", task["version"]))
    same(outcome["applied"], [task["id"]], "the first change is applied")
    now = user.read(task["id"])
    same(now["title"], "two", "the second change is a conflict and writes nothing")
    same(state(server_task(outcome, task["id"])), state(now), "the server's task comes back as it is")


def test_conflicts_do_not_stop_the_rest(user, rng):
    """A conflict in the middle leaves the changes before and after it applied, in order."""
    stale, gone = stored(user, rng, "stale"), stored(user, rng, "gone")
    first, last = new_id(rng), new_id(rng)
    outcome = user.sync(
        upsert(first, "first"),
        upsert(stale["id"], "stale", stale["version"] + 3),
        removal(gone["id"], gone["version"]),
        removal(new_id(rng), 1),
        upsert(last, "last"),
    )
    same(outcome["applied"], [first, gone["id"], last], "applied ids, in order")
    same(len(outcome["conflicts"]), 2, "every conflict is reported")
    same(user.newest(3), [last, first, stale["id"]], "every change stands or falls alone")


def test_many_creations_in_order(user, rng):
    """The ids of many applied changes come back in the order of the request."""
    wanted = [new_id(rng) for _ in range(40)]
    outcome = user.sync(*(upsert(task_id, f"task {number}") for number, task_id in enumerate(wanted)))
    only_applied(outcome, *wanted)
    titles = {task["id"]: task["title"] for task in user.page(limit=40)[0]}
    same(
        titles,
        {task_id: f"task {number}" for number, task_id in enumerate(wanted)},
        "every task is created as it was sent",
    )


# Replays


def replayed(user, change):
    """Send a change that is already in place; fail unless it counts as applied and writes nothing."""
    cursor = user.sync()["cursor"]
    outcome = user.sync(change, since=cursor)
    only_applied(outcome, change["id"])
    nothing = (outcome["changes"], outcome["deleted"])
    same(nothing, ([], []), "a replay writes nothing, so nothing changed")


def test_replayed_create(user, rng):
    """A creation that is sent again counts as applied and writes nothing."""
    task = stored(user, rng, "once", status="doing")
    replayed(user, upsert(task["id"], "once", status="doing"))
    replayed(user, upsert(task["id"], "once", status="doing", description="", due=None))
    user.must_still_have(task, "a replay writes nothing")


def test_replayed_update(user, rng):
    """An update that is sent again counts as applied and writes nothing."""
    task = stored(user, rng, "before")
    change = upsert(task["id"], "after", task["version"], due="2031-05-06T07:08:09.123456+02:00")
    user.sync(change)
    now = user.read(task["id"])
    replayed(user, change)
    user.must_still_have(now, "a replay writes nothing")


def test_replayed_delete(user, rng):
    """A delete that is sent again counts as applied."""
    task = buried(user, rng)
    replayed(user, removal(task["id"], task["version"]))
    user.must_not_have(task["id"], "the task was deleted")


def test_replayed_request(user, rng):
    """A whole request that is sent again is applied again in name only."""
    old, gone, fresh = stored(user, rng, "old"), stored(user, rng, "gone"), new_id(rng)
    cursor = user.sync()["cursor"]
    changes = (
        upsert(fresh, "fresh"),
        upsert(old["id"], "renewed", old["version"]),
        removal(gone["id"], gone["version"]),
    )
    first = user.sync(*changes, since=cursor)
    before = states(user.page(limit=3)[0])
    second = user.sync(*changes, since=cursor)
    only_applied(first, fresh, old["id"], gone["id"])
    only_applied(second, fresh, old["id"], gone["id"])
    same(states(user.page(limit=3)[0]), before, "a replay applies nothing twice")
    same(states(second["changes"]), states(first["changes"]), "the same changes after the same `since`")
    same(second["deleted"], first["deleted"], "the same deletions after the same `since`")


def test_same_edit_by_another_client(user, rng):
    """An update whose result another client already wrote counts as applied and writes nothing."""
    task = stored(user, rng, "before")
    now = user.change(task["id"], title="after")
    replayed(user, upsert(task["id"], "after", task["version"]))
    user.must_still_have(now, "a change that is already in place writes nothing")


def test_replayed_create_after_change(user, rng):
    """A creation that is sent again after a further change is a conflict and undoes nothing."""
    task = stored(user, rng, "first")
    changed = user.change(task["id"], title="second")
    only_conflict(user.sync(upsert(task["id"], "first")), task["id"], changed)
    user.must_still_have(changed, "a conflict writes nothing")


def test_replayed_create_with_same_content_at_another_version(user, rng):
    """A creation that is sent again is a conflict when the task came back to the same content later."""
    task = stored(user, rng, "first")
    user.change(task["id"], title="second")
    back = user.change(task["id"], title="first")
    only_conflict(user.sync(upsert(task["id"], "first")), task["id"], back)
    user.must_still_have(back, "a conflict writes nothing")


def test_replayed_update_after_change(user, rng):
    """An update that is sent again after a further change is a conflict and undoes nothing."""
    task = stored(user, rng, "first")
    change = upsert(task["id"], "second", task["version"])
    user.sync(change)
    changed = user.change(task["id"], title="third")
    only_conflict(user.sync(change), task["id"], changed)
    user.must_still_have(changed, "a conflict writes nothing")


def test_replayed_update_after_delete(user, rng):
    """An update that is sent again after a delete is a conflict and does not bring the task back."""
    task = stored(user, rng, "first")
    change = upsert(task["id"], "second", task["version"])
    user.sync(change, removal(task["id"], task["version"] + 1))
    only_conflict(user.sync(change), task["id"], None)
    user.must_not_have(task["id"], "a deleted task stays deleted")


# What comes back


def test_everything_from_the_beginning(newcomer, rng):
    """From the beginning, every task comes back, however it was made, and every deleted id."""
    user = newcomer
    posted, synced, gone = user.create("posted"), stored(user, rng, "synchronised"), user.create("gone")
    patched = user.change(user.create("to patch")["id"], title="patched")
    user.remove(gone["id"])
    dead = buried(user, rng)
    outcome = user.sync(since=None)
    same(states(outcome["changes"]), states([posted, synced, patched]), "every task of the user")
    same(sorted(outcome["deleted"]), sorted([gone["id"], dead["id"]]), "every deleted task")


def test_nothing_new(user, rng):
    """A cursor that nothing happened after gives nothing."""
    stored(user, rng)
    buried(user, rng)
    cursor = user.sync()["cursor"]
    for _ in range(2):
        outcome = user.sync(since=cursor)
        same((outcome["changes"], outcome["deleted"]), ([], []), "only what changed after `since`")
        cursor = outcome["cursor"]


@cases(
    "act",
    {
        "POST": lambda user, rng, task: user.create("new")["id"],
        "PATCH": lambda user, rng, task: user.change(task["id"], title="changed")["id"],
        "an upsert that creates": lambda user, rng, task: stored(user, rng)["id"],
        "an upsert that replaces": lambda user, rng, task: user.sync(upsert(task["id"], "new", task["version"]))[
            "applied"
        ][0],
    },
)
def test_changes_since(user, rng, act):
    """After a cursor, exactly the task that changed comes back, as it is."""
    task, _ = user.create("one"), user.create("two")
    cursor = user.sync()["cursor"]
    changed = user.read(act(user, rng, task))
    outcome = user.sync(since=cursor)
    same(states(outcome["changes"]), states([changed]), "every task changed after `since`, no other")
    same(outcome["deleted"], [], "no task was deleted")


@cases(
    "remove",
    {
        "DELETE": lambda user, task: user.remove(task["id"]),
        "a delete of /sync": lambda user, task: user.sync(removal(task["id"], task["version"])),
    },
)
def test_deleted_since(user, remove):
    """After a cursor, exactly the task that was deleted is in `deleted`."""
    task, _ = user.create("one"), user.create("two")
    cursor = user.sync()["cursor"]
    remove(user, task)
    outcome = user.sync(since=cursor)
    same((outcome["changes"], outcome["deleted"]), ([], [task["id"]]), "every task deleted after `since`")


def test_created_and_deleted_since(user, rng):
    """A task that was created and deleted after the cursor is in `deleted` too."""
    cursor = user.sync()["cursor"]
    posted = user.create("short-lived")
    user.remove(posted["id"])
    dead = buried(user, rng)
    outcome = user.sync(since=cursor)
    same(outcome["changes"], [], "a deleted task is no change")
    same(sorted(outcome["deleted"]), sorted([posted["id"], dead["id"]]), "listed in `deleted` too")


def test_changed_then_deleted_since(user):
    """A task that was changed and then deleted after the cursor is only in `deleted`."""
    task = user.create()
    cursor = user.sync()["cursor"]
    user.change(task["id"], title="changed")
    user.remove(task["id"])
    outcome = user.sync(since=cursor)
    same((outcome["changes"], outcome["deleted"]), ([], [task["id"]]), "in the end the task is deleted")


def test_changed_twice_since(user):
    """A task that changed twice after the cursor comes back once, as it is now."""
    task = user.create()
    cursor = user.sync()["cursor"]
    user.change(task["id"], title="second")
    now = user.change(task["id"], title="third")
    same(states(user.sync(since=cursor)["changes"]), states([now]), "the task comes back once, as it is now")


def test_old_cursor(user, rng):
    """An older cursor still works and gives everything that happened after it."""
    cursors, made = [user.sync()["cursor"]], []
    for number in range(4):
        made.append(stored(user, rng, f"task {number}"))
        cursors.append(user.sync(since=cursors[-1])["cursor"])
    for number, cursor in enumerate(cursors):
        same(
            states(user.sync(since=cursor)["changes"]),
            states(made[number:]),
            "everything that happened after the cursor",
        )


def test_own_changes_come_back(user, rng):
    """What a request itself applied is among the changes after its `since`."""
    cursor = user.sync()["cursor"]
    fresh = new_id(rng)
    outcome = user.sync(upsert(fresh, "mine"), since=cursor)
    same(states(outcome["changes"]), states([user.read(fresh)]), "every task changed after `since`")
    again = user.sync(since=outcome["cursor"])
    same(again["changes"], [], "the cursor stands after the request's own changes")


@cases(
    "attempt",
    {
        "a conflict": lambda user, task: user.sync(upsert(task["id"], "stale", task["version"] + 9)),
        "a stale PATCH": lambda user, task: user.patch(task["id"], {"title": "x"}, '"999"').expect(412, "stale"),
        "an invalid PATCH": lambda user, task: user.patch(task["id"], {"title": ""}).expect(422, "invalid"),
        "a repeated Idempotency-Key": lambda user, task: user.post({"title": "x"}, task["title"]).expect(
            201, "repeated"
        ),
    },
)
def test_what_writes_nothing_changes_nothing(user, rng, attempt):
    """A request that writes nothing leaves nothing to synchronise."""
    key = new_id(rng)
    task = user.create(key, key=key)
    cursor = user.sync()["cursor"]
    attempt(user, task)
    outcome = user.sync(since=cursor)
    same((outcome["changes"], outcome["deleted"]), ([], []), "only what changed after `since`")


# What is refused


def test_500_changes(newcomer, rng):
    """A request may carry 500 changes."""
    wanted = [new_id(rng) for _ in range(500)]
    outcome = newcomer.sync(*(upsert(task_id, "one of many") for task_id in wanted))
    only_applied(outcome, *wanted)
    same(len(outcome["changes"]), 500, "every task comes back, without a limit")
    same(newcomer.stats()["total"], 500, "every change is applied")


def test_501_changes(user, rng):
    """A request with 501 changes is refused and writes nothing."""
    wanted = [new_id(rng) for _ in range(501)]
    answer = user.send_sync(*(upsert(task_id, "one too many") for task_id in wanted))
    answer.expect(422, "at most 500 changes")
    for task_id in (wanted[0], wanted[-1]):
        user.must_not_have(task_id, "a refused request writes nothing")


@cases("change", MALFORMED)
def test_malformed_change(user, rng, change):
    """One malformed change refuses the whole request, and nothing is written."""
    before, after = new_id(rng), new_id(rng)
    answer = user.send_sync(upsert(before, "valid"), change, upsert(after, "valid"))
    answer.expect(422, "one malformed change refuses the whole request")
    for task_id in (before, after):
        user.must_not_have(task_id, "a refused request writes nothing")


def test_malformed_change_after_update_and_delete(user, rng):
    """A malformed change at the end undoes the update and the delete before it."""
    kept, doomed = stored(user, rng, "kept"), stored(user, rng, "doomed")
    answer = user.send_sync(
        upsert(kept["id"], "changed", kept["version"]),
        removal(doomed["id"], doomed["version"]),
        upsert(new_id(rng), ""),
    )
    answer.expect(422, "one malformed change refuses the whole request")
    user.must_still_have(kept, "a refused request writes nothing")
    user.must_still_have(doomed, "a refused request writes nothing")


@cases("since", {**NEVER_ISSUED, "a number": 1, "a list": [], "false": False})
def test_invented_since(user, rng, since):
    """A `since` that was never given out refuses the whole request, and nothing is written."""
    fresh = new_id(rng)
    user.send_sync(upsert(fresh, "valid"), since=since).expect(422, "an invented `since` is refused")
    user.must_not_have(fresh, "a refused request writes nothing")


@cases(
    "body",
    {
        "no since": {"changes": []},
        "no changes": {"since": None},
        "changes null": {"since": None, "changes": None},
        "changes an object": {"since": None, "changes": {}},
        "an empty object": {},
        "a list": [],
        "null": None,
    },
)
def test_malformed_body(user, body):
    """A synchronisation without `since` or without an array of changes is refused."""
    answer = user.request("POST", "/sync", json=body, content=b"null" if body is None else None)
    answer.expect(422, "`since` and `changes` are required")


def test_unknown_fields_are_ignored(user, rng):
    """Unknown fields outside the task itself are ignored."""
    fresh = new_id(rng)
    body = {"since": None, "changes": [{**upsert(fresh, "valid"), "client_time": 1}], "device": "phone"}
    answer = user.request("POST", "/sync", json=body).expect(200, "unknown fields outside tasks are ignored")
    answer.ensure(answer.json().get("applied") == [fresh], "the change is applied")


# Two clients


@pytest.mark.parametrize("story", range(3))
def test_two_clients_converge(newcomer, rng, story):
    """Two offline clients that edit the same tasks end up with the same tasks as the server."""
    user = newcomer
    clients = [Client(user, rng), Client(user, rng)]
    for _ in range(10):
        client = rng.choice(clients)
        for _ in range(rng.randrange(1, 5)):
            client.edit()
        if rng.random() < 0.7:
            client.synchronise()
        if rng.random() < 0.3:
            user.create("made online")
    for client in clients * 2:
        client.synchronise()
    server = states(user.list(limit=100))
    for client in clients:
        same(states(client.copy.values()), server, "after synchronising, client and server are the same")
