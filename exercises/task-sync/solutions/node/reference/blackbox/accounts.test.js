import assert from "node:assert/strict";
import { test } from "node:test";

import { Client, register, signed } from "./service.js";

const anyone = new Client();

test("a username is given once", async () => {
  const { credentials } = await register();
  const again = await anyone.request("POST", "/users", credentials);
  assert.equal(again.status, 409);
});

test("a wrong password is refused", async () => {
  const { credentials } = await register();
  const wrong = { ...credentials, password: "not-the-password" };
  assert.equal((await anyone.request("POST", "/auth/token", wrong)).status, 401);
});

test("an expired token is refused", async () => {
  const { id } = await register();
  for (const [lifetime, status] of [
    [60, 200],
    [-60, 401],
  ]) {
    const token = signed({ sub: id, exp: Math.floor(Date.now() / 1000) + lifetime });
    assert.equal((await new Client(token).request("GET", "/tasks")).status, status);
  }
});

test("a refresh token works once", async () => {
  const { tokens } = await register();
  const used = { refresh_token: tokens.refresh_token };
  assert.equal((await anyone.request("POST", "/auth/refresh", used)).status, 200);
  assert.equal((await anyone.request("POST", "/auth/refresh", used)).status, 401);
});
