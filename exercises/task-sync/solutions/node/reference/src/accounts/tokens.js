import { createHash, randomBytes } from "node:crypto";

import jwt from "jsonwebtoken";

import { isUuid } from "../http/formats.js";
import { Problem } from "../http/problem.js";

/**
 * @param {string} userId
 * @param {{jwtSecret: string, tokenTtl: number}} config
 * @returns {string} a signed JWT
 */
export function issueAccessToken(userId, { jwtSecret, tokenTtl }) {
  return jwt.sign({}, jwtSecret, { algorithm: "HS256", subject: userId, expiresIn: tokenTtl });
}

/**
 * @param {string | undefined} authorization the request header
 * @param {string} jwtSecret
 * @returns {string} the user's id
 * @throws {Problem} 401 unless it holds a token that {@link issueAccessToken} could have made and that is still valid
 */
export function authenticate(authorization, jwtSecret) {
  const [scheme, token, ...rest] = (authorization ?? "").split(" ");
  if (scheme.toLowerCase() !== "bearer" || !token || rest.length > 0) {
    throw unauthorized("A bearer token is required.");
  }
  const { sub, exp } = verify(token, jwtSecret);
  if (exp === undefined || typeof sub !== "string" || !isUuid(sub)) {
    throw unauthorized("The token lacks a claim.");
  }
  return sub;
}

function verify(token, jwtSecret) {
  try {
    return jwt.verify(token, jwtSecret, { algorithms: ["HS256"] });
  } catch (error) {
    throw unauthorized(`The token is not valid: ${error.message}.`);
  }
}

/**
 * @param {string} detail
 * @returns {Problem}
 */
export function unauthorized(detail) {
  return new Problem(401, detail, { "www-authenticate": "Bearer" });
}

/** @returns {string} a fresh refresh token: random, no JWT, so that neither kind of token can pass for the other */
export function newRefreshToken() {
  return randomBytes(32).toString("base64url");
}

/**
 * What is stored of a refresh token. It is random and long, so a fast hash is enough.
 *
 * @param {string} refreshToken
 * @returns {Buffer}
 */
export function hashRefreshToken(refreshToken) {
  return createHash("sha256").update(refreshToken).digest();
}
