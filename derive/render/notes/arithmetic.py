"""Numbers in the place of entries, and what products and sums of them come to."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction as Rational
from operator import add, mul, sub, truediv
from typing import Any

from ...expressions import Call, Expr, Number, Read, rebuild
from ...trials import Place
from .entries import Frame

Arrays = dict[str, Any]


def spot(lhs: Read, where: Place, frame: Frame) -> Place:
    """The place in the tensor where the indices of a left-hand side have these values."""
    values = iter(where)
    out: list[int] = []
    for axis in lhs.axes:
        total = 0
        for part in axis:  # an axis of several indices, the last running fastest
            total = total * frame.extents.get(part.bare or "", 0) + next(values)
        out.append(total)
    return tuple(out)


def indices(lhs: Read, place: Place, frame: Frame) -> Place:
    """The values of the indices on a left-hand side at a place of the tensor."""
    out: list[int] = []
    for axis, at_ in zip(lhs.axes, place, strict=True):
        rest = at_
        values: list[int] = []
        for part in reversed(axis):  # an axis of several indices, the last running fastest
            extent = frame.extents[part.bare or ""] if len(axis) > 1 else rest + 1
            rest, value = divmod(rest, extent)
            values.append(value)
        out += reversed(values)
    return tuple(out)


def put(expr: Expr, arrays: Arrays) -> Expr:
    """The expression with a number for every entry that is known."""
    if isinstance(expr, Read) and expr.tensor in arrays:
        place = tuple(axis[0].number for axis in expr.axes)
        found = arrays[expr.tensor]
        if None not in place and len(place) == found.ndim:
            return Number(Rational(float(found[place])).limit_denominator(10**6))
        return expr
    return rebuild(expr, lambda child: put(child, arrays))


_COMBINE: dict[str, Callable[[Rational, Rational], Rational]] = {
    "add": add,
    "sub": sub,
    "mul": mul,
    "div": truediv,
}


def value_of(expr: Expr) -> Rational | None:
    """The value of products, sums and quotients of numbers; None for anything else."""
    match expr:
        case Number(value):
            return value
        case Call("neg", (inner,)):
            found = value_of(inner)
            return None if found is None else -found
        case Call("add" | "sub" | "mul" | "div" as fn, (left, right)):
            a, b = value_of(left), value_of(right)
            if a is None or b is None or (fn == "div" and b == 0):
                return None
            return _COMBINE[fn](a, b)
    return None
