import assert from "node:assert/strict";
import { test } from "node:test";

import { BODY_LIMIT, parseJson, readBytes } from "../src/http/body.js";
import { isInstant, isText, isUuid } from "../src/http/formats.js";
import { answerBrokenRequest, Problem, toProblem } from "../src/http/problem.js";
import { parseQuery } from "../src/http/query.js";

for (const [value, expected] of [
  ["2026-01-31T23:59:59Z", true],
  ["2026-01-31t23:59:59.123456789z", true],
  ["2026-01-31T00:00:00+05:30", true],
  ["2024-02-29T00:00:00-00:00", true],
  ["2000-02-29T00:00:00Z", true],
  ["1998-12-31T23:59:60Z", true],
  ["1998-12-31T15:59:60.5-08:00", true],
  ["1999-01-01T05:29:60+05:30", true],
  ["1998-12-31T22:59:60Z", false],
  ["2026-02-29T00:00:00Z", false],
  ["1900-02-29T00:00:00Z", false],
  ["2026-04-31T00:00:00Z", false],
  ["2026-00-10T00:00:00Z", false],
  ["2026-13-10T00:00:00Z", false],
  ["2026-01-00T00:00:00Z", false],
  ["2026-01-31T24:00:00Z", false],
  ["2026-01-31T00:60:00Z", false],
  ["2026-01-31T00:00:61Z", false],
  ["2026-01-31T00:00:00", false],
  ["2026-01-31T00:00:00.Z", false],
  ["2026-01-31T00:00:00+24:00", false],
  ["2026-01-31 00:00:00Z", false],
  ["2026-01-31", false],
  ["2026-01-31T00:00:00ZT", false],
  ["2026-01-31T00:00:00Z\n", false],
  ["tomorrow", false],
]) {
  test(`${JSON.stringify(value)} is ${expected ? "a" : "no"} date-time`, () => {
    assert.equal(isInstant(value), expected);
  });
}

test("text has no NUL and no half of a surrogate pair", () => {
  const texts = ["", "a 😀 b", "nul \0", "half \ud83d", "other half \ude00"];
  assert.deepEqual(texts.map(isText), [true, true, false, false, false]);
});

test("a UUID has one notation, in either case", () => {
  const uuid = "0b7c4f5e-8f9f-4f0e-9d3c-0d6d1f7b5a11";
  const texts = [uuid, uuid.toUpperCase(), uuid.replaceAll("-", ""), `{${uuid}}`, `${uuid}\n`, "1"];
  assert.deepEqual(texts.map(isUuid), [true, true, false, false, false, false]);
});

for (const [text, expected] of [
  ["", {}],
  ["q=a+b%20c", { q: "a b c" }],
  ["q=%C3%A9&limit=5", { q: "é", limit: "5" }],
  ["q=a=b&flag", { q: "a=b", flag: "" }],
  ["limit=1&limit=2", { limit: ["1", "2"] }],
  ["q=%ED%A0%80", { q: null }],
  ["q=%zz", { q: null }],
]) {
  test(`the query "${text}" is parsed strictly`, () => {
    assert.deepEqual(parseQuery(text), expected);
  });
}

test("JSON is UTF-8", () => {
  assert.deepEqual(parseJson(Buffer.from('{"a": "é"}')), { a: "é" });
  assert.equal(parseJson(Buffer.from('{"a": "é"}', "latin1")), undefined);
});

test("what is no JSON is nothing", () => {
  for (const text of ["", "{", "{'a': 1}", "NaN", '{"a": 1,}', "[".repeat(100_000)]) {
    assert.equal(parseJson(Buffer.from(text)), undefined);
  }
});

test("a body may have up to 1 MiB", async () => {
  const chunk = Buffer.alloc(BODY_LIMIT / 2);
  assert.equal((await readBytes([chunk, chunk])).length, BODY_LIMIT);
  await assert.rejects(readBytes([chunk, chunk, Buffer.alloc(1)]), { status: 413 });
});

test("a body without end is not read to its end", async () => {
  let chunks = 0;
  async function* endless() {
    for (;;) {
      chunks += 1;
      yield Buffer.alloc(BODY_LIMIT);
    }
  }
  await assert.rejects(readBytes(endless()), { status: 413 });
  assert.ok(chunks < 20);
});

for (const [name, error, status] of [
  ["a problem", new Problem(409), 409],
  ["a failed validation", Object.assign(new Error("body/title"), { validation: [] }), 422],
  ["a refused connection", Object.assign(new Error("connect"), { code: "ECONNREFUSED" }), 503],
  ["a lost connection", new Error("Connection terminated unexpectedly"), 503],
  ["a client's fault", Object.assign(new Error("media type"), { statusCode: 415 }), 415],
  ["a bug", new TypeError("secret is not a function"), 500],
]) {
  test(`${name} is answered ${status}`, () => {
    const problem = toProblem(error).toJSON();
    assert.equal(problem.status, status);
    assert.ok(problem.title);
  });
}

test("a bug tells the client nothing", () => {
  assert.equal(toProblem(new TypeError("secret is not a function")).detail, undefined);
});

for (const [code, status] of [
  ["HPE_INVALID_METHOD", "400 Bad Request"],
  ["HPE_HEADER_OVERFLOW", "431 Request Header Fields Too Large"],
  ["ERR_HTTP_REQUEST_TIMEOUT", "408 Request Timeout"],
]) {
  test(`a request that breaks with ${code} is answered ${status}`, () => {
    let sent = "";
    const socket = { writable: true, end: (text) => (sent = text) };
    answerBrokenRequest(Object.assign(new Error(code), { code }), socket);
    assert.ok(sent.startsWith(`HTTP/1.1 ${status}\r\n`));
    assert.match(sent, /X-Content-Type-Options: nosniff\r\n/);
  });
}

test("a connection that the client has closed is given up", () => {
  let isDestroyed = false;
  const socket = { writable: false, destroy: () => (isDestroyed = true) };
  answerBrokenRequest(new Error("gone"), socket);
  assert.ok(isDestroyed);
});
