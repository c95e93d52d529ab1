import { test } from 'node:test';

import { RuleTester } from 'eslint';

import { sqlWithValues } from './sql-with-values.js';

RuleTester.describe = (_name, run) => run();
RuleTester.it = (name, run) => test(name.replaceAll('\n', ' '), run);

const errors = 1;

new RuleTester().run('sql-with-values', sqlWithValues, {
  invalid: [
    { errors, code: "db.query(`SELECT * FROM t WHERE title = '${q}'`)" },
    { errors, code: "db.query('SELECT * FROM t WHERE title = \\'' + q + '\\'')" },
    { errors, code: 'function f(db, by) { return db.query(`SELECT a FROM t ORDER BY ${by}`); }' },
    { errors, code: "let sql = 'x'; sql += ` AND title ILIKE '%${q}%'`" },
    { errors, code: 'const where = `a = ${request.query.a}`; db.query(`DELETE FROM t WHERE ${where}`)' },
    {
      errors,
      code: "const parts = []; parts.push('b = ' + q); db.query(`SELECT a FROM t WHERE ${parts.join(' AND ')}`)",
    },
    { errors, code: "const f = (changes) => `UPDATE t SET ${Object.keys(changes).map((key) => key + ' = 1').join()}`" },
  ],
  valid: [
    "db.query('SELECT * FROM t WHERE title = $1', [q])",
    "const COLUMNS = 'a, b'; db.query(`SELECT ${COLUMNS} FROM t`)",
    "const C = ['a', 'b']; const LIST = C.join(', '); db.query(`SELECT ${LIST} FROM t`)",
    'db.query(`SELECT a FROM t WHERE b = $${values.length} LIMIT 5`)',
    "const w = ['a = $1']; if (q) { values.push(q); w.push(`b = $${values.length}`); } db.query(`SELECT a FROM t WHERE ${w.join(' AND ')}`)",
    'const add = (value) => `$${values.push(value)}`; db.query(`SELECT a FROM t WHERE b = ${add(q)}`)',
    "const F = ['a', 'b']; db.query(`UPDATE t SET ${F.map((name, i) => `${name} = $${i + 1}`).join(', ')}`)",
    "let order = 'a'; if (q) order = 'b'; db.query(`SELECT a FROM t ORDER BY ${order}`)",
    "db.query(`SELECT a FROM t ORDER BY ${up ? 'a' : 'b'}`)",
    'sql`SELECT a FROM t WHERE b = ${q}`',
    "log('please select ' + name + ' and update it')",
    "const ORDER = { up: 'a', down: 'b' }; db.query(`SELECT a FROM t ORDER BY ${ORDER[q]}`)",
  ],
});
