import os

import httpx

BASE_URL = os.environ.get("BASE_URL", "http://127.0.0.1:8080")


def test_health():
    answer = httpx.get(f"{BASE_URL}/health")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}
