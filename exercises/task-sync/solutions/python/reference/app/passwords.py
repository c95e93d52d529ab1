"""Hashing of passwords with Argon2id, off the event loop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher as Argon2
from argon2.exceptions import VerificationError

# OWASP's minimum: 19 MiB, two passes, one lane.
_ARGON2 = Argon2(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class PasswordHasher:
    """Hashes and verifies in a few threads (Argon2 runs without the GIL).

    The number of threads bounds the memory and the share of the processor that a flood of
    log-ins can take from other requests.
    """

    def __init__(self, threads: int = 2) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._nobody = _ARGON2.hash("nobody")

    async def hash(self, password: str) -> str:
        """Return the salted hash to store."""
        return await self._run(_ARGON2.hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Compare with a stored hash; ``None`` (no such user) takes as long and is ``False``."""
        matches = await self._run(_matches, stored or self._nobody, password)
        return matches and stored is not None

    def close(self) -> None:
        """Let the threads end; hashes that have not begun are dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, function, *args):
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)


def _matches(stored: str, password: str) -> bool:
    try:
        return _ARGON2.verify(stored, password)
    except VerificationError:
        return False
