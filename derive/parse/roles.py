"""What each name of the text is: an output, a tensor, an index or a named integer.

The roles follow from where a name stands, so they are settled over the whole text before any
expression is built:

* a name on the left of ``=`` (before its brackets) is an output;
* a name with brackets on the right is a tensor;
* a name in the subscripts of the left side, or in a reducer's brackets, is an index;
* any other name in a subscript is a named integer (stride, padding, ...);
* any other name is a tensor without axes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from ..functions import REDUCERS
from .source import Source


@dataclass(frozen=True)
class Roles:
    """The roles of all names; ``bound`` and ``left`` are an equation's own indices."""

    outputs: tuple[str, ...]
    tensors: frozenset[str]
    indices: frozenset[str]
    integers: frozenset[str]
    left: tuple[tuple[str, ...], ...]
    bound: tuple[frozenset[str], ...]


def roles_of(nodes: list[ast.Assign]) -> Roles:
    """The roles of all names in the text."""
    left = tuple(tuple(_names(_subscript(node.targets[0]))) for node in nodes)
    bound = tuple(frozenset(_bound(node.value)) for node in nodes)
    integers = {
        name
        for node, own, reduced in zip(nodes, left, bound, strict=True)
        for name in _in_subscripts(node.value)
        if name not in own and name not in reduced
    }
    return Roles(
        outputs=tuple(_output(node.targets[0]) for node in nodes),
        tensors=frozenset(name for node in nodes for name in _subscripted(node.value)),
        indices=frozenset(name for names in (*left, *bound) for name in names),
        integers=frozenset(integers),
        left=left,
        bound=bound,
    )


def is_reducer(node: ast.AST) -> bool:
    """True for ``sum[c,u]`` before its arguments."""
    return (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id in REDUCERS
    )


def lone_names(node: ast.expr, known: frozenset[str]) -> list[ast.Name]:
    """Names outside ``known`` that are a whole subscript of some read, as they come."""
    found: list[ast.Name] = []
    for read in _reads(node):
        slices = read.slice.elts if isinstance(read.slice, ast.Tuple) else [read.slice]
        parts = [p for s in slices for p in (s.elts if isinstance(s, ast.Tuple) else [s])]
        found += [p for p in parts if isinstance(p, ast.Name) and p.id not in known]
    return sorted(found, key=lambda name: (name.lineno, name.col_offset))


def sum_over(source: Source, value: ast.expr, names: list[ast.Name]) -> str:
    """The text of the reducer that lone indices ask for: ``sum[u](x[i+u]*w[u])``."""
    wanted = list(dict.fromkeys(name.id for name in names))
    node, parent = value, None
    while inner := _holds_all(node, set(wanted)):
        parent, node = node, inner
    if isinstance(parent, ast.Call) and is_reducer(parent.func):
        assert isinstance(parent.func, ast.Subscript)  # is_reducer said so
        over = source.segment(parent.func.slice).strip("()")
        op = source.segment(parent.func.value)
        return f"{op}[{over},{','.join(wanted)}]({source.segment(node)})"
    return f"sum[{','.join(wanted)}]({source.segment(node)})"


def _holds_all(node: ast.expr, names: set[str]) -> ast.expr | None:
    """The argument or operand of ``node`` below which every occurrence of the names stands."""
    if isinstance(node, ast.Subscript):
        return None
    total = _count(node, names)
    for child in ast.iter_child_nodes(node):
        inside_subscript = isinstance(node, ast.Call) and child is node.func
        if isinstance(child, ast.expr) and not inside_subscript and _count(child, names) == total:
            return child
    return None


def _count(node: ast.AST, names: set[str]) -> int:
    return sum(isinstance(n, ast.Name) and n.id in names for n in ast.walk(node))


def _subscript(node: ast.expr) -> ast.expr | None:
    return node.slice if isinstance(node, ast.Subscript) else None


def _output(node: ast.expr) -> str:
    """The output's name; empty if the left side has no name (refused later, with a caret)."""
    node = node.value if isinstance(node, ast.Subscript) else node
    return node.id if isinstance(node, ast.Name) else ""


def _reads(node: ast.expr) -> Iterator[ast.Subscript]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Subscript) and not is_reducer(inner):
            yield inner


def _subscripted(node: ast.expr) -> Iterator[str]:
    for read in _reads(node):
        if isinstance(read.value, ast.Name):
            yield read.value.id


def _bound(node: ast.expr) -> Iterator[str]:
    for inner in ast.walk(node):
        if is_reducer(inner):
            assert isinstance(inner, ast.Subscript)  # is_reducer said so
            yield from _names(inner.slice)


def _in_subscripts(node: ast.expr) -> Iterator[str]:
    """Names in subscripts, and in index expressions of ``delta``."""
    for read in _reads(node):
        yield from _names(read.slice)
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name):
            if inner.func.id != "delta":
                continue
            for arg in inner.args:
                if isinstance(arg, ast.BinOp | ast.UnaryOp):
                    yield from _names(arg)


def _names(node: ast.expr | None) -> Iterator[str]:
    """Names in an index expression, in order; a tensor read inside counts for nothing."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.BinOp | ast.UnaryOp | ast.Tuple):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                yield from _names(child)
