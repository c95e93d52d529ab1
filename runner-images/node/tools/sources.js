// The JavaScript and TypeScript files of a submission. Everything in them is a stranger's: nothing is imported or run.
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

const SOURCE = /(?<!\.d|\.min)\.[cm]?[jt]s$/;
const NOT_WRITTEN_HERE = new Set(['.git', 'node_modules', 'coverage']);
const TEST_FOLDERS = new Set(['__tests__', 'blackbox', 'test', 'testing', 'tests']);
const TEST_FILE = /([._-](test|spec)|^test(-.+)?)\.[cm]?[jt]s$/;

/** Nobody writes more than this in one file by hand. */
const LARGEST_FILE_BYTES = 1 << 20;

/** Whether a file is written in TypeScript. */
export const isTypeScript = (path) => /ts$/.test(path);

/** Whether a file is part of the tests rather than of the service. */
export function isTest(path) {
  const parts = path.split(sep);
  return TEST_FILE.test(parts.at(-1)) || parts.slice(0, -1).some((part) => TEST_FOLDERS.has(part));
}

/** Yields path and text of every source below `root`, in a stable order; symbolic links are left out. */
export function* sources(root, folder = root) {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !NOT_WRITTEN_HERE.has(entry.name)) yield* sources(root, path);
    if (!entry.isFile() || !SOURCE.test(entry.name) || lstatSync(path).size > LARGEST_FILE_BYTES) continue;
    yield { path: relative(root, path), text: readFileSync(path, 'utf8') };
  }
}
