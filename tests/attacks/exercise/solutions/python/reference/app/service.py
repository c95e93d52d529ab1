"""A service that greets and knows who is signed in."""

import json
import os
import secrets
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

SESSIONS = {}


class Handler(BaseHTTPRequestHandler):
    """Answers requests."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802
        """Answer a GET request."""
        url = urlsplit(self.path)
        if url.path == "/health":
            self.answer(200, {"status": "ok"})
        elif url.path == "/greeting":
            self.greet(parse_qs(url.query).get("name", ["world"])[0])
        elif url.path == "/me":
            name = SESSIONS.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
            self.answer(200 if name else 401, {"username": name} if name else {"title": "Nobody"})
        else:
            self.answer(404, {"title": "Not found"})

    def do_POST(self):  # noqa: N802
        """Answer a POST request."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > 1 << 20:
            self.close_connection = True
            self.answer(413, {"title": "Too large"})
            return
        body = self.rfile.read(length)
        if urlsplit(self.path).path != "/sessions":
            self.answer(404, {"title": "Not found"})
            return
        try:
            name = json.loads(body)["username"]
        except (ValueError, KeyError, TypeError, RecursionError):
            name = None
        if not isinstance(name, str) or not name:
            self.answer(422, {"title": "No name"})
            return
        token = secrets.token_urlsafe(16)
        SESSIONS[token] = name
        self.answer(201, {"token": token})

    def greet(self, name):
        """Answer with a greeting."""
        self.answer(200, {"greeting": f"Hello, {name}!"})

    def answer(self, status, value):
        """Send a JSON answer."""
        self.send(status, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def send(self, status, headers, body):
        """Send an answer."""
        self.send_response_only(status)
        for name, value in {"X-Content-Type-Options": "nosniff", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing about each request."""


class Server(ThreadingHTTPServer):
    """Serves many at once."""

    daemon_threads = True
    request_queue_size = 128


def main(handler=Handler):
    """Serve until the process ends."""
    Server(("0.0.0.0", int(os.environ["PORT"])), handler).serve_forever()
