"""Prints how many test functions there are, and how many of them assert something that can fail.

    python3 assertions.py DIR        facts on standard output

An assertion can fail when it depends on what the code under test did: `assert True`, `assert x == x`, or one whose
failure is caught, cannot. Assertions in the helper functions that a test calls are the test's own.
"""

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import sources
from constants import fixed_names, is_constant

Function = ast.FunctionDef | ast.AsyncFunctionDef

CATCHES_ASSERTIONS = {"AssertionError", "BaseException", "Exception"}


def test_functions(body: list[ast.stmt]) -> Iterator[Function]:
    """Yields what pytest would collect from a module or class body."""
    for node in body:
        if isinstance(node, Function) and node.name.startswith("test"):
            yield node
        elif isinstance(node, ast.ClassDef) and (node.name.startswith("Test") or node.bases):
            yield from test_functions(node.body)


def called_name(call: ast.Call) -> str:
    """The last part of what is called: `client.get()` is a call of `get`."""
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


class Body:
    """What one function asserts and calls, as far as it can be reached and its failure is not caught."""

    def __init__(self, function: Function, outer_constants: set[str]) -> None:
        self.asserts = False
        self.calls: set[str] = set()
        self._constants = fixed_names(function, outer_constants)
        self._block(function.body)

    def _block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self._statement(statement)
            if isinstance(statement, ast.Return | ast.Raise | ast.Continue | ast.Break):
                return

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Assert(test=test):
                self.asserts |= self._can_fail(test)
                self._expressions(test)
            case ast.If(test=ast.Constant(value=value)) | ast.While(test=ast.Constant(value=value)):
                self._block(node.body if value else node.orelse)
            case ast.For(iter=ast.List(elts=[]) | ast.Tuple(elts=[])):
                self._block(node.orelse)
            case ast.Try(handlers=handlers) if any(map(swallows, handlers)):
                self._block(node.orelse)
                self._block(node.finalbody)
            case ast.With(items=items) | ast.AsyncWith(items=items):
                if any(suppresses(item.context_expr) for item in items):
                    return
                for item in items:
                    self._expressions(item.context_expr)
                self._block(node.body)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return
            case _:
                for child in ast.iter_child_nodes(node):
                    if not isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
                        self._expressions(child)
                for block in ("body", "orelse", "finalbody"):
                    self._block(getattr(node, block, []))
                for part in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
                    self._block(part.body)

    def _expressions(self, node: ast.AST) -> None:
        for call in ast.walk(node):
            if isinstance(call, ast.Call):
                self._call(call)

    def _call(self, call: ast.Call) -> None:
        name = called_name(call)
        match call.func:
            case ast.Attribute(value=ast.Name(id="pytest"), attr="raises" | "warns" | "fail"):
                self.asserts = True
            case ast.Attribute(value=ast.Name(id="self"), attr="assertRaises" | "assertRaisesRegex" | "fail"):
                self.asserts = True
            case ast.Attribute(value=ast.Name(id="self")) if name.startswith("assert"):
                self.asserts |= self._compares_code(call.args)
            case ast.Attribute(value=receiver) if name.startswith("assert_"):
                # A mock that knows how it was called, or a module of assertions.
                self.asserts |= not is_constant(receiver, self._constants)
            case _:
                self.calls.add(name)

    def _compares_code(self, arguments: list[ast.expr]) -> bool:
        if len(arguments) > 1 and ast.dump(arguments[0]) == ast.dump(arguments[1]):
            return False
        return any(not is_constant(argument, self._constants) for argument in arguments)

    def _can_fail(self, test: ast.expr) -> bool:
        match test:
            case ast.BoolOp(op=ast.Or(), values=values):
                return all(self._can_fail(value) for value in values)
            case ast.BoolOp(op=ast.And(), values=values):
                return any(self._can_fail(value) for value in values)
            case ast.Tuple() | ast.List() | ast.Dict() | ast.JoinedStr() | ast.Lambda():
                return False
            case ast.Compare(left=left, ops=[ast.Eq() | ast.Is() | ast.LtE() | ast.GtE()], comparators=[right]) if (
                ast.dump(left) == ast.dump(right)
            ):
                return False
            case ast.Compare(
                left=ast.Call(func=ast.Name(id="len")), ops=[ast.GtE()], comparators=[ast.Constant(value=0)]
            ):
                return False
        return not is_constant(test, self._constants)


def swallows(handler: ast.ExceptHandler) -> bool:
    """Whether a handler keeps a failed assertion from failing the test."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    caught = any(kind is None or (isinstance(kind, ast.Name) and kind.id in CATCHES_ASSERTIONS) for kind in kinds)
    passed_on = any(
        isinstance(node, ast.Raise | ast.Assert) or (isinstance(node, ast.Call) and called_name(node) == "fail")
        for node in ast.walk(handler)
    )
    return caught and not passed_on


def suppresses(context: ast.expr) -> bool:
    """Whether it is a `contextlib.suppress` of failed assertions."""
    return (
        isinstance(context, ast.Call)
        and called_name(context) == "suppress"
        and any(isinstance(kind, ast.Name) and kind.id in CATCHES_ASSERTIONS for kind in context.args)
    )


def facts(root: Path) -> dict[str, int]:
    """Counts over the files of the tests."""
    tests: list[Body] = []
    bodies: dict[str, list[Body]] = {}
    for source in sources.read_all(root):
        if not sources.is_test(source.path):
            continue
        constants = fixed_names(source.tree)
        collected = {id(function) for function in test_functions(source.tree.body)}
        for function in ast.walk(source.tree):
            if isinstance(function, Function):
                body = Body(function, constants)
                bodies.setdefault(function.name, []).append(body)
                if id(function) in collected:
                    tests.append(body)
    asserting = {name for name, several in bodies.items() if any(body.asserts for body in several)}
    while through_calls := {
        name
        for name, several in bodies.items()
        if name not in asserting and any(not body.calls.isdisjoint(asserting) for body in several)
    }:
        asserting |= through_calls
    return {
        "tests.asserting": sum(test.asserts or not test.calls.isdisjoint(asserting) for test in tests),
        "tests.total": len(tests),
    }


if __name__ == "__main__":
    json.dump({"facts": facts(Path(sys.argv[1]))}, sys.stdout)
