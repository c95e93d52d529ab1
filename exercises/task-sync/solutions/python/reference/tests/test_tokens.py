import time
from uuid import uuid4

import jwt
import pytest

from app.problems import ProblemError
from app.tokens import AccessTokens, new_refresh_token, refresh_token_digest

KEY = "k" * 64
TOKENS = AccessTokens(KEY, ttl=60)
SUBJECT = str(uuid4())
LATER = int(time.time()) + 3600


def test_accepts_what_it_issued():
    user_id = uuid4()

    assert TOKENS.check(TOKENS.issue(user_id)) == user_id


def test_accepts_a_token_with_nothing_but_subject_and_expiry():
    token = jwt.encode({"sub": SUBJECT, "exp": LATER}, KEY, "HS256")

    assert str(TOKENS.check(token)) == SUBJECT


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"sub": SUBJECT},
        {"exp": LATER},
        {"sub": SUBJECT, "exp": 1},
        {"sub": SUBJECT, "exp": str(LATER)},
        {"sub": SUBJECT, "exp": float("inf")},
        {"sub": SUBJECT, "exp": None},
        {"sub": 1, "exp": LATER},
        {"sub": "nobody", "exp": LATER},
        {"sub": SUBJECT, "exp": LATER, "nbf": LATER},
    ],
)
def test_refuses_claims(claims):
    with pytest.raises(ProblemError):
        TOKENS.check(jwt.encode(claims, KEY, "HS256"))


@pytest.mark.parametrize(
    ("key", "algorithm"), [(None, "none"), (KEY, "HS512"), ("x" * 64, "HS256")]
)
def test_refuses_other_keys_and_algorithms(key, algorithm):
    token = jwt.encode({"sub": SUBJECT, "exp": LATER}, key, algorithm)

    with pytest.raises(ProblemError):
        TOKENS.check(token)


@pytest.mark.parametrize(
    "token",
    ["", "a.b.c", "...", "[" * 10_000, pytest.param(new_refresh_token(), id="a refresh token")],
)
def test_refuses_what_is_no_token(token):
    with pytest.raises(ProblemError):
        TOKENS.check(token)


def test_refresh_tokens_are_stored_as_a_digest():
    token = new_refresh_token()

    assert new_refresh_token() != token
    assert token.encode() not in refresh_token_digest(token)
