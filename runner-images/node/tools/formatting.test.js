import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { habits, settings } from './formatting.js';

const HABITS = {
  "const a = 'b';\nif (a) {\n  f('c');\n}\n": { semi: true, singleQuote: true, tabWidth: 2, useTabs: false },
  'const a = "b"\nif (a) {\n    f("c")\n}\n': { semi: false, singleQuote: false, tabWidth: 4, useTabs: false },
  "if (a) {\n\tf('c');\n}\n": { semi: true, singleQuote: true, tabWidth: 2, useTabs: true },
};

for (const [text, expected] of Object.entries(HABITS)) {
  test(`habits of ${JSON.stringify(text)}`, () => assert.deepEqual(habits([text]), expected));
}

test('settings are data, and only those of the layout', () => {
  const root = mkdtempSync(join(tmpdir(), 'settings-'));
  writeFileSync(join(root, '.prettierrc'), '{"semi": false, "plugins": ["./evil.js"], "printWidth": "wide"}');
  assert.deepEqual(settings(root), { semi: false });
});
