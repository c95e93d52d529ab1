"""A running service on a free port, and users to talk to it."""

import os
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

import httpx
import pytest
from argon2 import PasswordHasher

from app import passwords
from app.config import Settings
from app.server import make_server
from app.tokens import AccessTokens

JWT_SECRET = secrets.token_hex()
TLS = ssl.create_default_context()
"""Made once, since a client that makes its own takes longer for it than for many requests."""
START_TIMEOUT = 10
"""Seconds that the service may take until it answers."""


@contextmanager
def running_service(database_url: str) -> Iterator[str]:
    """Serve from a thread of this process and yield the base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = make_server(Settings(port, database_url, JWT_SECRET))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        deadline = time.monotonic() + START_TIMEOUT
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def database_url() -> str:
    """Return the URL of a PostgreSQL database that the tests may fill."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        pytest.fail("set DATABASE_URL to a PostgreSQL database for the tests")
    return url


@pytest.fixture(scope="session")
def base_url(database_url: str) -> Iterator[str]:
    """Start the service once for all tests, with passwords that are cheap to hash."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch, running_service(database_url) as url:
        patch.setattr(passwords, "_ARGON2", cheap)
        yield url


@pytest.fixture(scope="session")
def anyone(base_url: str) -> Iterator[httpx.Client]:
    """Yield a client without a token."""
    with httpx.Client(base_url=base_url, verify=TLS) as client:
        yield client


@pytest.fixture(scope="session")
def tokens() -> AccessTokens:
    """Return an issuer whose tokens the service accepts."""
    return AccessTokens(JWT_SECRET, ttl=60)


@pytest.fixture
def credentials() -> dict[str, str]:
    """Return credentials of which nobody else has the username."""
    return {"username": f"user_{secrets.token_hex(8)}", "password": secrets.token_urlsafe()}


@pytest.fixture
def new_user(
    base_url: str, anyone: httpx.Client, tokens: AccessTokens
) -> Iterator[Callable[[], httpx.Client]]:
    """Return a function that registers a user and makes a client with their token."""
    clients = []

    def register() -> httpx.Client:
        name, password = f"user_{secrets.token_hex(8)}", secrets.token_urlsafe()
        answer = anyone.post("/users", json={"username": name, "password": password})
        token = tokens.issue(UUID(answer.json()["id"]))
        headers = {"Authorization": f"Bearer {token}"}
        client = httpx.Client(base_url=base_url, headers=headers, verify=TLS)
        clients.append(client)
        return client

    yield register
    for client in clients:
        client.close()


@pytest.fixture
def user(new_user: Callable[[], httpx.Client]) -> httpx.Client:
    """Return the client of a new user who has no tasks."""
    return new_user()
