"""GET /tasks: order, pages, filters."""

import itertools
import random

import pytest
from service import holds, same
from shapes import states
from tables import cases
from together import at_once
from user import new_id, upsert

EMOJI = "\N{GRINNING FACE}"

INVENTED_CURSORS = {
    "a word": "invented",
    "four letters": "AAAA",
    "base64 of JSON": "eyJmb28iOiJiYXIifQ",
    "base64 of JSON with padding": "eyJpZCI6MX0=",
    "a UUID that nobody has": "3b1f0f7f-0a11-4a53-8d52-6f1c2b529d0e",
    "an emoji": EMOJI,
    "SQL": "' OR 1=1 --",
    "NUL": "\0",
    "1000 letters": "c" * 1000,
}


def titles(tasks):
    return [task["title"] for task in tasks]


def ids(tasks):
    return [task["id"] for task in tasks]


def fill(user, count):
    """Create many tasks; returns their ids."""
    return [user.create(f"task {number}")["id"] for number in range(count)]


# Order and pages


def test_empty_list(newcomer):
    """The list of a new user is empty."""
    items, cursor = newcomer.page()
    same((items, cursor), ([], None), "no items, next_cursor null")


def test_newest_first(user):
    """The list is newest first, and its items are the tasks as they are."""
    tasks = [user.create(f"task {number}") for number in range(5)]
    items, _ = user.page(limit=5)
    same(titles(items), ["task 4", "task 3", "task 2", "task 1", "task 0"], "newest first")
    same(states(items), states(tasks), "the items are the tasks as they are")


def test_changes_do_not_move_tasks(user):
    """A changed task keeps its place: the order is by creation."""
    tasks = [user.create(f"task {number}") for number in range(4)]
    user.change(tasks[0]["id"], title="changed 0")
    user.change(tasks[2]["id"], status="done")
    same(
        titles(user.page(limit=4)[0]),
        ["task 3", "task 2", "task 1", "changed 0"],
        "newest first by creation, whatever changed since",
    )


def test_deleted_tasks_are_not_listed(user):
    """A deleted task is not listed."""
    tasks = [user.create(f"task {number}") for number in range(3)]
    user.remove(tasks[1]["id"])
    same(titles(user.page(limit=2)[0]), ["task 2", "task 0"], "a deleted task is not listed")


@pytest.fixture(scope="module")
def full(new_user):
    """A user with 104 tasks, for reading only."""
    user = new_user()
    user.owned = fill(user, 104)
    return user


def test_default_limit(full):
    """A page has 20 tasks unless another limit is asked for."""
    items, cursor = full.page()
    same(len(items), 20, "limit defaults to 20")
    holds(cursor is not None, "there are more tasks, so next_cursor is a string", "null")


@pytest.mark.parametrize("limit", [1, 2, 99, 100])
def test_limit(full, limit):
    """A page has as many tasks as the limit allows."""
    items, cursor = full.page(limit=limit)
    same(len(items), limit, f"there are 104 tasks, limit is {limit}")
    holds(cursor is not None, "there are more tasks, so next_cursor is a string", "null")


@cases(
    "limit",
    {"0": "0", "101": "101", "-1": "-1", "a word": "many", "a fraction": "1.5", "very large": "9" * 30},
)
def test_limit_refused(user, limit):
    """A limit outside 1 to 100 is refused."""
    user.request("GET", "/tasks", params={"limit": limit}).expect(422, "limit is an integer from 1 to 100")


@pytest.mark.parametrize("limit", [7, 26, 52, 100])
def test_pages_cover_everything_once(full, limit):
    """All pages together are all tasks, each once, in the order of one long page."""
    listed = [ids(items) for items in full.pages(limit=limit)]
    together = [task_id for page in listed for task_id in page]
    same(len(together), len(set(together)), "no task is on two pages")
    same(set(together), set(full.owned), "every task is on a page")
    full_pages = [len(page) for page in listed[: 104 // limit]]
    same(full_pages, [limit] * (104 // limit), "only the end of the list is shorter than limit")
    same(together, ids(full.list(limit=100)), "the order is the same whatever the limit")


@pytest.mark.parametrize("limit", [1, 7, 30])
def test_pages_of_tasks_created_at_the_same_moment(newcomer_with_one_batch, limit):
    """Tasks that one synchronisation created, at the same moment perhaps, are on the pages once each, too."""
    user, created = newcomer_with_one_batch
    listed = ids(user.list(limit=limit))
    same(len(listed), len(created), "every task is on one page")
    same(set(listed), set(created), "every task is on one page")
    same(listed, ids(user.page(limit=100)[0]), "the order is the same whatever the limit")


@pytest.fixture(scope="module")
def newcomer_with_one_batch(new_user):
    """A user for reading only, and the ids of their 30 tasks."""
    user, rng = new_user(), random.Random(1)
    return user, user.sync(*(upsert(new_id(rng), f"task {number}") for number in range(30)))["applied"]


def test_pages_keep_the_order(newcomer):
    """Pages go on where the page before ended, newest first."""
    for number in range(7):
        newcomer.create(f"task {number}")
    same(
        titles(newcomer.list(limit=2)),
        [f"task {number}" for number in reversed(range(7))],
        "newest first, across all pages",
    )


def test_same_cursor_twice(full):
    """A cursor can be used again and gives the same page."""
    _, cursor = full.page(limit=5)
    first, _ = full.page(limit=5, cursor=cursor)
    second, _ = full.page(limit=5, cursor=cursor)
    longer, _ = full.page(limit=9, cursor=cursor)
    same(ids(second), ids(first), "the same cursor gives the same page")
    same(ids(longer)[:5], ids(first), "a larger limit gives a longer page from the same place")


@cases("cursor", INVENTED_CURSORS)
def test_invented_cursor(user, cursor):
    """A cursor that was never given out is refused."""
    user.request("GET", "/tasks", params={"cursor": cursor}).expect(422, "an invented cursor is 422")


def test_paging_while_tasks_are_created(user):
    """Tasks that are created while paging neither shift nor repeat the others."""
    for number in range(6):
        user.create(f"old {number}")
    seen = []
    for number, items in enumerate(itertools.islice(user.pages(limit=2), 3)):
        seen += titles(items)
        user.create(f"new {number}")
        user.create(f"newer {number}")
    same(seen, [f"old {number}" for number in reversed(range(6))], "every older task once, newest first")


def test_paging_while_tasks_are_deleted(user):
    """Tasks that are deleted while paging make no other be left out."""
    tasks = [user.create(f"task {number}") for number in range(8)]
    items, cursor = user.page(limit=3)
    same(titles(items), ["task 7", "task 6", "task 5"], "newest first")
    for number in (7, 5, 3):  # one seen, the last one seen (where the cursor stands), one still to come
        user.remove(tasks[number]["id"])
    items, cursor = user.page(limit=3, cursor=cursor)
    same(titles(items), ["task 4", "task 2", "task 1"], "the page goes on where the last one ended")
    user.remove(tasks[1]["id"])
    holds(cursor is not None, "there are more tasks, so next_cursor is a string", "null")
    items, _ = user.page(limit=1, cursor=cursor)
    same(titles(items), ["task 0"], "the page goes on where the last one ended")


def test_paging_while_tasks_are_changed(user):
    """Tasks that are changed while paging keep their place."""
    tasks = [user.create(f"task {number}") for number in range(6)]
    items, cursor = user.page(limit=2)
    user.change(tasks[0]["id"], status="done")
    user.change(tasks[5]["id"], status="done")
    user.change(tasks[4]["id"], status="done")
    items, _ = user.page(limit=4, cursor=cursor)
    same(titles(items), ["task 3", "task 2", "task 1", "task 0"], "the page goes on where the last one ended")


def test_paging_beside_writers(newcomer):
    """A client that pages while others create sees every older task exactly once."""
    old = set(fill(newcomer, 40))
    writers = [lambda: [newcomer.create("meanwhile") for _ in range(12)]] * 2
    *_, seen = at_once(*writers, lambda: ids(newcomer.list(limit=3)))
    same(len(seen), len(set(seen)), "no task is on two pages")
    holds(old <= set(seen), "no task is left out", f"{len(old - set(seen))} of 40 are missing")


# Filters


SHELF = (
    ("Buy milk", "todo"),
    ("buy BREAD", "doing"),
    ("100% sure", "done"),
    ("snake_case", "todo"),
    ("snakeXcase", "todo"),
    ("back\\slash", "doing"),
    ('O\'Brien said "hi"', "done"),
    ("Straße nach Zürich", "todo"),
    (f"smile {EMOJI} now", "doing"),
    ("a.c*[x](y)?^$|+{1}", "done"),
    ("; DROP TABLE tasks; --", "todo"),
    ("milkshake", "done"),
)
"""Title and status of the tasks to search, oldest first."""


@pytest.fixture(scope="module")
def library(new_user):
    """A user with the tasks of the shelf, for reading only."""
    user = new_user()
    for title, status in SHELF:
        user.create(title, status=status, description="milk 100% snake_case in a description")
    return user


def found(user, **filters):
    """The titles that the filters find, newest first."""
    return titles(user.list(**filters))


def on_shelf(choose):
    """The titles that should be found, newest first."""
    return [title for title, status in reversed(SHELF) if choose(title, status)]


@cases(
    "q, expected",
    {
        "a word": ("milk", ["milkshake", "Buy milk"]),
        "a word in capitals": ("MILK", ["milkshake", "Buy milk"]),
        "small letters for capitals": ("bread", ["buy BREAD"]),
        "a part of a word": ("uy ", ["buy BREAD", "Buy milk"]),
        "a percent sign": ("%", ["100% sure"]),
        "a percent sign in a word": ("0% s", ["100% sure"]),
        "an underscore": ("_", ["snake_case"]),
        "an underscore in a word": ("snake_c", ["snake_case"]),
        "a backslash": ("\\", ["back\\slash"]),
        "a backslash in a word": ("k\\s", ["back\\slash"]),
        "a backslash before a percent sign": ("\\%", []),
        "two backslashes": ("\\\\", []),
        "a single quote": ("O'B", ['O\'Brien said "hi"']),
        "a double quote": ('"hi"', ['O\'Brien said "hi"']),
        "letters beyond ASCII": ("aße nach Zü", ["Straße nach Zürich"]),
        "an emoji": (EMOJI, [f"smile {EMOJI} now"]),
        "a regular expression": ("a.c*[x](y)?^$|+{1}", ["a.c*[x](y)?^$|+{1}"]),
        "a dot": (".", ["a.c*[x](y)?^$|+{1}"]),
        "a plus sign": ("+", ["a.c*[x](y)?^$|+{1}"]),
        "SQL": ("; drop table", ["; DROP TABLE tasks; --"]),
        "SQL that matches everything": ("' OR '1'='1", []),
        "nothing that is there": ("zebra", []),
        "a word of descriptions only": ("description", []),
    },
)
def test_search(library, q, expected):
    """The search finds the titles that contain the text, without regard to ASCII case."""
    answer = library.request("GET", "/tasks", params={"q": q, "limit": 100}).expect(200, "any text can be searched for")
    received = titles(answer.json().get("items", []))
    answer.ensure(received == expected, f"titles that contain {q!r}, newest first: {expected}", received)


def test_empty_search(library):
    """An empty search finds everything."""
    same(found(library, q=""), on_shelf(lambda title, status: True), "an empty q matches all")


@cases("q, status", {"200 letters": ("x" * 200, 200), "201 letters": ("x" * 201, 422)})
def test_search_length(user, q, status):
    """A search has at most 200 characters."""
    user.request("GET", "/tasks", params={"q": q}).expect(status, "q has at most 200 characters")


@cases("q, status", {"200 emoji": (EMOJI * 200, 200), "201 emoji": (EMOJI * 201, 422)})
def test_search_length_in_code_points(user, q, status):
    """The length of a search counts code points."""
    user.request("GET", "/tasks", params={"q": q}).expect(status, "q has at most 200 code points")


def test_search_with_nul(user):
    """A search with NUL is refused."""
    user.request("GET", "/tasks", params={"q": "a\0b"}).expect(422, "strings with NUL are 422")


def test_search_for_a_long_title(user):
    """A title of 200 emoji is found by searching for all of it."""
    user.create(EMOJI * 200)
    same(len(user.list(q=EMOJI * 200)), 1, "a title contains itself")


@pytest.mark.parametrize("status", ["todo", "doing", "done"])
def test_filter_by_status(library, status):
    """The filter by status lists the tasks with that status and no other."""
    same(
        found(library, status=status),
        on_shelf(lambda _, has: has == status),
        f"all tasks with status {status}, newest first",
    )


@cases("status", {"unknown": "blocked", "capitals": "DONE", "two": "todo,done", "SQL": "todo' OR '1'='1"})
def test_filter_by_invalid_status(user, status):
    """A filter by a status that does not exist is refused."""
    user.request("GET", "/tasks", params={"status": status}).expect(422, "status is todo, doing or done")


def test_filter_follows_changes(user):
    """A task that changes its status or title is found under the new one only."""
    task = user.create("an apple", status="todo")
    user.change(task["id"], title="a pear", status="done")
    same(titles(user.page(limit=1, status="done")[0]), ["a pear"], "the task is found under its new status")
    todo = ids(user.page(limit=1, status="todo")[0])
    holds(task["id"] not in todo, "the task is not found under its old status", todo)
    same(found(user, q="an apple"), [], "the task is not found under its old title")
    same(found(user, q="a pear"), ["a pear"], "the task is found under its new title")


def test_filters_together(library):
    """Search and status together list what satisfies both."""
    same(found(library, q="milk", status="todo"), ["Buy milk"], "what satisfies both filters")
    same(found(library, q="milk", status="doing"), [], "what satisfies both filters")


@cases(
    "filters",
    {"search": {"q": "A"}, "status": {"status": "todo"}, "search and status": {"q": "S", "status": "todo"}},
)
def test_pages_of_a_filtered_list(library, filters):
    """Pages of a filtered list together are the whole filtered list."""
    q, wanted = filters.get("q", "").lower(), filters.get("status")
    expected = on_shelf(lambda title, has: q in title.lower() and wanted in (None, has))
    for limit in (1, 2):
        same(found(library, limit=limit, **filters), expected, "all pages of the filtered list, newest first")
