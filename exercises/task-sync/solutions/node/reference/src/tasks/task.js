/**
 * @typedef {object} TaskInput what a client may set
 * @property {string} title
 * @property {string} description
 * @property {"todo" | "doing" | "done"} status
 * @property {string | null} due RFC 3339, kept as the client wrote it
 */

/**
 * @typedef {object} StoredTask
 * @property {string} id unique among the tasks of its user only
 * @property {string} title
 * @property {string} description
 * @property {"todo" | "doing" | "done"} status
 * @property {string | null} due
 * @property {number} version from 1, one higher with each change; of a deleted task the last that it had
 * @property {Date} created_at
 * @property {Date} updated_at
 * @property {number} position a later task of the same user has a higher one
 * @property {boolean} deleted
 * @property {string | null} idempotency_key
 */

const text = (limits) => ({ type: "string", format: "text", ...limits });
const title = text({ minLength: 1, maxLength: 200 });
const description = text({ maxLength: 2000 });
const due = { type: "string", nullable: true, format: "instant" };

/** JSON Schema of a task's status. */
export const status = { type: "string", enum: ["todo", "doing", "done"] };

/** JSON Schema of a whole task; validating fills in what was left out. */
export const taskInput = {
  type: "object",
  required: ["title"],
  additionalProperties: false,
  properties: {
    title,
    description: { ...description, default: "" },
    status: { ...status, default: "todo" },
    due: { ...due, default: null },
  },
};

/** JSON Schema of a change to some fields. */
export const taskPatch = {
  type: "object",
  minProperties: 1,
  additionalProperties: false,
  properties: { title, description, status, due },
};

/**
 * The task as clients see it.
 *
 * @param {StoredTask} task
 */
export function present(task) {
  return {
    id: task.id,
    title: task.title,
    description: task.description,
    status: task.status,
    due: task.due,
    version: task.version,
    created_at: task.created_at.toISOString(),
    updated_at: task.updated_at.toISOString(),
  };
}

/**
 * @param {StoredTask} task
 * @returns {string} the quoted version
 */
export function etag(task) {
  return `"${task.version}"`;
}
