"""Bodies that are too large or no JSON, which error comes first, and the form of all answers."""

import rawhttp
from tables import cases
from user import PASSWORD, new_id, upsert

MIB = 1024 * 1024
UNKNOWN_ID = "0d9f1d3c-6a55-4f2a-9d5e-1b7c55a0c0de"
TOO_LARGE = b'{"title": "' + b"x" * (MIB - 12) + b'"}'
assert len(TOO_LARGE) == MIB + 1

WITH_BODY = {
    "registration": ("POST", "/users"),
    "login": ("POST", "/auth/token"),
    "refresh": ("POST", "/auth/refresh"),
    "creation": ("POST", "/tasks"),
    "change": ("PATCH", "/tasks/{id}"),
    "synchronisation": ("POST", "/sync"),
}

NOT_JSON = {
    "nothing": b"",
    "plain text": b"title=milk",
    "half an object": b'{"title": "milk"',
    "single quotes": b"{'title': 'milk'}",
    "two objects": b'{"title": "milk"} {"title": "bread"}',
    "bytes that are no UTF-8": b'{"title": "\xff\xfe"}',
    "a raw line feed in a string": b'{"title": "one\ntwo"}',
}


def send(resident, operation, body, **options):
    """Send `body` to an operation that takes one, as a user who may."""
    method, path = operation
    headers = {"If-Match": "*"} if method == "PATCH" else {}
    path = path.format(id=resident.create()["id"]) if "{id}" in path else path
    return rawhttp.send(resident.service, method, path, body, token=resident.access, headers=headers, **options)


# Size


@cases("chunked", {"with Content-Length": False, "in chunks": True})
@cases("operation", WITH_BODY)
def test_body_too_large(resident, operation, chunked):
    """A body of one byte more than 1 MiB is refused."""
    answer = send(resident, operation, TOO_LARGE, chunked=chunked)
    answer.problem(413, "a body over 1 MiB is too large")
    answer.nosniff()


def test_body_much_too_large(resident):
    """A body of 3 MiB is refused."""
    send(resident, ("POST", "/tasks"), b'{"title": "' + b"x" * 3 * MIB + b'"}').expect(413, "a body over 1 MiB")


@cases("chunked", {"with Content-Length": False, "in chunks": True})
def test_body_of_exactly_1_mib(resident, chunked):
    """A body of exactly 1 MiB is not too large."""
    body = b'{"title": "large"}'.ljust(MIB)
    send(resident, ("POST", "/tasks"), body, chunked=chunked).expect(201, "only a body over 1 MiB is too large")


def test_large_synchronisation(user, rng):
    """A synchronisation of almost 1 MiB is applied."""
    changes = [upsert(new_id(rng), "t" * 200, description="d" * 1900) for _ in range(430)]
    assert len(user.sync(*changes)["applied"]) == 430, "contract: only a body over 1 MiB is too large"


def test_works_after_too_large_bodies(resident):
    """After refused bodies the service goes on."""
    for chunked in (False, True):
        send(resident, ("POST", "/tasks"), TOO_LARGE, chunked=chunked).expect(413, "a body over 1 MiB")
    resident.create("still here")


# Not JSON


@cases("body", NOT_JSON)
@cases("operation", WITH_BODY)
def test_not_json(resident, operation, body):
    """A body that is no JSON is refused."""
    answer = send(resident, operation, body)
    answer.expect((400, 422), "a body that is not JSON is 422 (or 400)")


@cases("operation", WITH_BODY)
def test_deeply_nested_json(resident, operation):
    """A body of 100000 nested arrays is refused, not a crash."""
    answer = send(resident, operation, b"[" * 100_000 + b"]" * 100_000)
    answer.expect((400, 422), "the body is not what the operation takes")


def test_json_with_odd_numbers(resident):
    """A body with numbers that no machine can hold is refused, not a crash."""
    for number in (b"1e999", b"-1e999", b"9" * 400, b"NaN"):
        body = b'{"title": "odd", "status": ' + number + b"}"
        send(resident, ("POST", "/tasks"), body).expect((400, 422), "status is todo, doing or done")


# Which error comes first


INVALID = {"title": ""}


@cases(
    "method, path, body, headers",
    {
        "413, a body that is too large": ("POST", "/tasks", TOO_LARGE, {}),
        "404, a task that does not exist": ("GET", f"/tasks/{UNKNOWN_ID}", None, {}),
        "404, an id that is no UUID": ("DELETE", "/tasks/milk", None, {}),
        "422, an invalid body": ("POST", "/tasks", b'{"title": ""}', {}),
        "422, a body that is no JSON": ("POST", "/sync", b"no JSON", {}),
        "422, an invalid parameter": ("GET", "/tasks?limit=0", None, {}),
        "422, an Idempotency-Key that is too long": ("POST", "/tasks", b'{"title": "x"}', {"Idempotency-Key": "k" * 65}),
        "428, no If-Match": ("PATCH", "/tasks/{id}", b'{"title": "x"}', {}),
        "412, a stale If-Match": ("PATCH", "/tasks/{id}", b'{"title": "x"}', {"If-Match": '"999"'}),
    },
)
def test_401_before(resident, method, path, body, headers):
    """401 comes before everything else."""
    path = path.format(id=resident.create()["id"]) if "{id}" in path else path
    answer = rawhttp.send(resident.service, method, path, body or b"", headers=headers)
    answer.expect(401, "401 comes first")


@cases(
    "task_id, headers, body",
    {
        "404": (UNKNOWN_ID, {"If-Match": "*"}, TOO_LARGE),
        "404, an id that is no UUID": ("milk", {"If-Match": "*"}, TOO_LARGE),
        "422, an unknown field": (None, {"If-Match": "*"}, TOO_LARGE.replace(b"title", b"tutle")),
        "422, no JSON": (None, {"If-Match": "*"}, b"x" * (MIB + 1)),
        "428": (None, {}, TOO_LARGE),
        "412": (None, {"If-Match": '"999"'}, TOO_LARGE),
    },
)
def test_413_before(resident, task_id, headers, body):
    """413 comes before everything but 401."""
    path = f"/tasks/{task_id or resident.create()['id']}"
    answer = rawhttp.send(resident.service, "PATCH", path, body, token=resident.access, headers=headers)
    answer.expect(413, "413 comes before 404, 422, 428 and 412")


@cases(
    "body, match",
    {
        "422, an invalid title": (INVALID, "*"),
        "422, an empty object": ({}, "*"),
        "422 and 428": (INVALID, None),
        "428": ({"title": "x"}, None),
        "412": ({"title": "x"}, '"999"'),
    },
)
@cases("task_id", {"an unknown id": UNKNOWN_ID, "an id that is no UUID": "milk"})
def test_404_before(resident, task_id, body, match):
    """404 comes before 422, 428 and 412."""
    resident.patch(task_id, body, match).expect(404, "404 comes before 422, 428 and 412")


@cases("match", {"428": None, "412, a stale If-Match": '"999"', "412, a weak tag": 'W/"1"'})
@cases("body", {"an empty title": INVALID, "an unknown field": {"priority": 1}, "an empty object": {}})
def test_422_before(resident, body, match):
    """422 comes before 428 and 412."""
    task = resident.create()
    resident.patch(task["id"], body, match).expect(422, "422 comes before 428 and 412")
    resident.must_still_have(task, "a refused request changes nothing")


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
    "413 at a creation": lambda user: send(user, ("POST", "/tasks"), TOO_LARGE),
}


def expected_statuses(case):
    """The statuses that the name of a case begins with."""
    return tuple(int(word) for word in case.split(" at ")[0].split(" or "))


@cases("case", {case: case for case in ERRORS})
def test_errors_are_problems(resident, case):
    """An error is application/problem+json with title and status."""
    resident.access  # noqa: B018 - the user is registered before the first case
    ERRORS[case](resident).problem(expected_statuses(case), "the request is refused")


@cases("case", {case: case for case in ERRORS})
def test_errors_are_not_sniffed(resident, case):
    """An error carries X-Content-Type-Options: nosniff."""
    resident.access  # noqa: B018 - the user is registered before the first case
    ERRORS[case](resident).expect(expected_statuses(case), "the request is refused").nosniff()


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
def test_successes_are_not_sniffed(resident, succeed):
    """A success carries X-Content-Type-Options: nosniff."""
    resident.access  # noqa: B018 - the user is registered before the first case
    answer = succeed(resident)
    answer.expect((200, 201, 204), "the request is valid").nosniff()


def test_registration_and_refresh_are_not_sniffed(service, user):
    """A registration and a refresh carry X-Content-Type-Options: nosniff."""
    service.request("POST", "/users", json=user.credentials).expect(201, "a new user registers").nosniff()
    body = {"refresh_token": user.log_in()["refresh_token"]}
    service.request("POST", "/auth/refresh", json=body).expect(200, "a refresh token works").nosniff()


def test_unknown_address(resident):
    """An address that the contract does not have is answered with a problem too."""
    answer = resident.request("GET", "/no/such/address")
    answer.ensure(400 <= answer.status < 500, "an unknown address is an error of the client")
    answer.nosniff().problem(answer.status, "every error body is a problem")
