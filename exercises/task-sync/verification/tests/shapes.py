"""What the documents of the contract look like."""

import re
from datetime import UTC, datetime

UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
STATUSES = ("todo", "doing", "done")
CONTENT = ("title", "description", "status", "due")


def instant(text):
    """The moment that an RFC 3339 date-time names (microseconds; finer digits are cut)."""
    text = re.sub(r"(\.\d{6})\d+", r"\1", text.upper()).replace("Z", "+00:00")
    return datetime.fromisoformat(text).astimezone(UTC)


def check_task(answer, task):
    """Fail unless `task`, found in `answer`, is a Task; returns it."""
    __tracebackhide__ = True
    answer.ensure(isinstance(task, dict), "a Task is a JSON object", task)
    required = {"id", "version", "created_at", "updated_at", *CONTENT}
    answer.ensure(required <= task.keys(), f"a Task has {', '.join(sorted(required))}", task)
    answer.ensure(isinstance(task["id"], str) and UUID.fullmatch(task["id"]), "the id of a Task is a UUID", task)
    for name in ("title", "description"):
        answer.ensure(isinstance(task[name], str), f"`{name}` of a Task is a string", task)
    answer.ensure(task["status"] in STATUSES, "`status` is todo, doing or done", task)
    answer.ensure(type(task["version"]) is int and task["version"] >= 1, "`version` is an integer from 1", task)
    for name in ("created_at", "updated_at", "due"):
        value = task[name]
        well_formed = isinstance(value, str) and DATE_TIME.fullmatch(value)
        answer.ensure(well_formed or (name == "due" and value is None), f"`{name}` is an RFC 3339 date-time", task)
    return task


def content(task):
    """The part of a task that its owner decides, with `due` as a moment."""
    part = {name: task[name] for name in CONTENT}
    part["due"] = task["due"] and instant(task["due"])
    return part


def state(task):
    """What makes two views of a task the same: its id, version and content."""
    return {"id": task["id"], "version": task["version"], **content(task)}


def states(tasks):
    """`state` of many tasks, by id."""
    return {task["id"]: state(task) for task in tasks}
