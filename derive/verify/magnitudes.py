"""How large a polynomial statement's value can get, and of what degree it is."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from ..expressions import Call, Expr, Number, Read, Reduce

POINT = 1 << 53
"""Integers below this are exact in float64."""


def largest(expr: Expr, extents: Mapping[str, int], reads: Mapping[str, int]) -> int:
    """A bound on the absolute value, and so on every partial sum and product.

    ``reads`` bounds the entries of each tensor.
    """
    match expr:
        case Number(value):
            return abs(int(value))
        case Read(tensor, _):
            return reads[tensor]
        case Call("add" | "sub", (one, two)):
            return largest(one, extents, reads) + largest(two, extents, reads)
        case Call("neg", (one,)):
            return largest(one, extents, reads)
        case Call("mul", (one, two)):
            return largest(one, extents, reads) * largest(two, extents, reads)
        case Call("pow", (one, Number(exponent))):
            return int(largest(one, extents, reads) ** int(exponent))
        case Reduce("sum", over, body, _):
            count = prod(extents[index.rstrip("*")] for index in over)
            return count * largest(body, extents, reads)
    return 1  # a bracket


def degree(expr: Expr) -> int:
    """The total degree in the entries of all tensors."""
    match expr:
        case Read():
            return 1
        case Call("add" | "sub", (one, two)):
            return max(degree(one), degree(two))
        case Call("neg", (one,)) | Reduce("sum", _, one, _):
            return degree(one)
        case Call("mul", (one, two)):
            return degree(one) + degree(two)
        case Call("pow", (one, Number(exponent))):
            return degree(one) * int(exponent)
    return 0
