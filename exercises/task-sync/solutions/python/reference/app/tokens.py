"""Access tokens (JWT, HS256) and refresh tokens (random, stored as a digest)."""

import hashlib
import secrets
import time
from uuid import UUID, uuid4

import jwt

from app.problems import unauthorized
from app.validation import parse_uuid

_ALGORITHM = "HS256"
_REFRESH_TOKEN_BYTES = 32


class AccessTokens:
    """Issues and checks the short-lived tokens that name a user."""

    def __init__(self, secret: str, ttl: int) -> None:
        self._secret = secret
        self.ttl = ttl

    def issue(self, user_id: UUID) -> str:
        """Return a token for the user that expires after ``ttl`` seconds."""
        now = int(time.time())
        claims = {"sub": str(user_id), "iat": now, "exp": now + self.ttl, "jti": uuid4().hex}
        return jwt.encode(claims, self._secret, _ALGORITHM)

    def check(self, token: str) -> UUID:
        """Return the user whom a token names; raise a 401 for anything but a good token."""
        try:
            claims = jwt.decode(
                token, self._secret, [_ALGORITHM], options={"require": ["sub", "exp"]}
            )
        except (jwt.PyJWTError, ValueError, OverflowError, RecursionError):
            raise unauthorized("The access token is not valid.") from None
        user_id = parse_uuid(claims["sub"])
        # PyJWT would also take a string of digits; RFC 7519 wants a number.
        if user_id is None or not isinstance(claims["exp"], int | float):
            raise unauthorized("The access token is not valid.")
        return user_id


def new_refresh_token() -> str:
    """Return a refresh token that nobody can guess."""
    return secrets.token_urlsafe(_REFRESH_TOKEN_BYTES)


def refresh_token_digest(token: str) -> bytes:
    """Return what is stored of a refresh token, so that a leaked database renews nothing."""
    return hashlib.sha256(token.encode()).digest()
