"""Access tokens that a service must refuse, made from a genuine one."""

import base64
import json
import time

import jwt


def claims_of(token):
    """The claims of a token, whoever signed it."""
    return jwt.decode(token, options={"verify_signature": False})


def signed(claims, key, algorithm="HS256"):
    """`claims` as a token signed with `key`."""
    return jwt.encode(claims, key, algorithm=algorithm)


def _part(document):
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def expired(token, key):
    """Signed with the right key, ran out an hour ago."""
    return signed({**claims_of(token), "iat": int(time.time()) - 7200, "exp": int(time.time()) - 3600}, key)


def without(claim):
    """Signed with the right key, but without `claim`."""

    def forge(token, key):
        return signed({name: value for name, value in claims_of(token).items() if name != claim}, key)

    return forge


def with_key(wrong_key):
    """Signed with a key that is not the right one."""
    return lambda token, key: signed(claims_of(token), wrong_key)


def with_reversed_key(token, key):
    """Signed with a key of the right length that is not the right one."""
    return signed(claims_of(token), key[::-1] + "x")


def with_algorithm(algorithm):
    """Signed with the right key, but not with HS256."""
    return lambda token, key: signed(claims_of(token), key, algorithm)


def unsigned(spelling):
    """Not signed at all; the header says so."""
    return lambda token, key: f"{_part({'alg': spelling, 'typ': 'JWT'})}.{token.split('.')[1]}."


def unsigned_with_signature(token, key):
    """The header says that it is not signed, the signature is still there."""
    _, payload, signature = token.split(".")
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{payload}.{signature}"


def without_signature(token, key):
    """The signature is cut off."""
    return token.rpartition(".")[0] + "."


def tampered_signature(token, key):
    """One character in the middle of the signature is another."""
    head, _, signature = token.rpartition(".")
    middle = len(signature) // 2
    swapped = "A" if signature[middle] != "A" else "B"
    return f"{head}.{signature[:middle]}{swapped}{signature[middle + 1 :]}"


def prolonged(token, key):
    """The payload says a later expiry than the one that was signed."""
    header, _, signature = token.split(".")
    claims = claims_of(token)
    return f"{header}.{_part({**claims, 'exp': int(claims['exp']) + 86400})}.{signature}"
