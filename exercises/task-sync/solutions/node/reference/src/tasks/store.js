import { transaction } from "../database/pool.js";
import { unauthorized } from "../accounts/tokens.js";
import { WorkingSet } from "./working-set.js";

/** @typedef {import("pg").Pool} Pool */
/** @typedef {import("./task.js").StoredTask} StoredTask */

const COLUMNS =
  "id, title, description, status, due, version, created_at, updated_at, position, deleted, idempotency_key";

/**
 * Changes a user's tasks in one transaction. Changes of one user happen one after the other, in the order of their
 * `change_seq`: a client that has seen one has seen all before it.
 *
 * @template T
 * @param {Pool} pool
 * @param {string} userId
 * @param {{ids?: string[], key?: string}} wanted which tasks `work` needs
 * @param {(tasks: WorkingSet) => T} work decides what to change; must not wait for anything
 * @returns {Promise<T>}
 */
export function changeTasks(pool, userId, wanted, work) {
  return transaction(pool, async (client) => {
    const tasks = await claimTasks(client, userId, wanted);
    const result = work(tasks);
    await saveTasks(client, userId, tasks);
    return result;
  });
}

/**
 * Like {@link changeTasks}, and reads in the same transaction what is new to a client.
 *
 * @template T
 * @param {Pool} pool
 * @param {string} userId
 * @param {{ids: string[], since: number}} wanted `since` is the `change_seq` that the client has seen
 * @param {(tasks: WorkingSet) => T} work
 * @returns {Promise<{outcome: T, news: StoredTask[], changeSeq: number}>} news includes deleted tasks
 */
export function exchangeTasks(pool, userId, { ids, since }, work) {
  return transaction(pool, async (client) => {
    const tasks = await claimTasks(client, userId, { ids });
    const outcome = work(tasks);
    await saveTasks(client, userId, tasks);
    const { rows: news } = await client.query(
      `SELECT ${COLUMNS} FROM tasks WHERE user_id = $1 AND changed_seq > $2 ORDER BY changed_seq, position`,
      [userId, since],
    );
    return { outcome, news, changeSeq: tasks.list.change_seq };
  });
}

async function claimTasks(client, userId, { ids = [], key = null }) {
  const lists = await client.query(
    "SELECT change_seq, last_position, todo, doing, done FROM task_lists WHERE user_id = $1 FOR UPDATE",
    [userId],
  );
  if (lists.rowCount === 0) {
    throw unauthorized("The user does not exist.");
  }
  const tasks = await client.query(
    `SELECT ${COLUMNS} FROM tasks WHERE user_id = $1 AND (id = ANY($2::uuid[]) OR idempotency_key = $3)`,
    [userId, ids, key],
  );
  return new WorkingSet(lists.rows[0], tasks.rows, new Date());
}

async function saveTasks(client, userId, { list, changed }) {
  if (changed.size === 0) {
    return;
  }
  await client.query(
    `WITH counted AS (
       UPDATE task_lists SET change_seq = $3, last_position = $4, todo = $5, doing = $6, done = $7 WHERE user_id = $1
     )
     INSERT INTO tasks (user_id, changed_seq, ${COLUMNS})
     SELECT $1, $3, ${COLUMNS}
     FROM jsonb_to_recordset($2) AS changed (
       id uuid, title text, description text, status text, due text, version integer, created_at timestamptz,
       updated_at timestamptz, position integer, deleted boolean, idempotency_key text
     )
     ON CONFLICT (user_id, id) DO UPDATE SET
       title = excluded.title, description = excluded.description, status = excluded.status, due = excluded.due,
       version = excluded.version, updated_at = excluded.updated_at, deleted = excluded.deleted,
       changed_seq = excluded.changed_seq`,
    [
      userId,
      JSON.stringify([...changed.values()]),
      list.change_seq,
      list.last_position,
      list.todo,
      list.doing,
      list.done,
    ],
  );
}

/**
 * @param {Pool} pool
 * @param {string} userId
 * @param {string} id a UUID
 * @returns {Promise<StoredTask | undefined>} nothing when it is deleted
 */
export async function findTask(pool, userId, id) {
  const { rows } = await pool.query(
    `SELECT ${COLUMNS} FROM tasks WHERE user_id = $1 AND id = $2 AND NOT deleted`,
    [userId, id],
  );
  return rows[0];
}

/**
 * @param {Pool} pool
 * @param {string} userId
 * @param {string} key
 * @returns {Promise<StoredTask | undefined>} also when it is deleted
 */
export async function findTaskByKey(pool, userId, key) {
  const { rows } = await pool.query(
    `SELECT ${COLUMNS} FROM tasks WHERE user_id = $1 AND idempotency_key = $2`,
    [userId, key],
  );
  return rows[0];
}

/**
 * @param {Pool} pool
 * @param {string} userId
 * @param {object} filter
 * @param {number} filter.limit
 * @param {number} [filter.before] only tasks below this position
 * @param {string} [filter.status]
 * @param {string} [filter.q] a part of the title
 * @returns {Promise<StoredTask[]>} newest first
 */
export async function listTasks(pool, userId, { limit, before, status, q }) {
  const { rows } = await pool.query(
    `SELECT ${COLUMNS} FROM tasks
     WHERE user_id = $1 AND NOT deleted
       AND ($2::integer IS NULL OR position < $2)
       AND ($3::text IS NULL OR status = $3)
       AND ($4::text IS NULL OR title ILIKE $4)
     ORDER BY position DESC
     LIMIT $5`,
    [userId, before, status, q === undefined ? undefined : containing(q), limit],
  );
  return rows;
}

/** The LIKE pattern of all strings that contain `text`, in which no character is special. */
function containing(text) {
  const escaped = text.replaceAll(/[\\%_]/g, "\\$&");
  return `%${escaped}%`;
}

/**
 * @param {Pool} pool
 * @param {string} userId
 * @returns {Promise<{todo: number, doing: number, done: number, total: number} | undefined>} nothing without such a user
 */
export async function countTasks(pool, userId) {
  const { rows } = await pool.query(
    "SELECT todo, doing, done, todo + doing + done AS total FROM task_lists WHERE user_id = $1",
    [userId],
  );
  return rows[0];
}
