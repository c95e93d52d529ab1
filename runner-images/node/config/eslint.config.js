// What a reviewer would remark on. A rule is on when code that an experienced engineer calls clean does not break it;
// taste (quotes, order, length, `else` after `return`) is off, and so is what other checks look at: formatting (Prettier),
// complexity and duplication (the scan image), documentation (tools/documentation.js).
import js from '@eslint/js';
import security from 'eslint-plugin-security';
import sonarjs from 'eslint-plugin-sonarjs';
import globals from 'globals';

import { isTypeScript, sources } from '../tools/sources.js';
import { sqlWithValues } from '../tools/sql-with-values.js';

const on = (prefix, names) => Object.fromEntries(names.map((name) => [`${prefix}${name}`, 'error']));

/** What is plainly wrong or likely a bug, beyond ESLint's own recommendation. */
const bugs = on('', [
  'array-callback-return',
  'no-constructor-return',
  'no-promise-executor-return',
  'no-self-compare',
  'no-template-curly-in-string',
  'no-unmodified-loop-condition',
  'no-unreachable-loop',
  'no-throw-literal',
  'prefer-promise-reject-errors',
  'radix',
]);

/** Idioms of JavaScript versions long gone, and the long way round. */
const idioms = on('', [
  'no-extra-bind',
  'no-lonely-if',
  'no-new-wrappers',
  'no-unneeded-ternary',
  'no-useless-call',
  'no-useless-computed-key',
  'no-useless-concat',
  'no-useless-rename',
  'no-useless-return',
  'no-var',
  'object-shorthand',
  'prefer-const',
  'prefer-object-has-own',
  'prefer-rest-params',
  'prefer-spread',
]);

/** Copies that were not adapted, results that are thrown away, code that is commented out. */
const slips = on('sonarjs/', [
  'no-all-duplicated-branches',
  'no-collection-size-mischeck',
  'no-commented-code',
  'no-dead-store',
  'no-duplicated-branches',
  'no-element-overwrite',
  'no-empty-collection',
  'no-extra-arguments',
  'no-gratuitous-expressions',
  'no-identical-conditions',
  'no-identical-expressions',
  'no-identical-functions',
  'no-ignored-exceptions',
  'no-inverted-boolean-check',
  'no-nested-conditional',
  'no-redundant-boolean',
  'no-unused-collection',
  'no-use-of-empty-return-value',
  'prefer-single-boolean-return',
]);

/** Ways in. Off: what fires on any file or index access, and what asks for a header that the contract does not. */
const waysIn = {
  ...on('security/', [
    'detect-bidi-characters',
    'detect-buffer-noassert',
    'detect-child-process',
    'detect-disable-mustache-escape',
    'detect-eval-with-expression',
    'detect-new-buffer',
    'detect-non-literal-regexp',
    'detect-non-literal-require',
    'detect-possible-timing-attacks',
    'detect-pseudoRandomBytes',
  ]),
  ...on('sonarjs/', [
    'code-eval',
    'cors',
    'disabled-auto-escaping',
    'dynamically-constructed-templates',
    'encryption-secure-mode',
    'hashing',
    'insecure-cookie',
    'insecure-jwt-token',
    'no-unsafe-unzip',
    'no-weak-cipher',
    'no-weak-keys',
    'os-command',
    'slow-regex',
    'unverified-certificate',
    'unverified-hostname',
    'weak-ssl',
    'xml-parser-xxe',
  ]),
  'assay/sql-with-values': 'error',
};

const unused = { argsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_', ignoreRestSiblings: true };

const tests = ['**/*.test.*', '**/*.spec.*', '**/*-test.*', '**/*_test.*', '**/{test,tests,testing,__tests__,blackbox}/**'];

/** What holds for TypeScript; its compiler is slow to load, so it is only when there is some. */
async function typescript() {
  if (![...sources('.')].some(({ path }) => isTypeScript(path))) return [];
  const { default: plugin } = await import('@typescript-eslint/eslint-plugin');
  const { default: parser } = await import('@typescript-eslint/parser');
  return [
    {
      files: ['**/*.{ts,mts,cts}'],
      languageOptions: { parser },
      plugins: { '@typescript-eslint': plugin },
      rules: {
        'no-undef': 'off', // the compiler's own check, which knows types
        'no-unused-vars': 'off',
        '@typescript-eslint/no-unused-vars': ['error', unused],
        ...on('@typescript-eslint/', ['ban-ts-comment', 'no-explicit-any', 'no-non-null-assertion']),
      },
    },
  ];
}

export default [
  { ignores: ['**/node_modules/**', '**/*.d.ts', '**/*.min.js'] },
  js.configs.recommended,
  {
    files: ['**/*.{js,mjs,cjs,ts,mts,cts}'],
    languageOptions: { globals: globals.node },
    linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: 'off' },
    plugins: { security, sonarjs, assay: { rules: { 'sql-with-values': sqlWithValues } } },
    rules: {
      ...bugs,
      ...idioms,
      ...slips,
      ...waysIn,
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': ['error', { allow: ['info', 'warn', 'error'] }],
      'no-unused-vars': ['error', unused],
      'no-use-before-define': ['error', { functions: false, classes: false, variables: false }],
      'no-shadow': ['error', { builtinGlobals: false, hoist: 'functions' }],
      'require-atomic-updates': ['error', { allowProperties: true }],
    },
  },
  ...(await typescript()),
  {
    // Tests repeat themselves, print and do odd things on purpose.
    files: tests,
    rules: Object.fromEntries(
      [
        ...Object.keys(waysIn),
        'no-console',
        'no-shadow',
        'no-template-curly-in-string',
        'sonarjs/no-identical-functions',
        'sonarjs/no-ignored-exceptions',
      ].map((name) => [name, 'off']),
    ),
  },
];
