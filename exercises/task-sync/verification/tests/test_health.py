"""GET /health: ready to serve, database reachable; and the form that all answers share."""

import time

import pytest
import rawhttp
from control import database
from tables import cases
from user import PASSWORD

UNKNOWN_ID = "0d9f1d3c-6a55-4f2a-9d5e-1b7c55a0c0de"
TOO_LARGE = b'{"title": "' + b"x" * 1024 * 1024 + b'"}'


def test_health_says_ok(service):
    """The health endpoint answers 200 with status ok, without a token."""
    answer = service.request("GET", "/health").expect(200, "the service is ready").nosniff()
    answer.ensure(answer.json().get("status") == "ok", '`status` is "ok"')


def test_health_asks_for_no_token(service):
    """The health endpoint does not look at tokens, not even at a wrong one."""
    service.request("GET", "/health", token="not.a.token").expect(200, "/health needs no authentication")


@pytest.mark.control
@pytest.mark.timeout(90)
def test_health_without_database(service):
    """Without its database the service says 503, and it is well again when the database is back."""
    try:
        database("stop")
        answer = health_after(service, 503, seconds=10)
    finally:
        database("start")
        recovered = service.wait_until_healthy(10)
    answer.problem(503, "the database is not reachable")
    answer.nosniff()
    answer.ensure(recovered, "/health answers 200 again within 10 s of the database's return", "no 200 for 10 s")


def health_after(service, status, seconds):
    """The answer of /health once it has `status`, or the last one of the time allowed."""
    deadline = time.monotonic() + seconds
    while True:
        answer = service.request("GET", "/health")
        if answer.status == status or time.monotonic() > deadline:
            return answer
        time.sleep(0.1)


# The form of all answers


def create(user):
    return f"/tasks/{user.create()['id']}"


ERRORS = {
    "409 at registration": lambda user: user.service.request("POST", "/users", json=user.credentials),
    "422 at registration": lambda user: user.service.request("POST", "/users", json={"username": "x"}),
    "400 or 422 at registration": lambda user: user.service.request("POST", "/users", content=b"no JSON"),
    "401 at login": lambda user: user.service.request(
        "POST", "/auth/token", json={"username": user.username, "password": "wrong " + PASSWORD}
    ),
    "422 at login": lambda user: user.service.request("POST", "/auth/token", json={}),
    "401 at a refresh": lambda user: user.service.request("POST", "/auth/refresh", json={"refresh_token": "x"}),
    "422 at a refresh": lambda user: user.service.request("POST", "/auth/refresh", json={}),
    "401 at the list": lambda user: user.service.request("GET", "/tasks"),
    "422 at the list, limit": lambda user: user.request("GET", "/tasks", params={"limit": "0"}),
    "422 at the list, cursor": lambda user: user.request("GET", "/tasks", params={"cursor": "invented"}),
    "422 at the list, status": lambda user: user.request("GET", "/tasks", params={"status": "blocked"}),
    "401 at a creation": lambda user: user.service.request("POST", "/tasks", json={"title": "x"}),
    "422 at a creation": lambda user: user.post({}),
    "400 or 422 at a creation": lambda user: user.request("POST", "/tasks", content=b"no JSON"),
    "422 at a creation, key": lambda user: user.post({"title": "x"}, "k" * 65),
    "401 at reading": lambda user: user.service.request("GET", create(user), token="no.such.token"),
    "404 at reading": lambda user: user.get(UNKNOWN_ID),
    "404 at reading, no UUID": lambda user: user.get("milk"),
    "404 at a change": lambda user: user.patch(UNKNOWN_ID, {"title": "x"}),
    "422 at a change": lambda user: user.request("PATCH", create(user), json={}, headers={"If-Match": "*"}),
    "428 at a change": lambda user: user.request("PATCH", create(user), json={"title": "x"}),
    "412 at a change": lambda user: user.request("PATCH", create(user), json={"title": "x"}, headers={"If-Match": "x"}),
    "404 at a delete": lambda user: user.delete(UNKNOWN_ID),
    "401 at a synchronisation": lambda user: user.service.request("POST", "/sync", json={"since": None, "changes": []}),
    "422 at a synchronisation": lambda user: user.send_sync({}),
    "422 at a synchronisation, since": lambda user: user.send_sync(since="invented"),
    "401 at the counts": lambda user: user.service.request("GET", "/stats"),
    "413 at a creation": lambda user: rawhttp.send(user.service, "POST", "/tasks", TOO_LARGE, token=user.access),
}


def expected_statuses(case):
    """The statuses that the name of a case begins with."""
    return tuple(int(word) for word in case.split(" at ")[0].split(" or "))


@cases("case", {case: case for case in ERRORS})
def test_errors_are_problems(user, case):
    """An error is application/problem+json with title and status."""
    user.access  # noqa: B018 - the user is registered before the first case
    ERRORS[case](user).problem(expected_statuses(case), "the request is refused")


@cases("case", {case: case for case in ERRORS})
def test_errors_are_not_sniffed(user, case):
    """An error carries X-Content-Type-Options: nosniff."""
    user.access  # noqa: B018 - the user is registered before the first case
    ERRORS[case](user).expect(expected_statuses(case), "the request is refused").nosniff()


SUCCESSES = {
    "health": lambda user: user.service.request("GET", "/health"),
    "login": lambda user: user.service.request("POST", "/auth/token", json=user.credentials),
    "list": lambda user: user.request("GET", "/tasks"),
    "creation": lambda user: user.post({"title": "x"}),
    "reading": lambda user: user.request("GET", create(user)),
    "change": lambda user: user.request("PATCH", create(user), json={"title": "x"}, headers={"If-Match": "*"}),
    "delete": lambda user: user.request("DELETE", create(user)),
    "synchronisation": lambda user: user.send_sync(),
    "counts": lambda user: user.request("GET", "/stats"),
}


@cases("succeed", SUCCESSES)
def test_successes_are_not_sniffed(user, succeed):
    """A success carries X-Content-Type-Options: nosniff."""
    user.access  # noqa: B018 - the user is registered before the first case
    answer = succeed(user)
    answer.expect((200, 201, 204), "the request is valid").nosniff()


def test_registration_and_refresh_are_not_sniffed(service, newcomer):
    """A registration and a refresh carry X-Content-Type-Options: nosniff."""
    service.request("POST", "/users", json=newcomer.credentials).expect(201, "a new user registers").nosniff()
    body = {"refresh_token": newcomer.log_in()["refresh_token"]}
    service.request("POST", "/auth/refresh", json=body).expect(200, "a refresh token works").nosniff()


def test_unknown_address(user):
    """An address that the contract does not have is answered with a problem too."""
    answer = user.request("GET", "/no/such/address")
    answer.ensure(400 <= answer.status < 500, "an unknown address is an error of the client")
    answer.nosniff().problem(answer.status, "every error body is a problem")
