from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from uuid import UUID, uuid4

import pytest

FULL = {
    "title": "Buy milk",
    "description": "two bottles",
    "status": "doing",
    "due": "2026-12-24T18:00:00+01:00",
}


@pytest.fixture
def task(user):
    return user.post("/tasks", json=FULL).json()


def matching(task):
    return {"If-Match": f'"{task["version"]}"'}


def test_creates_a_task(user):
    answer = user.post("/tasks", json=FULL)

    task = answer.json()
    assert answer.status_code == HTTPStatus.CREATED
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["location"] == f"/tasks/{UUID(task['id'])}"
    assert task == {**task, **FULL, "version": 1}
    assert task["created_at"] == task["updated_at"]
    assert user.get(answer.headers["location"]).json() == task


def test_fields_have_defaults(user):
    task = user.post("/tasks", json={"title": "x"}).json()

    assert (task["description"], task["status"], task["due"]) == ("", "todo", None)


@pytest.mark.parametrize(
    "change",
    [
        {"title": ""},
        {"title": "x" * 201},
        {"title": None},
        {"description": None},
        {"description": "x" * 2001},
        {"status": "later"},
        {"status": None},
        {"due": "tomorrow"},
        {"version": 2},
        {"id": str(uuid4())},
    ],
)
def test_refuses_malformed_fields(user, task, change):
    created = user.post("/tasks", json={**FULL, **change})
    changed = user.patch(f"/tasks/{task['id']}", json=change, headers=matching(task))

    assert created.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert changed.status_code == HTTPStatus.UNPROCESSABLE_ENTITY


def test_a_task_needs_a_title(user):
    assert user.post("/tasks", json={}).status_code == HTTPStatus.UNPROCESSABLE_ENTITY


def test_changes_only_the_given_fields(user, task):
    answer = user.patch(f"/tasks/{task['id']}", json={"due": None}, headers=matching(task))

    changed = answer.json()
    assert answer.status_code == HTTPStatus.OK
    assert answer.headers["etag"] == '"2"'
    assert changed == {**task, "due": None, "version": 2, "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > task["updated_at"]


def test_any_version_may_be_asked_for(user, task):
    answer = user.patch(f"/tasks/{task['id']}", json={"title": "x"}, headers={"If-Match": "*"})

    assert answer.status_code == HTTPStatus.OK


@pytest.mark.parametrize("condition", ['"2"', "1", 'W/"1"', '"1", "2"', '"01"', ""])
def test_refuses_to_change_another_version(user, task, condition):
    answer = user.patch(
        f"/tasks/{task['id']}", json={"title": "x"}, headers={"If-Match": condition}
    )

    assert answer.status_code == HTTPStatus.PRECONDITION_FAILED
    assert user.get(f"/tasks/{task['id']}").json() == task


def test_a_change_names_its_version(user, task):
    answer = user.patch(f"/tasks/{task['id']}", json={"title": "x"})

    assert answer.status_code == HTTPStatus.PRECONDITION_REQUIRED


def test_the_body_is_judged_before_the_version(user, task):
    answer = user.patch(f"/tasks/{task['id']}", json={})

    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY


def test_deletes(user, task):
    path = f"/tasks/{task['id']}"

    assert user.delete(path).status_code == HTTPStatus.NO_CONTENT
    assert user.delete(path).status_code == HTTPStatus.NOT_FOUND
    assert user.get(path).status_code == HTTPStatus.NOT_FOUND
    assert user.patch(path, content=b"?").status_code == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("task_id", ["1", "not-a-uuid", "%00", "%ff"])
def test_an_id_that_is_no_uuid_is_not_found(user, task_id):
    for method in ("GET", "PATCH", "DELETE"):
        assert user.request(method, f"/tasks/{task_id}").status_code == HTTPStatus.NOT_FOUND


def test_tasks_of_others_do_not_exist(new_user, user, task):
    other = new_user()
    path = f"/tasks/{task['id']}"

    assert other.get(path).json() == other.get(f"/tasks/{uuid4()}").json()
    assert other.patch(path, json={"title": "mine"}).status_code == HTTPStatus.NOT_FOUND
    assert other.delete(path).status_code == HTTPStatus.NOT_FOUND
    assert other.get("/tasks").json()["items"] == []
    assert user.get(path).json() == task


def test_only_one_of_many_changes_at_once_wins(user, task):
    def change(number):
        body = {"title": f"change {number}"}
        return user.patch(f"/tasks/{task['id']}", json=body, headers=matching(task))

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(answer.status_code for answer in pool.map(change, range(8)))

    assert statuses == [HTTPStatus.OK] + [HTTPStatus.PRECONDITION_FAILED] * 7


def test_a_repeated_key_returns_the_first_task(user):
    headers = {"Idempotency-Key": "k" * 64}
    first = user.post("/tasks", json=FULL, headers=headers).json()
    path = f"/tasks/{first['id']}"
    changed = user.patch(path, json={"title": "changed"}, headers={"If-Match": "*"}).json()

    repeated = user.post("/tasks", content=b"anything", headers=headers)
    user.delete(path)
    after_deletion = user.post("/tasks", json={"title": "other"}, headers=headers)

    assert repeated.status_code == after_deletion.status_code == HTTPStatus.CREATED
    assert repeated.json() == after_deletion.json() == changed
    assert repeated.headers["location"] == path
    assert after_deletion.headers["etag"] == '"2"'
    assert user.get("/stats").json()["total"] == 0


def test_a_key_is_not_used_up_by_a_refused_request(user):
    headers = {"Idempotency-Key": "once"}

    refused = user.post("/tasks", json={}, headers=headers)
    created = user.post("/tasks", json=FULL, headers=headers)

    assert refused.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert created.json()["title"] == FULL["title"]


def test_a_key_has_a_limit(user):
    answer = user.post("/tasks", json=FULL, headers={"Idempotency-Key": "k" * 65})

    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY


def test_a_key_belongs_to_its_user(new_user, user):
    headers = {"Idempotency-Key": "same"}

    mine = user.post("/tasks", json=FULL, headers=headers).json()
    theirs = new_user().post("/tasks", json=FULL, headers=headers).json()

    assert mine["id"] != theirs["id"]


def test_a_key_creates_one_task_however_many_requests_run_at_once(user):
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(
            lambda _: user.post("/tasks", json=FULL, headers={"Idempotency-Key": "race"}),
            range(8),
        )

    assert len({answer.json()["id"] for answer in answers}) == 1
    assert user.get("/stats").json()["total"] == 1


def test_counts_by_status(user):
    for status in ("todo", "todo", "doing", "done", "done", "done"):
        task = user.post("/tasks", json={"title": "x", "status": status}).json()
    user.patch(f"/tasks/{task['id']}", json={"status": "doing"}, headers={"If-Match": "*"})
    user.post("/tasks", json={"title": "x", "status": "todo"})
    last = user.get("/tasks", params={"limit": 1}).json()["items"][0]
    user.delete(f"/tasks/{last['id']}")

    assert user.get("/stats").json() == {"todo": 2, "doing": 2, "done": 2, "total": 6}
