from datetime import datetime

import pytest


def created(user, title="a task", **fields):
    answer = user.post("/tasks", json={"title": title, **fields})
    assert answer.status_code == 201
    return answer.json()


def titles(user, **query):
    return [task["title"] for task in user.get("/tasks", params=query).json()["items"]]


def test_tasks_of_others_do_not_exist(new_user):
    task, other = created(new_user()), new_user()

    assert other.get(f"/tasks/{task['id']}").status_code == 404
    assert other.delete(f"/tasks/{task['id']}").status_code == 404
    assert titles(other) == []


def test_a_change_on_an_old_version_is_refused(user):
    path, first = f"/tasks/{created(user)['id']}", {"If-Match": '"1"'}

    assert user.patch(path, json={"title": "mine"}, headers=first).status_code == 200
    assert user.patch(path, json={"title": "theirs"}, headers=first).status_code == 412
    assert user.patch(path, json={"title": "theirs"}).status_code == 428
    assert user.get(path).json()["title"] == "mine"


@pytest.mark.parametrize(("length", "status"), [(0, 422), (1, 201), (200, 201), (201, 422)])
def test_the_length_of_titles_is_limited(user, length, status):
    assert user.post("/tasks", json={"title": "t" * length}).status_code == status


def test_the_due_time_stays_the_same_moment(user):
    due = "2031-05-06T07:08:09+02:00"
    task = user.get(f"/tasks/{created(user, due=due)['id']}").json()

    assert datetime.fromisoformat(task["due"]) == datetime.fromisoformat(due)


def test_pages_list_every_task_once(user):
    for number in range(5):
        created(user, f"task {number}")
    listed, cursor = [], {}
    while cursor is not None:
        page = user.get("/tasks", params={"limit": 2, **cursor}).json()
        listed += [task["title"] for task in page["items"]]
        cursor = page["next_cursor"] and {"cursor": page["next_cursor"]}

    assert listed == [f"task {number}" for number in (4, 3, 2, 1, 0)]


def test_the_search_does_not_mind_the_case(user):
    created(user, "Buy MILK")
    created(user, "buy bread")

    assert titles(user, q="milk") == ["Buy MILK"]
    assert titles(user, q="BUY") == ["buy bread", "Buy MILK"]


def test_a_repeated_key_creates_one_task(user):
    key = {"Idempotency-Key": "only-once"}
    first = user.post("/tasks", json={"title": "once"}, headers=key)
    again = user.post("/tasks", json={"title": "once"}, headers=key)

    assert again.status_code == 201
    assert again.json() == first.json()
    assert titles(user) == ["once"]


def test_the_statistics_follow_every_change(user):
    task = created(user, status="doing")
    created(user)
    assert user.get("/stats").json() == {"todo": 1, "doing": 1, "done": 0, "total": 2}

    user.delete(f"/tasks/{task['id']}")
    assert user.get("/stats").json() == {"todo": 1, "doing": 0, "done": 0, "total": 1}
