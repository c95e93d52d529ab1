import assert from "node:assert/strict";
import { test } from "node:test";

const { BASE_URL = "http://127.0.0.1:8080" } = process.env;

test("the service is healthy", async () => {
  const response = await fetch(`${BASE_URL}/health`);
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { status: "ok" });
});
