import { exchangeTasks } from "../tasks/store.js";
import { present, taskInput } from "../tasks/task.js";
import { applyChanges } from "./apply.js";

const change = {
  type: "object",
  required: ["op", "id"],
  properties: {
    op: { type: "string", enum: ["upsert", "delete"] },
    id: { type: "string", format: "task-id" },
    base_version: { type: "integer" },
    task: taskInput,
  },
  if: { properties: { op: { const: "delete" } } },
  then: { required: ["base_version"] },
  else: { required: ["task"] },
};

const exchange = {
  type: "object",
  required: ["since", "changes"],
  properties: {
    since: { type: "string", nullable: true },
    changes: { type: "array", maxItems: 500, items: change },
  },
};

/**
 * Two-way synchronisation of an offline client.
 *
 * @param {import("fastify").FastifyInstance} app whose requests carry a `userId`
 * @param {{pool: import("pg").Pool, cursors: import("../tasks/cursor.js").Cursors}} options
 */
export async function syncRoutes(app, { pool, cursors }) {
  app.post("/sync", { schema: { body: exchange } }, async ({ body, userId }) => {
    const since = body.since === null ? 0 : cursors.read("sync", userId, body.since);
    const changes = body.changes.map((item) => ({ ...item, id: item.id.toLowerCase() }));
    const wanted = { ids: changes.map(({ id }) => id), since };
    const { outcome, news, changeSeq } = await exchangeTasks(pool, userId, wanted, (tasks) =>
      applyChanges(tasks, changes),
    );
    return {
      ...outcome,
      changes: news.filter((task) => !task.deleted).map(present),
      deleted: news.filter((task) => task.deleted).map((task) => task.id),
      cursor: cursors.write("sync", userId, changeSeq),
    };
  });
}
