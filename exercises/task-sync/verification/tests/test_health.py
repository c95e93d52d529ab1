"""GET /health: ready to serve, database reachable."""

import time

import pytest
from control import ask


def test_health_says_ok(service):
    """The health endpoint answers 200 with status ok, without a token."""
    answer = service.request("GET", "/health").expect(200, "the service is ready").nosniff()
    answer.ensure(answer.json().get("status") == "ok", '`status` is "ok"')


def test_health_asks_for_no_token(service):
    """The health endpoint does not look at tokens, not even at a wrong one."""
    service.request("GET", "/health", token="not.a.token").expect(200, "/health needs no authentication")


@pytest.mark.control
@pytest.mark.timeout(90)
def test_health_without_database(service, user):
    """Without its database the service says 503, and it is well again when the database is back."""
    user.create()
    stopped = ask("stop", "postgres")
    try:
        answer = health_after(service, 503, seconds=10)
        other = user.request("GET", "/stats")
    finally:
        started = ask("start", "postgres")
    assert stopped.get("ok"), f"the database did not stop: {stopped.get('error')}"
    assert started.get("ok"), f"the database did not start: {started.get('error')}"
    recovered = service.wait_until_healthy(10)
    answer.problem(503, "the database is not reachable")
    answer.nosniff()
    other.ensure(other.status >= 500, "an operation that cannot reach the database fails with 5xx")
    other.nosniff().problem(other.status, "every error body is a problem")
    answer.ensure(recovered, "/health answers 200 again within 10 s of the database's return", "no 200 for 10 s")


def health_after(service, status, seconds):
    """The answer of /health once it has `status`, or the last one of the time allowed."""
    deadline = time.monotonic() + seconds
    while True:
        answer = service.request("GET", "/health")
        if answer.status == status or time.monotonic() > deadline:
            return answer
        time.sleep(0.1)
