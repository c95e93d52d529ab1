import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, test } from "node:test";

import jwt from "jsonwebtoken";

import { hashPassword, isRightPassword } from "../src/accounts/passwords.js";
import { Client, config, newCredentials, startService } from "../testing/service.js";

const app = await startService();
after(() => app.close());
const anyone = new Client(app);

async function register() {
  const credentials = newCredentials();
  const { status, body } = await anyone.request("POST", "/users", credentials);
  assert.equal(status, 201);
  return { ...body, credentials };
}

async function logIn(credentials) {
  const { status, body } = await anyone.request("POST", "/auth/token", credentials);
  assert.equal(status, 200);
  return body;
}

const refresh = (refreshToken) =>
  anyone.request("POST", "/auth/refresh", { refresh_token: refreshToken });

test("a password is right, another is wrong, and each hash is salted", async () => {
  const [first, second] = await Promise.all([hashPassword("one two"), hashPassword("one two")]);
  assert.notEqual(first, second);
  assert.equal(await isRightPassword("one two", first), true);
  assert.equal(await isRightPassword("one twö", first), false);
  assert.equal(await isRightPassword("one two"), false);
});

test("a user registers, logs in and is known by the token", async () => {
  const { id, username, credentials } = await register();
  assert.equal(username, credentials.username);
  const tokens = await logIn(credentials);
  assert.equal(tokens.token_type, "Bearer");
  assert.equal(tokens.expires_in, 900);
  const claims = jwt.verify(tokens.access_token, config.jwtSecret, { algorithms: ["HS256"] });
  assert.equal(claims.sub, id);
  assert.equal(claims.exp - claims.iat, 900);
});

test("a username is taken once", async () => {
  const credentials = newCredentials();
  const answers = await Promise.all(
    [1, 2, 3].map(() => anyone.request("POST", "/users", credentials)),
  );
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [201, 409, 409]);
});

for (const [name, change] of [
  ["a short username", { username: "ab" }],
  ["a username in upper case", { username: "Alice" }],
  ["a username with a line feed", { username: "alice\n" }],
  ["a short password", { password: "1234567" }],
  ["a short password of emoji", { password: "😀".repeat(7) }],
  ["a long password", { password: "x".repeat(129) }],
  ["a password with NUL", { password: "12345678\0" }],
  ["a password that is a number", { password: 12345678 }],
]) {
  test(`${name} is refused`, async () => {
    const { status } = await anyone.request("POST", "/users", { ...newCredentials(), ...change });
    assert.equal(status, 422);
  });
}

test("only the right password of an existing user gives tokens", async () => {
  const { credentials } = await register();
  const wrong = { ...credentials, password: `${credentials.password}x` };
  assert.equal((await anyone.request("POST", "/auth/token", wrong)).status, 401);
  assert.equal((await anyone.request("POST", "/auth/token", newCredentials())).status, 401);
});

test("a refresh token works once", async () => {
  const { credentials } = await register();
  const { refresh_token: first } = await logIn(credentials);
  const { status, body } = await refresh(first);
  assert.equal(status, 200);
  assert.equal((await refresh(first)).status, 401);
  assert.equal((await refresh(body.refresh_token)).status, 200);
});

test("of many uses of a refresh token at once, one succeeds", async () => {
  const { credentials } = await register();
  const { refresh_token: token } = await logIn(credentials);
  const answers = await Promise.all(Array.from({ length: 8 }, () => refresh(token)));
  const statuses = answers.map(({ status }) => status).toSorted();
  assert.deepEqual(statuses, [200, ...Array(7).fill(401)]);
});

test("an access token is no refresh token, nor the other way round", async () => {
  const { credentials } = await register();
  const tokens = await logIn(credentials);
  assert.equal((await refresh(tokens.access_token)).status, 401);
  const answer = await new Client(app, tokens.refresh_token).request("GET", "/stats");
  assert.equal(answer.status, 401);
});

const claims = { sub: randomUUID(), exp: Math.floor(Date.now() / 1000) + 60 };
const sign = (payload, options = {}, key = config.jwtSecret) =>
  jwt.sign(payload, key, { noTimestamp: true, ...options });

for (const [name, token] of [
  ["of a user who does not exist", sign(claims)],
  ["without a subject", sign({ exp: claims.exp })],
  ["with a subject that is no user id", sign({ ...claims, sub: "1" })],
  ["without an expiry", sign({ sub: claims.sub })],
  ["that has expired", sign({ ...claims, exp: 1 })],
  ["that is not valid yet", sign({ ...claims, nbf: claims.exp })],
  ["signed with another key", sign(claims, {}, "another key")],
  ["signed with HS512", sign(claims, { algorithm: "HS512" })],
  ["that is not signed", sign(claims, { algorithm: "none" }, "")],
  ["that is no JWT", "abc"],
]) {
  test(`a token ${name} is refused`, async () => {
    const { status, headers } = await new Client(app, token).request("GET", "/stats");
    assert.equal(status, 401);
    assert.equal(headers["www-authenticate"], "Bearer");
  });
}

for (const authorization of ["", "Bearer", "Basic YTpi", `Bearer ${sign(claims)} x`]) {
  test(`the header "${authorization.slice(0, 12)}" is no authorization`, async () => {
    const { status } = await anyone.request("GET", "/stats", undefined, { authorization });
    assert.equal(status, 401);
  });
}

test("a token of a user who does not exist writes nothing", async () => {
  const { status } = await new Client(app, sign(claims)).request("POST", "/tasks", { title: "x" });
  assert.equal(status, 401);
});
