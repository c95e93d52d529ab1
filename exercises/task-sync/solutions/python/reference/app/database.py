"""The connection to PostgreSQL: a pool, the schema, and what happens when it is away."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from app.problems import unavailable

MAX_CONNECTIONS = 8
CONNECT_TIMEOUT = 3.0
"""Seconds to wait for a free or a new connection."""
COMMAND_TIMEOUT = 5.0
"""Seconds that one statement may take."""
CLOSE_TIMEOUT = 2.0

# Without these, a database that was never analysed sorts a user's whole list for every page of it.
_PLANNER = {"random_page_cost": "1.1", "jit": "off"}
_SCHEMA = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
_SCHEMA_LOCK = 0x7A5C
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
)

_log = logging.getLogger(__name__)


class Database:
    """A pool that connects on demand and so outlives restarts of the server."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: asyncpg.Pool | None = None
        self._has_schema = False

    async def open(self) -> None:
        """Make the pool; the server may still be away."""
        self._pool = await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=MAX_CONNECTIONS,
            timeout=CONNECT_TIMEOUT,
            command_timeout=COMMAND_TIMEOUT,
            reset=_keep_session,
            server_settings=_PLANNER,
        )

    async def close(self) -> None:
        """Close the connections, by force if they are still busy after ``CLOSE_TIMEOUT``."""
        try:
            await asyncio.wait_for(self._pool.close(), CLOSE_TIMEOUT)
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection to a database that has the schema.

        When the server cannot be reached, or goes away meanwhile, a 503 is raised.
        """
        try:
            async with self._pool.acquire(timeout=CONNECT_TIMEOUT) as connection:
                if not self._has_schema:
                    await _apply_schema(connection)
                    self._has_schema = True
                yield connection
        except _AWAY as error:
            _log.warning("database away: %s", type(error).__name__)
            raise unavailable() from error

    async def check(self) -> None:
        """Raise a 503 unless the database answers."""
        async with self.connection() as connection:
            await connection.execute("SELECT 1")


async def _apply_schema(connection: asyncpg.Connection) -> None:
    """Create what is missing; the lock lets several processes start at once."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _SCHEMA_LOCK)
        await connection.execute(_SCHEMA)
    _log.info("schema is in place")


async def _keep_session(_connection: asyncpg.Connection) -> None:
    """Skip the pool's default clean-up, a round trip per request: sessions hold no state here."""
