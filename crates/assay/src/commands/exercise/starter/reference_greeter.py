"""A service that greets."""

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit


def greeting(query):
    """Return the greeting that a query string asks for."""
    name = parse_qs(query).get("name", ["world"])[0]
    return {"greeting": f"Hello, {name}!"}


class Handler(BaseHTTPRequestHandler):
    """Answers requests."""

    def do_GET(self):  # noqa: N802
        """Answer a GET request."""
        url = urlsplit(self.path)
        if url.path == "/health":
            self.answer(200, {"status": "ok"})
        elif url.path == "/greeting":
            self.answer(200, greeting(url.query))
        else:
            self.answer(404, {"title": "Not found", "status": 404})

    def answer(self, status, value):
        """Send a JSON answer."""
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main():
    """Serve until the process ends."""
    HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
