"""What a layer costs: numbers to train, multiply-adds a sample, weights if all were connected."""

from __future__ import annotations

from math import prod

from ...equations import Equation
from ...expressions import Bracket, Call, Equal, Expr, Reduce, children, reads, walk
from ...graphs import TARGET, Node


def trained(node: Node) -> int:
    """How many numbers a layer has to train."""
    return sum(prod(tensor.sizes()) for _, tensor in node.parameters)


def connected(node: Node) -> int:
    """How many weights a fully connected layer between the same shapes would have."""
    inputs = sum(prod(tensor.sizes()) for tensor, source in node.reads if source != TARGET)
    return inputs * prod(node.shape)


def multiply_adds(node: Node) -> int:
    """Products that are added up for one sample, in all statements of the layer."""
    equation = node.equation
    return sum(_products(s.rhs, s.lhs.names, equation) for s in equation.statements)


def _products(expr: Expr, indices: tuple[str, ...], equation: Equation) -> int:
    """Products under the sums of an expression that is computed for all these indices."""
    total = 0
    if isinstance(expr, Reduce):
        indices = (*indices, *expr.over)
        if expr.op == "sum" and _multiplies(expr.body):
            free = dict.fromkeys(n for n in indices if n not in _solved(expr.body))
            total = prod(equation.extent(n).number or 1 for n in free if n != equation.batch)
    return total + sum(_products(child, indices, equation) for child in children(expr))


def _solved(body: Expr) -> set[str]:
    """Indices that a delta gives the value of: no product is made for any other value."""
    equal = (c for e in walk(body) if isinstance(e, Bracket) for c in e.conditions)
    bare = ([c.left.bare, c.right.bare] for c in equal if isinstance(c, Equal))
    return {next(name for name in pair[::-1] if name) for pair in bare if any(pair)}


def _multiplies(body: Expr) -> bool:
    """Whether the body is a product of reads."""
    return isinstance(body, Call) and body.fn == "mul" and len(tuple(reads(body))) > 1
