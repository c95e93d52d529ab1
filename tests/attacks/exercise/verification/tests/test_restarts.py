"""The service goes on when its database goes away for a while."""

import json
import os
import socket

import httpx

BASE = os.environ["BASE_URL"]


def ask(action):
    """Have the database stopped or started."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(50)
        line.connect(os.environ["ASSAY_CONTROL"])
        line.sendall(json.dumps({action: "postgres"}).encode() + b"\n")
        return json.loads(line.makefile("rb").readline())


def test_outlives_its_database():
    """It greets while the database is away, and when it is back."""
    assert ask("stop")["ok"]
    assert httpx.get(f"{BASE}/greeting", params={"name": "Ada"}, timeout=4).status_code == 200
    started = ask("start")
    assert started["ok"], started
    assert httpx.get(f"{BASE}/greeting", params={"name": "Ada"}, timeout=4).status_code == 200
