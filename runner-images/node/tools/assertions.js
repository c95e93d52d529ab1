// Prints how many tests there are, and how many of them assert something that can fail.
//     node assertions.js DIR        facts on standard output
//
// An assertion can fail when it depends on what the code under test did: `assert.ok(true)`, `assert.equal(x, x)`, or one
// whose failure is caught, cannot. Assertions in the helper functions that a test calls are the test's own.
import { pathToFileURL } from 'node:url';

import { calledName, Constants } from './constants.js';
import { isTest, sources } from './sources.js';
import { walk } from './walk.js';

const TESTS = new Set(['it', 'test']);
const VARIANTS = new Set(['only', 'skip', 'todo', 'concurrent', 'serial', 'each']);
const ASSERTS = new Set(['assert', 'strict']);
/** Assertions about what a function does when it is called. */
const ABOUT_A_CALL = new Set(['rejects', 'throws', 'doesNotReject', 'doesNotThrow', 'fail']);

const isFunction = (node) => /Function/.test(node?.type ?? '');

/** The names along `a.b.c`, without those of calls between them. */
function path(node) {
  if (node.type === 'Identifier') return [node.name];
  if (node.type === 'MemberExpression' && !node.computed) return [...path(node.object), node.property.name];
  return node.type === 'CallExpression' ? path(node.callee) : [];
}

/** The function that a call registers as a test, if it does. */
function testBody(call) {
  const names = path(call.callee);
  const name = VARIANTS.has(names.at(-1)) ? names.at(-2) : names.at(-1);
  return TESTS.has(name) ? call.arguments.find(isFunction) : undefined;
}

/** The arguments that an assertion compares, if the call is one. */
function compared(call) {
  const names = path(call.callee);
  if (names[0] === 'expect' && names.length > 1) {
    let expectation = call.callee;
    while (expectation.type === 'MemberExpression') expectation = expectation.object;
    return expectation.type === 'CallExpression' ? [expectation.arguments[0], ...call.arguments] : [];
  }
  return names.some((name) => ASSERTS.has(name)) ? call.arguments : undefined;
}

/** Whether nothing after a statement in its block runs. */
const ends = (node) => /^(Return|Throw|Break|Continue)Statement$/.test(node.type);

/** Whether a `catch` keeps a failed assertion from failing the test. */
const swallows = ({ handler }, text) =>
  handler && !/\bthrow\b|assert|expect|\bfail\b|\breject\b/.test(text(handler.body));

/** Whether code at `node`, inside `limit`, can be reached and its failure is not caught. */
function counts(node, limit, text) {
  for (let each = node; each !== limit && each.parent; each = each.parent) {
    const { parent } = each;
    if (parent.type === 'BlockStatement' && parent.body.slice(0, parent.body.indexOf(each)).some(ends)) return false;
    if (parent.type === 'IfStatement' && parent.test.type === 'Literal' && each !== parent.test) {
      if (Boolean(parent.test.value) !== (each === parent.consequent)) return false;
    }
    if (parent.type === 'ForOfStatement' && parent.right.elements?.length === 0) return false;
    if (parent.type === 'TryStatement' && each === parent.block && swallows(parent, text)) return false;
  }
  return true;
}

/** What the functions of one test file assert and call, and which of them are tests. */
export function read(source) {
  const functions = new Map();
  const tests = new Set();
  walk(source, (sourceCode) => {
    const constants = new Constants(sourceCode, { numbers: false, rebound: false });
    const text = (node) => sourceCode.getText(node);
    const stack = [];
    const enter = (node) => {
      const { parent } = node;
      const name = node.id?.name ?? (parent.type === 'VariableDeclarator' ? parent.id.name : (parent.key?.name ?? ''));
      functions.set(node, { name, asserts: false, calls: new Set() });
      stack.push(node);
    };
    const canFail = (names, values) => {
      if (ABOUT_A_CALL.has(names.at(-1))) return true;
      const [first, second] = values.map((value) => value && text(value));
      if (first !== undefined && first === second) return false;
      if (values[0]?.type === 'LogicalExpression' && values[0].operator === '||' && constants.has(values[0].right)) {
        return values[0].right.type === 'Literal' && !values[0].right.value;
      }
      return values.some((value) => value && !isFunction(value) && !constants.has(value));
    };
    return {
      ':function': enter,
      ':function:exit': () => stack.pop(),
      CallExpression(node) {
        const body = testBody(node);
        if (body) tests.add(body);
        const values = compared(node);
        for (const outer of stack) {
          const found = functions.get(outer);
          if (!counts(node, outer, text)) continue;
          if (values === undefined) found.calls.add(calledName(node));
          else found.asserts ||= canFail(path(node.callee), values);
        }
      },
    };
  });
  return { functions: [...functions.values()], tests: [...tests].map((body) => functions.get(body)).filter(Boolean) };
}

/** Counts the tests of several files, whose helpers may be in any of them. */
export function count(files) {
  const contents = files.map(read);
  const functions = contents.flatMap((file) => file.functions);
  const tests = contents.flatMap((file) => file.tests);
  const asserting = new Set(functions.filter(({ asserts, name }) => asserts && name).map(({ name }) => name));
  for (let before = -1; before !== asserting.size;) {
    before = asserting.size;
    for (const { name, calls } of functions) if (name && !calls.isDisjointFrom(asserting)) asserting.add(name);
  }
  return {
    asserting: tests.filter(({ asserts, calls }) => asserts || !calls.isDisjointFrom(asserting)).length,
    total: tests.length,
  };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { asserting, total } = count([...sources(process.argv[2])].filter(({ path: name }) => isTest(name)));
  process.stdout.write(JSON.stringify({ facts: { 'tests.asserting': asserting, 'tests.total': total } }));
}
