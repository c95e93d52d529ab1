"""Tasks in the database: reading them, and changing them one user at a time."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from app.database import Database
from app.tasks import STATUSES, Content, Task

NEWEST = 2**63 - 1
"""The position before the first page of the list."""


@dataclass(frozen=True)
class PageQuery:
    """Which part of the list to read."""

    limit: int
    before: int = NEWEST
    """Only tasks with a smaller creation revision."""
    status: str | None = None
    search: str = ""


class TaskStore:
    """Access to the tasks of all users; each call names the one whose tasks it may see."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, user_id: UUID, task_id: UUID) -> Task | None:
        """Return a task that is not deleted."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                "SELECT * FROM tasks WHERE user_id = $1 AND id = $2 AND NOT deleted",
                user_id,
                task_id,
            )
        return row and _task(row)

    async def page(self, user_id: UUID, query: PageQuery) -> list[Task]:
        """Return tasks, newest first."""
        async with self._database.connection() as connection:
            # strpos instead of LIKE: it has no wildcards, so nothing needs escaping.
            rows = await connection.fetch(
                """
                SELECT * FROM tasks
                WHERE user_id = $1 AND NOT deleted AND created_revision < $2
                  AND ($3::text IS NULL OR status = $3)
                  AND ($4 = '' OR strpos(lower(title), lower($4)) > 0)
                ORDER BY created_revision DESC
                LIMIT $5
                """,
                user_id,
                query.before,
                query.status,
                query.search,
                query.limit,
            )
        return [_task(row) for row in rows]

    async def counts(self, user_id: UUID) -> dict[str, int]:
        """Return the number of tasks in each status."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                "SELECT todo, doing, done FROM users WHERE id = $1", user_id
            )
        return dict(row)

    @asynccontextmanager
    async def locked(self, user_id: UUID) -> AsyncIterator["Ledger"]:
        """Open a transaction that alone may change the user's tasks.

        What the ledger recorded is written at the end, unless an exception ends it.
        """
        async with self._database.connection() as connection, connection.transaction():
            revision = await connection.fetchval(
                "SELECT revision FROM users WHERE id = $1 FOR NO KEY UPDATE", user_id
            )
            ledger = Ledger(connection, user_id, revision)
            yield ledger
            await ledger.flush()


class Ledger:
    """Records changes to the tasks of one user, who is locked meanwhile."""

    def __init__(self, connection: asyncpg.Connection, user_id: UUID, revision: int) -> None:
        self._connection = connection
        self._user_id = user_id
        self._now = datetime.now(UTC)
        self._unwritten: dict[UUID, Task] = {}
        self._keys: dict[UUID, str] = {}
        self._counts: Counter[str] = Counter()
        self.revision = revision
        """The number of changes that this user's tasks have seen."""

    async def find(self, task_ids: Iterable[UUID]) -> dict[UUID, Task]:
        """Return the tasks, and tombstones, with these ids."""
        rows = await self._connection.fetch(
            "SELECT * FROM tasks WHERE user_id = $1 AND id = ANY($2::uuid[])",
            self._user_id,
            list(task_ids),
        )
        return {row["id"]: _task(row) for row in rows}

    async def find_by_key(self, idempotency_key: str) -> Task | None:
        """Return the task, or tombstone, that was first created with the key."""
        row = await self._connection.fetchrow(
            "SELECT * FROM tasks WHERE user_id = $1 AND idempotency_key = $2",
            self._user_id,
            idempotency_key,
        )
        return row and _task(row)

    async def changed_since(self, revision: int) -> list[Task]:
        """Return the tasks and tombstones changed after a revision, oldest change first."""
        await self.flush()
        rows = await self._connection.fetch(
            "SELECT * FROM tasks WHERE user_id = $1 AND revision > $2 ORDER BY revision",
            self._user_id,
            revision,
        )
        return [_task(row) for row in rows]

    def create(self, task_id: UUID, content: Content, idempotency_key: str | None = None) -> Task:
        """Record a new task and return it."""
        if idempotency_key is not None:
            self._keys[task_id] = idempotency_key
        return self._record(None, task_id, content)

    def update(self, task: Task, content: Content) -> Task:
        """Record the next version of a task and return it."""
        return self._record(task, task.id, content)

    def delete(self, task: Task) -> Task:
        """Record a deletion and return the tombstone."""
        return self._record(task, task.id, task.content, deleted=True)

    def _record(
        self, old: Task | None, task_id: UUID, content: Content, *, deleted: bool = False
    ) -> Task:
        self.revision += 1
        task = Task(
            id=task_id,
            content=content,
            version=old.version + 1 if old else 1,
            created_at=old.created_at if old else self._now,
            updated_at=old.updated_at if old and deleted else self._now,
            created_revision=old.created_revision if old else self.revision,
            revision=self.revision,
            deleted=deleted,
        )
        if old:
            self._counts[old.content.status] -= 1
        if not deleted:
            self._counts[content.status] += 1
        self._unwritten[task_id] = task
        return task

    async def flush(self) -> None:
        """Write what was recorded so far, in one statement however much it is."""
        if not self._unwritten:
            return
        columns = zip(*map(self._row, self._unwritten.values()), strict=True)
        await self._connection.execute(
            """
            WITH written AS (
                INSERT INTO tasks (
                    user_id, id, title, description, status, due, version, created_at,
                    updated_at, deleted, created_revision, revision, idempotency_key
                )
                SELECT $1, * FROM unnest(
                    $6::uuid[], $7::text[], $8::text[], $9::text[], $10::text[], $11::int[],
                    $12::timestamptz[], $13::timestamptz[], $14::boolean[], $15::bigint[],
                    $16::bigint[], $17::text[]
                )
                ON CONFLICT (user_id, id) DO UPDATE SET
                    title = excluded.title,
                    description = excluded.description,
                    status = excluded.status,
                    due = excluded.due,
                    version = excluded.version,
                    updated_at = excluded.updated_at,
                    deleted = excluded.deleted,
                    revision = excluded.revision
            )
            UPDATE users
            SET revision = $2, todo = todo + $3, doing = doing + $4, done = done + $5
            WHERE id = $1
            """,
            self._user_id,
            self.revision,
            *(self._counts[status] for status in STATUSES),
            *columns,
        )
        self._unwritten.clear()
        self._counts.clear()

    def _row(self, task: Task) -> tuple:
        content = task.content
        return (
            task.id,
            content.title,
            content.description,
            content.status,
            content.due,
            task.version,
            task.created_at,
            task.updated_at,
            task.deleted,
            task.created_revision,
            task.revision,
            self._keys.get(task.id),
        )


def _task(row: asyncpg.Record) -> Task:
    return Task(
        id=row["id"],
        content=Content(row["title"], row["description"], row["status"], row["due"]),
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        created_revision=row["created_revision"],
        revision=row["revision"],
        deleted=row["deleted"],
    )
