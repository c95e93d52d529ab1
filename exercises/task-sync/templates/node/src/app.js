import Fastify from "fastify";

/**
 * The service, not listening yet.
 *
 * @returns {import("fastify").FastifyInstance}
 */
export function buildApp() {
  const app = Fastify();
  app.get("/health", async () => ({ status: "ok" }));
  return app;
}
