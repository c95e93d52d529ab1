import { randomUUID } from "node:crypto";

import { unauthorized } from "../accounts/tokens.js";
import { isUuid } from "../http/formats.js";
import { Problem } from "../http/problem.js";
import { changeTasks, countTasks, findTask, findTaskByKey, listTasks } from "./store.js";
import { etag, present, status, taskInput, taskPatch } from "./task.js";

const DEFAULT_LIMIT = 20;

const listQuery = {
  type: "object",
  properties: {
    limit: { type: "string", pattern: "^0*([1-9][0-9]?|100)$" },
    cursor: { type: "string" },
    status,
    q: { type: "string", format: "text", maxLength: 200 },
  },
};

const createHeaders = {
  type: "object",
  properties: { "idempotency-key": { type: "string", maxLength: 64 } },
};

/**
 * The tasks of the user who asks.
 *
 * @param {import("fastify").FastifyInstance} app whose requests carry a `userId`
 * @param {{pool: import("pg").Pool, cursors: import("./cursor.js").Cursors}} options
 */
export async function taskRoutes(app, { pool, cursors }) {
  /** A repeated key answers before the body is even looked at. */
  const answerRepeatedKey = async (request, reply) => {
    const key = request.headers["idempotency-key"];
    const task = key === undefined ? undefined : await findTaskByKey(pool, request.userId, key);
    return task && sendCreated(reply, task);
  };

  const requireTask = async (request) => {
    await loadTask(request);
  };

  const loadTask = async ({ params: { id }, userId }) =>
    orNotFound(isUuid(id) ? await findTask(pool, userId, id) : undefined);

  app.get("/tasks", { schema: { querystring: listQuery } }, async ({ query, userId }) => {
    const limit = Number(query.limit ?? DEFAULT_LIMIT);
    const before =
      query.cursor === undefined ? undefined : cursors.read("tasks", userId, query.cursor);
    const tasks = await listTasks(pool, userId, { ...query, before, limit: limit + 1 });
    const items = tasks.slice(0, limit);
    const hasMore = tasks.length > limit;
    return {
      items: items.map(present),
      next_cursor: hasMore ? cursors.write("tasks", userId, items.at(-1).position) : null,
    };
  });

  app.post(
    "/tasks",
    { preValidation: answerRepeatedKey, schema: { body: taskInput, headers: createHeaders } },
    async ({ body, headers: { "idempotency-key": key }, userId }, reply) => {
      const task = await changeTasks(
        pool,
        userId,
        { key },
        (tasks) => tasks.findByKey(key) ?? tasks.create(randomUUID(), body, key),
      );
      return sendCreated(reply, task);
    },
  );

  app.get("/tasks/:id", async (request, reply) => sendTask(reply, await loadTask(request)));

  app.patch(
    "/tasks/:id",
    { preValidation: requireTask, schema: { body: taskPatch } },
    async ({ params, body, headers, userId }, reply) => {
      const id = params.id.toLowerCase();
      const task = await changeTasks(pool, userId, { ids: [id] }, (tasks) => {
        const stored = orNotFound(tasks.find(id));
        requireMatch(headers["if-match"], stored);
        return tasks.change(stored, body);
      });
      return sendTask(reply, task);
    },
  );

  app.delete("/tasks/:id", async ({ params, userId }, reply) => {
    const id = orNotFound(isUuid(params.id) ? params.id.toLowerCase() : undefined);
    await changeTasks(pool, userId, { ids: [id] }, (tasks) =>
      tasks.remove(orNotFound(tasks.find(id))),
    );
    return reply.code(204).send();
  });

  app.get("/stats", async ({ userId }) => {
    const counts = await countTasks(pool, userId);
    if (!counts) {
      throw unauthorized("The user does not exist.");
    }
    return counts;
  });
}

/** @template T */
function orNotFound(found) {
  if (!found || found.deleted) {
    throw new Problem(404, "There is no such task.");
  }
  return found;
}

/** Only `*` and the very ETag match: neither a weak one nor a list is understood. */
function requireMatch(ifMatch, task) {
  if (ifMatch === undefined) {
    throw new Problem(428, "If-Match is required.");
  }
  if (ifMatch !== "*" && ifMatch !== etag(task)) {
    throw new Problem(412, `The task is at version ${task.version}.`);
  }
}

function sendTask(reply, task) {
  return reply.header("etag", etag(task)).send(present(task));
}

function sendCreated(reply, task) {
  return sendTask(reply.code(201).header("location", `/tasks/${task.id}`), task);
}
