"""Prints how many of the public functions and classes say what they are for.

python3 docstrings.py DIR        facts on standard output
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import sources

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

DECLARED_ELSEWHERE = {"overload", "override", "setter", "deleter"}
"""Decorators of functions whose documentation stands at another definition."""

PLACEHOLDER = re.compile(r"\W*(todo|fixme|tbd|xxx|docstring|description)\b", re.IGNORECASE)
FEWEST_WORDS = 2


def public_definitions(body: list[ast.stmt]) -> Iterator[Definition]:
    """Yields what a reader of the module may use: functions, classes and the methods of those."""
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from public_definitions(node.body)
        if not isinstance(node, Definition) or node.name.startswith("_"):
            continue
        if DECLARED_ELSEWHERE.isdisjoint(map(decorator_name, node.decorator_list)):
            yield node
        if isinstance(node, ast.ClassDef):
            yield from public_definitions(node.body)


def decorator_name(decorator: ast.expr) -> str:
    """`typing.overload` and `overload` are both `overload`."""
    if isinstance(decorator, ast.Call):
        decorator = decorator.func
    match decorator:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def is_documented(definition: Definition) -> bool:
    """Whether there is a docstring that is more than a placeholder."""
    text = ast.get_docstring(definition) or ""
    return len(re.findall(r"\w+", text)) >= FEWEST_WORDS and not PLACEHOLDER.match(text)


def facts(root: Path) -> dict[str, int]:
    """Counts over everything but the tests, which need no docstrings."""
    documented = total = 0
    for source in sources.read_all(root):
        if sources.is_test(source.path):
            continue
        for definition in public_definitions(source.tree.body):
            total += 1
            documented += is_documented(definition)
    return {"docstrings.documented": documented, "docstrings.total": total}


if __name__ == "__main__":
    json.dump({"facts": facts(Path(sys.argv[1]))}, sys.stdout)
