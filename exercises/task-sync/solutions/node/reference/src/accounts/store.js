/** @typedef {import("pg").Pool} Pool */

const REFRESH_TOKEN_LIFETIME = "30 days";

/**
 * @param {Pool} pool
 * @param {{id: string, username: string, passwordHash: string}} user
 * @returns {Promise<boolean>} false when the name is taken
 */
export async function addUser(pool, { id, username, passwordHash }) {
  const { rowCount } = await pool.query(
    `WITH added AS (
       INSERT INTO users (id, username, password_hash) VALUES ($1, $2, $3)
       ON CONFLICT (username) DO NOTHING
       RETURNING id
     )
     INSERT INTO task_lists (user_id) SELECT id FROM added`,
    [id, username, passwordHash],
  );
  return rowCount === 1;
}

/**
 * @param {Pool} pool
 * @param {string} username
 * @returns {Promise<{id: string, passwordHash: string} | undefined>}
 */
export async function findUser(pool, username) {
  const { rows } = await pool.query(
    `SELECT id, password_hash AS "passwordHash" FROM users WHERE username = $1`,
    [username],
  );
  return rows[0];
}

/**
 * Stores a new refresh token, and forgets those of the user that have expired.
 *
 * @param {Pool} pool
 * @param {string} userId
 * @param {Buffer} tokenHash
 */
export async function addRefreshToken(pool, userId, tokenHash) {
  await pool.query(
    `WITH expired AS (
       DELETE FROM refresh_tokens WHERE user_id = $1 AND expires_at <= now()
     )
     INSERT INTO refresh_tokens (user_id, token_hash, expires_at) VALUES ($1, $2, now() + $3::interval)`,
    [userId, tokenHash, REFRESH_TOKEN_LIFETIME],
  );
}

/**
 * Replaces a refresh token by the next one, in one statement: of two requests with the same token only one succeeds.
 *
 * @param {Pool} pool
 * @param {Buffer} usedHash
 * @param {Buffer} nextHash
 * @returns {Promise<string | undefined>} the user's id, or nothing when the token is unknown, used or expired
 */
export async function rotateRefreshToken(pool, usedHash, nextHash) {
  const { rows } = await pool.query(
    `WITH used AS (
       DELETE FROM refresh_tokens WHERE token_hash = $1 AND expires_at > now() RETURNING user_id
     )
     INSERT INTO refresh_tokens (user_id, token_hash, expires_at)
     SELECT user_id, $2, now() + $3::interval FROM used
     RETURNING user_id`,
    [usedHash, nextHash, REFRESH_TOKEN_LIFETIME],
  );
  return rows[0]?.user_id;
}
