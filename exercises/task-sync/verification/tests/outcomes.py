"""Tasks made by /sync, and what a synchronisation may come to."""

from service import holds, same
from shapes import state
from user import new_id, removal, upsert


def stored(user, rng, title="a task", **fields):
    """A task that this user created through /sync."""
    task_id = new_id(rng)
    outcome = user.sync(upsert(task_id, title, **fields))
    same(outcome["applied"], [task_id], "an upsert with a fresh id creates the task")
    return user.read(task_id)


def buried(user, rng):
    """A task that this user created and deleted through /sync, as it last was."""
    task = stored(user, rng)
    outcome = user.sync(removal(task["id"], task["version"]))
    same(outcome["applied"], [task["id"]], "a delete with the stored version is applied")
    return task


def only_applied(outcome, *task_ids):
    """Fail unless exactly these changes were applied, in this order, without a conflict."""
    same(outcome["applied"], list(task_ids), "the ids of the applied changes, in order")
    same(outcome["conflicts"], {}, "no conflict")


def only_conflict(outcome, task_id, server):
    """Fail unless the only change was refused in favour of `server` (a task or None)."""
    same(outcome["applied"], [], "a conflict is not applied")
    same(list(outcome["conflicts"]), [task_id], "a conflict")
    theirs = outcome["conflicts"][task_id]
    if server is None:
        same(theirs, None, "the server has no such task")
    else:
        holds(theirs is not None, "the server's task comes back", "null")
        same(state(theirs), state(server), "the server's task comes back as it is")
