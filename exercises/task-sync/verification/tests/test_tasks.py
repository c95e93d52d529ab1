"""POST, GET, PATCH and DELETE of one task, by one user, one request after another."""

import time
from urllib.parse import urljoin, urlsplit

import pytest
from service import holds, same
from shapes import check_task, content, instant, state
from tables import cases

EMOJI = "\N{GRINNING FACE}"
UNKNOWN_ID = "0d9f1d3c-6a55-4f2a-9d5e-1b7c55a0c0de"

VALID_FIELDS = {
    "a title of 1 character": {"title": "x"},
    "a title of 200 letters": {"title": "t" * 200},
    "a title of 200 emoji": {"title": EMOJI * 200},
    "a title of 100 letters with combining accents": {"title": "e\u0301" * 100},
    "a title with spaces around it": {"title": "  spaces stay  "},
    "a title with quotes": {"title": 'it\'s a "quoted" `title`; -- \\ %s ${x} {{y}} <b>&amp;</b>'},
    "a title with line feeds and tabs": {"title": "one\ntwo\tthree\r\n"},
    "a title in many scripts": {"title": "Äß 東京 עברית العربية \u200d \N{MAN}\u200d\N{GIRL}"},
    "a description of 2000 letters": {"description": "d" * 2000},
    "a description of 2000 emoji": {"description": EMOJI * 2000},
    "an empty description": {"description": ""},
    "status todo": {"status": "todo"},
    "status doing": {"status": "doing"},
    "status done": {"status": "done"},
    "due in UTC": {"due": "2031-05-06T07:08:09Z"},
    "due with an offset": {"due": "2031-05-06T07:08:09+05:30"},
    "due with a negative offset": {"due": "2031-12-31T23:30:00-08:00"},
    "due on a leap day": {"due": "2032-02-29T12:00:00Z"},
    "due in the past": {"due": "1999-12-31T23:59:59Z"},
    "due null": {"due": None},
}

INVALID_FIELDS = {
    "an empty title": {"title": ""},
    "a title of 201 letters": {"title": "t" * 201},
    "a title of 201 emoji": {"title": EMOJI * 201},
    "title null": {"title": None},
    "a number as title": {"title": 7},
    "a list as title": {"title": ["x"]},
    "a title with NUL": {"title": "a\0b"},
    "a title with a lone surrogate": {"title": "a\ud83db"},
    "a description of 2001 letters": {"description": "d" * 2001},
    "a description of 2001 emoji": {"description": EMOJI * 2001},
    "description null": {"description": None},
    "a number as description": {"description": 7},
    "a description with NUL": {"description": "\0"},
    "a description with a lone surrogate": {"description": "\udc00"},
    "an unknown status": {"status": "blocked"},
    "status in capitals": {"status": "Done"},
    "an empty status": {"status": ""},
    "status null": {"status": None},
    "a number as status": {"status": 1},
    "due in words": {"due": "tomorrow"},
    "due empty": {"due": ""},
    "due a date without time": {"due": "2031-05-06"},
    "due without offset": {"due": "2031-05-06T07:08:09"},
    "due in month 13": {"due": "2031-13-06T07:08:09Z"},
    "due on 30 February": {"due": "2031-02-30T07:08:09Z"},
    "due at 25 hours": {"due": "2031-05-06T25:08:09Z"},
    "due a number": {"due": 1936000000},
    "due false": {"due": False},
    "an unknown field": {"priority": 1},
    "the read-only field id": {"id": UNKNOWN_ID},
    "the read-only field version": {"version": 3},
    "the read-only field created_at": {"created_at": "2020-01-01T00:00:00Z"},
    "an unknown field named like a method": {"toString": "x"},
}

NOT_A_MATCH = {
    "an older version": lambda version: f'"{version - 1}"',
    "a newer version": lambda version: f'"{version + 1}"',
    "a weak tag": lambda version: f'W/"{version}"',
    "no quotes": lambda version: f"{version}",
    "single quotes": lambda version: f"'{version}'",
    "a list with the right tag": lambda version: f'"{version + 7}", "{version}"',
    "the right tag twice": lambda version: f'"{version}", "{version}"',
    "a leading zero": lambda version: f'"0{version}"',
    "a space in the tag": lambda version: f'" {version}"',
    "a quoted asterisk": lambda version: '"*"',
    "an asterisk and a tag": lambda version: f'*, "{version}"',
    "a very large number": lambda version: '"99999999999999999999999"',
    "words": lambda version: '"the newest"',
}


@pytest.fixture(scope="module")
def now():
    """Seconds since 1970 when the first test of this file began."""
    return time.time()


def check_etag(answer, task):
    answer.ensure(
        answer.headers.get("etag") == f'"{task["version"]}"',
        f'the ETag is the quoted version, "{task["version"]}" in quotes',
        f"ETag: {answer.headers.get('etag', 'absent')}",
    )


# Create


def test_create_with_defaults(user, now):
    """A task with only a title gets the defaults."""
    answer = user.post({"title": "Buy milk"}).expect(201, "a title is all that a task needs")
    task = check_task(answer, answer.json())
    defaults = {"title": "Buy milk", "description": "", "status": "todo", "due": None}
    answer.ensure(content(task) == defaults, "description is empty, status todo, due null unless given")
    created, updated = instant(task["created_at"]).timestamp(), instant(task["updated_at"]).timestamp()
    recent = now - 60 <= created <= time.time() + 60
    answer.ensure(recent, "created_at is the moment of creation", task["created_at"])
    answer.ensure(created - 1 <= updated <= time.time() + 60, "updated_at is not before created_at", task)


def test_create_with_everything(user):
    """A task with all fields is stored and read back as it was sent."""
    sent = {"title": "Plan", "description": "first\nsecond", "status": "doing", "due": "2031-05-06T07:08:09+02:00"}
    task = user.create(**sent)
    same(content(task), content(sent), "the task is returned as it was sent")
    same(state(user.read(task["id"])), state(task), "the task is stored as it was sent")


def test_create_says_where(user):
    """The Location of a created task leads to it."""
    answer = user.post({"title": "Here"}).expect(201, "a valid task is created")
    task = check_task(answer, answer.json())
    location = answer.headers.get("location", "")
    path = urlsplit(urljoin("http://service/tasks", location)).path
    answer.ensure(path == f"/tasks/{task['id']}", "Location is the address of the new task", f"Location: {location}")


def test_create_and_read_give_the_etag(user):
    """The ETag of a created and of a read task is its quoted version."""
    created = user.post({"title": "Tagged"}).expect(201, "a valid task is created")
    task = check_task(created, created.json())
    check_etag(created, task)
    check_etag(user.get(task["id"]).expect(200, "one's own task can be read"), task)


@cases("fields", VALID_FIELDS)
def test_create_accepts(user, fields):
    """A task with valid fields is created and read back unchanged."""
    sent = {"title": "a task", **fields}
    answer = user.post(sent).expect(201, "the fields are valid")
    task = check_task(answer, answer.json())
    expected = content({"description": "", "status": "todo", "due": None, **sent})
    answer.ensure(content(task) == expected, "the task is returned as it was sent", task)
    same(content(user.read(task["id"])), expected, "a task is stored as it was sent")


@cases("fields", INVALID_FIELDS)
def test_create_refuses(user, fields):
    """A task with an invalid or unknown field is refused."""
    user.post({"title": "a task", **fields}).expect(422, "the fields are not those of a TaskInput")


@cases("body", {"no title": {}, "a list": [{"title": "x"}], "a string": "title", "a number": 7, "null": None})
def test_create_refuses_body(user, body):
    """A body that is not an object with a title is refused."""
    answer = user.request("POST", "/tasks", json=body, content=b"null" if body is None else None)
    answer.expect(422, "a TaskInput is an object with a title")


def test_refused_creation_creates_nothing(user):
    """Refused creations leave no task behind."""
    newest = user.create("the newest")["id"]
    for fields in ({"title": ""}, {"status": "blocked"}, {"priority": 1}, {"due": "tomorrow"}):
        user.post({"title": "a task", **fields}).expect(422, "the fields are not those of a TaskInput")
    same(user.newest(1), [newest], "a refused request writes nothing")


def test_escaped_emoji(user):
    """A surrogate pair written as JSON escapes is one character."""
    body = b'{"title": "' + b"\\ud83d\\ude00" * 200 + b'"}'
    answer = user.request("POST", "/tasks", content=body).expect(201, "200 emoji are 200 code points")
    answer.ensure(answer.json().get("title") == EMOJI * 200, "escapes are the characters that they stand for")


def test_due_with_fractions(user):
    """A due date with fractions of a second is accepted and kept, at least to the second."""
    sent = "2031-05-06T07:08:09.123456Z"
    task = user.create(due=sent)
    holds(task["due"] is not None, "due is stored as it was sent", "null")
    distance = abs((instant(task["due"]) - instant(sent)).total_seconds())
    holds(distance < 1, f"due is {sent}, at least to the second", task["due"])


def test_two_tasks_have_two_ids(user):
    """Two tasks with the same content are two tasks."""
    first, second = user.create("twin"), user.create("twin")
    holds(first["id"] != second["id"], "without an Idempotency-Key every POST creates a task", "the same id twice")


# Idempotency-Key


def key_of(rng, length=24):
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789-", k=length))


def repeat(user, body, key, task):
    """Repeat a creation; fail unless the answer is a full 201 with the task first created."""
    answer = user.post(body, key).expect(201, "repeating an Idempotency-Key returns 201")
    again = check_task(answer, answer.json())
    answer.ensure(again["id"] == task["id"], f"the task first created with the key, {task['id']}")
    check_etag(answer, again)
    answer.ensure("location" in answer.headers, "a repeated creation has a Location too", "no Location")
    return answer, again


def test_repeated_key_creates_nothing(user, rng):
    """Repeating an Idempotency-Key returns the first task and creates nothing."""
    key, before = key_of(rng), user.create()
    task = user.create("only once", key=key)
    for _ in range(2):
        answer, again = repeat(user, {"title": "only once"}, key, task)
        answer.ensure(state(again) == state(task), "the task as it is")
    same(user.newest(2), [task["id"], before["id"]], "a repeated key creates nothing")


def test_repeated_key_with_other_body(user, rng):
    """Repeating an Idempotency-Key with another body returns the first task unchanged."""
    key, before = key_of(rng), user.create()
    task = user.create("first", key=key)
    answer, again = repeat(user, {"title": "second", "status": "done"}, key, task)
    answer.ensure(state(again) == state(task), "the task as it is, whatever the body")
    user.must_still_have(task, "a repeated key changes nothing")
    same(user.newest(2), [task["id"], before["id"]], "a repeated key creates nothing")


def test_repeated_key_after_change(user, rng):
    """Repeating an Idempotency-Key after a change returns the task as it is now."""
    key = key_of(rng)
    task = user.create("before", key=key)
    changed = user.change(task["id"], title="after", status="done")
    answer, again = repeat(user, {"title": "before"}, key, task)
    answer.ensure(state(again) == state(changed), "the task as it is now")
    user.must_still_have(changed, "a repeated key changes nothing")


def test_repeated_key_after_delete(user, rng):
    """Repeating an Idempotency-Key after a delete returns the task as it last was and does not bring it back."""
    key, before = key_of(rng), user.create()
    task = user.create("short-lived", key=key)
    changed = user.change(task["id"], title="as it last was")
    user.remove(task["id"])
    for _ in range(2):
        answer, again = repeat(user, {"title": "short-lived"}, key, task)
        answer.ensure(content(again) == content(changed), "the task as it last was")
    user.must_not_have(task["id"], "a deleted task stays deleted")
    same(user.newest(1), [before["id"]], "a repeated key creates nothing")


def test_key_after_refused_creation(user, rng):
    """An Idempotency-Key of a refused creation is still free."""
    key, before = key_of(rng), user.create()
    user.post({"title": ""}, key).expect(422, "a title has at least 1 character")
    task = user.create("now valid", key=key)
    repeat(user, {"title": "now valid"}, key, task)
    same(user.newest(2), [task["id"], before["id"]], "the key creates one task")


def test_different_keys_create_different_tasks(user, rng):
    """Different Idempotency-Keys create different tasks."""
    first, second, third = user.create(key=key_of(rng)), user.create(key=key_of(rng)), user.create()
    same(len({first["id"], second["id"], third["id"]}), 3, "only the same key returns the same task")


@cases("tail", {"64 letters": "k" * 40, "odd characters": "a'b\"c%d_e\\f;--g"})
def test_key_accepted(user, rng, tail):
    """An Idempotency-Key of up to 64 characters is accepted, whatever it is made of."""
    key = key_of(rng) + tail
    task = user.create("keyed", key=key)
    repeat(user, {"title": "keyed"}, key, task)


def test_key_too_long(user):
    """An Idempotency-Key of 65 characters is refused."""
    newest = user.create("the newest")["id"]
    user.post({"title": "keyed"}, "k" * 65).expect(422, "an Idempotency-Key has at most 64 characters")
    same(user.newest(1), [newest], "a refused request writes nothing")


# Read


@cases(
    "task_id",
    {
        "a UUID that nobody has": UNKNOWN_ID,
        "a word": "milk",
        "a number": "1",
        "a UUID with a wrong digit": "0d9f1d3c-6a55-4f2a-9d5e-1b7c55a0c0dg",
        "a UUID and more": UNKNOWN_ID + "0",
        "SQL": "1'%20OR%20'1'='1",
        "NUL": "%00",
        "300 characters": "a" * 300,
    },
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_no_such_task(user, method, task_id):
    """A task that does not exist is 404, also under an id that is no UUID."""
    body = {"title": "x"} if method == "PATCH" else None
    headers = {"If-Match": "*"} if method == "PATCH" else {}
    answer = user.request(method, f"/tasks/{task_id}", json=body, headers=headers)
    answer.expect(404, "there is no such task")


# Change


@cases(
    "change",
    {
        "the title": {"title": "new title"},
        "the description": {"description": "new description"},
        "the status": {"status": "done"},
        "the due date": {"due": "2033-03-03T03:03:03Z"},
        "no due date any more": {"due": None},
        "no description any more": {"description": ""},
        "everything": {"title": "t", "description": "d", "status": "done", "due": "2033-03-03T03:03:03Z"},
    },
)
def test_patch_changes_only_what_it_names(user, change):
    """A change alters the fields that it names and no other, and raises the version by one."""
    task = user.create("old title", description="old", status="doing", due="2032-02-02T02:02:02Z")
    answer = user.patch(task["id"], change, f'"{task["version"]}"').expect(200, "the If-Match is the ETag")
    changed = check_task(answer, answer.json())
    expected = content({**task, **change})
    answer.ensure(content(changed) == expected, "the named fields are new, the others as before", changed)
    answer.ensure(changed["version"] == task["version"] + 1, f"the version is one higher than {task['version']}")
    check_etag(answer, changed)
    first, second = instant(task["created_at"]), instant(changed["created_at"])
    answer.ensure(abs((second - first).total_seconds()) < 1, "created_at stays", changed)
    first, second = instant(task["updated_at"]), instant(changed["updated_at"])
    answer.ensure((second - first).total_seconds() > -1, "updated_at does not go back", changed)
    same(state(user.read(task["id"])), state(changed), "a change is stored")


def test_patch_many_times(user):
    """The version goes up by one with every change, and each ETag works for the next."""
    task = user.create()
    for number in range(4):
        answer = user.patch(task["id"], {"title": f"title {number}"}, f'"{task["version"]}"')
        changed = check_task(answer.expect(200, "the If-Match is the newest ETag"), answer.json())
        answer.ensure(changed["version"] == task["version"] + 1, f"the version is one higher than {task['version']}")
        task = changed


def test_patch_updates_updated_at(user):
    """A change moves updated_at forward and leaves created_at alone."""
    task = user.create()
    time.sleep(1.1)
    changed = user.change(task["id"], title="later")
    holds(instant(changed["updated_at"]) > instant(task["updated_at"]), "updated_at is the last change", changed)
    holds(instant(changed["created_at"]) < instant(changed["updated_at"]), "created_at stays", changed)


def test_patch_without_if_match(user):
    """A change without If-Match is 428 and changes nothing."""
    task = user.create()
    user.patch(task["id"], {"title": "x"}, match=None).expect(428, "If-Match is missing")
    user.must_still_have(task, "a refused request changes nothing")


def test_patch_with_star(user):
    """If-Match * matches any version."""
    task = user.change(user.create()["id"], "*", title="second")
    answer = user.patch(task["id"], {"title": "third"}, "*").expect(200, "* matches any version")
    answer.ensure(answer.json().get("version") == task["version"] + 1, "the version is one higher")


@cases("match", NOT_A_MATCH)
def test_patch_with_another_if_match(user, match):
    """An If-Match that is not exactly the ETag is 412 and changes nothing."""
    task = user.change(user.create()["id"], title="second version")
    answer = user.patch(task["id"], {"title": "x"}, match(task["version"]))
    answer.expect(412, f'whatever is not exactly the ETag "{task["version"]}" is 412')
    user.must_still_have(task, "a refused request changes nothing")


@cases("fields", INVALID_FIELDS)
def test_patch_refuses(user, fields):
    """A change with an invalid or unknown field is refused as a whole."""
    task = user.create("before")
    body = {"status": "done", **fields}
    user.patch(task["id"], body).expect(422, "the fields are not those of a TaskPatch")
    user.must_still_have(task, "a refused request changes nothing")


@cases("fields", {name: fields for name, fields in VALID_FIELDS.items() if not name.startswith("status")})
def test_patch_accepts(user, fields):
    """A change to valid values is made and read back unchanged."""
    task = user.create("before", due="2030-01-01T00:00:00Z")
    expected = content({**task, **fields})
    same(content(user.change(task["id"], **fields)), expected, "a task is returned as it was sent")
    same(content(user.read(task["id"])), expected, "a task is stored as it was sent")


@cases("body", {"an empty object": {}, "a list": [{"title": "x"}], "a string": "title", "null": None})
def test_patch_refuses_body(user, body):
    """A change that is not an object with at least one field is refused."""
    task = user.create()
    content_now = b"null" if body is None else None
    answer = user.request("PATCH", f"/tasks/{task['id']}", json=body, content=content_now, headers={"If-Match": "*"})
    answer.expect(422, "a TaskPatch is an object with at least one field")
    user.must_still_have(task, "a refused request changes nothing")


# Delete


def test_delete(user):
    """A deleted task is gone."""
    task = user.create()
    answer = user.delete(task["id"]).expect(204, "one's own task can be deleted")
    answer.ensure(answer.body == b"", "204 has no body")
    user.must_not_have(task["id"], "the task was deleted")


def test_delete_twice(user):
    """Deleting, changing or reading a deleted task is 404."""
    task = user.create()
    user.remove(task["id"])
    user.delete(task["id"]).expect(404, "the task was deleted already")
    user.patch(task["id"], {"title": "x"}).expect(404, "the task was deleted")
    user.must_not_have(task["id"], "the task was deleted")


def test_delete_only_one(user):
    """Deleting a task leaves the others alone."""
    kept, gone = user.create("kept"), user.create("gone")
    user.remove(gone["id"])
    user.must_still_have(kept, "deleting a task changes no other")
