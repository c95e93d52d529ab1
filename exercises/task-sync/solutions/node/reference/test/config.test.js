import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";

import { readConfig } from "../src/config.js";

const jwtSecret = randomUUID();
const minimal = { DATABASE_URL: "postgres://db/app", JWT_SECRET: jwtSecret };

test("port and token lifetime have defaults", () => {
  assert.deepEqual(readConfig(minimal), {
    port: 8080,
    databaseUrl: "postgres://db/app",
    jwtSecret,
    tokenTtl: 900,
  });
});

test("port and token lifetime can be set", () => {
  const { port, tokenTtl } = readConfig({ ...minimal, PORT: "65535", TOKEN_TTL: "1" });
  assert.deepEqual([port, tokenTtl], [65535, 1]);
});

for (const [name, value] of [
  ["DATABASE_URL", undefined],
  ["JWT_SECRET", ""],
  ["PORT", "http"],
  ["PORT", "0"],
  ["PORT", "65536"],
  ["TOKEN_TTL", "-5"],
  ["TOKEN_TTL", "1.5"],
]) {
  test(`${name}=${value} is refused by name`, () => {
    assert.throws(
      () => readConfig({ ...minimal, [name]: value }),
      (error) => error.message.startsWith(name),
    );
  });
}
