from uuid import UUID

import pytest

from app.problems import ProblemError
from app.validation import (
    choice,
    date_time,
    integer,
    json_object,
    parse_uuid,
    query_parameters,
    text,
)


def test_reads_an_object():
    assert json_object('{"title": "Größe 🐘", "n": [1, null]}'.encode()) == {
        "title": "Größe 🐘",
        "n": [1, None],
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"title=x",
        b"[]",
        b'"text"',
        b"null",
        b'{"a": 1,}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"a": "\xff"}',
        b'\xef\xbb\xbf{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a": ' + b"[" * 200_000,
        b'{"a": ' + b"1" * 5000 + b"}",
    ],
)
def test_refuses_what_is_no_strict_json_object(body):
    with pytest.raises(ProblemError):
        json_object(body)


def test_reads_a_query():
    assert query_parameters(b"q=100%25+%C3%A4&status=") == {"q": "100% ä", "status": ""}


@pytest.mark.parametrize("raw", [b"q=%FF", b"q=%ED%A0%80", b"q=\xff", b"&".join([b"a=1"] * 51)])
def test_refuses_a_broken_query(raw):
    with pytest.raises(ProblemError):
        query_parameters(raw)


def test_lengths_count_code_points():
    assert text("🐘" * 3, "title", minimum=1, maximum=3) == "🐘" * 3


@pytest.mark.parametrize("value", [None, 1, ["x"], "", "four", "a\0", "\ud800", "x\udfff"])
def test_refuses_text(value):
    with pytest.raises(ProblemError):
        text(value, "title", minimum=1, maximum=3)


@pytest.mark.parametrize(("value", "number"), [(0, 0), (-3, -3), (2.0, 2), (10**30, 10**30)])
def test_reads_integers(value, number):
    assert integer(value, "base_version") == number


@pytest.mark.parametrize("value", [True, 1.5, "1", None, float("inf")])
def test_refuses_what_is_no_integer(value):
    with pytest.raises(ProblemError):
        integer(value, "base_version")


@pytest.mark.parametrize("value", ["Todo", "", None, ["todo"], 1])
def test_refuses_what_is_no_choice(value):
    with pytest.raises(ProblemError):
        choice(value, "status", ("todo", "done"))


def test_reads_a_uuid_in_either_case():
    spelled = "0190F3A2-7c1b-4D5e-8f60-1a2B3c4d5E6f"

    assert parse_uuid(spelled) == UUID(spelled)


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        "",
        "0190f3a27c1b4d5e8f601a2b3c4d5e6f",
        "{0190f3a2-7c1b-4d5e-8f60-1a2b3c4d5e6f}",
        "0190f3a2-7c1b-4d5e-8f60-1a2b3c4d5e6f\n",
        "0190f3a2-7c1b-4d5e-8f60-1a2b3c4d5e6g",
    ],
)
def test_other_spellings_are_no_uuid(value):
    assert parse_uuid(value) is None


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-31T23:59:59Z",
        "2024-02-29t00:00:00z",
        "2026-06-30T12:00:00.123456789+14:00",
        "0000-01-01T00:00:00-00:00",
        "2016-12-31T23:59:60Z",
        "2016-12-31T15:59:60-08:00",
    ],
)
def test_keeps_a_date_time_as_it_was_written(value):
    assert date_time(value, "due") == value


@pytest.mark.parametrize(
    "value",
    [
        1767225600,
        "",
        "tomorrow",
        "2026-01-31",
        "2026-01-31T10:00:00",
        "2026-01-31 10:00:00Z",
        "2026-01-31T10:00Z",
        "2026-02-29T10:00:00Z",
        "2026-04-31T10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T10:00:60Z",
        "2026-01-31T10:00:00+24:00",
        "2026-01-31T10:00:00+0100",
        "2026-01-31T10:00:00.Z",
        "2026-01-31T10:00:00Z\n",
        "٢٠٢٦-01-31T10:00:00Z",
    ],
)
def test_refuses_what_is_no_date_time(value):
    with pytest.raises(ProblemError):
        date_time(value, "due")
