import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";

import { newUser } from "./service.js";

const upsert = (id, title, version) => ({
  op: "upsert",
  id,
  base_version: version,
  task: { title },
});

test("a change on an old version is a conflict", async () => {
  const [user, id] = [await newUser(), randomUUID()];
  await user.sync(null, upsert(id, "first"), upsert(id, "second", 1));
  const outcome = await user.sync(null, upsert(id, "stale", 1));
  assert.deepEqual(outcome.applied, []);
  assert.equal(outcome.conflicts[0].server.title, "second");
  assert.deepEqual(await user.titles(), ["second"]);
});

test("a replay is applied once", async () => {
  const [user, id] = [await newUser(), randomUUID()];
  const changes = [upsert(id, "first"), upsert(id, "second", 1)];
  await user.sync(null, ...changes);
  assert.deepEqual((await user.sync(null, changes[1])).applied, [id]);
  assert.equal((await user.request("GET", `/tasks/${id}`)).body.version, 2);
});

test("deletions reach other clients", async () => {
  const user = await newUser();
  const [kept, gone] = [await user.create(), await user.create()];
  const { cursor } = await user.sync(null);
  await user.request("DELETE", `/tasks/${gone.id}`);
  for (const [since, changed] of [
    [cursor, []],
    [null, [kept.id]],
  ]) {
    const { changes, deleted } = await user.sync(since);
    assert.deepEqual(deleted, [gone.id]);
    assert.deepEqual(
      changes.map(({ id }) => id),
      changed,
    );
  }
});
