import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, test } from "node:test";

import { newUser, startService } from "../testing/service.js";

const app = await startService();
after(() => app.close());

const upsert = (id, title, base_version) => ({ op: "upsert", id, task: { title }, base_version });
const remove = (id, base_version) => ({ op: "delete", id, base_version });
const titles = (tasks) => tasks.map(({ title }) => title);

test("an empty exchange brings everything, then nothing", async () => {
  const user = await newUser(app);
  await user.create({ title: "first" });
  await user.create({ title: "second" });
  const all = await user.sync(null);
  assert.deepEqual([all.applied, all.conflicts, all.deleted], [[], [], []]);
  assert.deepEqual(titles(all.changes), ["first", "second"]);
  const nothing = await user.sync(all.cursor);
  assert.deepEqual([nothing.changes, nothing.deleted], [[], []]);
});

test("a task that is created offline is created, changed and deleted", async () => {
  const user = await newUser(app);
  const id = randomUUID();
  const created = await user.sync(null, upsert(id.toUpperCase(), "new"));
  assert.deepEqual(created.applied, [id]);
  const changed = await user.sync(created.cursor, upsert(id, "newer", 1));
  assert.deepEqual(titles(changed.changes), ["newer"]);
  assert.equal(changed.changes[0].version, 2);
  const deleted = await user.sync(changed.cursor, remove(id, 2));
  assert.deepEqual([deleted.applied, deleted.changes, deleted.deleted], [[id], [], [id]]);
  assert.deepEqual((await user.sync(null)).deleted, [id]);
  assert.equal((await user.request("GET", `/tasks/${id}`)).status, 404);
});

test("a conflict brings the task of the server and does not stop the rest", async () => {
  const user = await newUser(app);
  const task = await user.create({ title: "server" });
  const [fresh, unknown] = [randomUUID(), randomUUID()];
  const outcome = await user.sync(
    null,
    upsert(task.id, "client", 5),
    remove(unknown, 1),
    upsert(fresh, "fresh"),
  );
  assert.deepEqual(outcome.applied, [fresh]);
  assert.deepEqual(outcome.conflicts, [
    { id: task.id, server: task },
    { id: unknown, server: null },
  ]);
});

test("a replay changes nothing", async () => {
  const user = await newUser(app);
  const changes = Array.from({ length: 500 }, (_, n) => upsert(randomUUID(), `task ${n}`));
  const first = await user.sync(null, ...changes);
  const again = await user.sync(first.cursor, ...changes);
  assert.equal(first.changes.length, 500);
  assert.deepEqual(again.applied, first.applied);
  assert.deepEqual([again.changes, again.conflicts], [[], []]);
  const { body } = await user.request("GET", "/tasks?limit=1");
  assert.deepEqual(titles(body.items), ["task 499"]);
});

test("the same id of two users is two tasks", async () => {
  const [alice, bob] = await Promise.all([newUser(app), newUser(app)]);
  const id = randomUUID();
  await alice.sync(null, upsert(id, "of alice"));
  const { applied } = await bob.sync(null, upsert(id, "of bob"));
  assert.deepEqual(applied, [id]);
  assert.equal((await alice.request("GET", `/tasks/${id}`)).body.title, "of alice");
});

test("clients that write at once miss nothing of each other", async () => {
  const user = await newUser(app);
  const seen = new Set();
  const look = async (since) => {
    const { changes, cursor } = await user.sync(since);
    changes.forEach((task) => seen.add(task.id));
    return cursor;
  };
  const watch = async () => {
    let cursor = null;
    for (let looks = 0; looks < 10; looks += 1) {
      cursor = await look(cursor);
    }
    return cursor;
  };
  const writes = Array.from({ length: 30 }, (_, n) =>
    user.sync(null, upsert(randomUUID(), `task ${n}`)),
  );
  const [cursor] = await Promise.all([watch(), ...writes]);
  await look(cursor);
  assert.equal(seen.size, 30);
});

const id = randomUUID();
const refused = await newUser(app);

for (const [name, body] of [
  ["no since", { changes: [] }],
  ["no changes", { since: null }],
  ["an invented since", { since: "12", changes: [] }],
  ["a since that is a number", { since: 0, changes: [] }],
  ["501 changes", { since: null, changes: Array(501).fill(remove(id, 1)) }],
  ["an unknown operation", { since: null, changes: [{ op: "merge", id }] }],
  ["an id that is no UUID", { since: null, changes: [upsert("1", "x")] }],
  ["an upsert without task", { since: null, changes: [{ op: "upsert", id }] }],
  ["a delete without base_version", { since: null, changes: [{ op: "delete", id }] }],
  ["a base_version that is no integer", { since: null, changes: [upsert(id, "x", 1.5)] }],
  [
    "an unknown field of a task",
    { since: null, changes: [{ op: "upsert", id, task: { title: "x", a: 1 } }] },
  ],
]) {
  test(`${name} is refused`, async () => {
    const { status } = await refused.request("POST", "/sync", body);
    assert.equal(status, 422);
  });
}

test("one malformed change refuses all", async () => {
  const { status } = await refused.request("POST", "/sync", {
    since: null,
    changes: [upsert(randomUUID(), "good"), upsert(randomUUID(), "")],
  });
  assert.equal(status, 422);
  assert.deepEqual((await refused.sync(null)).changes, []);
});
