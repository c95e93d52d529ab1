import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { createServer } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { BODY_LIMIT } from "../src/http/body.js";
import { Proxy } from "../testing/proxy.js";
import { Client, config, newUser, startService } from "../testing/service.js";

async function behindProxy() {
  const url = new URL(config.databaseUrl);
  const proxy = new Proxy(url);
  await proxy.open();
  url.host = `127.0.0.1:${proxy.port}`;
  return { proxy, databaseUrl: url.href };
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

/** Waits, at most 20 s, until `condition` holds. */
async function until(condition) {
  for (let tries = 0; tries < 400 && !(await condition()); tries += 1) {
    await sleep(50);
  }
}

test("the service survives the loss of its database", async () => {
  const { proxy, databaseUrl } = await behindProxy();
  const app = await startService(databaseUrl);
  const user = await newUser(app);
  const isHealthy = async () => (await user.request("GET", "/health")).status === 200;
  const task = await user.create();

  await proxy.cut();
  const answers = await Promise.all([
    user.request("GET", "/health"),
    user.request("GET", "/tasks"),
    user.request("POST", "/tasks", { title: "x" }),
  ]);
  assert.deepEqual(
    answers.map(({ status, body }) => [status, body.status]),
    [
      [503, 503],
      [503, 503],
      [503, 503],
    ],
  );

  await proxy.open();
  await until(isHealthy);
  assert.equal((await user.request("GET", `/tasks/${task.id}`)).status, 200);
  await app.close();
  await proxy.cut();
});

test("the process starts before its database, serves, and ends on SIGTERM", async () => {
  const { proxy, databaseUrl } = await behindProxy();
  await proxy.cut();
  const port = await freePort();
  const service = spawn(process.execPath, ["src/main.js"], {
    cwd: new URL("..", import.meta.url),
    env: {
      ...process.env,
      PORT: String(port),
      DATABASE_URL: databaseUrl,
      JWT_SECRET: config.jwtSecret,
    },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const ended = once(service, "exit");
  const isHealthy = () =>
    fetch(`http://127.0.0.1:${port}/health`).then(
      (response) => response.ok,
      () => false,
    );
  await sleep(500);
  assert.equal(await isHealthy(), false);
  await proxy.open();
  await until(isHealthy);
  assert.equal(await isHealthy(), true);

  service.kill("SIGTERM");
  const [code] = await ended;
  assert.equal(code, 0);
  await proxy.cut();
});

test("two instances may start at once", async () => {
  const apps = await Promise.all([startService(), startService()]);
  const answers = await Promise.all(apps.map((app) => new Client(app).request("GET", "/health")));
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200],
  );
  await Promise.all(apps.map((app) => app.close()));
});

for (const [name, headers] of [
  ["a body that announces its length", { "content-length": String(BODY_LIMIT + 1) }],
  ["a body in chunks", { "transfer-encoding": "chunked" }],
]) {
  test(`${name} and is too long is answered 413`, async () => {
    const app = await startService();
    await app.listen({ host: "127.0.0.1", port: 0 });
    const { port } = app.server.address();
    const sent = request({ method: "POST", port, path: "/users", host: "127.0.0.1", headers });
    sent.end(Buffer.alloc(BODY_LIMIT + 1, " "));
    const [response] = await once(sent, "response");
    response.resume();
    assert.equal(response.statusCode, 413);
    assert.equal(response.headers["content-type"].split(";")[0], "application/problem+json");
    await app.close();
  });
}
