import assert from "node:assert/strict";
import { test } from "node:test";

import { newUser } from "./service.js";

test("tasks of others do not exist", async () => {
  const [owner, other] = [await newUser(), await newUser()];
  const { id } = await owner.create();
  assert.equal((await other.request("GET", `/tasks/${id}`)).status, 404);
  assert.equal((await other.request("DELETE", `/tasks/${id}`)).status, 404);
  assert.deepEqual(await other.titles(), []);
});

test("a change on an old version is refused", async () => {
  const user = await newUser();
  const { id } = await user.create();
  const change = async (title, headers) =>
    (await user.request("PATCH", `/tasks/${id}`, { title }, headers)).status;
  assert.equal(await change("mine", { "if-match": '"1"' }), 200);
  assert.equal(await change("theirs", { "if-match": '"1"' }), 412);
  assert.equal(await change("theirs"), 428);
  assert.deepEqual(await user.titles(), ["mine"]);
});

test("the length of titles is limited", async () => {
  const user = await newUser();
  for (const [length, status] of [
    [0, 422],
    [1, 201],
    [200, 201],
    [201, 422],
  ]) {
    const answer = await user.request("POST", "/tasks", { title: "t".repeat(length) });
    assert.equal(answer.status, status, `${length} characters`);
  }
});

test("the due time stays the same moment", async () => {
  const user = await newUser();
  const due = "2031-05-06T07:08:09+02:00";
  const { id } = await user.create({ due });
  const { body } = await user.request("GET", `/tasks/${id}`);
  assert.equal(Date.parse(body.due), Date.parse(due));
});

test("pages list every task once", async () => {
  const user = await newUser();
  for (const title of ["one", "two", "three", "four", "five"]) await user.create({ title });
  const listed = [];
  let query = "limit=2";
  while (query) {
    const { body } = await user.request("GET", `/tasks?${query}`);
    listed.push(...body.items.map(({ title }) => title));
    query = body.next_cursor && `limit=2&cursor=${encodeURIComponent(body.next_cursor)}`;
  }
  assert.deepEqual(listed, ["five", "four", "three", "two", "one"]);
});

test("the search does not mind the case", async () => {
  const user = await newUser();
  for (const title of ["Buy MILK", "buy bread"]) await user.create({ title });
  assert.deepEqual(await user.titles("q=milk"), ["Buy MILK"]);
  assert.deepEqual(await user.titles("q=BUY"), ["buy bread", "Buy MILK"]);
});

test("a repeated key creates one task", async () => {
  const user = await newUser();
  const create = () =>
    user.request("POST", "/tasks", { title: "once" }, { "idempotency-key": "only-once" });
  const [first, again] = [await create(), await create()];
  assert.deepEqual(again, first);
  assert.deepEqual(await user.titles(), ["once"]);
});

test("the statistics follow every change", async () => {
  const user = await newUser();
  const stats = async () => (await user.request("GET", "/stats")).body;
  const { id } = await user.create({ status: "doing" });
  await user.create();
  assert.deepEqual(await stats(), { todo: 1, doing: 1, done: 0, total: 2 });
  await user.request("DELETE", `/tasks/${id}`);
  assert.deepEqual(await stats(), { todo: 1, doing: 0, done: 0, total: 1 });
});
