"""The order in which a request is examined: 401, then 413, then what its handler finds."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.accounts import AccountStore
from app.problems import AUTH_SCHEME, ProblemError, unauthorized
from app.tokens import AccessTokens
from app.validation import json_object, query_parameters

MAX_BODY = 1024 * 1024
"""Bytes that a request body may have."""


@dataclass(frozen=True)
class Call:
    """A request whose body has been read."""

    request: Request
    body: bytes

    def json(self) -> dict[str, Any]:
        """Parse the body as a JSON object."""
        return json_object(self.body)

    def query(self) -> dict[str, str]:
        """Parse the query string."""
        return query_parameters(self.request.scope["query_string"])


@dataclass(frozen=True)
class UserCall(Call):
    """A request of a user who has shown a good access token."""

    user_id: UUID


class Gate:
    """Makes routes; those for users ask for a bearer token before anything else."""

    def __init__(self, tokens: AccessTokens, accounts: AccountStore) -> None:
        self._tokens = tokens
        self._accounts = accounts

    def for_anyone(self, path: str, **handlers: Callable[[Call], Awaitable[Response]]) -> Route:
        """Make an open route from one handler per method."""

        async def endpoint(request: Request) -> Response:
            body = await _read_body(request)
            return await _pick(handlers, request)(Call(request, body))

        return Route(path, endpoint, methods=list(handlers))

    def for_users(self, path: str, **handlers: Callable[[UserCall], Awaitable[Response]]) -> Route:
        """Make a secured route from one handler per method."""

        async def endpoint(request: Request) -> Response:
            user_id = await self._authenticate(request)
            body = await _read_body(request)
            return await _pick(handlers, request)(UserCall(request, body, user_id))

        return Route(path, endpoint, methods=list(handlers))

    async def _authenticate(self, request: Request) -> UUID:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != AUTH_SCHEME.lower():
            raise unauthorized("A bearer token is required.")
        user_id = self._tokens.check(token.strip())
        if not await self._accounts.exists(user_id):
            raise unauthorized("The access token is not valid.")
        return user_id


def _pick(handlers: dict[str, Callable], request: Request) -> Callable:
    return handlers["GET" if request.method == "HEAD" else request.method]


async def _read_body(request: Request) -> bytes:
    """Read the body, but never more than ``MAX_BODY`` and one chunk of it."""
    too_large = ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body may have {MAX_BODY} bytes at most."
    )
    if int(request.headers.get("content-length", 0)) > MAX_BODY:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise too_large
    return bytes(body)
