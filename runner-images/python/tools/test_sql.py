import ast
import unittest

import sql

PASTED = {
    "an f-string": "def f(c, q):\n    c.execute(f\"SELECT * FROM t WHERE title = '{q}'\")",
    "added": 'def f(c, q):\n    c.execute("SELECT * FROM t WHERE title = \'" + q + "\'")',
    "percent": "def f(c, q):\n    c.execute(\"DELETE FROM t WHERE id = '%s'\" % q)",
    "format": "def f(c, q):\n    c.execute(\"UPDATE t SET a = '{}'\".format(q))",
    "a fragment": "def f(q):\n    where = 'x'\n    where += f\" AND title ILIKE '%{q}%'\"",
    "an order": "def f(c, by):\n    return f'SELECT a FROM t ORDER BY {by}'",
    "columns of a request": "def f(x):\n    return f\"UPDATE t SET {', '.join(f'{k} = ${i}' for i, k in enumerate(x))}\"",
    "lower case": "def f(c, q):\n    c.execute(f'select a from t where b = {q}')",
    "conditions that hold a value": (
        "def f(q):\n    parts = ['a = 1']\n    parts.append('b = ' + q)\n    return f\"SELECT a FROM t WHERE {' AND '.join(parts)}\""
    ),
}

SAFE = {
    "a parameter": "def f(c, q):\n    c.execute('SELECT * FROM t WHERE title = %s', (q,))",
    "a constant list of columns": "COLUMNS = 'a, b'\ndef f(c):\n    c.execute(f'SELECT {COLUMNS} FROM t')",
    "constants of constants": "A = 'a'\nB = f'{A}, b'\ndef f(c):\n    c.execute('SELECT ' + B + ' FROM t')",
    "conditions of constants": (
        "def f(c, q):\n    parts = ['a = 1']\n    if q:\n        parts.append('b = %s')\n"
        "    c.execute(f\"SELECT a FROM t WHERE {' AND '.join(parts)}\", [q])"
    ),
    "a local constant": "def f(c, q):\n    where = ''\n    if q:\n        where = 'AND b = %s'\n    c.execute(f'SELECT a FROM t WHERE a {where}', [q])",
    "columns of a constant": "FIELDS = ('a', 'b')\ndef f():\n    return f\"UPDATE t SET {', '.join(f'{x} = %s' for x in FIELDS)}\"",
    "the number of a placeholder": (
        "def f(c, q):\n    parts, values = ['a = $1'], [1]\n    if q:\n        values.append(q)\n"
        "        parts.append(f'b = ${len(values)}')\n    c.execute(f\"SELECT a FROM t WHERE {' AND '.join(parts)}\")"
    ),
    "numbered placeholders": (
        "FIELDS = ('a', 'b')\ndef f():\n"
        "    return f\"UPDATE t SET {', '.join(f'{x} = ${i + 1}' for i, x in enumerate(FIELDS, 2))}\""
    ),
    "prose": "def f(name):\n    return f'please select {name}' + ' and update it'",
}


class Sql(unittest.TestCase):
    def test_pasted_values_are_found_once(self):
        for name, text in PASTED.items():
            with self.subTest(name):
                self.assertEqual(len(sql.lines(ast.parse(text))), 1)

    def test_constants_and_parameters_are_not(self):
        for name, text in SAFE.items():
            with self.subTest(name):
                self.assertEqual(sql.lines(ast.parse(text)), [])
