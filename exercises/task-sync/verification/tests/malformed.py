"""What /sync refuses as a whole."""

from user import upsert

NEVER_ISSUED = {
    "a word": "invented",
    "empty": "",
    "base64 of JSON": "eyJmb28iOiJiYXIifQ",
    "a UUID": "3b1f0f7f-0a11-4a53-8d52-6f1c2b529d0e",
    "a date": "tomorrow 12:00",
    "NUL": "\0",
    "a lone surrogate": "\ud800",
    "1000 letters": "c" * 1000,
}
"""Values of `since` that are strings, but no cursor that a service ever gives out."""

ID = "7d0c8a52-5b7e-4b0e-9a57-0c8d4c1f2e3a"

MALFORMED = {
    "an unknown op": {"op": "merge", "id": ID, "task": {"title": "x"}},
    "no op": {"id": ID, "task": {"title": "x"}},
    "no id": {"op": "upsert", "task": {"title": "x"}},
    "an id that is no UUID": upsert("milk", "x"),
    "an id with NUL": upsert("\0", "x"),
    "a number as id": upsert(7, "x"),
    "an upsert without task": {"op": "upsert", "id": ID},
    "task null": {"op": "upsert", "id": ID, "task": None},
    "task a list": {"op": "upsert", "id": ID, "task": ["x"]},
    "a task without title": {"op": "upsert", "id": ID, "task": {"status": "done"}},
    "an empty title": upsert(ID, ""),
    "a title of 201 letters": upsert(ID, "t" * 201),
    "a title with NUL": upsert(ID, "a\0b"),
    "a title with a lone surrogate": upsert(ID, "a\udfffb"),
    "a description of 2001 letters": upsert(ID, "x", description="d" * 2001),
    "description null": upsert(ID, "x", description=None),
    "an unknown status": upsert(ID, "x", status="blocked"),
    "an unknown field of the task": upsert(ID, "x", priority=1),
    "the read-only field version in the task": upsert(ID, "x", version=1),
    "due in words": upsert(ID, "x", due="tomorrow"),
    "a delete without base_version": {"op": "delete", "id": ID},
    "a delete with base_version null": {"op": "delete", "id": ID, "base_version": None},
    "an upsert with base_version null": {"op": "upsert", "id": ID, "base_version": None, "task": {"title": "x"}},
    "a string as base_version": upsert(ID, "x", "1"),
    "a fraction as base_version": upsert(ID, "x", 1.5),
    "true as base_version": upsert(ID, "x", True),
    "a string as change": "upsert",
    "null as change": None,
}
"""Changes that do not have the form of the contract."""
