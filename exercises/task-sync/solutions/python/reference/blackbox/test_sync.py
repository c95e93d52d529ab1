from uuid import uuid4


def synchronised(user, *changes, since=None):
    answer = user.post("/sync", json={"since": since, "changes": changes})
    assert answer.status_code == 200
    return answer.json()


def upsert(task_id, title, base_version=None):
    change = {"op": "upsert", "id": task_id, "task": {"title": title}}
    return change if base_version is None else {**change, "base_version": base_version}


def test_a_change_on_an_old_version_is_a_conflict(user):
    task_id = str(uuid4())
    synchronised(user, upsert(task_id, "first"), upsert(task_id, "second", 1))

    outcome = synchronised(user, upsert(task_id, "stale", 1))

    assert outcome["applied"] == []
    assert [conflict["server"]["title"] for conflict in outcome["conflicts"]] == ["second"]
    assert user.get(f"/tasks/{task_id}").json()["title"] == "second"


def test_a_replay_is_applied_once(user):
    task_id = str(uuid4())
    batch = [upsert(task_id, "first"), upsert(task_id, "second", 1)]
    synchronised(user, *batch)

    assert synchronised(user, batch[1])["applied"] == [task_id]
    assert user.get(f"/tasks/{task_id}").json()["version"] == 2


def test_deletions_reach_other_clients(user):
    kept, gone = (user.post("/tasks", json={"title": title}).json() for title in ("kept", "gone"))
    cursor = synchronised(user)["cursor"]
    user.delete(f"/tasks/{gone['id']}")

    for since, changed in ((cursor, []), (None, [kept["id"]])):
        outcome = synchronised(user, since=since)
        assert outcome["deleted"] == [gone["id"]]
        assert [task["id"] for task in outcome["changes"]] == changed
