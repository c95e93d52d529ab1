"""Tests of the service."""

import json
import threading
import urllib.request

from app.service import Handler, Server


def test_greets_and_signs_in():
    """It greets, and knows who is signed in."""
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    with urllib.request.urlopen(f"{base}/greeting?name=Ada", timeout=5) as answer:
        assert json.load(answer) == {"greeting": "Hello, Ada!"}
    with urllib.request.urlopen(f"{base}/sessions", b'{"username": "ada"}', timeout=5) as answer:
        token = json.load(answer)["token"]
    request = urllib.request.Request(f"{base}/me", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert json.load(answer) == {"username": "ada"}
    server.shutdown()
