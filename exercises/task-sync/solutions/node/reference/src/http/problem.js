import { STATUS_CODES } from "node:http";

import { isUnavailable } from "../database/pool.js";

const TITLES = new Map(Object.entries(STATUS_CODES).map(([code, title]) => [Number(code), title]));

/** What Node.js reports about a request that it could not read; anything else is a 400. */
const BROKEN_REQUEST_STATUSES = new Map([
  ["HPE_HEADER_OVERFLOW", 431],
  ["ERR_HTTP_REQUEST_TIMEOUT", 408],
]);

/** An answer other than success, as RFC 9457 describes it. Throw one anywhere in a request. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {string} [detail] what went wrong this time, for a human
   * @param {Record<string, string>} [headers]
   */
  constructor(status, detail, headers = {}) {
    const title = TITLES.get(status) ?? "Error";
    super(detail ?? title);
    this.title = title;
    this.status = status;
    this.detail = detail;
    this.headers = headers;
  }

  /** The `application/problem+json` body. */
  toJSON() {
    return {
      type: "about:blank",
      title: this.title,
      status: this.status,
      detail: this.detail,
    };
  }
}

/**
 * Whatever was thrown, as the problem that the client may see. What is not meant for clients becomes a bare 500.
 *
 * @param {any} error
 * @returns {Problem}
 */
export function toProblem(error) {
  if (error instanceof Problem) {
    return error;
  }
  if (error.validation) {
    return new Problem(422, error.message);
  }
  if (isUnavailable(error)) {
    return new Problem(503, "The database cannot be reached.", { "retry-after": "1" });
  }
  if (error.statusCode >= 400 && error.statusCode < 500) {
    return new Problem(error.statusCode, error.message);
  }
  return new Problem(500);
}

/**
 * Makes every error of a Fastify instance leave as a problem and be logged when it is ours.
 *
 * @param {import("fastify").FastifyInstance} app
 */
export function answerWithProblems(app) {
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error);
    if (problem.status === 503) {
      request.log.warn(`${request.method} ${request.url}: ${error.message}`);
    } else if (problem.status >= 500) {
      request.log.error(error, `${request.method} ${request.url}`);
    }
    return sendProblem(reply, problem);
  });
  app.setNotFoundHandler((request, reply) => sendProblem(reply, new Problem(404)));
}

/**
 * @param {import("fastify").FastifyReply} reply
 * @param {Problem} problem
 */
export function sendProblem(reply, problem) {
  return reply
    .code(problem.status)
    .headers(problem.headers)
    .type("application/problem+json")
    .send(problem.toJSON());
}

/**
 * Answers what never became a request: bytes that are no HTTP, too many headers, too slow a client.
 *
 * @param {Error & {code?: string}} error
 * @param {import("node:net").Socket} socket
 */
export function answerBrokenRequest(error, socket) {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const problem = new Problem(BROKEN_REQUEST_STATUSES.get(error.code) ?? 400);
  const body = JSON.stringify(problem);
  socket.end(
    [
      `HTTP/1.1 ${problem.status} ${problem.title}`,
      "Connection: close",
      "Content-Type: application/problem+json",
      `Content-Length: ${Buffer.byteLength(body)}`,
      "X-Content-Type-Options: nosniff",
      "",
      body,
    ].join("\r\n"),
  );
}
