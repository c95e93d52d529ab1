"""Writes a SARIF finding for every piece of SQL that has a value pasted into it.

    python3 sql.py DIR REPORT

Bandit's rule for this cannot tell a value from a constant such as a list of columns; this one follows constants.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import sources
from constants import constant_names, is_constant

RULE = "sql-with-values"
MESSAGE = "A value is pasted into SQL text: pass it as a parameter instead, so that it cannot change the statement."

STATEMENT = re.compile(
    r"\s*(select\s.*\bfrom|insert\s+into|update\s+\S+\s+set|delete\s+from)\b", re.IGNORECASE | re.DOTALL
)
FRAGMENT = re.compile(r"\s*(WHERE|AND|OR|HAVING|SET|VALUES|ORDER BY|LIMIT|OFFSET|I?LIKE)\b")
"""Part of a statement; upper case only, because in lower case it is prose."""


def literal_text(node: ast.expr) -> str:
    """The literal parts of a text that is being put together, with a mark where anything else goes."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(literal_text(part) for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return literal_text(left) + literal_text(right)
        case ast.BinOp(left=left, op=ast.Mod()) | ast.Call(func=ast.Attribute(value=left, attr="format")):
            return literal_text(left)
    return "\0"


def pasted_values(node: ast.expr) -> Iterator[ast.expr]:
    """Yields what is put between the literal parts of a text."""
    match node:
        case ast.JoinedStr(values=parts):
            for part in parts:
                if isinstance(part, ast.FormattedValue):
                    yield part.value
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            for side in (left, right):
                if isinstance(side, ast.JoinedStr | ast.BinOp):
                    yield from pasted_values(side)
                else:
                    yield side
        case ast.BinOp(op=ast.Mod(), right=right):
            yield right
        case ast.Call(func=ast.Attribute(attr="format"), args=args, keywords=keywords):
            yield from args
            yield from (keyword.value for keyword in keywords)


def is_sql(text: str) -> bool:
    """Whether a text reads like a statement or a part of one."""
    return bool(STATEMENT.match(text) or FRAGMENT.match(text))


NUMBERS = {"int", "float", "len", "ord", "round", "sum"}
"""Built-in functions whose result cannot carry text."""


class WithoutNumbers(ast.NodeTransformer):
    """Puts 0 where a number is in any case, such as that of a placeholder."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Replaces calls like `len(values)`."""
        self.generic_visit(node)
        counts = isinstance(node.func, ast.Name) and node.func.id in NUMBERS
        return ast.copy_location(ast.Constant(0), node) if counts else node

    def visit_GeneratorExp(self, node: ast.GeneratorExp | ast.ListComp) -> ast.AST:
        """Replaces the index of `enumerate` in what a loop makes."""
        for loop in node.generators:
            match loop:
                case ast.comprehension(
                    target=ast.Tuple(elts=[ast.Name(id=index), *_]), iter=ast.Call(func=ast.Name(id="enumerate"))
                ):
                    for name in ast.walk(node.elt):
                        if isinstance(name, ast.FormattedValue | ast.BinOp):
                            replace_name(name, index)
        return self.generic_visit(node)

    visit_ListComp = visit_GeneratorExp


def replace_name(parent: ast.AST, name: str) -> None:
    """Puts 0 where a direct child is that name."""
    for field, child in ast.iter_fields(parent):
        if isinstance(child, ast.Name) and child.id == name:
            setattr(parent, field, ast.copy_location(ast.Constant(0), child))


def lines(tree: ast.Module) -> list[int]:
    """The lines at which a value is pasted into SQL."""
    tree = WithoutNumbers().visit(tree)
    found: set[int] = set()

    def look(scope: ast.AST, outer: set[str]) -> None:
        constants = constant_names(scope, outer)
        inside: set[int] = set()
        for node in walk_outside_in(scope):
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Lambda():
                    look(node, constants)
                case ast.JoinedStr() | ast.BinOp() | ast.Call(func=ast.Attribute(attr="format")) if (
                    id(node) not in inside
                ):
                    inside.update(map(id, ast.walk(node)))
                    constant = all(is_constant(value, constants) for value in pasted_values(node))
                    if is_sql(literal_text(node)) and not constant:
                        found.add(node.lineno)

    look(tree, set())
    return sorted(found)


def walk_outside_in(scope: ast.AST) -> Iterator[ast.AST]:
    """Everything in a scope, parents first; of the functions and classes in it only the definition."""
    for node in ast.iter_child_nodes(scope):
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from walk_outside_in(node)


def report(root: Path) -> dict[str, object]:
    """The findings of everything but the tests, as SARIF 2.1.0."""
    results = [
        {
            "ruleId": RULE,
            "level": "error",
            "message": {"text": MESSAGE},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": source.path.as_posix()},
                        "region": {"startLine": line},
                    }
                }
            ],
        }
        for source in sources.read_all(root)
        if not sources.is_test(source.path)
        for line in lines(source.tree)
    ]
    rule = {"id": RULE, "shortDescription": {"text": MESSAGE}}
    driver = {"name": "assay-sql", "rules": [rule]}
    return {"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(report(Path(sys.argv[1]))), encoding="utf-8")
