import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

const derive = promisify(scrypt);

/** CPU and memory cost (16 MiB). Stored with each hash, so that it can be raised without locking anyone out. */
const COST = 2 ** 14;
const SALT_BYTES = 16;
const KEY_BYTES = 32;

/** Checked when there is no such user, so that the answer takes as long as for one that exists. */
const HASH_OF_NOBODY = `${COST}$${"A".repeat(22)}$${"A".repeat(43)}`;

/**
 * @param {string} password
 * @returns {Promise<string>} `cost$salt$key`, the latter two in base64url
 */
export async function hashPassword(password) {
  const salt = randomBytes(SALT_BYTES);
  const key = await derive(password, salt, KEY_BYTES, { N: COST });
  return [COST, salt.toString("base64url"), key.toString("base64url")].join("$");
}

/**
 * @param {string} password
 * @param {string} [hash] from {@link hashPassword}; nothing when the user does not exist
 * @returns {Promise<boolean>}
 */
export async function isRightPassword(password, hash = HASH_OF_NOBODY) {
  const [cost, salt, key] = hash.split("$");
  const expected = Buffer.from(key, "base64url");
  const actual = await derive(password, Buffer.from(salt, "base64url"), expected.length, {
    N: Number(cost),
  });
  return timingSafeEqual(actual, expected);
}
