"""One registered user of the service, and everything that they can ask of it."""

import threading
import uuid

from service import disagree, shown
from shapes import check_task, state

PASSWORD = "correct horse battery"
LATEST = object()


class User:
    """A user who registers and logs in when a token is first needed."""

    def __init__(self, service, username, password=PASSWORD):
        self.service = service
        self.username = username
        self.password = password
        self.cursor = None
        self._tokens = None
        self._lock = threading.Lock()

    @property
    def credentials(self):
        return {"username": self.username, "password": self.password}

    @property
    def tokens(self):
        """The answer of the first login."""
        __tracebackhide__ = True
        with self._lock:
            if self._tokens is None:
                self.service.request("POST", "/users", json=self.credentials).expect(201, "a new user registers")
                self._tokens = self.log_in()
        return self._tokens

    @property
    def access(self):
        __tracebackhide__ = True
        return self.tokens["access_token"]

    def log_in(self):
        """A fresh pair of tokens."""
        __tracebackhide__ = True
        answer = self.service.request("POST", "/auth/token", json=self.credentials)
        return check_tokens(answer.expect(200, "the right password gives tokens"))

    def request(self, method, path, **options):
        __tracebackhide__ = True
        return self.service.request(method, path, token=self.access, **options)

    def post(self, body, key=None):
        """Ask to create a task."""
        __tracebackhide__ = True
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.request("POST", "/tasks", json=body, headers=headers)

    def get(self, task_id):
        """Ask for a task."""
        __tracebackhide__ = True
        return self.request("GET", f"/tasks/{task_id}")

    def patch(self, task_id, body, match="*"):
        """Ask to change a task; `match` None leaves If-Match out."""
        __tracebackhide__ = True
        headers = {} if match is None else {"If-Match": match}
        return self.request("PATCH", f"/tasks/{task_id}", json=body, headers=headers)

    def delete(self, task_id):
        """Ask to delete a task."""
        __tracebackhide__ = True
        return self.request("DELETE", f"/tasks/{task_id}")

    def create(self, title="a task", *, key=None, **fields):
        """Create a task; returns it."""
        __tracebackhide__ = True
        answer = self.post({"title": title, **fields}, key).expect(201, "a valid task is created")
        return check_task(answer, answer.json())

    def read(self, task_id):
        """Read a task that must exist; returns it."""
        __tracebackhide__ = True
        answer = self.get(task_id).expect(200, "one's own task can be read")
        return check_task(answer, answer.json())

    def change(self, task_id, match="*", **fields):
        """Change a task; returns it."""
        __tracebackhide__ = True
        answer = self.patch(task_id, fields, match).expect(200, "a valid change with a matching If-Match is made")
        return check_task(answer, answer.json())

    def remove(self, task_id):
        """Delete a task that must exist."""
        __tracebackhide__ = True
        self.delete(task_id).expect(204, "one's own task can be deleted")

    def page(self, **params):
        """One page of the list: its tasks and the next cursor."""
        __tracebackhide__ = True
        params = {name: value for name, value in params.items() if value is not None}
        answer = self.request("GET", "/tasks", params=params).expect(200, "one's own tasks can be listed")
        page = answer.json()
        answer.ensure(isinstance(page.get("items"), list), "a page has `items`, an array")
        cursor = page.get("next_cursor", 0)
        answer.ensure(cursor is None or isinstance(cursor, str), "a page has `next_cursor`, a string or null")
        for task in page["items"]:
            check_task(answer, task)
        return page["items"], cursor

    def pages(self, **params):
        """All pages of the list, one by one; a list that does not end fails the test."""
        __tracebackhide__ = True
        cursor = None
        for _ in range(200):
            items, cursor = self.page(cursor=cursor, **params)
            yield items
            if cursor is None:
                return
        disagree("GET /tasks, page after page", "next_cursor is null at the end", "200 pages, each with a next_cursor")

    def list(self, **params):
        """All tasks of the list, newest first."""
        __tracebackhide__ = True
        return [task for items in self.pages(**params) for task in items]

    def newest(self, count):
        """The ids of the newest tasks, newest first."""
        __tracebackhide__ = True
        return [task["id"] for task in self.page(limit=count)[0]]

    def send_sync(self, *changes, since=None):
        """Ask for a synchronisation."""
        __tracebackhide__ = True
        return self.request("POST", "/sync", json={"since": since, "changes": list(changes)})

    def sync(self, *changes, since=LATEST):
        """Synchronise; returns the outcome, with `conflicts` as a dict from id to the server's task.

        `since` is the cursor of this user's latest synchronisation, unless another is given; None is the beginning.
        """
        __tracebackhide__ = True
        answer = self.send_sync(*changes, since=self.cursor if since is LATEST else since)
        answer.expect(200, "a well-formed synchronisation is answered")
        outcome = answer.json()
        for name in ("applied", "conflicts", "changes", "deleted"):
            answer.ensure(isinstance(outcome.get(name), list), f"the outcome has `{name}`, an array")
        answer.ensure(isinstance(outcome.get("cursor"), str), "the outcome has `cursor`, a string")
        for name in ("applied", "deleted"):
            answer.ensure(all(isinstance(one, str) for one in outcome[name]), f"`{name}` is an array of ids")
        for task in outcome["changes"]:
            check_task(answer, task)
        changed = [task["id"] for task in outcome["changes"]]
        answer.ensure(len(changed) == len(set(changed)), "`changes` names a task once, as it is now", changed)
        both = sorted(set(changed) & set(outcome["deleted"]))
        answer.ensure(not both, "a task is in `changes` or in `deleted`, never in both", both)
        conflicts = {}
        for conflict in outcome["conflicts"]:
            well_formed = isinstance(conflict, dict) and {"id", "server"} <= conflict.keys()
            well_formed = well_formed and isinstance(conflict["id"], str)
            answer.ensure(well_formed, "a conflict has `id`, a string, and `server`", conflict)
            if conflict["server"] is not None:
                check_task(answer, conflict["server"])
            conflicts[conflict["id"]] = conflict["server"]
        self.cursor = outcome["cursor"]
        return {**outcome, "conflicts": conflicts}

    def stats(self):
        """The counts of one's own tasks."""
        __tracebackhide__ = True
        answer = self.request("GET", "/stats").expect(200, "one's own tasks can be counted")
        counts = answer.json()
        for name in ("todo", "doing", "done", "total"):
            answer.ensure(type(counts.get(name)) is int, f"the counts have `{name}`, an integer")
        return {name: counts[name] for name in ("todo", "doing", "done", "total")}

    def must_not_have(self, task_id, why):
        """Fail unless the task does not exist for this user."""
        __tracebackhide__ = True
        self.get(task_id).expect(404, why)

    def must_still_have(self, task, why):
        """Fail unless the task is exactly as `task`; `why` says what must not have changed it."""
        __tracebackhide__ = True
        answer = self.get(task["id"]).expect(200, why)
        now = check_task(answer, answer.json())
        answer.ensure(state(now) == state(task), f"{why}: it was {shown(task)}")


def check_tokens(answer):
    """Fail unless the answer carries Tokens; returns them."""
    __tracebackhide__ = True
    tokens = answer.json()
    for name in ("access_token", "refresh_token"):
        answer.ensure(isinstance(tokens.get(name), str) and tokens[name], f"the tokens have `{name}`, a string")
    answer.ensure(tokens.get("token_type") == "Bearer", "`token_type` is Bearer")
    answer.ensure(type(tokens.get("expires_in")) is int, "`expires_in` is an integer")
    return tokens


def upsert(task_id, title, base_version=None, **fields):
    """A change of /sync that creates (no `base_version`) or replaces a task."""
    change = {"op": "upsert", "id": task_id, "task": {"title": title, **fields}}
    return change if base_version is None else {**change, "base_version": base_version}


def removal(task_id, base_version):
    """A change of /sync that deletes a task."""
    return {"op": "delete", "id": task_id, "base_version": base_version}


def new_id(rng):
    """A fresh task id, as an offline client would choose it."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
