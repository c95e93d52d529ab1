import { randomUUID } from "node:crypto";

import { Problem } from "../http/problem.js";
import { hashPassword, isRightPassword } from "./passwords.js";
import { addRefreshToken, addUser, findUser, rotateRefreshToken } from "./store.js";
import { hashRefreshToken, issueAccessToken, newRefreshToken, unauthorized } from "./tokens.js";

const credentials = {
  type: "object",
  required: ["username", "password"],
  properties: {
    username: { type: "string", pattern: "^[a-z0-9_]{3,32}$" },
    password: { type: "string", minLength: 8, maxLength: 128, format: "text" },
  },
};

const renewal = {
  type: "object",
  required: ["refresh_token"],
  properties: { refresh_token: { type: "string", format: "text" } },
};

/**
 * Registration and tokens: the routes that need no access token.
 *
 * @param {import("fastify").FastifyInstance} app
 * @param {{config: import("../config.js").Config, pool: import("pg").Pool}} options
 */
export async function accountRoutes(app, { config, pool }) {
  const sendTokens = (reply, userId, refreshToken) =>
    reply.header("cache-control", "no-store").send({
      access_token: issueAccessToken(userId, config),
      refresh_token: refreshToken,
      token_type: "Bearer",
      expires_in: config.tokenTtl,
    });

  app.post("/users", { schema: { body: credentials } }, async (request, reply) => {
    const { username, password } = request.body;
    const id = randomUUID();
    if (!(await addUser(pool, { id, username, passwordHash: await hashPassword(password) }))) {
      throw new Problem(409, "The username is taken.");
    }
    return reply.code(201).send({ id, username });
  });

  app.post("/auth/token", { schema: { body: credentials } }, async (request, reply) => {
    const user = await findUser(pool, request.body.username);
    if (!(await isRightPassword(request.body.password, user?.passwordHash)) || !user) {
      throw unauthorized("The username or the password is wrong.");
    }
    const refreshToken = newRefreshToken();
    await addRefreshToken(pool, user.id, hashRefreshToken(refreshToken));
    return sendTokens(reply, user.id, refreshToken);
  });

  app.post("/auth/refresh", { schema: { body: renewal } }, async (request, reply) => {
    const refreshToken = newRefreshToken();
    const userId = await rotateRefreshToken(
      pool,
      hashRefreshToken(request.body.refresh_token),
      hashRefreshToken(refreshToken),
    );
    if (!userId) {
      throw unauthorized("The refresh token is unknown, used or expired.");
    }
    return sendTokens(reply, userId, refreshToken);
  });
}
