import asyncio
import signal
import socket
import subprocess
import sys
import time
from http import HTTPStatus

import asyncpg
import httpx
import pytest
from conftest import JWT_SECRET, running_service
from starlette.requests import ClientDisconnect

from app import database
from app.application import create_app
from app.config import Settings
from app.database import Database
from app.problems import ProblemError


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_is_healthy(anyone):
    answer = anyone.get("/health")

    assert answer.status_code == HTTPStatus.OK
    assert answer.json() == {"status": "ok"}


def test_answers_while_the_database_is_away(credentials):
    with running_service(f"postgres://127.0.0.1:{free_port()}/app") as base_url:
        answers = [
            httpx.get(f"{base_url}/health"),
            httpx.post(f"{base_url}/users", json=credentials),
        ]

    for answer in answers:
        assert answer.status_code == answer.json()["status"] == HTTPStatus.SERVICE_UNAVAILABLE
        assert answer.headers["content-type"] == "application/problem+json"


def test_recovers_when_the_database_has_dropped_its_connections(anyone, user, database_url):
    async def drop_connections():
        connection = await asyncpg.connect(database_url)
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await connection.close()

    asyncio.run(drop_connections())
    anyone.get("/health")

    assert user.get("/stats").status_code == HTTPStatus.OK


def test_several_services_may_start_at_once(database_url):
    async def start_four():
        services = [Database(database_url) for _ in range(4)]
        for service in services:
            await service.open()
        await asyncio.gather(*(service.check() for service in services))
        async with services[0].connection() as connection:
            tables = await connection.fetchval(
                "SELECT count(*) FROM pg_class WHERE relname = 'tasks'"
            )
        for service in services:
            await service.close()
        return tables

    assert asyncio.run(start_four()) == 1


def test_cuts_off_what_is_still_running_at_its_end(database_url, monkeypatch):
    monkeypatch.setattr(database, "CLOSE_TIMEOUT", 0.05)

    async def close_while_busy():
        service = Database(database_url)
        await service.open()
        async with service.connection() as connection:
            await asyncio.wait_for(service.close(), 5)
            await connection.execute("SELECT 1")

    with pytest.raises(ProblemError) as raised:
        asyncio.run(close_while_busy())
    assert raised.value.status == HTTPStatus.SERVICE_UNAVAILABLE


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("the password is hunter2"), HTTPStatus.INTERNAL_SERVER_ERROR),
        (ClientDisconnect(), HTTPStatus.BAD_REQUEST),
    ],
)
def test_hides_what_went_wrong(monkeypatch, error, status):
    async def fail(_self):
        raise error

    monkeypatch.setattr(Database, "check", fail)
    app = create_app(Settings(0, "postgres://database", JWT_SECRET))

    async def ask():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/health")

    answer = asyncio.run(ask())

    assert answer.status_code == answer.json()["status"] == status
    assert "hunter2" not in answer.text


def test_ends_soon_after_a_sigterm(database_url):
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "app"],
        env={
            "PATH": "",
            "PYTHONPATH": ":".join(path for path in sys.path if path),
            "PORT": str(port),
            "DATABASE_URL": database_url,
            "JWT_SECRET": JWT_SECRET,
        },
        stderr=subprocess.PIPE,
    )
    with process:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            for _ in range(100):
                try:
                    client.get("/health")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            _, logs = process.communicate(timeout=10)

    assert process.returncode == 0
    assert b'"message": "stopped"' in logs
