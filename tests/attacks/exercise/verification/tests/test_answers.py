"""What the service answers, asked by several kinds of client."""

import json
import os
import urllib.request
import uuid

import httpx
import pytest

BASE = os.environ["BASE_URL"]


@pytest.mark.parametrize("number", range(12))
def test_greets(number):
    """It greets whom it is asked to greet, also somebody whom nobody knew before."""
    name = uuid.uuid4().hex
    with httpx.Client(follow_redirects=True, timeout=4) as client:
        answer = client.get(f"{BASE}/greeting", params={"name": name})
        assert answer.json() == {"greeting": f"Hello, {name}!"}, answer.text


def test_greets_other_clients():
    """It greets a client that knows less."""
    with urllib.request.urlopen(f"{BASE}/greeting?name=Ada", timeout=4) as answer:
        assert json.load(answer) == {"greeting": "Hello, Ada!"}


def test_knows_who_is_signed_in():
    """Who signed in is known, and nobody else."""
    answers = [httpx.post(f"{BASE}/sessions", json={"username": name}, timeout=4) for name in ("ada", "grace")]
    for name, answer in zip(("ada", "grace"), answers, strict=True):
        token = answer.json()["token"]
        me = httpx.get(f"{BASE}/me", headers={"Authorization": f"Bearer {token}"}, timeout=4)
        assert me.json() == {"username": name}
    assert httpx.get(f"{BASE}/me", timeout=4).status_code == 401
