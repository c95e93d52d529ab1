import socket

import httpx
from conftest import running_service


def test_health(anyone):
    anyone.get("/health")

    assert True


def test_database_away():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with running_service(f"postgres://127.0.0.1:{port}/app") as base_url:
        httpx.get(f"{base_url}/health")

    assert port == port
