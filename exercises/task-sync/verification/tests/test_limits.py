"""Bodies that are too large or no JSON, and which error comes first."""

import rawhttp
from service import same
from tables import cases
from user import new_id, upsert

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


def send(user, operation, body, **options):
    """Send `body` to an operation that takes one, as a user who may."""
    method, path = operation
    headers = {"If-Match": "*"} if method == "PATCH" else {}
    path = path.format(id=user.create()["id"]) if "{id}" in path else path
    return rawhttp.send(user.service, method, path, body, token=user.access, headers=headers, **options)


# Size


@cases("chunked", {"with Content-Length": False, "in chunks": True})
@cases("operation", WITH_BODY)
def test_body_too_large(user, operation, chunked):
    """A body of one byte more than 1 MiB is refused."""
    send(user, operation, TOO_LARGE, chunked=chunked).expect(413, "a body over 1 MiB is too large")


def test_body_much_too_large(user):
    """A body of 3 MiB is refused."""
    send(user, ("POST", "/tasks"), b'{"title": "' + b"x" * 3 * MIB + b'"}').expect(413, "a body over 1 MiB")


@cases("chunked", {"with Content-Length": False, "in chunks": True})
def test_body_of_exactly_1_mib(user, chunked):
    """A body of exactly 1 MiB is not too large."""
    body = b'{"title": "large"}'.ljust(MIB)
    send(user, ("POST", "/tasks"), body, chunked=chunked).expect(201, "only a body over 1 MiB is too large")


def test_large_synchronisation(user, rng):
    """A synchronisation of almost 1 MiB is applied."""
    changes = [upsert(new_id(rng), "t" * 200, description="d" * 1900) for _ in range(430)]
    same(len(user.sync(*changes)["applied"]), 430, "only a body over 1 MiB is too large")


def test_works_after_too_large_bodies(user):
    """After refused bodies the service goes on."""
    for chunked in (False, True):
        send(user, ("POST", "/tasks"), TOO_LARGE, chunked=chunked).expect(413, "a body over 1 MiB")
    user.create("still here")


# Not JSON


@cases("body", NOT_JSON)
@cases("operation", WITH_BODY)
def test_not_json(user, operation, body):
    """A body that is no JSON is refused."""
    answer = send(user, operation, body)
    answer.expect((400, 422), "a body that is not JSON is 422 (or 400)")


@cases("operation", WITH_BODY)
def test_deeply_nested_json(user, operation):
    """A body of 100000 nested arrays is refused, not a crash."""
    answer = send(user, operation, b"[" * 100_000 + b"]" * 100_000)
    answer.expect((400, 422), "the body is not what the operation takes")


def test_json_with_odd_numbers(user):
    """A body with numbers that no machine can hold is refused, not a crash."""
    for number in (b"1e999", b"-1e999", b"9" * 400, b"NaN"):
        body = b'{"title": "odd", "status": ' + number + b"}"
        send(user, ("POST", "/tasks"), body).expect((400, 422), "status is todo, doing or done")


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
        "422, an Idempotency-Key that is too long": (
            "POST",
            "/tasks",
            b'{"title": "x"}',
            {"Idempotency-Key": "k" * 65},
        ),
        "428, no If-Match": ("PATCH", "/tasks/{id}", b'{"title": "x"}', {}),
        "412, a stale If-Match": ("PATCH", "/tasks/{id}", b'{"title": "x"}', {"If-Match": '"999"'}),
    },
)
def test_401_before(user, method, path, body, headers):
    """401 comes before everything else."""
    path = path.format(id=user.create()["id"]) if "{id}" in path else path
    answer = rawhttp.send(user.service, method, path, body or b"", headers=headers)
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
def test_413_before(user, task_id, headers, body):
    """413 comes before everything but 401."""
    path = f"/tasks/{task_id or user.create()['id']}"
    answer = rawhttp.send(user.service, "PATCH", path, body, token=user.access, headers=headers)
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
def test_404_before(user, task_id, body, match):
    """404 comes before 422, 428 and 412."""
    user.patch(task_id, body, match).expect(404, "404 comes before 422, 428 and 412")


@cases("match", {"428": None, "412, a stale If-Match": '"999"', "412, a weak tag": 'W/"1"'})
@cases("body", {"an empty title": INVALID, "an unknown field": {"priority": 1}, "an empty object": {}})
def test_422_before(user, body, match):
    """422 comes before 428 and 412."""
    task = user.create()
    user.patch(task["id"], body, match).expect(422, "422 comes before 428 and 412")
    user.must_still_have(task, "a refused request changes nothing")
