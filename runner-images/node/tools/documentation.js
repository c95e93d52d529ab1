// Prints how many of the exported functions, classes and methods say what they are for.
//     node documentation.js DIR        facts on standard output
import { pathToFileURL } from 'node:url';

import { isTest, sources } from './sources.js';
import { walk } from './walk.js';

const FEWEST_WORDS = 2;
const PLACEHOLDER = /^\W*(todo|fixme|tbd|xxx|description)\b/i;

/** What a name is exported for: the function or class itself, wherever it is declared. */
function declared(node) {
  if (node?.type === 'VariableDeclaration') {
    return node.declarations
      .filter(({ init }) => /Function|Class/.test(init?.type ?? ''))
      .map(({ id, init }) => ({ name: id.name, at: node, made: init }));
  }
  if (/^(Function|Class)Declaration$/.test(node?.type ?? '')) return [{ name: node.id?.name, at: node, made: node }];
  return [];
}

/** The methods that a user of a class may call. */
function methods(made) {
  if (!/^Class/.test(made.type)) return [];
  return made.body.body.filter(
    (member) =>
      member.type === 'MethodDefinition' &&
      member.kind !== 'constructor' &&
      member.kind !== 'set' &&
      member.key.type === 'Identifier' &&
      !member.key.name.startsWith('_') &&
      !['private', 'protected'].includes(member.accessibility),
  );
}

/** The statement that a comment about `node` stands before. */
const statement = (node) => (/^Export/.test(node.parent?.type ?? '') ? node.parent : node);

function isDocumented(sourceCode, node) {
  const comment = sourceCode.getCommentsBefore(statement(node)).at(-1);
  if (comment?.type !== 'Block' || !comment.value.startsWith('*')) return false;
  const text = comment.value.replace(/^\s*\*+/gm, '').trim();
  return !PLACEHOLDER.test(text) && (text.match(/\p{L}[\p{L}\p{N}_]*/gu) ?? []).length >= FEWEST_WORDS;
}

/** The names that a module hands out by `export { a, b as c }`, `module.exports = { a }` and `exports.a = a`. */
function exportedNames(body) {
  const names = new Set();
  for (const node of body) {
    if (node.type === 'ExportNamedDeclaration') node.specifiers.forEach(({ local }) => names.add(local.name));
    if (node.type === 'ExportDefaultDeclaration') names.add(node.declaration.name);
    const assignment =
      node.type === 'ExpressionStatement' && node.expression.type === 'AssignmentExpression'
        ? node.expression
        : undefined;
    if (
      assignment?.left.type !== 'MemberExpression' ||
      !/^(module\.)?exports\b/.test(`${assignment.left.object.name}.${assignment.left.property.name}`)
    )
      continue;
    const { right } = assignment;
    if (right.type === 'Identifier') names.add(right.name);
    if (right.type === 'ObjectExpression') right.properties.forEach(({ value }) => names.add(value?.name));
  }
  return names;
}

/** Counts one module. */
export function count(source) {
  const found = { documented: 0, total: 0 };
  walk(source, (sourceCode) => ({
    Program({ body }) {
      const names = exportedNames(body);
      const exported = body.flatMap((node) =>
        /^Export(Named|Default)Declaration$/.test(node.type)
          ? declared(node.declaration)
          : declared(node).filter(({ name }) => names.has(name)),
      );
      for (const node of exported.flatMap(({ at, made }) => [at, ...methods(made)])) {
        found.total += 1;
        found.documented += Number(isDocumented(sourceCode, node));
      }
    },
  }));
  return found;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const facts = { 'docstrings.documented': 0, 'docstrings.total': 0 };
  for (const source of sources(process.argv[2])) {
    if (isTest(source.path)) continue;
    const { documented, total } = count(source);
    facts['docstrings.documented'] += documented;
    facts['docstrings.total'] += total;
  }
  process.stdout.write(JSON.stringify({ facts }));
}
