"""Registration, log-in and renewal of tokens."""

import re
from http import HTTPStatus
from uuid import UUID

from starlette.responses import JSONResponse, Response

from app.accounts import AccountStore
from app.passwords import PasswordHasher
from app.problems import AUTH_SCHEME, ProblemError, invalid, unauthorized
from app.routing import MAX_BODY, Call
from app.tokens import AccessTokens, new_refresh_token, refresh_token_digest
from app.validation import required, text

_USERNAME = re.compile(r"[a-z0-9_]{3,32}")
MIN_PASSWORD = 8
MAX_PASSWORD = 128


class AccountApi:
    """The handlers of /users and /auth."""

    def __init__(
        self, accounts: AccountStore, passwords: PasswordHasher, tokens: AccessTokens
    ) -> None:
        self._accounts = accounts
        self._passwords = passwords
        self._tokens = tokens

    async def register(self, call: Call) -> Response:
        """Answer POST /users."""
        username, password = _credentials(call)
        user_id = await self._accounts.add(username, await self._passwords.hash(password))
        if user_id is None:
            raise ProblemError(HTTPStatus.CONFLICT, "The username is taken.")
        return JSONResponse({"id": str(user_id), "username": username}, HTTPStatus.CREATED)

    async def log_in(self, call: Call) -> Response:
        """Answer POST /auth/token."""
        username, password = _credentials(call)
        user_id, stored = await self._accounts.find(username) or (None, None)
        if not await self._passwords.verify(stored, password):
            raise unauthorized("The username or the password is wrong.")
        refresh_token = new_refresh_token()
        await self._accounts.add_refresh_token(user_id, refresh_token_digest(refresh_token))
        return self._answer(user_id, refresh_token)

    async def refresh(self, call: Call) -> Response:
        """Answer POST /auth/refresh."""
        used = text(required(call.json(), "refresh_token"), "refresh_token", maximum=MAX_BODY)
        refresh_token = new_refresh_token()
        user_id = await self._accounts.rotate_refresh_token(
            refresh_token_digest(used), refresh_token_digest(refresh_token)
        )
        if user_id is None:
            raise unauthorized("The refresh token is not valid.")
        return self._answer(user_id, refresh_token)

    def _answer(self, user_id: UUID, refresh_token: str) -> Response:
        body = {
            "access_token": self._tokens.issue(user_id),
            "refresh_token": refresh_token,
            "token_type": AUTH_SCHEME,
            "expires_in": self._tokens.ttl,
        }
        return JSONResponse(body, headers={"Cache-Control": "no-store"})


def _credentials(call: Call) -> tuple[str, str]:
    data = call.json()
    username = required(data, "username")
    if not isinstance(username, str) or not _USERNAME.fullmatch(username):
        raise invalid("username must be 3 to 32 of a-z, 0-9 and _.")
    password = text(
        required(data, "password"), "password", minimum=MIN_PASSWORD, maximum=MAX_PASSWORD
    )
    return username, password
