import { buildApp } from "./app.js";
import { readConfig } from "./config.js";
import { createPool } from "./database/pool.js";
import { prepareDatabase } from "./database/schema.js";

/** Requests still running this long after a signal are cut off; the contract allows 10 s in all. */
const SHUTDOWN_DEADLINE_MS = 8_000;

const config = readConfig(process.env);
const pool = createPool(config.databaseUrl);
const app = buildApp({ config, pool });

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.once(signal, async () => {
    setTimeout(() => process.exit(1), SHUTDOWN_DEADLINE_MS).unref();
    await app.close();
    process.exit(0);
  });
}

await prepareDatabase(pool, app.log);
await app.listen({ host: "0.0.0.0", port: config.port });
