/**
 * @typedef {object} Config
 * @property {number} port TCP port to listen on
 * @property {string} databaseUrl PostgreSQL connection string
 * @property {string} jwtSecret HMAC key of the access tokens
 * @property {number} tokenTtl lifetime of an access token in seconds
 */

/**
 * Reads the configuration from the environment, the only place it comes from.
 *
 * @param {Record<string, string | undefined>} env
 * @returns {Config}
 * @throws {Error} naming the first variable that is missing or makes no sense
 */
export function readConfig(env) {
  return {
    port: integer("PORT", env.PORT ?? "8080", 65_535),
    databaseUrl: required("DATABASE_URL", env.DATABASE_URL),
    jwtSecret: required("JWT_SECRET", env.JWT_SECRET),
    tokenTtl: integer("TOKEN_TTL", env.TOKEN_TTL ?? "900", 31_536_000),
  };
}

function required(name, value) {
  if (!value) {
    throw new Error(`${name} is not set`);
  }
  return value;
}

function integer(name, text, max) {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > max) {
    throw new Error(`${name} must be a whole number from 1 to ${max}, not "${text}"`);
  }
  return value;
}
