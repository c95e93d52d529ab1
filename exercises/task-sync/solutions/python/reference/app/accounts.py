"""Users and their refresh tokens in the database."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from app.database import Database

REFRESH_TOKEN_LIFETIME = timedelta(days=30)


class AccountStore:
    """Stores users, and which refresh tokens are still good for one use."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, username: str, password_hash: str) -> UUID | None:
        """Register a user and return the id, or ``None`` if the name is taken."""
        async with self._database.connection() as connection:
            return await connection.fetchval(
                """
                INSERT INTO users (id, username, password_hash) VALUES ($1, $2, $3)
                ON CONFLICT (username) DO NOTHING RETURNING id
                """,
                uuid4(),
                username,
                password_hash,
            )

    async def find(self, username: str) -> tuple[UUID, str] | None:
        """Return the id and the password hash of a user."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                "SELECT id, password_hash FROM users WHERE username = $1", username
            )
        return row and (row["id"], row["password_hash"])

    async def exists(self, user_id: UUID) -> bool:
        """Tell whether there is such a user."""
        async with self._database.connection() as connection:
            return await connection.fetchval(
                "SELECT EXISTS (SELECT FROM users WHERE id = $1)", user_id
            )

    async def add_refresh_token(self, user_id: UUID, digest: bytes) -> None:
        """Remember a refresh token, and forget those of the user that have expired."""
        async with self._database.connection() as connection:
            await connection.execute(
                """
                WITH expired AS (
                    DELETE FROM refresh_tokens WHERE user_id = $1 AND expires_at <= now()
                )
                INSERT INTO refresh_tokens (user_id, digest, expires_at) VALUES ($1, $2, $3)
                """,
                user_id,
                digest,
                _expiry(),
            )

    async def rotate_refresh_token(self, used: bytes, new: bytes) -> UUID | None:
        """Replace a refresh token in one step; return its user, or ``None`` if it is no good."""
        async with self._database.connection() as connection:
            return await connection.fetchval(
                """
                WITH used AS (
                    DELETE FROM refresh_tokens WHERE digest = $1 AND expires_at > now()
                    RETURNING user_id
                )
                INSERT INTO refresh_tokens (user_id, digest, expires_at)
                SELECT user_id, $2, $3 FROM used
                RETURNING user_id
                """,
                used,
                new,
                _expiry(),
            )


def _expiry() -> datetime:
    return datetime.now(UTC) + REFRESH_TOKEN_LIFETIME
