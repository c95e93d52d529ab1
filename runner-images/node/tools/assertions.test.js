import assert from 'node:assert/strict';
import { test } from 'node:test';

import { count } from './assertions.js';

const ASSERTING = {
  'compares a result': "test('a', async () => { assert.equal((await get('/')).status, 200); });",
  'through a variable': "test('a', () => { const sum = add(1, 2); assert.equal(sum, 3); });",
  'assert itself': "test('a', () => { assert(add(1, 2) === 3); });",
  'an expectation': "it('a', () => { expect(add(1, 2)).not.toBe(4); });",
  'a rejection': "test('a', async () => { await assert.rejects(() => get('/'), /no/); });",
  'of the context': "test('a', (t) => { t.assert.equal(add(1, 2), 3); });",
  'in a helper': "function check(r) { assert.ok(r.ok); } test('a', () => check(get('/')));",
  'in a helper of a helper':
    "const deep = (r) => assert.ok(r); const check = (r) => { deep(r); }; test('a', () => { check(get()); });",
  'in a callback': "test('a', () => { [1, 2].forEach((n) => { assert.equal(double(n), 2 * n); }); });",
  counted: "test('a', () => { let n = 0; for (const row of rows()) n += 1; assert.equal(n, 3); });",
  collected: "test('a', () => { const seen = []; run((x) => seen.push(x)); assert.deepEqual(seen, [1]); });",
  'handler asserts':
    "test('a', () => { try { run(); assert.fail(); } catch (error) { assert.match(error.message, /x/); } });",
  TypeScript: "test('a', (): void => { const sum: number = add(1, 2)!; assert.equal(sum as number, 3); });",
};

const EMPTY = {
  nothing: "test('a', async () => { await get('/'); });",
  'a literal': "test('a', async () => { await get('/'); assert.ok(true); });",
  constants: "test('a', () => { assert.equal(1 + 1, 2); });",
  'a constant variable': "test('a', () => { const x = 5; assert.equal(x, 5); });",
  itself: "test('a', () => { const r = get(); assert.equal(r.status, r.status); });",
  'or true': "test('a', () => { assert.ok(get().ok || true); });",
  'an expected literal': "it('a', () => { expect(true).toBe(true); });",
  'an expectation that is not one': "it('a', () => { expect(get()); });",
  swallowed: "test('a', () => { try { assert.ok(get().ok); } catch { /* fine */ } });",
  'after the return': "test('a', () => { return; assert.ok(get().ok); });",
  'switched off': "test('a', () => { if (false) { assert.ok(get().ok); } });",
  'over nothing': "test('a', () => { for (const x of []) assert.ok(get(x).ok); });",
  'a hollow helper': "function check() { assert.ok(true); } test('a', () => check(get('/')));",
};

for (const [name, text] of Object.entries(ASSERTING)) {
  test(`counts: ${name}`, () => assert.deepEqual(count([{ path: 'test/a.ts', text }]), { asserting: 1, total: 1 }));
}

for (const [name, text] of Object.entries(EMPTY)) {
  test(`does not count: ${name}`, () =>
    assert.deepEqual(count([{ path: 'test/a.ts', text }]), { asserting: 0, total: 1 }));
}

test('helpers may live in another file, and broken files are left out', () => {
  const files = [
    { path: 'testing/ok.js', text: 'export function ok(r) { assert.ok(r.ok); }' },
    { path: 'test/a.test.js', text: "test('a', () => ok(get()));" },
    { path: 'test/b.test.js', text: "test('b', (" },
  ];
  assert.deepEqual(count(files), { asserting: 1, total: 1 });
});
