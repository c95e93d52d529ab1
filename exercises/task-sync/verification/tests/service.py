"""The service under test, as the tests see it: requests go out, answers come back, disagreements are explained.

A test that fails says three things in plain words: what was asked, what the contract says, what was received.
Every wait is bounded, so that a service that hangs costs seconds and not the whole run.
"""

import contextlib
import json
import re
import threading
import time
from collections import deque
from urllib.parse import urlsplit

import httpx
import pytest

ANSWER_SECONDS = 8.0
"""How long one answer may take; far more than any honest service needs, also on one slow core."""

PATIENCE_SECONDS = 40.0
"""How long all tests together wait for answers that never come; afterwards they fail at once."""

CHANGES_NOTHING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods of requests that may be repeated, as nobody can tell."""

MAX_ANSWER_BYTES = 16 * 1024 * 1024
SHOWN_CHARACTERS = 400

ASKED = deque(maxlen=4)
"""The latest requests of the running test, for its failure message."""

_SECRETS = re.compile(r'("(?:password|access_token|refresh_token)"\s*:\s*")(?:[^"\\]|\\.)*"')


def shown(value):
    """`value` as short text for a failure message, without passwords and tokens."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = _SECRETS.sub(r'\1[cut]"', text)
    if len(text) > SHOWN_CHARACTERS:
        text = f"{text[:SHOWN_CHARACTERS]}… ({len(text)} characters)"
    return text


def disagree(asked, contract, received):
    """Fail the running test with a message for a reader who sees neither the test nor the service."""
    __tracebackhide__ = True
    pytest.fail(f"asked:    {asked}\ncontract: {contract}\nreceived: {received}", pytrace=False)


def holds(condition, contract, received):
    """Fail unless `condition`, which the contract demands of the latest requests together."""
    __tracebackhide__ = True
    if not condition:
        disagree("\n          ".join(ASKED) or "nothing yet", contract, shown(received))


def same(received, expected, contract):
    """Fail unless what the latest requests gave is what the contract demands."""
    __tracebackhide__ = True
    if received != expected:
        if isinstance(received, dict) and isinstance(expected, dict):
            received, expected = without_agreement(received, expected), without_agreement(expected, received)
        holds(False, f"{contract}: {shown(expected)}", received)


def without_agreement(some, others):
    """The entries of `some` that are not the same in `others`: what a message about two dicts has to show."""
    return {name: value for name, value in some.items() if name not in others or others[name] != value}


def encoded(document):
    """`document` as JSON in UTF-8; lone surrogates, which UTF-8 cannot carry, as \\u escapes."""
    try:
        return json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(document).encode()


class Answer:
    """One response, with the request that it answers."""

    def __init__(self, asked, status, headers, body):
        self.asked = asked
        self.status = status
        self.headers = headers
        self.body = body

    def __repr__(self):
        kind = self.headers.get("content-type", "no content type")
        return f"{self.status} ({kind}) {shown(self.body.decode(errors='replace'))}"

    def ensure(self, condition, contract, received=None):
        """Fail unless `condition`; `received` replaces the whole answer in the message."""
        __tracebackhide__ = True
        if not condition:
            disagree(self.asked, contract, repr(self) if received is None else shown(received))
        return self

    def expect(self, status, why):
        """Fail unless the status is `status` (or one of them)."""
        __tracebackhide__ = True
        allowed = status if isinstance(status, tuple) else (status,)
        return self.ensure(self.status in allowed, f"{' or '.join(map(str, allowed))}, {why}")

    def json(self):
        """The body as a JSON object."""
        __tracebackhide__ = True
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        self.ensure(media_type == "application/json", "a successful body is application/json")
        return self._object()

    def problem(self, status, why):
        """Fail unless this is a problem of RFC 9457 with `status`; returns it."""
        __tracebackhide__ = True
        self.expect(status, why)
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        self.ensure(media_type == "application/problem+json", "every error body is application/problem+json")
        problem = self._object()
        self.ensure(isinstance(problem.get("title"), str), "a problem has a `title`")
        self.ensure(problem.get("status") == self.status, "a problem has a `status`, the one of the response")
        return problem

    def nosniff(self):
        """Fail unless the answer forbids to guess its type."""
        __tracebackhide__ = True
        value = self.headers.get("x-content-type-options", "")
        return self.ensure(
            value.strip().lower() == "nosniff",
            "every response carries X-Content-Type-Options: nosniff",
            f"{self.status} with X-Content-Type-Options: {value or 'absent'}",
        )

    def _object(self):
        __tracebackhide__ = True
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            document = None
        self.ensure(isinstance(document, dict), "the body is a JSON object")
        return document


class Service:
    """The running service at `base_url`; may be used from many threads."""

    def __init__(self, base_url):
        self.base_url = base_url.rstrip("/")
        address = urlsplit(self.base_url)
        self.host, self.port = address.hostname, address.port or 80
        self._patience = PATIENCE_SECONDS
        self._lock = threading.Lock()
        self._client = self._new_client(64)
        self._fresh = self._new_client(0)

    def _new_client(self, kept_alive):
        return httpx.Client(
            base_url=self.base_url,
            timeout=httpx.Timeout(ANSWER_SECONDS),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=kept_alive),
            headers={"Accept-Encoding": "identity"},
            trust_env=False,
            verify=False,  # there is no TLS here, and loading certificates takes longer than a test
        )

    def reconnect(self):
        """Forget all open connections, after a restart."""
        self._client.close()
        self._client = self._new_client(64)

    def request(self, method, path, *, token=None, json=None, content=None, headers=None, params=None):
        """Send one request and return its `Answer`; no answer at all fails the test.

        `json` is sent as a JSON document, `content` as the bytes themselves; both as application/json.
        """
        __tracebackhide__ = True
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if json is not None:
            content = encoded(json)
        if content is not None:
            headers.setdefault("Content-Type", "application/json")
        asked = self._describe(method, path, params, headers, content)
        ASKED.append(asked)
        if self._patience <= 0:
            disagree(asked, "the service answers", "nothing: it left too many requests unanswered and was given up")
        started = time.monotonic()
        try:
            return self._exchange(asked, method, path, content, headers, params, started + ANSWER_SECONDS)
        except httpx.HTTPError as error:
            self.waited_in_vain(time.monotonic() - started)
            disagree(asked, "the service answers", f"no answer: {type(error).__name__} {error}")

    def waited_in_vain(self, seconds):
        """Book time that was lost waiting for an answer that did not come."""
        with self._lock:
            self._patience -= seconds

    def _exchange(self, asked, method, path, content, headers, params, deadline):
        request = self._client.build_request(method, path, content=content, headers=headers, params=params)
        with contextlib.closing(self._send(request)) as response:
            body = bytearray()
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES or time.monotonic() > deadline:
                    raise httpx.ReadError("the answer does not end")
            if response.status_code >= 500:
                # Many services close the connection after a failure without a word; the next request must not race that.
                response.extensions["network_stream"].close()
            return Answer(asked, response.status_code, response.headers, bytes(body))

    def _send(self, request):
        """The answer's head. A service may close an idle connection at any moment, also just as a request is on its way:
        one that changes nothing is asked again on a new connection, once.
        """
        try:
            return self._client.send(request, stream=True)
        except (httpx.ReadError, httpx.RemoteProtocolError):
            if request.method not in CHANGES_NOTHING:
                raise
            return self._fresh.send(request, stream=True)

    @staticmethod
    def _describe(method, path, params, headers, content):
        line = f"{method} {path}"
        if params:
            line += f"?{httpx.QueryParams(params)}"
        for name in ("If-Match", "Idempotency-Key"):
            if name in headers:
                line += f"  {name}: {headers[name]}"
        if content is not None:
            line += f"  {shown(content.decode(errors='replace'))}"
        return shown(line)

    def wait_until_healthy(self, seconds):
        """Whether GET /health answers 200 within `seconds`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if self._client.get("/health", timeout=2.0).status_code == 200:
                    return True
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        return False

    def give_up(self):
        """Let every later request fail at once."""
        self._patience = 0
