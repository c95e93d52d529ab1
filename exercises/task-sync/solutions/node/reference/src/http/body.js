import { Problem } from "./problem.js";

/** The largest body that is read, in bytes. */
export const BODY_LIMIT = 1024 * 1024;

/** How much of a body beyond the limit is read and thrown away, so that the client gets to see the answer. */
const DRAIN_LIMIT = 16 * BODY_LIMIT;

/**
 * Every body is read as JSON, whatever its Content-Type says. One that is no JSON counts as missing: the schema of the
 * route refuses it with 422, but only after the checks that come first (401, 413, 404).
 *
 * @param {import("fastify").FastifyInstance} app
 */
export function readBodiesAsJson(app) {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", async (request, payload) => parseJson(await readBytes(payload)));
}

/**
 * @param {AsyncIterable<Buffer>} stream
 * @returns {Promise<Buffer>}
 * @throws {Problem} 413 when the stream is longer than {@link BODY_LIMIT}
 */
export async function readBytes(stream) {
  const chunks = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.length;
    if (length <= BODY_LIMIT) {
      chunks.push(chunk);
    } else if (length > DRAIN_LIMIT) {
      break;
    }
  }
  if (length > BODY_LIMIT) {
    throw new Problem(413, `A body may have at most ${BODY_LIMIT} bytes.`);
  }
  return Buffer.concat(chunks);
}

/**
 * @param {Uint8Array} bytes
 * @returns {unknown} the value, or undefined when the bytes are no JSON in UTF-8
 */
export function parseJson(bytes) {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
