"""Opaque cursors: positions that a client may keep, but can neither read nor invent."""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from enum import Enum
from uuid import UUID

from app.problems import invalid

_NUMBER_BYTES = 8
_MAC_BYTES = 16


class Purpose(Enum):
    """What a cursor is for; one made for a purpose is refused for another."""

    PAGE = b"page"
    SYNC = b"sync"


class CursorSigner:
    """Turns positions in one user's history of changes into signed text and back."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), b"task-sync cursors", hashlib.sha256)

    def sign(self, purpose: Purpose, user_id: UUID, position: int) -> str:
        """Return the cursor for ``position``; it has 32 URL-safe characters."""
        number = position.to_bytes(_NUMBER_BYTES, "big")
        message = b"|".join((purpose.value, user_id.bytes, number))
        mac = hmac.digest(self._key, message, hashlib.sha256)[:_MAC_BYTES]
        return urlsafe_b64encode(number + mac).decode()

    def open(self, purpose: Purpose, user_id: UUID, cursor: str) -> int:
        """Return the position in ``cursor``; raise a 422 unless this signer made it for these."""
        try:
            position = int.from_bytes(urlsafe_b64decode(cursor)[:_NUMBER_BYTES], "big")
        except ValueError:
            raise invalid("The cursor is not valid.") from None
        expected = self.sign(purpose, user_id, position)
        if not hmac.compare_digest(expected.encode(), cursor.encode()):
            raise invalid("The cursor is not valid.")
        return position
