"""Clients that work on a copy of the tasks and synchronise it."""

from user import new_id, removal, upsert


class Client:
    """An offline client that edits a copy of the tasks and synchronises now and then; the server wins conflicts."""

    def __init__(self, user, rng):
        self.user = user
        self.rng = rng
        self.copy = {}
        self.edits = {}
        self.cursor = None

    def edit(self):
        """Create, change or delete one task offline; at most one edit per task until the next synchronisation."""
        known = [task_id for task_id in self.copy if task_id not in self.edits]
        action = self.rng.choice(["create", "change", "change", "delete"]) if known else "create"
        task_id = new_id(self.rng) if action == "create" else self.rng.choice(sorted(known))
        title = f"{action} {self.rng.randrange(10**6)}"
        version = self.copy[task_id]["version"] if task_id in self.copy else None
        if action == "delete":
            self.edits[task_id] = removal(task_id, version)
        else:
            self.edits[task_id] = upsert(task_id, title, version, status=self.rng.choice(["todo", "doing", "done"]))

    def synchronise(self):
        """Send the edits, take over what comes back."""
        outcome = self.user.sync(*self.edits.values(), since=self.cursor)
        answered = sorted([*outcome["applied"], *outcome["conflicts"]])
        assert answered == sorted(self.edits), "contract: every change is either applied or a conflict"
        self.edits = {}
        self.cursor = outcome["cursor"]
        for task in outcome["changes"]:
            self.copy[task["id"]] = task
        for task_id in outcome["deleted"]:
            self.copy.pop(task_id, None)
        for task_id, task in outcome["conflicts"].items():
            if task is None:
                self.copy.pop(task_id, None)


class Replica:
    """A client that only reads: a copy of the tasks, kept by synchronising again and again."""

    def __init__(self, user):
        self.user = user
        self.tasks = {}
        self.cursor = None

    def pull(self):
        outcome = self.user.sync(since=self.cursor)
        self.cursor = outcome["cursor"]
        for task in outcome["changes"]:
            known = self.tasks.get(task["id"])
            if known is None or known["version"] <= task["version"]:
                self.tasks[task["id"]] = task
        for task_id in outcome["deleted"]:
            self.tasks.pop(task_id, None)

    def pull_until(self, done):
        while not done.is_set():
            self.pull()
