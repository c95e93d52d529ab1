import { setTimeout as sleep } from "node:timers/promises";

import { isUnavailable, transaction } from "./pool.js";

const RETRY_MS = 250;

/** Any number will do, as long as every instance of the service takes the same. */
const SCHEMA_LOCK = 7_315_001;

const SCHEMA = `
CREATE TABLE IF NOT EXISTS users (
  id uuid PRIMARY KEY,
  username text NOT NULL UNIQUE,
  password_hash text NOT NULL
);

CREATE TABLE IF NOT EXISTS refresh_tokens (
  token_hash bytea PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users,
  expires_at timestamptz NOT NULL
);

-- One row per user: the lock that orders the changes to their tasks, and what the tasks add up to.
CREATE TABLE IF NOT EXISTS task_lists (
  user_id uuid PRIMARY KEY REFERENCES users,
  change_seq integer NOT NULL DEFAULT 0,
  last_position integer NOT NULL DEFAULT 0,
  todo integer NOT NULL DEFAULT 0,
  doing integer NOT NULL DEFAULT 0,
  done integer NOT NULL DEFAULT 0
);

-- A deleted task keeps its row, as it last was: clients learn of the deletion from it, and its id stays taken.
CREATE TABLE IF NOT EXISTS tasks (
  user_id uuid NOT NULL REFERENCES task_lists,
  id uuid NOT NULL,
  position integer NOT NULL,
  title text NOT NULL,
  description text NOT NULL,
  status text NOT NULL CHECK (status IN ('todo', 'doing', 'done')),
  due text,
  version integer NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  deleted boolean NOT NULL,
  changed_seq integer NOT NULL,
  idempotency_key text,
  PRIMARY KEY (user_id, id)
);

CREATE UNIQUE INDEX IF NOT EXISTS tasks_newest_first ON tasks (user_id, position DESC) WHERE NOT deleted;
CREATE UNIQUE INDEX IF NOT EXISTS tasks_by_idempotency_key ON tasks (user_id, idempotency_key)
  WHERE idempotency_key IS NOT NULL;
CREATE INDEX IF NOT EXISTS tasks_by_change ON tasks (user_id, changed_seq);
CREATE INDEX IF NOT EXISTS refresh_tokens_by_user ON refresh_tokens (user_id);
`;

/**
 * Waits until the database answers, then creates what is missing of the schema. Instances that start at the same time
 * take turns.
 *
 * @param {import("pg").Pool} pool
 * @param {{warn: (message: string) => void}} log
 */
export async function prepareDatabase(pool, log) {
  for (;;) {
    try {
      await createSchema(pool);
      return;
    } catch (error) {
      if (!isUnavailable(error)) {
        throw error;
      }
      log.warn(`waiting for the database: ${error.message}`);
      await sleep(RETRY_MS);
    }
  }
}

function createSchema(pool) {
  return transaction(pool, async (client) => {
    await client.query("SELECT pg_advisory_xact_lock($1)", [SCHEMA_LOCK]);
    await client.query(SCHEMA);
  });
}
