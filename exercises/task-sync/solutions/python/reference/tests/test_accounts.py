from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import pytest


@pytest.fixture
def registered(anyone, credentials):
    anyone.post("/users", json=credentials)
    return credentials


def test_registers_a_user(anyone, credentials):
    answer = anyone.post("/users", json=credentials)

    assert answer.status_code == HTTPStatus.CREATED
    assert answer.json() == {"id": answer.json()["id"], "username": credentials["username"]}


def test_a_username_is_taken_once(anyone, registered):
    assert anyone.post("/users", json=registered).status_code == HTTPStatus.CONFLICT


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("username", "ab"),
        ("username", "a" * 33),
        ("username", "Alice"),
        ("username", "alice\n"),
        ("username", None),
        ("password", "short"),
        ("password", "x" * 129),
        ("password", "with\0nul!"),
        ("password", 12345678),
    ],
)
@pytest.mark.parametrize("path", ["/users", "/auth/token"])
def test_refuses_malformed_credentials(anyone, credentials, path, name, value):
    answer = anyone.post(path, json={**credentials, name: value})

    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY


@pytest.mark.parametrize("name", ["username", "password"])
def test_refuses_incomplete_credentials(anyone, credentials, name):
    del credentials[name]

    answer = anyone.post("/users", json=credentials)

    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY


def test_logs_in(anyone, registered):
    answer = anyone.post("/auth/token", json={**registered, "device": "phone"})

    tokens = answer.json()
    assert answer.status_code == HTTPStatus.OK
    assert answer.headers["cache-control"] == "no-store"
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    headers = {"Authorization": f"bearer {tokens['access_token']}"}
    assert anyone.get("/stats", headers=headers).status_code == HTTPStatus.OK


def test_a_wrong_password_and_an_unknown_user_look_the_same(anyone, registered):
    wrong = anyone.post("/auth/token", json={**registered, "password": "x" * 20})
    unknown = anyone.post("/auth/token", json={**registered, "username": "nobody"})

    assert wrong.status_code == unknown.status_code == HTTPStatus.UNAUTHORIZED
    assert wrong.json() == unknown.json()


def test_a_refresh_token_works_once(anyone, registered):
    first = anyone.post("/auth/token", json=registered).json()["refresh_token"]

    renewed = anyone.post("/auth/refresh", json={"refresh_token": first})
    again = anyone.post("/auth/refresh", json={"refresh_token": first})
    second = renewed.json()["refresh_token"]
    onward = anyone.post("/auth/refresh", json={"refresh_token": second})

    assert renewed.status_code == HTTPStatus.OK
    assert again.status_code == HTTPStatus.UNAUTHORIZED
    assert onward.status_code == HTTPStatus.OK


def test_only_one_of_many_renewals_at_once_succeeds(anyone, registered):
    token = anyone.post("/auth/token", json=registered).json()["refresh_token"]

    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(
            lambda _: anyone.post("/auth/refresh", json={"refresh_token": token}), range(8)
        )

    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [HTTPStatus.OK] + [HTTPStatus.UNAUTHORIZED] * 7


@pytest.mark.parametrize("body", [{}, {"refresh_token": 7}, {"refresh_token": "\0"}])
def test_refuses_a_malformed_renewal(anyone, body):
    answer = anyone.post("/auth/refresh", json=body)

    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
