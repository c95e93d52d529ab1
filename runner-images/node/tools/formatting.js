// Prints the files that are not formatted as Prettier would, one a line.
//     node formatting.js DIR
//
// What counts is that a formatter was used, not whose taste: the submission's own settings hold where it has them as data,
// and otherwise its quotes, semicolons and indentation, and the line width that leaves the fewest files.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import prettier from 'prettier';

import { isTypeScript, sources } from './sources.js';

const LINE_WIDTHS = [80, 100, 120];
const SETTINGS = {
  arrowParens: 'string',
  bracketSpacing: 'boolean',
  endOfLine: 'string',
  experimentalTernaries: 'boolean',
  objectWrap: 'string',
  printWidth: 'number',
  quoteProps: 'string',
  semi: 'boolean',
  singleQuote: 'boolean',
  tabWidth: 'number',
  trailingComma: 'string',
  useTabs: 'boolean',
};

const count = (texts, pattern) => texts.reduce((sum, text) => sum + (text.match(pattern)?.length ?? 0), 0);

/** What most of the files do. */
export function habits(texts) {
  return {
    semi: count(texts, /;\s*$/gm) * 4 > count(texts, /[\w)\]'"`]\s*$/gm),
    singleQuote: count(texts, /'/g) > count(texts, /"/g),
    tabWidth: count(texts, /^ {2}\S/gm) < count(texts, /^ {4}\S/gm) / 4 ? 4 : 2,
    useTabs: count(texts, /^\t/gm) > count(texts, /^ {2}/gm),
  };
}

/** The settings that the submission has as JSON; other files of settings would have to be run. */
export function settings(root) {
  for (const [name, pick] of [
    ['.prettierrc', (all) => all],
    ['.prettierrc.json', (all) => all],
    ['package.json', (all) => all.prettier],
  ]) {
    try {
      const found = Object.entries(pick(JSON.parse(readFileSync(join(root, name), 'utf8'))) ?? {});
      const known = found.filter(([key, value]) => typeof value === SETTINGS[key]);
      if (known.length > 0) return Object.fromEntries(known);
    } catch {
      continue;
    }
  }
  return {};
}

async function unformatted(files, options) {
  const changed = [];
  for (const { path, text } of files) {
    const parser = isTypeScript(path) ? 'typescript' : 'babel';
    // What does not parse is the style check's finding.
    const formatted = await prettier.check(text, { ...options, parser }).catch(() => true);
    if (!formatted) changed.push(path);
  }
  return changed;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const files = [...sources(process.argv[2])];
  const options = { ...habits(files.map(({ text }) => text)), ...settings(process.argv[2]) };
  let fewest;
  for (const printWidth of options.printWidth ? [options.printWidth] : LINE_WIDTHS) {
    const changed = await unformatted(files, { ...options, printWidth });
    if (!fewest || changed.length < fewest.length) fewest = changed;
  }
  process.stdout.write(fewest.map((path) => `${path}\n`).join(''));
}
