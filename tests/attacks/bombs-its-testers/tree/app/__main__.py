"""Answers each greeting with another bomb, then behaves."""

import contextlib
import itertools
import threading
import zlib

from app import service

NUMBERS = itertools.count()
LOCK = threading.Lock()


class Bombs(service.Handler):
    """Answers requests."""

    def greet(self, name):
        """Throw the next bomb."""
        with LOCK:
            number = next(NUMBERS)
        bombs = [
            self.many_headers,
            self.many_hints,
            self.redirects,
            self.to_the_database,
            self.cookies,
            self.deep,
            self.surrogates,
            self.lies_about_its_length,
            self.switches,
            self.speaks_something_else,
            self.controls,
            self.compressed,
        ]
        if number >= len(bombs):
            super().greet(name)
            return
        self.close_connection = True
        with contextlib.suppress(OSError):
            bombs[number](name)

    def raw(self, *pieces):
        """Send bytes as they are."""
        for piece in pieces:
            self.wfile.write(piece)

    def many_headers(self, _):
        """Send a hundred thousand headers."""
        self.raw(b"HTTP/1.1 200 OK\r\n", *(b"X-%d: %s\r\n" % (n, b"y" * 50) for n in range(100_000)), b"\r\n{}")

    def many_hints(self, _):
        """Announce the answer many times before it comes."""
        self.raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    def redirects(self, _):
        """Send the client round in circles, on another connection: who is quicker to use this one or to close it is chance."""
        self.raw(b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: /greeting?x\r\nContent-Length: 0\r\n\r\n")

    def to_the_database(self, _):
        """Send the client to somebody else."""
        self.raw(b"HTTP/1.1 307 x\r\nLocation: http://127.0.0.1:5432/\r\nContent-Length: 0\r\n\r\n")

    def cookies(self, _):
        """Send more cookies than anybody can carry."""
        self.raw(b"HTTP/1.1 200 OK\r\n", *(b"Set-Cookie: c%d=%s\r\n" % (n, b"z" * 900) for n in range(90)), b"\r\n{}")

    def deep(self, _):
        """Send JSON that is deeper than any stack."""
        self.send(200, {"Content-Type": "application/json"}, b"[" * 1_000_000)

    def surrogates(self, _):
        """Send halves of letters, and much of them."""
        self.send(200, {"Content-Type": "application/json"}, b'{"greeting": "' + b"\\ud800\\udc00\\udfff" * 20_000 + b'"}')

    def lies_about_its_length(self, _):
        """Promise more than there is."""
        self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n{")

    def switches(self, _):
        """Go over to another protocol."""
        self.raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n{}")

    def speaks_something_else(self, _):
        """Speak no HTTP."""
        self.raw(b"SSH-2.0-OpenSSH_9.9\r\n\x00\xff\xfe" * 1000)

    def controls(self, _):
        """Send what terminals and XML obey."""
        body = b"]]>\x1b[2J\x00\x08\xff\xfe</failure></testcase><testcase name=\"test_greets[0]\"/>\xe2\x80\xae"
        self.send(200, {"Content-Type": "text/plain; charset=utf-8"}, body)

    def compressed(self, _):
        """Send a few kilobytes that are many megabytes."""
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        body = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
        self.send(200, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, body)


service.main(Bombs)
