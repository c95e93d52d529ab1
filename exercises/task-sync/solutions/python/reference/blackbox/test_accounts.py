import os
import time

import jwt


def test_a_username_is_given_once(anyone, credentials):
    again = anyone.post("/users", json=credentials)

    assert again.status_code == 409
    assert again.headers["content-type"] == "application/problem+json"


def test_a_wrong_password_is_refused(anyone, credentials):
    wrong = {**credentials, "password": "not-the-password"}

    assert anyone.post("/auth/token", json=wrong).status_code == 401


def test_an_expired_token_is_refused(anyone, client_with):
    name = {"username": f"expired_{time.time_ns()}", "password": "correct horse"}
    user_id = anyone.post("/users", json=name).json()["id"]

    for lifetime, status in ((60, 200), (-60, 401)):
        claims = {"sub": user_id, "exp": int(time.time()) + lifetime}
        token = jwt.encode(claims, os.environ["JWT_SECRET"], "HS256")
        assert client_with(token).get("/tasks").status_code == status


def test_a_refresh_token_works_once(anyone, credentials):
    tokens = anyone.post("/auth/token", json=credentials).json()
    used = {"refresh_token": tokens["refresh_token"]}

    assert anyone.post("/auth/refresh", json=used).status_code == 200
    assert anyone.post("/auth/refresh", json=used).status_code == 401
