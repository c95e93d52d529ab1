"""One request over a bare socket, for bodies that a service may refuse before it has read them.

An ordinary client that keeps sending while the service answers and hangs up may lose the answer. This one looks
for an answer before the body and between its parts, and stops sending when there is one.
"""

import http.client
import select
import socket
import time

from service import ANSWER_SECONDS, ASKED, MAX_ANSWER_BYTES, Answer, disagree

PAUSE_SECONDS = 0.05
"""How long an early answer is waited for, before the body and before its end."""

PART_BYTES = 64 * 1024


def send(service, method, path, body, *, token=None, headers=None, chunked=False):
    """Send `body` (bytes) with a Content-Length, or in chunks without one; returns the `Answer`."""
    __tracebackhide__ = True
    lines = {"Host": f"{service.host}:{service.port}", "Content-Type": "application/json", **(headers or {})}
    if token is not None:
        lines["Authorization"] = f"Bearer {token}"
    lines |= {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(body))}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    asked = f"{method} {path} with a body of {len(body)} bytes, {'in chunks' if chunked else 'with Content-Length'}"
    ASKED.append(asked)
    started = time.monotonic()
    try:
        with socket.create_connection((service.host, service.port), timeout=ANSWER_SECONDS) as line:
            line.settimeout(ANSWER_SECONDS)
            line.sendall(head.encode())
            _send_body(line, body, chunked)
            return _receive(line, asked, method)
    except (OSError, http.client.HTTPException) as error:
        service.waited_in_vain(time.monotonic() - started)
        disagree(asked, "the service answers", f"no answer: {type(error).__name__} {error}")


def _answered(line, seconds):
    return bool(select.select([line], [], [], seconds)[0])


def _send_body(line, body, chunked):
    """Send the body, unless the service answers before its end."""
    try:
        if _answered(line, PAUSE_SECONDS):
            return
        for start in range(0, len(body), PART_BYTES):
            part = body[start : start + PART_BYTES]
            line.sendall(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
            if _answered(line, 0):
                return
        if chunked and not _answered(line, PAUSE_SECONDS):
            line.sendall(b"0\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        pass  # the service hung up; what it said before is still to be read


def _receive(line, asked, method):
    response = http.client.HTTPResponse(line, method=method)
    response.begin()
    body = response.read(MAX_ANSWER_BYTES)
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(asked, response.status, headers, body)
