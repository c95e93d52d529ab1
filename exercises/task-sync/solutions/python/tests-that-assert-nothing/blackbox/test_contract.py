from uuid import uuid4


def test_everything(anyone, user):
    anyone.get("/health")
    task = user.post("/tasks", json={"title": "a task"}).json()
    user.get("/tasks", params={"q": "task", "limit": 1})
    user.patch(f"/tasks/{task['id']}", json={"title": "another"}, headers={"If-Match": "*"})
    change = {"op": "upsert", "id": str(uuid4()), "task": {"title": "offline"}}
    user.post("/sync", json={"since": None, "changes": [change]})
    user.delete(f"/tasks/{task['id']}")
    user.get("/stats")

    assert True
