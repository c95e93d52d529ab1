"""The HTTP server around the application."""

import logging
import signal
import socket

import uvicorn

from app.application import create_app
from app.config import Settings

BACKLOG = 2048
KEEP_ALIVE = 75
"""Seconds an idle connection stays open: longer than the idle time of usual clients and proxies."""
SHUTDOWN = 5
"""Seconds that running requests get to end after SIGTERM."""

_log = logging.getLogger(__name__)


def make_server(settings: Settings) -> uvicorn.Server:
    """Configure the server; headers set here are on its own error answers, too."""
    return uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            headers=[("X-Content-Type-Options", "nosniff")],
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=SHUTDOWN,
        )
    )


def serve(settings: Settings) -> None:
    """Listen on all IPv4 addresses until a signal asks to end; then finish and return."""
    # uvicorn raises the signal again after its shutdown, when there is nothing left to end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    with socket.create_server(("", settings.port), backlog=BACKLOG) as listener:
        _log.info("listening on port %d", settings.port)
        make_server(settings).run(sockets=[listener])
    _log.info("stopped")
