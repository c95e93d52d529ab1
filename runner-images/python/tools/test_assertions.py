import tempfile
import unittest
from pathlib import Path

import assertions

ASSERTING = {
    "compares a result": "def test_a(client):\n    assert client.get('/').status_code == 200",
    "through a variable": "def test_a():\n    total = add(1, 2)\n    assert total == 3",
    "a module's function": "import shop\ndef test_a():\n    assert shop.PRICE > 0",
    "an exception": "def test_a():\n    with pytest.raises(ValueError):\n        parse('x')",
    "a method of unittest": "class TestA(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(add(1, 2), 3)",
    "a mock": "def test_a(mocker):\n    mocker.sent.assert_called_once_with(1)",
    "in a loop": "def test_a():\n    for n in (1, 2):\n        assert double(n) == 2 * n",
    "asynchronous": "async def test_a(client):\n    assert (await client.get('/')).ok",
    "in a helper": "def check(r):\n    assert r.ok\ndef test_a(r):\n    check(r)",
    "in a helper of a helper": "def deep(r):\n    assert r.ok\ndef check(r):\n    deep(r)\ndef test_a(r):\n    check(r)",
    "counted": "def test_a(rows):\n    n = 0\n    for row in rows:\n        n += 1\n    assert n == 3",
    "collected": "def test_a():\n    seen = []\n    run(seen)\n    assert seen == [1]",
    "reported by a callback": "def test_a():\n    hit = 0\n    def on():\n        nonlocal hit\n        hit = 1\n    run(on)\n    assert hit == 1",
    "handler fails the test": "def test_a(r):\n    try:\n        assert r.ok\n    except Exception:\n        pytest.fail('no')",
    "in a match": "def test_a(r):\n    match r:\n        case [x]:\n            assert x",
}

EMPTY = {
    "nothing": "def test_a(client):\n    client.get('/')",
    "a literal": "def test_a(client):\n    client.get('/')\n    assert True",
    "constants": "def test_a():\n    assert 1 + 1 == 2",
    "a constant variable": "def test_a():\n    x = 5\n    assert x == 5",
    "itself": "def test_a(r):\n    assert r.status == r.status",
    "or true": "def test_a(r):\n    assert r.ok or True",
    "a tuple": "def test_a(r):\n    assert (r.ok, 'message')",
    "never negative": "def test_a(r):\n    assert len(r.items) >= 0",
    "swallowed": "def test_a(r):\n    try:\n        assert r.ok\n    except AssertionError:\n        pass",
    "suppressed": "def test_a(r):\n    with suppress(Exception):\n        assert r.ok",
    "after the return": "def test_a(r):\n    return\n    assert r.ok",
    "switched off": "def test_a(r):\n    if False:\n        assert r.ok",
    "over nothing": "def test_a(r):\n    for x in []:\n        assert r.ok",
    "constants of unittest": "class TestA(TestCase):\n    def test_a(self):\n        self.assertTrue(True)",
    "itself of unittest": "class TestA(TestCase):\n    def test_a(self):\n        self.assertEqual(self.x, self.x)",
    "a hollow helper": "def check(r):\n    assert True\ndef test_a(r):\n    check(r)",
    "a pure function of constants": "def test_a():\n    assert len('abc') == 3",
}


def facts(files: dict[str, str]) -> tuple[int, int]:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        found = assertions.facts(Path(folder))
        return found["tests.asserting"], found["tests.total"]


class Assertions(unittest.TestCase):
    def test_one_that_can_fail_counts(self):
        for name, text in ASSERTING.items():
            with self.subTest(name):
                self.assertEqual(facts({"tests/test_a.py": text}), (1, 1))

    def test_one_that_cannot_fail_does_not(self):
        for name, text in EMPTY.items():
            with self.subTest(name):
                self.assertEqual(facts({"tests/test_a.py": text}), (0, 1))

    def test_helpers_may_live_in_another_file(self):
        files = {
            "tests/conftest.py": "def ok(r):\n    assert r.ok",
            "tests/test_a.py": "from conftest import ok\ndef test_a(r):\n    ok(r)",
        }
        self.assertEqual(facts(files), (1, 1))

    def test_only_test_files_are_read_and_broken_ones_are_left_out(self):
        files = {
            "app/a.py": "def test_connection():\n    assert ping()",
            "tests/test_b.py": "def test_b(:",
            "tests/test_c.py": "x = " + "(" * 5000,
            ".venv/tests/test_d.py": "def test_d():\n    assert f()",
        }
        self.assertEqual(facts(files), (0, 0))
