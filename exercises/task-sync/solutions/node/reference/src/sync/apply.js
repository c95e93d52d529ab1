import { present } from "../tasks/task.js";

/** @typedef {import("../tasks/working-set.js").WorkingSet} WorkingSet */
/** @typedef {import("../tasks/task.js").StoredTask} StoredTask */
/** @typedef {import("../tasks/task.js").TaskInput} TaskInput */

/**
 * @typedef {object} Change
 * @property {"upsert" | "delete"} op
 * @property {string} id in lower case
 * @property {number} [base_version]
 * @property {TaskInput} [task]
 */

/**
 * Applies the changes of an offline client in order, each as a whole or not at all.
 *
 * @param {WorkingSet} tasks holds every task that a change names, as far as it exists
 * @param {Change[]} changes
 * @returns {{applied: string[], conflicts: Array<{id: string, server: object | null}>}}
 */
export function applyChanges(tasks, changes) {
  const applied = [];
  const conflicts = [];
  for (const change of changes) {
    const stored = tasks.find(change.id);
    if (applyChange(tasks, stored, change)) {
      applied.push(change.id);
    } else {
      conflicts.push({
        id: change.id,
        server: stored && !stored.deleted ? present(stored) : null,
      });
    }
  }
  return { applied, conflicts };
}

/** Returns whether the outcome of the change is in place now; if not, it conflicts with what is stored. */
function applyChange(tasks, stored, change) {
  if (change.op === "delete") {
    return applyDelete(tasks, stored, change);
  }
  return change.base_version === undefined
    ? applyCreate(tasks, stored, change)
    : applyReplace(tasks, stored, change);
}

function applyDelete(tasks, stored, { base_version }) {
  if (stored?.version !== base_version) {
    return false;
  }
  if (!stored.deleted) {
    tasks.remove(stored);
  }
  return true;
}

function applyCreate(tasks, stored, { id, task }) {
  if (stored) {
    return isInPlace(stored, 1, task);
  }
  tasks.create(id, task);
  return true;
}

function applyReplace(tasks, stored, { base_version, task }) {
  if (!stored || stored.deleted || stored.version !== base_version) {
    return isInPlace(stored, base_version + 1, task);
  }
  tasks.change(stored, task);
  return true;
}

/** Whether an upsert has been applied before: its content is there, at the version that it made. */
function isInPlace(stored, version, task) {
  return (
    stored?.version === version &&
    !stored.deleted &&
    stored.title === task.title &&
    stored.description === task.description &&
    stored.status === task.status &&
    stored.due === task.due
  );
}
