import { createHmac, timingSafeEqual } from "node:crypto";

import { Problem } from "../http/problem.js";

const MAC_BYTES = 16;

/**
 * Makes and reads cursors: numbers that a client hands back later. They are signed together with what they are for, so
 * an invented cursor, or that of another user or another operation, is told from a real one without storing any.
 */
export class Cursors {
  #key;

  /** @param {string} secret */
  constructor(secret) {
    this.#key = createHmac("sha256", secret).update("cursor").digest();
  }

  /**
   * @param {string} purpose the operation that takes the cursor
   * @param {string} userId
   * @param {number} value from 0 to 2³² - 1
   * @returns {string}
   */
  write(purpose, userId, value) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    const mac = createHmac("sha256", this.#key).update(`${purpose}:${userId}:${value}`).digest();
    return Buffer.concat([bytes, mac.subarray(0, MAC_BYTES)]).toString("base64url");
  }

  /**
   * @param {string} purpose
   * @param {string} userId
   * @param {string} cursor
   * @returns {number}
   * @throws {Problem} 422 unless {@link Cursors.write} made it for the same purpose and user
   */
  read(purpose, userId, cursor) {
    const given = Buffer.from(cursor);
    const value = Buffer.concat([Buffer.from(cursor, "base64url"), Buffer.alloc(4)]).readUInt32BE();
    const expected = Buffer.from(this.write(purpose, userId, value));
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw new Problem(422, "The cursor is not one that this service gave out.");
    }
    return value;
  }
}
