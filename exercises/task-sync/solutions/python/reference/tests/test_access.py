from http import HTTPStatus
from uuid import uuid4

import pytest

SOMEBODYS = "7d0f4c52-93a1-4a39-b0a8-5f6a3f1c2d4e"
SECURED = [
    ("GET", "/tasks"),
    ("POST", "/tasks"),
    ("GET", "/tasks/1"),
    ("PATCH", f"/tasks/{SOMEBODYS}"),
    ("DELETE", f"/tasks/{SOMEBODYS}"),
    ("POST", "/sync"),
    ("GET", "/stats"),
]
TOO_LARGE = b" " * (1024 * 1024 + 1)


@pytest.mark.parametrize(("method", "path"), SECURED)
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer x", "Basic YTpi"])
def test_a_good_token_comes_before_everything(anyone, method, path, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}

    answer = anyone.request(method, path, headers=headers, content=TOO_LARGE)

    assert answer.status_code == HTTPStatus.UNAUTHORIZED
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_good_token_needs_a_user(anyone, tokens):
    headers = {"Authorization": f"Bearer {tokens.issue(uuid4())}"}

    assert anyone.get("/stats", headers=headers).status_code == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize(("method", "path"), SECURED)
def test_a_body_has_a_limit(user, method, path):
    answer = user.request(method, path, content=TOO_LARGE)

    assert answer.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def test_the_limit_holds_for_bodies_of_unknown_length(anyone):
    chunks = (b" " * 65536 for _ in range(20))

    answer = anyone.post("/users", content=chunks)

    assert answer.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def test_a_body_may_be_as_large_as_the_limit(user):
    body = b'{"title": "x"}'.ljust(1024 * 1024)

    assert user.post("/tasks", content=body).status_code == HTTPStatus.CREATED


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", HTTPStatus.NOT_FOUND),
        ("GET", "/tasks/", HTTPStatus.NOT_FOUND),
        ("PUT", "/tasks", HTTPStatus.METHOD_NOT_ALLOWED),
    ],
)
def test_what_the_framework_refuses_is_a_problem_too(user, method, path, status):
    answer = user.request(method, path)

    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/health", "/nowhere", "/stats"])
def test_every_answer_forbids_guessing_its_type(anyone, path):
    assert anyone.get(path).headers["x-content-type-options"] == "nosniff"


def test_a_head_is_answered_like_a_get(user):
    answer = user.head("/stats")

    assert answer.status_code == HTTPStatus.OK
    assert answer.content == b""
