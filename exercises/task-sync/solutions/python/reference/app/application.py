"""The ASGI application: which handler answers what, and how errors are shown."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from app.account_api import AccountApi
from app.accounts import AccountStore
from app.config import Settings
from app.cursors import CursorSigner
from app.database import Database
from app.ledger import TaskStore
from app.passwords import PasswordHasher
from app.problems import ProblemError
from app.routing import Call, Gate
from app.sync_api import SyncApi
from app.task_api import TaskApi
from app.tokens import AccessTokens

_log = logging.getLogger(__name__)


def create_app(settings: Settings) -> Starlette:
    """Wire the service together; nothing connects before the application starts."""
    database = Database(settings.database_url)
    accounts = AccountStore(database)
    passwords = PasswordHasher()
    tokens = AccessTokens(settings.jwt_secret, settings.token_ttl)
    task_store = TaskStore(database)
    cursors = CursorSigner(settings.jwt_secret)

    account_api = AccountApi(accounts, passwords, tokens)
    task_api = TaskApi(task_store, cursors)
    sync_api = SyncApi(task_store, cursors)

    async def health(_call: Call) -> Response:
        await database.check()
        return JSONResponse({"status": "ok"})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await database.open()
        try:
            await database.check()
        except ProblemError:
            _log.warning("starting without the database; requests get 503 until it is there")
        yield
        passwords.close()
        await database.close()

    gate = Gate(tokens, accounts)
    app = Starlette(
        routes=[
            gate.for_anyone("/health", GET=health),
            gate.for_anyone("/users", POST=account_api.register),
            gate.for_anyone("/auth/token", POST=account_api.log_in),
            gate.for_anyone("/auth/refresh", POST=account_api.refresh),
            gate.for_users("/tasks", GET=task_api.list, POST=task_api.create),
            gate.for_users(
                "/tasks/{id}", GET=task_api.read, PATCH=task_api.change, DELETE=task_api.delete
            ),
            gate.for_users("/sync", POST=sync_api.sync),
            gate.for_users("/stats", GET=task_api.stats),
        ],
        exception_handlers={
            ProblemError: _show_problem,
            HTTPException: _show_http_exception,
            ClientDisconnect: _show_disconnect,
            Exception: _show_bug,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


async def _show_problem(_request: Request, problem: ProblemError) -> Response:
    return problem.response()


async def _show_http_exception(_request: Request, error: HTTPException) -> Response:
    """Show what the framework refuses: unknown paths and methods."""
    status = HTTPStatus(error.status_code)
    return ProblemError(status, status.description or status.phrase, error.headers).response()


async def _show_disconnect(_request: Request, _error: ClientDisconnect) -> Response:
    return ProblemError(HTTPStatus.BAD_REQUEST, "The body ended early.").response()


async def _show_bug(_request: Request, _error: Exception) -> Response:
    """Hide the cause from the client; the server logs it with its traceback."""
    return ProblemError(
        HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side."
    ).response()
