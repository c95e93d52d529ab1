import assert from "node:assert/strict";
import { test } from "node:test";

import { Cursors } from "../src/tasks/cursor.js";

const cursors = new Cursors("a key");

for (const value of [0, 1, 255, 2 ** 32 - 1]) {
  test(`a cursor brings back ${value}`, () => {
    assert.equal(cursors.read("tasks", "alice", cursors.write("tasks", "alice", value)), value);
  });
}

const real = cursors.write("tasks", "alice", 7);

for (const [name, purpose, userId, cursor] of [
  ["of another user", "tasks", "bob", real],
  ["of another operation", "sync", "alice", real],
  ["of another service", "tasks", "alice", new Cursors("other").write("tasks", "alice", 7)],
  ["that is empty", "tasks", "alice", ""],
  ["that is a number", "tasks", "alice", "7"],
  ["that is cut short", "tasks", "alice", real.slice(0, -1)],
  ["that is too long", "tasks", "alice", `${real}A`],
  ["in which a character is changed", "tasks", "alice", `B${real.slice(1)}`],
  ["that is no ASCII", "tasks", "alice", "é".repeat(27)],
]) {
  test(`a cursor ${name} is refused`, () => {
    assert.throws(() => cursors.read(purpose, userId, cursor), { status: 422 });
  });
}
