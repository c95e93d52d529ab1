"""Tests of the greeting service."""

import json
import threading
import urllib.error
import urllib.request
from http.server import HTTPServer

import pytest

from app.greeter import Handler, greeting


def test_greets_the_world_by_default():
    """Without a name the world is greeted."""
    assert greeting("") == {"greeting": "Hello, world!"}


def test_answers_over_http():
    """The service answers, and tells what it does not know."""
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    with urllib.request.urlopen(f"{base}/greeting?name=Ada", timeout=5) as answer:
        assert json.load(answer) == {"greeting": "Hello, Ada!"}
    with urllib.request.urlopen(f"{base}/health", timeout=5) as answer:
        assert json.load(answer) == {"status": "ok"}
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{base}/nothing", timeout=5)
    server.shutdown()
