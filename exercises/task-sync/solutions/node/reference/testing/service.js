import { randomBytes } from "node:crypto";

import { buildApp } from "../src/app.js";
import { readConfig } from "../src/config.js";
import { createPool } from "../src/database/pool.js";
import { prepareDatabase } from "../src/database/schema.js";

/** Configuration of the tests: the database comes from the environment, the rest is made up. */
export const config = readConfig({
  DATABASE_URL: process.env.DATABASE_URL,
  JWT_SECRET: randomBytes(32).toString("hex"),
});

/**
 * The whole service on the real database, without a socket: requests are injected.
 *
 * @param {string} [databaseUrl]
 * @returns {Promise<import("fastify").FastifyInstance>} close it after the tests
 */
export async function startService(databaseUrl = config.databaseUrl) {
  const pool = createPool(databaseUrl);
  const app = buildApp({ config, pool });
  app.log.level = "silent";
  await prepareDatabase(pool, app.log);
  return app;
}

/** @returns {{username: string, password: string}} of a user that does not exist yet */
export function newCredentials() {
  return {
    username: `u_${randomBytes(8).toString("hex")}`,
    password: randomBytes(8).toString("hex"),
  };
}

/**
 * @typedef {object} Answer
 * @property {number} status
 * @property {Record<string, string>} headers
 * @property {any} body parsed, if there is one
 */

/** Someone who asks the service, with or without a token. */
export class Client {
  /**
   * @param {import("fastify").FastifyInstance} app
   * @param {string} [accessToken]
   */
  constructor(app, accessToken) {
    this.app = app;
    this.authorization = accessToken ? { authorization: `Bearer ${accessToken}` } : {};
  }

  /**
   * @param {string} method
   * @param {string} url
   * @param {object | string} [body]
   * @param {Record<string, string>} [headers]
   * @returns {Promise<Answer>}
   */
  async request(method, url, body, headers = {}) {
    const response = await this.app.inject({
      method,
      url,
      body,
      headers: { ...this.authorization, ...headers },
    });
    return {
      status: response.statusCode,
      headers: response.headers,
      body: response.payload === "" ? undefined : response.json(),
    };
  }

  /** Creates a task and returns it. */
  async create(fields = {}) {
    const { body } = await this.request("POST", "/tasks", { title: "a task", ...fields });
    return body;
  }

  /** Synchronises and returns the outcome. */
  async sync(since, ...changes) {
    const { body } = await this.request("POST", "/sync", { since, changes });
    return body;
  }
}

/**
 * @param {import("fastify").FastifyInstance} app
 * @returns {Promise<Client>} a user of this test alone
 */
export async function newUser(app) {
  const anyone = new Client(app);
  const credentials = newCredentials();
  await anyone.request("POST", "/users", credentials);
  const { body } = await anyone.request("POST", "/auth/token", credentials);
  return new Client(app, body.access_token);
}
