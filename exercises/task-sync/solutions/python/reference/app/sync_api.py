"""The endpoint that keeps offline clients in step."""

from starlette.responses import JSONResponse, Response

from app.cursors import CursorSigner, Purpose
from app.ledger import TaskStore
from app.problems import invalid
from app.routing import UserCall
from app.sync import merge, parse_changes
from app.validation import required


class SyncApi:
    """The handler of /sync."""

    def __init__(self, tasks: TaskStore, cursors: CursorSigner) -> None:
        self._tasks = tasks
        self._cursors = cursors

    async def sync(self, call: UserCall) -> Response:
        """Answer POST /sync: merge the client's changes, then tell what it has missed."""
        data = call.json()
        since = self._open_cursor(call, required(data, "since"))
        changes = parse_changes(required(data, "changes"))
        async with self._tasks.locked(call.user_id) as ledger:
            outcome = await merge(changes, ledger)
            missed = await ledger.changed_since(since)
        conflicts = [
            {"id": str(task_id), "server": server and server.as_json()}
            for task_id, server in outcome.conflicts
        ]
        return JSONResponse(
            {
                "applied": [str(task_id) for task_id in outcome.applied],
                "conflicts": conflicts,
                "changes": [task.as_json() for task in missed if not task.deleted],
                "deleted": [str(task.id) for task in missed if task.deleted],
                "cursor": self._cursors.sign(Purpose.SYNC, call.user_id, ledger.revision),
            }
        )

    def _open_cursor(self, call: UserCall, since: object) -> int:
        if since is None:
            return 0
        if not isinstance(since, str):
            raise invalid("since must be a cursor or null.")
        return self._cursors.open(Purpose.SYNC, call.user_id, since)
