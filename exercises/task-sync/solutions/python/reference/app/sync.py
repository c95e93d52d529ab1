"""Two-way synchronisation: reading a batch of changes and merging it, change by change."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.ledger import Ledger
from app.problems import invalid
from app.tasks import Content, Task, parse_content
from app.validation import as_object, choice, integer, parse_uuid, required

MAX_CHANGES = 500


@dataclass(frozen=True)
class Change:
    """What an offline client did to one task."""

    task_id: UUID
    base_version: int | None
    """The version that the client had changed; ``None`` for a task that it created."""
    content: Content | None
    """The new content; ``None`` for a deletion."""

    def is_in_place(self, stored: Task | None) -> bool:
        """Tell whether the server already has exactly what this change would make."""
        if stored is None or stored.version != (self.base_version or 0) + 1:
            return False
        if self.content is None:
            return stored.deleted
        return not stored.deleted and stored.content == self.content

    def fits(self, stored: Task | None) -> bool:
        """Tell whether this change was made on what the server has."""
        if stored is None:
            return self.base_version is None
        return not stored.deleted and stored.version == self.base_version


@dataclass
class Outcome:
    """What became of a batch of changes, in their order."""

    applied: list[UUID] = field(default_factory=list)
    conflicts: list[tuple[UUID, Task | None]] = field(default_factory=list)
    """The refused changes, each with the task that the server had instead."""


def parse_changes(value: object) -> list[Change]:
    """Read the batch; a single malformed change refuses all."""
    if not isinstance(value, list) or len(value) > MAX_CHANGES:
        raise invalid(f"changes must be an array of {MAX_CHANGES} changes at most.")
    return [_parse_change(as_object(item, "A change")) for item in value]


async def merge(changes: Iterable[Change], ledger: Ledger) -> Outcome:
    """Apply the changes that fit, one after the other."""
    changes = list(changes)
    known = await ledger.find({change.task_id for change in changes})
    outcome = Outcome()
    for change in changes:
        stored = known.get(change.task_id)
        if change.is_in_place(stored):
            outcome.applied.append(change.task_id)
        elif change.fits(stored):
            known[change.task_id] = _apply(change, stored, ledger)
            outcome.applied.append(change.task_id)
        else:
            server = None if stored is None or stored.deleted else stored
            outcome.conflicts.append((change.task_id, server))
    return outcome


def _apply(change: Change, stored: Task | None, ledger: Ledger) -> Task:
    if stored is None:
        return ledger.create(change.task_id, change.content)
    if change.content is None:
        return ledger.delete(stored)
    return ledger.update(stored, change.content)


def _parse_change(data: dict[str, Any]) -> Change:
    op = choice(required(data, "op"), "op", ("upsert", "delete"))
    task_id = parse_uuid(required(data, "id"))
    if task_id is None:
        raise invalid("The id of a change must be a UUID.")
    base_version = None
    if op == "delete" or "base_version" in data:
        base_version = integer(required(data, "base_version"), "base_version")
    content = None
    if op == "upsert" or "task" in data:
        content = parse_content(required(data, "task"))
    return Change(task_id, base_version, content if op == "upsert" else None)
