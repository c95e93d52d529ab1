"""What a task is: its content, its versions, and how both are read from JSON."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.problems import invalid
from app.validation import as_object, choice, date_time, required, text

STATUSES = ("todo", "doing", "done")
MAX_TITLE = 200
MAX_DESCRIPTION = 2000


@dataclass(frozen=True)
class Content:
    """The part of a task that its user writes."""

    title: str
    description: str = ""
    status: str = "todo"
    due: str | None = None


@dataclass(frozen=True)
class Task:
    """One version of a task, or the tombstone of a deleted one."""

    id: UUID
    content: Content
    version: int
    created_at: datetime
    updated_at: datetime
    created_revision: int
    """The user's revision that created it: the order of the list."""
    revision: int
    """The user's revision that changed it last: the order of synchronisation."""
    deleted: bool = False

    @property
    def etag(self) -> str:
        """The quoted version."""
        return f'"{self.version}"'

    def as_json(self) -> dict[str, Any]:
        """Return the representation in the contract."""
        return {
            "id": str(self.id),
            "title": self.content.title,
            "description": self.content.description,
            "status": self.content.status,
            "due": self.content.due,
            "version": self.version,
            "created_at": _timestamp(self.created_at),
            "updated_at": _timestamp(self.updated_at),
        }

    def last_seen(self) -> "Task":
        """Return the task as it is or, for a tombstone, as it was before its deletion."""
        return replace(self, version=self.version - 1, deleted=False) if self.deleted else self


def parse_content(value: object) -> Content:
    """Read a whole task; fields that are left out get their defaults."""
    data = as_object(value, "The task")
    required(data, "title")
    return Content(**_parse_fields(data))


def parse_patch(value: object) -> dict[str, Any]:
    """Read the fields to change, at least one."""
    data = as_object(value, "The patch")
    if not data:
        raise invalid("The patch must change at least one field.")
    return _parse_fields(data)


def parse_status(value: object) -> str:
    """Read one of the three statuses."""
    return choice(value, "status", STATUSES)


_FIELDS: dict[str, Callable[[object], str | None]] = {
    "title": lambda value: text(value, "title", minimum=1, maximum=MAX_TITLE),
    "description": lambda value: text(value, "description", maximum=MAX_DESCRIPTION),
    "status": parse_status,
    "due": lambda value: None if value is None else date_time(value, "due"),
}


def _parse_fields(data: dict[str, Any]) -> dict[str, Any]:
    if not data.keys() <= _FIELDS.keys():
        raise invalid("A task has no fields but title, description, status and due.")
    return {name: _FIELDS[name](value) for name, value in data.items()}


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
