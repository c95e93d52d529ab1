// Walks the syntax tree of one file with ESLint's scopes and visitors.
import { createRequire } from 'node:module';

import { Linter } from 'eslint';

import { isTypeScript } from './sources.js';

const require = createRequire(import.meta.url);

/** ESLint's options for a file; the compiler that parses TypeScript is slow to load, so it is only when there is some. */
const languageOptions = (path) => (isTypeScript(path) ? { parser: require('@typescript-eslint/parser') } : {});

/** Walks one source with the visitor that `create` makes of its `sourceCode`. A source that does not parse is not walked. */
export function walk({ path, text }, create) {
  const rule = { meta: { schema: [] }, create: ({ sourceCode }) => create(sourceCode) };
  const config = {
    files: ['**/*.{js,mjs,cjs,ts,mts,cts}'],
    languageOptions: languageOptions(path),
    linterOptions: { noInlineConfig: true },
    plugins: { assay: { rules: { visit: rule } } },
    rules: { 'assay/visit': 'error' },
  };
  new Linter({ configType: 'flat' }).verify(text, [config], { filename: path });
}
