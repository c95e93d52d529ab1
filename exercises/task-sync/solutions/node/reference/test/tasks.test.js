import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";

import { Client, newUser, startService } from "../testing/service.js";

const app = await startService();
after(() => app.close());

/** @type {Client} */
let alice;
/** @type {Client} */
let bob;
before(async () => {
  [alice, bob] = await Promise.all([newUser(app), newUser(app)]);
});

const statuses = (answers) => answers.map(({ status }) => status).toSorted();
const titles = ({ body }) => body.items.map(({ title }) => title);

test("the service is healthy", async () => {
  const { status, headers, body } = await new Client(app).request("GET", "/health");
  assert.equal(status, 200);
  assert.equal(headers["x-content-type-options"], "nosniff");
  assert.deepEqual(body, { status: "ok" });
});

for (const url of ["/", "/task", "/tasks/a/b", "/tasks/%zz", `/tasks/${"a".repeat(500)}`]) {
  test(`${url.slice(0, 12)} leads nowhere`, async () => {
    const { status, headers, body } = await alice.request("GET", url);
    assert.equal(status, 404);
    assert.match(headers["content-type"], /^application\/problem\+json/);
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.equal(body.status, 404);
  });
}

test("a task starts with defaults and can be read", async () => {
  const created = await alice.request("POST", "/tasks", { title: "milk" });
  assert.equal(created.status, 201);
  assert.equal(created.headers.location, `/tasks/${created.body.id}`);
  assert.equal(created.headers.etag, '"1"');
  const { title, description, status, due, version } = created.body;
  assert.deepEqual([title, description, status, due, version], ["milk", "", "todo", null, 1]);
  const read = await alice.request("GET", created.headers.location);
  assert.deepEqual(read.body, created.body);
  assert.equal(read.headers.etag, '"1"');
});

test("a task keeps what was sent", async () => {
  const fields = {
    title: "😀".repeat(200),
    description: "d".repeat(2000),
    status: "doing",
    due: "2026-01-01t10:00:00.123456+02:00",
  };
  const task = await alice.create(fields);
  assert.deepEqual({ ...task, ...fields }, task);
});

for (const [name, body] of [
  ["no title", {}],
  ["an empty title", { title: "" }],
  ["a title of 201 emoji", { title: "😀".repeat(201) }],
  ["a title with NUL", { title: "a\0b" }],
  ["a title with half a surrogate pair", '{"title": "\\ud83d"}'],
  ["a title that is a number", { title: 5 }],
  ["a description of 2001 characters", { title: "x", description: "d".repeat(2001) }],
  ["an unknown status", { title: "x", status: "blocked" }],
  ["a due date without offset", { title: "x", due: "2026-01-01T00:00:00" }],
  ["an unknown field", { title: "x", id: randomUUID() }],
  ["a list", [{ title: "x" }]],
  ["no JSON", "{title: x}"],
  ["no body", undefined],
]) {
  test(`${name} is refused`, async () => {
    const { status } = await alice.request("POST", "/tasks", body);
    assert.equal(status, 422);
  });
}

test("a repeated key returns the first task, as it is now", async () => {
  const user = await newUser(app);
  const key = { "idempotency-key": "a'key" };
  const first = await user.request("POST", "/tasks", { title: "first" }, key);
  const patch = { title: "changed" };
  await user.request("PATCH", `/tasks/${first.body.id}`, patch, { "if-match": "*" });
  const again = await user.request("POST", "/tasks", "no JSON", key);
  assert.deepEqual(
    [again.status, again.body.id, again.body.title, again.headers.etag],
    [201, first.body.id, "changed", '"2"'],
  );
  await user.request("DELETE", `/tasks/${first.body.id}`);
  const last = await user.request("POST", "/tasks", { title: "second" }, key);
  assert.deepEqual([last.status, last.body], [201, again.body]);
  assert.deepEqual(titles(await user.request("GET", "/tasks")), []);
});

test("a key that is repeated at once creates one task", async () => {
  const user = await newUser(app);
  const key = { "idempotency-key": "k".repeat(64) };
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, n) => user.request("POST", "/tasks", { title: `${n}` }, key)),
  );
  assert.deepEqual(statuses(answers), Array(12).fill(201));
  assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1);
  assert.equal((await user.request("GET", "/stats")).body.total, 1);
});

test("a key has at most 64 characters", async () => {
  const key = { "idempotency-key": "k".repeat(65) };
  const { status } = await alice.request("POST", "/tasks", { title: "x" }, key);
  assert.equal(status, 422);
});

for (const [name, ifMatch, body, status] of [
  ["without If-Match", undefined, { title: "x" }, 428],
  ["with a stale ETag", '"2"', { title: "x" }, 412],
  ["with a weak ETag", 'W/"1"', { title: "x" }, 412],
  ["with a list", '"1", "2"', { title: "x" }, 412],
  ["with a bare version", "1", { title: "x" }, 412],
  ["with an empty body and without If-Match", undefined, {}, 422],
  ["with a null title and a stale ETag", '"2"', { title: null }, 422],
  ["with the ETag", '"1"', { title: "x" }, 200],
  ["with a star", "*", { due: null }, 200],
]) {
  test(`a change ${name} is answered ${status}`, async () => {
    const task = await alice.create({ status: "doing" });
    const headers = ifMatch === undefined ? {} : { "if-match": ifMatch };
    const answer = await alice.request("PATCH", `/tasks/${task.id}`, body, headers);
    assert.equal(answer.status, status);
    const { version } = (await alice.request("GET", `/tasks/${task.id}`)).body;
    assert.equal(version, status === 200 ? 2 : 1);
  });
}

test("of many changes of the same version, one succeeds", async () => {
  const task = await alice.create();
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, n) =>
      alice.request("PATCH", `/tasks/${task.id}`, { title: `${n}` }, { "if-match": '"1"' }),
    ),
  );
  assert.deepEqual(statuses(answers), [200, ...Array(11).fill(412)]);
});

test("another user's task is like none", async () => {
  const { id } = await alice.create();
  for (const path of [id, randomUUID(), "1"].map((name) => `/tasks/${name}`)) {
    const answers = await Promise.all([
      bob.request("GET", path),
      bob.request("PATCH", path, "no JSON"),
      bob.request("DELETE", path),
    ]);
    assert.deepEqual(statuses(answers), [404, 404, 404]);
  }
  assert.equal((await alice.request("GET", `/tasks/${id}`)).status, 200);
});

test("a deleted task is gone", async () => {
  const { id } = await alice.create();
  const deleted = await alice.request("DELETE", `/tasks/${id.toUpperCase()}`);
  assert.deepEqual([deleted.status, deleted.body], [204, undefined]);
  const answers = await Promise.all([
    alice.request("GET", `/tasks/${id}`),
    alice.request("PATCH", `/tasks/${id}`, { title: "x" }, { "if-match": "*" }),
    alice.request("DELETE", `/tasks/${id}`),
  ]);
  assert.deepEqual(statuses(answers), [404, 404, 404]);
});

test("tasks are counted by status", async () => {
  const user = await newUser(app);
  const [first, second] = [await user.create(), await user.create({ status: "doing" })];
  await user.request("PATCH", `/tasks/${first.id}`, { status: "done" }, { "if-match": "*" });
  await user.request("DELETE", `/tasks/${second.id}`);
  await user.create({ status: "done" });
  const { body } = await user.request("GET", "/stats");
  assert.deepEqual(body, { todo: 0, doing: 0, done: 2, total: 2 });
});

test("the list is paged from the newest to the oldest", async () => {
  const user = await newUser(app);
  for (const title of ["1", "2", "3", "4", "5"]) {
    await user.create({ title });
  }
  const seen = [];
  let url = "/tasks?limit=2";
  while (url) {
    const page = await user.request("GET", url);
    seen.push(titles(page));
    // A task that is created meanwhile disturbs no later page.
    await user.create({ title: "new" });
    url = page.body.next_cursor && `/tasks?limit=2&cursor=${page.body.next_cursor}`;
  }
  assert.deepEqual(seen, [["5", "4"], ["3", "2"], ["1"]]);
});

test("the list is filtered by status and by a part of the title", async () => {
  const user = await newUser(app);
  const names = [
    "100% Milk",
    "100 milk",
    "snake_case",
    "snakeXcase",
    String.raw`back\slash`,
    "it's",
  ];
  for (const title of names) {
    await user.create({ title, status: title.startsWith("1") ? "done" : "todo" });
  }
  const found = async (query) => titles(await user.request("GET", `/tasks?${query}`));
  assert.deepEqual(await found("q=MILK&status=done"), ["100 milk", "100% Milk"]);
  assert.deepEqual(await found("q=%25"), ["100% Milk"]);
  assert.deepEqual(await found("q=_"), ["snake_case"]);
  assert.deepEqual(await found("q=%5C"), [String.raw`back\slash`]);
  assert.deepEqual(await found("q='"), ["it's"]);
  assert.deepEqual(await found("q=&limit=001"), ["it's"]);
  assert.deepEqual(await found("status=doing"), []);
});

for (const query of [
  "limit=0",
  "limit=101",
  "limit=ten",
  "limit=-1",
  "limit=1.0",
  "limit=",
  "limit=1&limit=2",
  "status=blocked",
  "cursor=",
  "cursor=AAAA",
  `q=${"a".repeat(201)}`,
  "q=%00",
  "q=%ED%A0%80",
]) {
  test(`the query ${query.slice(0, 20)} is refused`, async () => {
    const { status, body } = await alice.request("GET", `/tasks?${query}`);
    assert.equal(status, 422);
    assert.equal(body.status, 422);
  });
}
