import assert from "node:assert/strict";
import { once } from "node:events";
import test from "node:test";
import { server } from "../src/service.js";

test("it greets, and knows who is signed in", async () => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  const base = `http://127.0.0.1:${server.address().port}`;
  const greeting = await (await fetch(`${base}/greeting?name=Ada`)).json();
  assert.deepEqual(greeting, { greeting: "Hello, Ada!" });
  const signedIn = await fetch(`${base}/sessions`, { method: "POST", body: JSON.stringify({ username: "ada" }) });
  const { token } = await signedIn.json();
  const me = await (await fetch(`${base}/me`, { headers: { Authorization: `Bearer ${token}` } })).json();
  assert.deepEqual(me, { username: "ada" });
  server.close();
  server.closeAllConnections();
});
