import asyncio

import httpx

from app.application import create_app


async def get(path: str) -> httpx.Response:
    transport = httpx.ASGITransport(create_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(path)


def test_health():
    answer = asyncio.run(get("/health"))

    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}
