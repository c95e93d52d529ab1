"""The list of tasks, single tasks and their counts."""

import re
from dataclasses import replace
from http import HTTPStatus
from uuid import UUID, uuid4

from starlette.responses import JSONResponse, Response

from app.cursors import CursorSigner, Purpose
from app.ledger import NEWEST, PageQuery, TaskStore
from app.problems import ProblemError, invalid, not_found
from app.routing import UserCall
from app.tasks import Task, parse_content, parse_patch, parse_status
from app.validation import parse_uuid, text

MAX_LIMIT = 100
DEFAULT_LIMIT = 20
MAX_SEARCH = 200
MAX_IDEMPOTENCY_KEY = 64

_LIMIT = re.compile(r"[1-9][0-9]{0,2}")


class TaskApi:
    """The handlers of /tasks, /tasks/{id} and /stats."""

    def __init__(self, tasks: TaskStore, cursors: CursorSigner) -> None:
        self._tasks = tasks
        self._cursors = cursors

    async def list(self, call: UserCall) -> Response:
        """Answer GET /tasks."""
        query = self._page_query(call)
        # One more than asked for tells whether there is a next page.
        tasks = await self._tasks.page(call.user_id, replace(query, limit=query.limit + 1))
        page = tasks[: query.limit]
        next_cursor = None
        if len(tasks) > len(page):
            position = page[-1].created_revision
            next_cursor = self._cursors.sign(Purpose.PAGE, call.user_id, position)
        return JSONResponse(
            {"items": [task.as_json() for task in page], "next_cursor": next_cursor}
        )

    async def create(self, call: UserCall) -> Response:
        """Answer POST /tasks; a known idempotency key wins over whatever the body says."""
        key = call.request.headers.get("idempotency-key")
        if key is not None:
            text(key, "Idempotency-Key", maximum=MAX_IDEMPOTENCY_KEY)
        async with self._tasks.locked(call.user_id) as ledger:
            task = None if key is None else await ledger.find_by_key(key)
            if task is None:
                task = ledger.create(uuid4(), parse_content(call.json()), key)
        location = {"Location": f"/tasks/{task.id}"}
        return _answer(task.last_seen(), HTTPStatus.CREATED, location)

    async def read(self, call: UserCall) -> Response:
        """Answer GET /tasks/{id}."""
        task = await self._tasks.get(call.user_id, _task_id(call))
        if task is None:
            raise not_found()
        return _answer(task)

    async def change(self, call: UserCall) -> Response:
        """Answer PATCH /tasks/{id}."""
        task_id = _task_id(call)
        async with self._tasks.locked(call.user_id) as ledger:
            task = _existing(await ledger.find([task_id]), task_id)
            fields = parse_patch(call.json())
            _require_match(call, task)
            task = ledger.update(task, replace(task.content, **fields))
        return _answer(task)

    async def delete(self, call: UserCall) -> Response:
        """Answer DELETE /tasks/{id}."""
        task_id = _task_id(call)
        async with self._tasks.locked(call.user_id) as ledger:
            ledger.delete(_existing(await ledger.find([task_id]), task_id))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def stats(self, call: UserCall) -> Response:
        """Answer GET /stats."""
        counts = await self._tasks.counts(call.user_id)
        return JSONResponse({**counts, "total": sum(counts.values())})

    def _page_query(self, call: UserCall) -> PageQuery:
        given = call.query()
        limit = given.get("limit", str(DEFAULT_LIMIT))
        if not _LIMIT.fullmatch(limit) or int(limit) > MAX_LIMIT:
            raise invalid(f"limit must be from 1 to {MAX_LIMIT}.")
        before = NEWEST
        if "cursor" in given:
            before = self._cursors.open(Purpose.PAGE, call.user_id, given["cursor"])
        status = parse_status(given["status"]) if "status" in given else None
        search = text(given.get("q", ""), "q", maximum=MAX_SEARCH)
        return PageQuery(int(limit), before, status, search)


def _answer(
    task: Task, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None
) -> Response:
    return JSONResponse(task.as_json(), status, {"ETag": task.etag, **(headers or {})})


def _task_id(call: UserCall) -> UUID:
    task_id = parse_uuid(call.request.path_params["id"])
    if task_id is None:
        raise not_found()
    return task_id


def _existing(found: dict[UUID, Task], task_id: UUID) -> Task:
    task = found.get(task_id)
    if task is None or task.deleted:
        raise not_found()
    return task


def _require_match(call: UserCall, task: Task) -> None:
    given = call.request.headers.getlist("if-match")
    if not given:
        raise ProblemError(HTTPStatus.PRECONDITION_REQUIRED, "If-Match is required.")
    if given not in (["*"], [task.etag]):
        raise ProblemError(HTTPStatus.PRECONDITION_FAILED, "The task has another version by now.")
