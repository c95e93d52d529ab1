import ast
import unittest

import docstrings

CASES = {
    "a function": ('def f():\n    """Says what it does."""', (1, 1)),
    "no docstring": ("def f():\n    pass", (0, 1)),
    "a placeholder": ('def f():\n    """TODO: describe."""', (0, 1)),
    "one word": ('def f():\n    """F."""', (0, 1)),
    "private": ("def _f():\n    pass", (0, 0)),
    "a class and its methods": ('class A:\n    """A thing."""\n    def b(self):\n        pass', (1, 2)),
    "special methods": ('class A:\n    """A thing."""\n    def __init__(self):\n        pass', (1, 1)),
    "a private class": ("class _A:\n    def b(self):\n        pass", (0, 0)),
    "a local function": ('def f():\n    """Makes a g."""\n    def g():\n        pass', (1, 1)),
    "an overload": ("@typing.overload\ndef f():\n    ...", (0, 0)),
    "a setter": ("class _A:\n    pass\n@x.setter\ndef x():\n    pass", (0, 0)),
    "asynchronous": ('async def f():\n    """Waits for it."""', (1, 1)),
    "under a condition": ("if X:\n    def f():\n        pass", (0, 1)),
}


class Docstrings(unittest.TestCase):
    def test_what_is_public_is_counted(self):
        for name, (text, expected) in CASES.items():
            with self.subTest(name):
                found = list(docstrings.public_definitions(ast.parse(text).body))
                self.assertEqual((sum(map(docstrings.is_documented, found)), len(found)), expected)
