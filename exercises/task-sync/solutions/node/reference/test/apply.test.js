import assert from "node:assert/strict";
import { test } from "node:test";

import { applyChanges } from "../src/sync/apply.js";
import { WorkingSet } from "../src/tasks/working-set.js";

const NOW = new Date("2026-01-01T00:00:00Z");
const EMPTY = { change_seq: 4, last_position: 0, todo: 0, doing: 0, done: 0 };
const milk = { title: "milk", description: "", status: "todo", due: null };
const bread = { title: "bread", description: "rye", status: "done", due: "2026-02-01T00:00:00Z" };

/** A set with one task, "a", that says milk at version 2; `deleted` when asked. */
function withMilk({ deleted = false } = {}) {
  const tasks = new WorkingSet(EMPTY, [], NOW);
  const stored = tasks.change(tasks.create("a", bread), milk);
  if (deleted) {
    tasks.remove(stored);
  }
  return tasks;
}

const upsert = (task, base_version) => ({ op: "upsert", id: "a", task, base_version });
const remove = (base_version) => ({ op: "delete", id: "a", base_version });

for (const [name, tasks, change, expected] of [
  ["a create over an existing task", withMilk(), upsert(bread), "conflict"],
  ["a create over a deleted task", withMilk({ deleted: true }), upsert(bread), "conflict"],
  ["an upsert with the stored version", withMilk(), upsert(bread, 2), "applied"],
  ["an upsert with an older version", withMilk(), upsert(bread, 1), "conflict"],
  ["an upsert with a version to come", withMilk(), upsert(milk, 3), "conflict"],
  ["an upsert that was applied before", withMilk(), upsert(milk, 1), "applied"],
  ["an upsert of a deleted task", withMilk({ deleted: true }), upsert(milk, 2), "conflict"],
  [
    "an upsert that was applied before a delete",
    withMilk({ deleted: true }),
    upsert(milk, 1),
    "conflict",
  ],
  ["a delete with the stored version", withMilk(), remove(2), "applied"],
  ["a delete with an older version", withMilk(), remove(1), "conflict"],
  ["a delete that was applied before", withMilk({ deleted: true }), remove(2), "applied"],
  ["another delete of a deleted task", withMilk({ deleted: true }), remove(1), "conflict"],
  ["a delete of an unknown task", new WorkingSet(EMPTY, [], NOW), remove(1), "conflict"],
  ["an upsert of an unknown task", new WorkingSet(EMPTY, [], NOW), upsert(milk, 1), "conflict"],
  ["a create", new WorkingSet(EMPTY, [], NOW), upsert(milk), "applied"],
]) {
  test(`${name}: ${expected}`, () => {
    const stored = tasks.find("a");
    const { applied, conflicts } = applyChanges(tasks, [change]);
    if (expected === "applied") {
      assert.deepEqual([applied, conflicts], [["a"], []]);
    } else {
      const server = stored && !stored.deleted ? stored.version : undefined;
      assert.deepEqual(applied, []);
      assert.deepEqual(
        conflicts.map((conflict) => [conflict.id, conflict.server?.version]),
        [["a", server]],
      );
      assert.equal(tasks.find("a"), stored);
    }
  });
}

test("a replayed create counts as applied and writes nothing", () => {
  const tasks = new WorkingSet(EMPTY, [], NOW);
  applyChanges(tasks, [upsert(milk)]);
  const stored = tasks.find("a");
  assert.deepEqual(applyChanges(tasks, [upsert(milk)]).applied, ["a"]);
  assert.equal(tasks.find("a"), stored);
});

test("changes see what those before them did", () => {
  const tasks = new WorkingSet(EMPTY, [], NOW);
  const changes = [upsert(milk), upsert(bread, 1), remove(2), upsert(milk), remove(1)];
  const { applied, conflicts } = applyChanges(tasks, changes);
  assert.deepEqual(applied, ["a", "a", "a"]);
  assert.deepEqual(conflicts, [
    { id: "a", server: null },
    { id: "a", server: null },
  ]);
  assert.equal(tasks.find("a").deleted, true);
});

test("a working set counts tasks and takes one number for all its changes", () => {
  const tasks = new WorkingSet(EMPTY, [], NOW);
  const first = tasks.create("a", milk);
  tasks.create("b", bread);
  tasks.create("c", milk);
  tasks.change(first, { status: "doing" });
  tasks.remove(tasks.find("c"));
  assert.deepEqual(tasks.list, { change_seq: 5, last_position: 3, todo: 0, doing: 1, done: 1 });
  assert.deepEqual([...tasks.changed.keys()], ["a", "b", "c"]);
});

test("a working set that changes nothing takes no number", () => {
  assert.equal(new WorkingSet(EMPTY, [], NOW).list.change_seq, 4);
});
