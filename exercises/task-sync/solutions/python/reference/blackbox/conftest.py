"""The service at BASE_URL, which these tests know by its contract alone, and users of it."""

import os
import secrets
import ssl
from collections.abc import Callable, Iterator

import httpx
import pytest

BASE_URL = os.environ.get("BASE_URL", "http://127.0.0.1:8080")
TLS = ssl.create_default_context()
"""Made once, since a client that makes its own takes longer for it than for many requests."""


def new_credentials() -> dict[str, str]:
    """Return credentials of which nobody else has the username."""
    return {"username": f"user_{secrets.token_hex(8)}", "password": secrets.token_urlsafe()}


@pytest.fixture(scope="session")
def client_with() -> Iterator[Callable[[str], httpx.Client]]:
    """Return a function that makes a client with a token."""
    clients = []

    def make(token: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"}
        clients.append(httpx.Client(base_url=BASE_URL, headers=headers, verify=TLS))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def anyone() -> Iterator[httpx.Client]:
    """Yield a client without a token."""
    with httpx.Client(base_url=BASE_URL, verify=TLS) as client:
        yield client


@pytest.fixture
def credentials(anyone: httpx.Client) -> dict[str, str]:
    """Return the credentials of a new user."""
    credentials = new_credentials()
    assert anyone.post("/users", json=credentials).status_code == 201
    return credentials


@pytest.fixture
def new_user(
    anyone: httpx.Client, client_with: Callable[[str], httpx.Client]
) -> Callable[[], httpx.Client]:
    """Return a function that registers a user and makes a client with their token."""

    def register() -> httpx.Client:
        credentials = new_credentials()
        anyone.post("/users", json=credentials)
        tokens = anyone.post("/auth/token", json=credentials).json()
        return client_with(tokens["access_token"])

    return register


@pytest.fixture
def user(new_user: Callable[[], httpx.Client]) -> httpx.Client:
    """Return the client of a new user who has no tasks."""
    return new_user()
