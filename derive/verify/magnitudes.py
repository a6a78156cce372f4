"""How large the values of polynomial (and selecting) statements can get, and of what degree.

What a statement gives bounds what later ones read: y = h·h with h = x·w is of degree 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from ..affine import Affine
from ..derivations import Derivation
from ..equations import Equation, Statement
from ..expressions import Call, Expr, Index, Number, Read, Reduce

POINT = 1 << 53
"""Integers below this are exact in float64."""


def order(equation: Equation) -> int:
    """The total degree of y in the entries of all given tensors."""
    degrees: dict[str, int] = {}
    for statement in equation.statements:
        degrees[statement.lhs.tensor] = degree(statement.rhs, degrees)
    return degrees[equation.output.name]


def reach(derivation: Derivation, equation: Equation, batch: int, size: int) -> int:
    """A bound on every value that the kernel computes, if no entry exceeds ``size``."""
    extents = {i: batch if e.number is None else e.number for i, e in equation.extents}
    backward = (*derivation.inner_instance, *derivation.instance)
    statements: list[Statement] = [*equation.statements, *(g.gather for g in backward)]
    reads = dict.fromkeys((*(t.name for t in equation.tensors), equation.output.gradient), size)
    for statement in statements:
        reads[statement.lhs.tensor] = largest(statement.rhs, extents, reads)
    return max(reads.values())


def largest(expr: Expr, extents: Mapping[str, int], reads: Mapping[str, int]) -> int:
    """A bound on the absolute value, and so on every partial sum and product.

    ``reads`` bounds the entries of each tensor.
    """
    match expr:
        case Number(value):
            return abs(int(value))
        case Index(value):
            return _span(value, extents)
        case Read(tensor, _):
            return reads[tensor]
        case Call("add" | "sub", (one, two)):
            return largest(one, extents, reads) + largest(two, extents, reads)
        case Call("neg" | "relu" | "abs", (one,)) | Reduce("max" | "min", _, one, _):
            return largest(one, extents, reads)
        case Call("maximum" | "minimum", (one, two)) | Call("where", (_, one, two)):
            return max(largest(one, extents, reads), largest(two, extents, reads))
        case Call("mul", (one, two)):
            return largest(one, extents, reads) * largest(two, extents, reads)
        case Call("pow", (one, Number(exponent))):
            return int(largest(one, extents, reads) ** int(exponent))
        case Reduce("sum", over, body, _):
            count = prod(extents[index.rstrip("*")] for index in over)
            return count * largest(body, extents, reads)
    return 1  # a bracket, a sign, a comparison, a share in a maximum


def _span(value: Affine, extents: Mapping[str, int]) -> int:
    """A bound on the absolute value of a whole index expression."""
    return sum(abs(c) * prod(extents[n.rstrip("'*")] for n in names) for names, c in value.terms)


def degree(expr: Expr, degrees: Mapping[str, int]) -> int:
    """The total degree in the entries of all given tensors; ``degrees`` those of the others."""
    match expr:
        case Read(tensor, _):
            return degrees.get(tensor, 1)
        case Call("add" | "sub", (one, two)):
            return max(degree(one, degrees), degree(two, degrees))
        case Call("neg", (one,)) | Reduce("sum", _, one, _):
            return degree(one, degrees)
        case Call("mul", (one, two)):
            return degree(one, degrees) + degree(two, degrees)
        case Call("pow", (one, Number(exponent))):
            return degree(one, degrees) * int(exponent)
    return 0
