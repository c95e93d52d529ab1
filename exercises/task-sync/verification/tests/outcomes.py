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
    if server is None:
        same(outcome["conflicts"][task_id], None, "the server has no such task")
    else:
        same(state(server_task(outcome, task_id)), state(server), "the server's task comes back as it is")


def server_task(outcome, task_id):
    """The server's task that a conflict over this id brought back."""
    holds(task_id in outcome["conflicts"], f"a conflict over {task_id}", sorted(outcome["conflicts"]))
    task = outcome["conflicts"][task_id]
    holds(task is not None, "the server's task comes back", "null")
    return task


def versions(outcome, task_ids):
    """The version of each of these tasks, which all changed since the cursor of the request."""
    known = {task["id"]: task["version"] for task in outcome["changes"]}
    missing = [task_id for task_id in task_ids if task_id not in known]
    same(missing, [], "every task changed after `since` comes back; missing are")
    return known
