import pg from "pg";

/** More connections would not make PostgreSQL faster: a request holds one for a few milliseconds. */
const CONNECTIONS = 10;
const CONNECT_TIMEOUT_MS = 3_000;
const QUERY_TIMEOUT_MS = 5_000;

/**
 * Socket errors, and the SQLSTATEs of a database that shuts down or starts up (57P01 to 57P03), has too many clients (53300)
 * or takes too long (57014).
 */
const UNAVAILABLE = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "53300",
  "57014",
  "57P01",
  "57P02",
  "57P03",
]);

/** The driver reports these without a code. */
const UNAVAILABLE_MESSAGE = /connection terminated|timeout exceeded|read timeout|not queryable/i;

/**
 * A pool of connections that outlives a restart of the database: broken connections are dropped and replaced.
 *
 * @param {string} connectionString
 * @returns {pg.Pool}
 */
export function createPool(connectionString) {
  const pool = new pg.Pool({
    connectionString,
    max: CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    statement_timeout: QUERY_TIMEOUT_MS,
  });
  // Without a listener, a connection that breaks while nobody uses it would end the process. The next query on it
  // reports the loss to whoever asked.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

/**
 * Runs `work` in one transaction: committed when it returns, rolled back when it throws.
 *
 * @template T
 * @param {pg.Pool} pool
 * @param {(client: pg.PoolClient) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function transaction(pool, work) {
  const client = await pool.connect();
  let isBroken = false;
  try {
    await client.query("BEGIN");
    const result = await work(client);
    await client.query("COMMIT");
    return result;
  } catch (error) {
    isBroken = await client.query("ROLLBACK").then(
      () => false,
      () => true,
    );
    throw error;
  } finally {
    client.release(isBroken);
  }
}

/**
 * Whether an error means that the database cannot answer now, rather than that the query was wrong.
 *
 * @param {Error & {code?: string}} error
 */
export function isUnavailable(error) {
  return UNAVAILABLE.has(error.code ?? "") || UNAVAILABLE_MESSAGE.test(error.message);
}
