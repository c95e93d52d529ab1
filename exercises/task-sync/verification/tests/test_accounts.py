"""POST /users, /auth/token and /auth/refresh: registration, login, rotation of refresh tokens."""

import time

import jwt
import pytest
from service import holds, same
from tables import cases
from user import PASSWORD, check_tokens

EMOJI = "\N{GRINNING FACE}"


def register(service, username, password=PASSWORD, **more):
    return service.request("POST", "/users", json={"username": username, "password": password, **more})


def log_in(service, username, password=PASSWORD):
    return service.request("POST", "/auth/token", json={"username": username, "password": password})


def refresh(service, token):
    return service.request("POST", "/auth/refresh", json={"refresh_token": token})


def random_name(rng, length):
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789_", k=length))


def test_register(service, new_username):
    """A new user is registered and gets an id."""
    name = new_username()
    answer = register(service, name).expect(201, "a valid registration succeeds")
    account = answer.json()
    answer.ensure(isinstance(account.get("id"), str) and account["id"], "the account has an `id`, a string")
    answer.ensure(account.get("username") == name, "the account has the `username` that was asked for")
    answer.ensure(PASSWORD.encode() not in answer.body, "the answer does not repeat the password")


@pytest.mark.parametrize("length", [3, 32])
def test_username_length_at_the_edge(service, new_username, rng, length):
    """A username of the shortest and of the longest length is accepted."""
    for _ in range(5):  # three characters may be taken already when the tests run again on one database
        answer = register(service, random_name(rng, length) if length == 3 else new_username().ljust(length, "x"))
        if answer.status != 409:
            break
    answer.expect(201, f"a username of {length} characters is valid")


@cases(
    "username",
    {
        "two characters": "ab",
        "33 characters": "a" * 33,
        "empty": "",
        "upper case": "Alice_1",
        "a space inside": "al ice",
        "a space after": "alice ",
        "a line feed at the end": "alice\n",
        "a hyphen": "al-ice",
        "an accent": "ali\u0109e",
        "digits that are not ASCII": "alice\u0661\u0662",
        "NUL": "ali\0ce",
        "a lone surrogate": "ali\ud800ce",
        "a number": 12345,
        "null": None,
        "a list": ["alice"],
    },
)
def test_username_refused(service, username):
    """A username outside the pattern is refused."""
    register(service, username).expect(422, "a username matches ^[a-z0-9_]{3,32}$")


@cases(
    "password",
    {
        "8 letters": "pass-wd8",
        "8 emoji": EMOJI * 8,
        "quotes and backslashes": "\"quoted\" 'and' \\back\\",
    },
)
def test_password_accepted(service, new_username, password):
    """A password of at least 8 code points can be used to log in."""
    name = new_username()
    register(service, name, password).expect(201, "a password has 8 to 128 code points")
    log_in(service, name, password).expect(200, "the password that was registered is right")


@cases(
    "password",
    {
        "7 letters": "p" * 7,
        "129 letters": "p" * 129,
        "7 emoji": EMOJI * 7,
        "129 emoji": EMOJI * 129,
        "empty": "",
        "NUL": "pass\0word",
        "a lone surrogate": "password\udc00",
        "a number": 123456789,
        "null": None,
    },
)
def test_password_refused(service, new_username, password):
    """A password of another length, or with characters that no text has, is refused."""
    register(service, new_username(), password).expect(422, "a password is a string of 8 to 128 code points")


@cases("missing", {"the username": "username", "the password": "password"})
@cases("path", {"at registration": "/users", "at login": "/auth/token"})
def test_credentials_incomplete(service, new_username, path, missing):
    """Credentials without one of their two fields are refused."""
    body = {"username": new_username(), "password": PASSWORD}
    del body[missing]
    service.request("POST", path, json=body).expect(422, f"`{missing}` is required")


def test_username_taken(service, new_username):
    """A username that is taken is refused."""
    name = new_username()
    register(service, name).expect(201, "a valid registration succeeds")
    register(service, name, "another password").expect(409, "the username is taken")
    log_in(service, name).expect(200, "the first registration is still valid")
    log_in(service, name, "another password").expect(401, "the second registration changed nothing")


def test_refused_registration_registers_nothing(service, new_username):
    """A refused registration does not take the username."""
    name = new_username()
    register(service, name, "short").expect(422, "a password has at least 8 characters")
    register(service, name).expect(201, "the username is still free")


def test_unknown_fields_are_ignored(service, new_username):
    """Unknown fields of credentials and of a refresh are ignored."""
    name = new_username()
    extra = {"invited_by": "someone", "admin": True}
    register(service, name, **extra).expect(201, "unknown fields outside tasks are ignored")
    body = {"username": name, "password": PASSWORD, **extra}
    answer = service.request("POST", "/auth/token", json=body)
    tokens = check_tokens(answer.expect(200, "unknown fields outside tasks are ignored"))
    body = {"refresh_token": tokens["refresh_token"], **extra}
    service.request("POST", "/auth/refresh", json=body).expect(200, "unknown fields outside tasks are ignored")


def test_access_token_claims(service, newcomer, secret, token_ttl):
    """An access token is an HS256 JWT with sub and exp, valid for TOKEN_TTL seconds."""
    register(service, newcomer.username).expect(201, "a valid registration succeeds")
    before = time.time()
    answer = log_in(service, newcomer.username).expect(200, "the right password gives tokens")
    after = time.time()
    tokens = check_tokens(answer)
    try:
        claims = jwt.decode(tokens["access_token"], secret, algorithms=["HS256"], options={"verify_sub": False})
    except jwt.PyJWTError as error:
        answer.ensure(False, "an access token is a JWT, signed HS256 with JWT_SECRET as the key", str(error))
    answer.ensure(claims.get("sub") and "exp" in claims, "an access token has the claims sub and exp", sorted(claims))
    answer.ensure(
        before + token_ttl - 2 <= claims["exp"] <= after + token_ttl + 2,
        f"exp is {token_ttl} s (TOKEN_TTL) after the login",
        f"exp is {claims['exp'] - before:.0f} s after the login",
    )
    answer.ensure(
        token_ttl - 2 <= tokens["expires_in"] <= token_ttl,
        f"expires_in is TOKEN_TTL, {token_ttl}",
        {"expires_in": tokens["expires_in"]},
    )


def test_subject_names_the_user(user, other):
    """The subject of a token is the same at every login, and another one for another user."""

    def subject(tokens):
        return jwt.decode(tokens["access_token"], options={"verify_signature": False})["sub"]

    first, again, others = subject(user.tokens), subject(user.log_in()), subject(other.tokens)
    same(first, again, "sub names the user")
    holds(first != others, "sub names the user", "the same sub for two users")


@cases(
    "change",
    {
        "another password": lambda password: "wrong horse battery",
        "one character more": lambda password: password + "x",
        "a space more": lambda password: password + " ",
        "one character less": lambda password: password[:-1],
        "other case": lambda password: password.upper(),
    },
)
def test_wrong_password(service, user, change):
    """A password that is not exactly the right one gives no tokens."""
    user.tokens  # noqa: B018 - the user is registered
    log_in(service, user.username, change(PASSWORD)).expect(401, "only the right password gives tokens")


def test_unknown_user(service, new_username):
    """A username that nobody registered gives no tokens."""
    log_in(service, new_username()).expect(401, "nobody has this username")


@cases("letter", {"letters": "p", "emoji": EMOJI})
def test_long_password_counts_to_its_end(service, new_username, letter):
    """A password may have 128 code points, and is wrong when only its last one differs."""
    name = new_username()
    register(service, name, letter * 128).expect(201, "a password has 8 to 128 code points")
    log_in(service, name, letter * 128).expect(200, "the password that was registered is right")
    log_in(service, name, letter * 127 + "q").expect(401, "the last character of the password is another")


@cases("username", {"upper case": str.upper, "a space after": lambda name: name + " "})
def test_login_does_not_bend_usernames(service, user, username):
    """A username in another spelling is not the user's."""
    user.tokens  # noqa: B018 - the user is registered
    log_in(service, username(user.username)).expect((401, 422), "usernames are exact")


def test_login_injection(service, new_username):
    """A username or password made of SQL gives no tokens."""
    for text in ("' OR '1'='1", "x' OR 1=1 --", 'x" OR ""="'):
        log_in(service, text).expect((401, 422), "nobody has this username")
    log_in(service, new_username(), "' OR '1'='1").expect(401, "nobody has this username")


@cases(
    "body",
    {
        "a number as password": {"username": "alice", "password": 12345678},
        "null as username": {"username": None, "password": PASSWORD},
        "an object as password": {"username": "alice", "password": {"$ne": ""}},
        "a list": ["alice", PASSWORD],
        "a string": "alice",
        "null": None,
    },
)
def test_login_malformed(service, body):
    """A login whose body has the wrong form is refused."""
    content = None if body is not None else b"null"
    service.request("POST", "/auth/token", json=body, content=content).expect(422, "the body is no Credentials")


def test_refresh_gives_new_tokens(service, user):
    """A refresh token gives a new pair of tokens, and both work."""
    token = user.log_in()["refresh_token"]
    answer = refresh(service, token).expect(200, "a fresh refresh token works")
    renewed = check_tokens(answer)
    answer.ensure(
        renewed["refresh_token"] != token,
        "the refresh token is another one: each works once",
        "the same refresh token again",
    )
    stats = service.request("GET", "/stats", token=renewed["access_token"])
    stats.expect(200, "the access token that a refresh gives works")
    refresh(service, renewed["refresh_token"]).expect(200, "the refresh token that a refresh gives works")


def test_refresh_token_works_once(service, newcomer):
    """The second use of a refresh token is refused."""
    token = newcomer.tokens["refresh_token"]
    refresh(service, token).expect(200, "the first use works")
    refresh(service, token).expect(401, "a refresh token works once")
    refresh(service, token).expect(401, "a refresh token works once")


def test_refresh_many_times(service, newcomer):
    """Tokens can be renewed again and again, each time with the newest refresh token."""
    token = newcomer.tokens["refresh_token"]
    used = [token]
    for _ in range(4):
        token = check_tokens(refresh(service, token).expect(200, "the newest refresh token works"))["refresh_token"]
        used.append(token)
    same(len(set(used)), len(used), "a refresh token works once")
    refresh(service, used[1]).expect(401, "an older refresh token was used already")


def test_refreshed_token_is_the_same_user(service, user):
    """Renewed tokens belong to the same user."""
    task = user.create()
    renewed = check_tokens(refresh(service, user.log_in()["refresh_token"]).expect(200, "a refresh token works"))
    answer = service.request("GET", f"/tasks/{task['id']}", token=renewed["access_token"])
    answer.expect(200, "the renewed token belongs to the same user")


def test_two_logins_are_independent(service, user):
    """A user who logs in twice can renew both sessions."""
    first, second = user.log_in()["refresh_token"], user.log_in()["refresh_token"]
    refresh(service, first).expect(200, "the first refresh token was not used yet")
    refresh(service, second).expect(200, "the second refresh token was not used yet")


def test_access_token_does_not_refresh(service, user):
    """An access token is not accepted as a refresh token."""
    refresh(service, user.access).expect(401, "an access token is no refresh token")


@cases(
    "token",
    {
        "invented": "invented",
        "a UUID": "6f1c2b52-9d0e-4a53-8d52-3b1f0f7f0a11",
        "like a JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "4000 characters": "x" * 4000,
    },
)
def test_refresh_token_unknown(service, token):
    """A refresh token that was never given out is refused."""
    refresh(service, token).expect(401, "this refresh token was never given out")


def test_refresh_token_tampered(service, user):
    """A refresh token with one character changed is refused, and the right one still works."""
    token = user.log_in()["refresh_token"]
    middle = len(token) // 2
    other = token[:middle] + ("a" if token[middle] != "a" else "b") + token[middle + 1 :]
    refresh(service, other).expect(401, "this refresh token was never given out")
    refresh(service, token).expect(200, "the refresh token was not used yet")


@cases(
    "body",
    {
        "no refresh_token": {},
        "a number": {"refresh_token": 1},
        "null": {"refresh_token": None},
        "a list": {"refresh_token": ["x"]},
        "not an object": ["refresh_token"],
    },
)
def test_refresh_malformed(service, body):
    """A refresh whose body has the wrong form is refused."""
    service.request("POST", "/auth/refresh", json=body).expect(422, "`refresh_token` is required, a string")


def test_users_do_not_disturb_each_other(service, user, other):
    """A refresh of one user leaves the tokens of another alone."""
    token = user.log_in()["refresh_token"]
    refresh(service, other.log_in()["refresh_token"]).expect(200, "a refresh token works")
    refresh(service, token).expect(200, "another user's refresh changes nothing")
