"""Strict reading of what clients send: every function returns a value or raises a 422."""

import calendar
import json
import re
import uuid
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from app.problems import invalid

MAX_QUERY_FIELDS = 50

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_DATE_TIME = re.compile(
    r"(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"T([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(\.\d{1,9})?"
    r"(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.IGNORECASE | re.ASCII,
)
_LEAP_SECOND = 60
_MINUTES_PER_DAY = 24 * 60


def json_object(body: bytes) -> dict[str, Any]:
    """Parse a request body that has to be one JSON object (RFC 8259, unique names)."""
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise invalid("The body is not valid JSON.") from None
    return as_object(value, "The body")


def query_parameters(raw: bytes) -> dict[str, str]:
    """Decode a query string; broken UTF-8 is refused rather than replaced."""
    try:
        pairs = parse_qsl(
            raw.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_QUERY_FIELDS,
        )
    except ValueError:
        raise invalid("The query string is not valid.") from None
    return dict(pairs)


def as_object(value: object, name: str) -> dict[str, Any]:
    """Return ``value`` if it is a JSON object."""
    if not isinstance(value, dict):
        raise invalid(f"{name} must be an object.")
    return value


def required(data: dict[str, Any], name: str) -> Any:
    """Return the field ``name`` of an object."""
    if name not in data:
        raise invalid(f"{name} is required.")
    return data[name]


def text(value: object, name: str, *, minimum: int = 0, maximum: int) -> str:
    """Return a string with a length, in code points, from ``minimum`` to ``maximum``."""
    if not isinstance(value, str):
        raise invalid(f"{name} must be a string.")
    if not minimum <= len(value) <= maximum:
        raise invalid(f"{name} must have {minimum} to {maximum} characters.")
    if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value):
        raise invalid(f"{name} must not contain NUL or lone surrogates.")
    return value


def integer(value: object, name: str) -> int:
    """Return a whole number; as in JSON Schema, 1.0 is one and true is none."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(f"{name} must be an integer.")
    return value


def choice(value: object, name: str, options: tuple[str, ...]) -> str:
    """Return a string that is one of ``options``."""
    if not isinstance(value, str) or value not in options:
        raise invalid(f"{name} must be one of {', '.join(options)}.")
    return value


def parse_uuid(value: object) -> uuid.UUID | None:
    """Return the UUID that ``value`` spells in the usual 8-4-4-4-12 form, else ``None``."""
    if isinstance(value, str) and _UUID.fullmatch(value):
        return uuid.UUID(value)
    return None


def date_time(value: object, name: str) -> str:
    """Return a string that is an RFC 3339 date-time, as it was written."""
    match = _DATE_TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None or not _is_in_calendar(match):
        raise invalid(f"{name} must be an RFC 3339 date-time.")
    return match[0]


def _is_in_calendar(match: re.Match[str]) -> bool:
    """Check what the pattern cannot: the days of the month, leap seconds only at UTC midnight."""
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    if day > calendar.monthrange(year, month)[1]:
        return False
    offset = int(match[9] or 0) * 60 + int(match[10] or 0)
    if match[8] == "-":
        offset = -offset
    last_minute = (hour * 60 + minute - offset + 1) % _MINUTES_PER_DAY == 0
    return second < _LEAP_SECOND or last_minute


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("duplicate name")
    return data


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
