"""The line to whoever runs the service: stop, start and restart it or its database."""

import json
import os
import socket

import pytest

STEP_SECONDS = 50
"""Longest step: ten seconds to stop, thirty to be ready again, and some for the way."""


def restart_service():
    """Restart the service; returns how it went: `ok`, `stopped_ms` and `ready_ms`, or `error`."""
    return _ask("restart", "app")


def database(action):
    """Stop, start or restart the database. When that fails it is not the service's fault."""
    answer = _ask(action, "postgres")
    if not answer.get("ok"):
        raise RuntimeError(f"the database did not {action}: {answer.get('error')}")


def _ask(action, target):
    """Skips the test where nobody listens, as on a developer's own machine."""
    path = os.environ.get("ASSAY_CONTROL")
    if not path:
        pytest.skip("ASSAY_CONTROL is not set: nobody here can stop or restart the service")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(STEP_SECONDS)
        line.connect(path)
        line.sendall(json.dumps({action: target}).encode() + b"\n")
        return json.loads(line.makefile("rb").readline())
