from http import HTTPStatus

import pytest

TITLES = ["100% sure", "50_50", "It's \\done\\", "Ärger", "MILK", "milk"]


@pytest.fixture
def filled(user):
    for number, title in enumerate(TITLES):
        user.post("/tasks", json={"title": title, "status": ("todo", "done")[number % 2]})
    return user


def titles(answer):
    return [task["title"] for task in answer.json()["items"]]


def test_lists_the_newest_first(filled):
    answer = filled.get("/tasks")

    assert titles(answer) == TITLES[::-1]
    assert answer.json()["next_cursor"] is None


def test_pages_hold_everything_once_while_tasks_come_and_go(filled):
    seen = []
    cursor = {}
    while cursor is not None:
        page = filled.get("/tasks", params={"limit": 2, **cursor})
        seen += titles(page)
        filled.post("/tasks", json={"title": "newer"})
        filled.delete(f"/tasks/{page.json()['items'][0]['id']}")
        next_cursor = page.json()["next_cursor"]
        cursor = {"cursor": next_cursor} if next_cursor else None

    assert seen == TITLES[::-1]


def test_filters_by_status(filled):
    assert titles(filled.get("/tasks", params={"status": "done"})) == TITLES[1::2][::-1]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", TITLES[::-1]),
        ("milk", ["milk", "MILK"]),
        ("MiL", ["milk", "MILK"]),
        ("%", ["100% sure"]),
        ("_", ["50_50"]),
        ("'", ["It's \\done\\"]),
        ("\\", ["It's \\done\\"]),
        ("rg", ["Ärger"]),
        ("' OR 1=1 --", []),
    ],
)
def test_searches_for_a_substring(filled, search, found):
    assert titles(filled.get("/tasks", params={"q": search})) == found


def test_filters_hold_on_every_page(filled):
    first = filled.get("/tasks", params={"status": "todo", "limit": 1})
    cursor = first.json()["next_cursor"]
    second = filled.get("/tasks", params={"status": "todo", "limit": 1, "cursor": cursor})

    assert titles(first) + titles(second) == ["MILK", "It's \\done\\"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=",
        "limit=ten",
        "limit=1_0",
        "limit=%D9%A1",
        "limit=1.0",
        "status=later",
        "status=",
        "cursor=",
        "cursor=invented",
        "q=%00",
        "q=%FF",
        f"q={'x' * 201}",
    ],
)
def test_refuses_malformed_parameters(user, query):
    assert user.get(f"/tasks?{query}").status_code == HTTPStatus.UNPROCESSABLE_ENTITY


def test_a_page_has_its_largest_size(user):
    assert user.get("/tasks?limit=100").status_code == HTTPStatus.OK
