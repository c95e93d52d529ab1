"""Access tokens: what every secured operation refuses."""

import forgery
import jwt
from tables import cases

OPERATIONS = {
    "list tasks": ("GET", "/tasks", None),
    "create a task": ("POST", "/tasks", {"title": "made with a bad token"}),
    "read a task": ("GET", "/tasks/{id}", None),
    "change a task": ("PATCH", "/tasks/{id}", {"title": "changed with a bad token"}),
    "delete a task": ("DELETE", "/tasks/{id}", None),
    "synchronise": ("POST", "/sync", {"since": None, "changes": []}),
    "count tasks": ("GET", "/stats", None),
}

FORGERIES = {
    "expired an hour ago": forgery.expired,
    "no exp": forgery.without("exp"),
    "no sub": forgery.without("sub"),
    "signed with another key": forgery.with_reversed_key,
    "signed with a guessable key": forgery.with_key("secret"),
    "HS512 with the right key": forgery.with_algorithm("HS512"),
    "HS384 with the right key": forgery.with_algorithm("HS384"),
    "alg none": forgery.unsigned("none"),
    "alg None": forgery.unsigned("None"),
    "alg none with the old signature": forgery.unsigned_with_signature,
    "signature cut off": forgery.without_signature,
    "signature changed": forgery.tampered_signature,
    "expiry changed after signing": forgery.prolonged,
}

HEADERS = {
    "no header": None,
    "an empty header": "",
    "only the scheme": "Bearer",
    "no scheme": "{token}",
    "another scheme": "Basic {token}",
    "the scheme Token": "Token {token}",
    "not a JWT": "Bearer garbage",
    "two parts of a JWT": "Bearer abc.def",
    "parts that are no base64": "Bearer ???.!!!.***",
    "two tokens": "Bearer {token} {token}",
    "a token with more behind it": "Bearer {token}x",
}


def refused_everywhere(service, user, headers, why):
    """Fail unless every secured operation answers 401 and none takes effect."""
    task = user.create()
    for method, path, body in OPERATIONS.values():
        headers_now = {**headers, "If-Match": "*"} if method == "PATCH" else headers
        answer = service.request(method, path.format(id=task["id"]), json=body, headers=headers_now)
        answer.expect(401, why)
    user.must_still_have(task, "a refused request changes nothing")


@cases("forge", FORGERIES)
def test_forged_token(service, user, secret, forge):
    """A token that is not a valid HS256 token with sub and exp is refused by every operation."""
    headers = {"Authorization": f"Bearer {forge(user.access, secret)}"}
    refused_everywhere(service, user, headers, "the token is not a valid HS256 token with sub and exp")


@cases("header", HEADERS)
def test_malformed_header(service, user, header):
    """A request without a proper bearer token is refused by every operation."""
    headers = {} if header is None else {"Authorization": header.format(token=user.access)}
    refused_everywhere(service, user, headers, "there is no bearer token")


def test_refresh_token_is_no_access_token(service, user):
    """A refresh token is not accepted as an access token by any operation."""
    headers = {"Authorization": f"Bearer {user.tokens['refresh_token']}"}
    refused_everywhere(service, user, headers, "a refresh token is never accepted as an access token")


def test_subject_of_another_user(service, user, other):
    """A token whose subject was swapped for another user's is refused by every operation."""
    header, _, signature = user.access.split(".")
    forged = f"{header}.{other.access.split('.')[1]}.{signature}"
    refused_everywhere(service, user, {"Authorization": f"Bearer {forged}"}, "the signature is of other claims")


@cases("operation", OPERATIONS)
def test_valid_token(user, operation):
    """A valid token is accepted."""
    method, path, body = operation
    path = path.format(id=user.create()["id"])
    headers = {"If-Match": "*"} if method == "PATCH" else {}
    answer = user.request(method, path, json=body, headers=headers)
    answer.expect((200, 201, 204), "a valid token is accepted")


def test_secret_is_the_key(service, user, secret):
    """A token with genuine claims, signed by the tests with JWT_SECRET, is accepted."""
    copy = jwt.encode(forgery.claims_of(user.access), secret, algorithm="HS256")
    answer = service.request("GET", "/stats", token=copy)
    answer.expect(200, "JWT_SECRET itself is the HMAC key of the tokens")


def test_token_in_the_address(service, user):
    """A token in the query string is not a bearer token."""
    answer = service.request("GET", "/stats", params={"access_token": user.access, "token": user.access})
    answer.expect(401, "the token belongs into the Authorization header")
