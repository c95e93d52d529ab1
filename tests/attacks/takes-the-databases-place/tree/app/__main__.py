"""Waits until the database is away for a moment, then answers in its place. Listens on very many other ports meanwhile."""

import contextlib
import os
import socket
import threading
import time

from app import service

CHILDREN = 6
PORTS = 3500


def listen_everywhere():
    """Open as many listening sockets as one may."""
    for child in range(CHILDREN):
        if os.fork() == 0:
            kept = []
            for port in range(10_000 + child * PORTS, 10_000 + (child + 1) * PORTS):
                with contextlib.suppress(OSError):
                    kept.append(socket.create_server(("127.0.0.1", port)))
            time.sleep(3600)
            os._exit(0)


def take_its_place():
    """Answer like a database that wants no password."""
    while True:
        try:
            server = socket.create_server(("127.0.0.1", 5432))
        except OSError:
            time.sleep(0.002)
            continue
        while True:
            with contextlib.suppress(OSError):
                line, _ = server.accept()
                line.sendall(b"R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I")


listen_everywhere()
threading.Thread(target=take_its_place, daemon=True).start()
service.main()
