import assert from 'node:assert/strict';
import { test } from 'node:test';

import { count } from './documentation.js';

const CASES = {
  'a function': ['/** Says what it does. */ export function f() {}', 1, 1],
  'asynchronous and default': ['/** Says what it does. */ export default async function () {}', 1, 1],
  'no comment': ['export function f() {}', 0, 1],
  'an ordinary comment': ['/* says what it does */ export function f() {}', 0, 1],
  'a placeholder': ['/** TODO describe this. */ export function f() {}', 0, 1],
  'an arrow function': ['/** Says what it does. */ export const f = () => 1;', 1, 1],
  'a constant': ['export const LIMIT = 5;', 0, 0],
  'exported later': ['/** Says what it does. */ function f() {} function g() {} export { f };', 1, 1],
  'not exported': ['function f() {}', 0, 0],
  'a class and its methods': ['/** A thing. */ export class A { constructor() {} b() {} #c() {} _d() {} }', 1, 2],
  CommonJS: ['/** Says what it does. */ function f() {} function g() {} module.exports = { f, g };', 1, 2],
  TypeScript: [
    '/** Says what it does. */ export function f(a: number): string { return String(a); } export interface B { c: 1 }',
    1,
    1,
  ],
};

for (const [name, [text, documented, total]] of Object.entries(CASES)) {
  test(name, () => assert.deepEqual(count({ path: 'a.ts', text }), { documented, total }));
}
