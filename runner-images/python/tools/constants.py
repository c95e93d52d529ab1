"""Which expressions have a value that is known from the text alone."""

import ast
from collections.abc import Iterable, Iterator

PURE = {
    "abs",
    "bool",
    "dict",
    "float",
    "int",
    "isinstance",
    "len",
    "list",
    "max",
    "min",
    "range",
    "repr",
    "set",
    "sorted",
}
PURE |= {"str", "sum", "tuple", "type", "zip", "enumerate", "reversed"}
"""Built-in functions that make constants of constants."""


def is_constant(node: ast.AST, names: Iterable[str] = ()) -> bool:
    """Whether an expression is made of literals and of `names`, which are known to be constant."""
    match node:
        case ast.Constant():
            return True
        case ast.Name(id=name):
            return name in names
        case ast.Call(func=ast.Name(id=function)) if function in PURE:
            return all(is_constant(argument, names) for argument in [*node.args, *(k.value for k in node.keywords)])
        case ast.Call(func=ast.Attribute(value=ast.Constant() as text)):
            return is_constant(text) and all(is_constant(argument, names) for argument in node.args)
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
            inner = {*names}
            for loop in node.generators:
                if not is_constant(loop.iter, inner):
                    return False
                inner |= names_in(loop.target)
            return is_constant(node.elt, inner)
        case ast.Call() | ast.Attribute() | ast.Await() | ast.Yield() | ast.YieldFrom() | ast.Lambda() | ast.DictComp():
            return False
        case ast.expr():
            return all(is_constant(child, names) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))
    return False


def names_in(target: ast.AST) -> set[str]:
    """The names that an assignment to `target` binds."""
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}


MUTATES = {"add", "append", "extend", "insert", "update"}


def bindings(scope: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """Yields each name that a scope binds, with the value; `None` when the text does not tell it."""
    for node in walk_scope(scope):
        match node:
            case ast.Assign(targets=targets, value=value):
                yield from ((name, value) for target in targets for name in names_in(target))
            case (
                ast.AnnAssign(target=target, value=ast.expr() as value)
                | ast.AugAssign(target=target, value=value)
                | ast.NamedExpr(target=target, value=value)
                | ast.For(target=target, iter=value)
            ):
                yield from ((name, value) for name in names_in(target))
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method), args=args) if method in MUTATES:
                yield from ((name, value) for value in args)
            case ast.AsyncFor(target=target) | ast.withitem(optional_vars=ast.expr() as target):
                yield from ((name, None) for name in names_in(target))
            case ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                yield name, None
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                yield from ((alias.asname or alias.name, None) for alias in aliases)
    for node in ast.walk(scope):
        if isinstance(node, ast.Global | ast.Nonlocal):
            yield from ((name, None) for name in node.names)


def constant_names(scope: ast.AST, known: Iterable[str] = ()) -> set[str]:
    """The names that a scope only ever binds to something made of constants, and those `known` outside of it."""
    bound: dict[str, list[ast.expr | None]] = {}
    for name, value in bindings(scope):
        bound.setdefault(name, []).append(value)
    constant = {*known, *bound}
    while unknown := {
        name
        for name in constant & bound.keys()
        if not all(value is not None and is_constant(value, constant) for value in bound[name])
    }:
        constant -= unknown
    return constant


def fixed_names(scope: ast.AST, known: Iterable[str] = ()) -> set[str]:
    """Of the `constant_names` those whose value is the same whatever happens: bound once, and never to a container."""
    values: dict[str, list[ast.expr | None]] = {}
    for name, value in bindings(scope):
        values.setdefault(name, []).append(value)
    return {
        name
        for name in constant_names(scope, known)
        if name not in values
        or (len(values[name]) == 1 and not isinstance(values[name][0], ast.List | ast.Dict | ast.Set))
    }


def walk_scope(scope: ast.AST) -> Iterator[ast.AST]:
    """Everything in a scope, without the bodies of the functions and classes in it."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))
