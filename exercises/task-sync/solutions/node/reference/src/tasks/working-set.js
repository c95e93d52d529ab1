/** @typedef {import("./task.js").StoredTask} StoredTask */
/** @typedef {import("./task.js").TaskInput} TaskInput */

/**
 * @typedef {object} TaskList the row that stands for all tasks of a user
 * @property {number} change_seq of the last change; grows by one with each transaction that writes
 * @property {number} last_position
 * @property {number} todo
 * @property {number} doing
 * @property {number} done
 */

/**
 * The tasks that one transaction works on, in memory. Every change to a task goes through here, so this is the one
 * place that keeps versions, times, positions and counts right. It knows no database: see store.js for what is loaded
 * into it and how it is saved.
 */
export class WorkingSet {
  #tasks;
  #now;
  /** @type {Map<string, StoredTask>} */
  changed = new Map();

  /**
   * @param {TaskList} list
   * @param {StoredTask[]} tasks all that `work` may ask for, deleted ones included
   * @param {Date} now
   */
  constructor(list, tasks, now) {
    this.list = { ...list };
    this.#tasks = new Map(tasks.map((task) => [task.id, task]));
    this.#now = now;
  }

  /**
   * @param {string} id
   * @returns {StoredTask | undefined} also when it is deleted
   */
  find(id) {
    return this.#tasks.get(id);
  }

  /**
   * @param {string} key
   * @returns {StoredTask | undefined} also when it is deleted
   */
  findByKey(key) {
    return [...this.#tasks.values()].find((task) => task.idempotency_key === key);
  }

  /**
   * @param {string} id not taken yet
   * @param {TaskInput} input
   * @param {string | null} [idempotencyKey]
   * @returns {StoredTask}
   */
  create(id, input, idempotencyKey = null) {
    this.list.last_position += 1;
    return this.#put({
      ...input,
      id,
      version: 1,
      created_at: this.#now,
      updated_at: this.#now,
      position: this.list.last_position,
      deleted: false,
      idempotency_key: idempotencyKey,
    });
  }

  /**
   * @param {StoredTask} task
   * @param {Partial<TaskInput>} fields
   * @returns {StoredTask} one version higher
   */
  change(task, fields) {
    return this.#put({ ...task, ...fields, version: task.version + 1, updated_at: this.#now });
  }

  /**
   * Marks a task as deleted. The rest of it stays as it last was.
   *
   * @param {StoredTask} task
   */
  remove(task) {
    this.#put({ ...task, deleted: true });
  }

  #put(task) {
    this.#count(this.#tasks.get(task.id), -1);
    this.#count(task, +1);
    if (this.changed.size === 0) {
      this.list.change_seq += 1;
    }
    this.#tasks.set(task.id, task);
    this.changed.set(task.id, task);
    return task;
  }

  #count(task, difference) {
    if (task && !task.deleted) {
      this.list[task.status] += difference;
    }
  }
}
