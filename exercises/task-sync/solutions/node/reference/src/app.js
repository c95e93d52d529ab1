import Fastify from "fastify";

import { accountRoutes } from "./accounts/routes.js";
import { authenticate } from "./accounts/tokens.js";
import { readBodiesAsJson } from "./http/body.js";
import { formats } from "./http/formats.js";
import { answerBrokenRequest, answerWithProblems, Problem, sendProblem } from "./http/problem.js";
import { parseQuery } from "./http/query.js";
import { syncRoutes } from "./sync/routes.js";
import { Cursors } from "./tasks/cursor.js";
import { taskRoutes } from "./tasks/routes.js";

const REQUEST_TIMEOUT_MS = 30_000;

/**
 * Wires the service together. It listens to nothing yet; closing it closes the pool too.
 *
 * @param {object} parts
 * @param {import("./config.js").Config} parts.config
 * @param {import("pg").Pool} parts.pool
 * @returns {import("fastify").FastifyInstance}
 */
export function buildApp({ config, pool }) {
  const app = Fastify({
    logger: { level: "warn" },
    requestTimeout: REQUEST_TIMEOUT_MS,
    return503OnClosing: false,
    routerOptions: { querystringParser: parseQuery },
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, formats } },
    clientErrorHandler: answerBrokenRequest,
    // A path that cannot be decoded, or is too long, leads nowhere.
    frameworkErrors: (error, request, reply) =>
      sendProblem(reply.header("x-content-type-options", "nosniff"), new Problem(404)),
  });
  app.decorateRequest("userId", "");
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-content-type-options", "nosniff");
  });
  app.addHook("onClose", () => pool.end());
  answerWithProblems(app);
  readBodiesAsJson(app);

  app.get("/health", async () => {
    await pool.query("SELECT 1");
    return { status: "ok" };
  });
  app.register(accountRoutes, { config, pool });
  app.register(async (secured) => {
    secured.addHook("onRequest", async (request) => {
      request.userId = authenticate(request.headers.authorization, config.jwtSecret);
    });
    const options = { pool, cursors: new Cursors(config.jwtSecret) };
    secured.register(taskRoutes, options);
    secured.register(syncRoutes, options);
  });
  return app;
}
