"""A forge for one test: repositories over HTTP by git itself, the part of Gitea's API that is told results, and its hooks.

    forge.py serve FOLDER TOKEN     prints its port, then a line of JSON for every call of its API
    forge.py hook URL SECRET EVENT DELIVERY     sends standard input as a hook, prints the status and the answer
"""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

comments: dict[int, str] = {}


class Forge(BaseHTTPRequestHandler):
    """Nothing is read or written without the token."""

    protocol_version = "HTTP/1.1"
    folder = token = ""

    def log_message(self, *_: object) -> None:
        """The calls of the API are told, nothing else."""

    def do_GET(self) -> None:
        self.answer()

    do_POST = do_PATCH = do_GET

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        own = "Basic " + base64.b64encode(f"oauth2:{self.token}".encode()).decode()
        if self.headers.get("authorization") not in (own, f"token {self.token}"):
            self.say(401, b"", [("www-authenticate", "Basic")])
        elif self.path.startswith("/api/v1/repos/acme/task/"):
            self.call(json.loads(body or b"{}"))
        else:
            self.git(body)

    def call(self, body: dict[str, str]) -> None:
        place = self.path.removeprefix("/api/v1/repos/acme/task").split("?")[0]
        if self.command == "GET":
            found = [{"id": key, "body": text} for key, text in comments.items()]
            return self.say(200, json.dumps(found).encode())
        key = int(place.rsplit("/", 1)[1]) if self.command == "PATCH" else len(comments) + 1
        if "comments" in place:
            comments[key] = body["body"]
        # In one write: calls come at the same time, and `print` ends its line with a second one.
        os.write(1, (json.dumps({"call": f"{self.command} {place}", **body}) + "\n").encode())
        return self.say(201, json.dumps({"id": key}).encode())

    def git(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        variables = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": self.folder,
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=variables, stdout=subprocess.PIPE, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")]
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
        self.say(status, content, [(name, value) for name, value in headers if name != "Status"])

    def say(self, status: int, body: bytes, headers: list[tuple[str, str]] = []) -> None:
        self.send_response(status)
        for name, value in [*headers, ("content-length", str(len(body)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def serve(folder: str, token: str) -> None:
    Forge.folder, Forge.token = folder, token
    server = ThreadingHTTPServer(("127.0.0.1", 0), Forge)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def hook(url: str, secret: str, event: str, delivery: str) -> None:
    body = sys.stdin.buffer.read()
    headers = {
        "content-type": "application/json",
        "x-gitea-event": event,
        "x-gitea-delivery": delivery,
        "x-gitea-signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        answer = opener.open(urllib.request.Request(url, body, headers))
    except urllib.error.HTTPError as refused:
        answer = refused
    print(answer.status, answer.read().decode())


{"serve": serve, "hook": hook}[sys.argv[1]](*sys.argv[2:])
