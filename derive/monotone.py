"""Which scalar formulas never fall, read off the formula.

Where f never falls, max(f(x₁), f(x₂), …) = f(max(x₁, x₂, …)). The gradients agree as well if f is
level only where its slope is 0: then equal values of f at different x hand nothing back, whoever
of them is called the winner. Both are proved here by induction over the formula, or not claimed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from .expressions import Call, Expr, Number, Read, reads
from .functions import FUNCTIONS

__all__ = ["rises"]

Known = Mapping[Expr, bool]
"""Conditions that hold, or do not, in the branch that is looked at."""


@dataclass(frozen=True)
class _Way:
    """``sign``: 1 never falls, −1 never rises, 0 constant; ``strict``: level nowhere."""

    sign: int
    strict: bool


_RISES, _LEVEL = _Way(1, True), _Way(0, False)

_OPERATORS: dict[str, Callable[..., Fraction]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "neg": operator.neg,
    "relu": lambda z: max(z, Fraction(0)),
}
_COMPARISONS: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_AT_ZERO = ("expm1", "tanh", "erf", "sin")
"""Functions that are 0 at 0."""


def rises(formula: Expr) -> bool:
    """Whether a formula of one number never falls, and has slope 0 wherever it is level."""
    way = _way(formula, {})
    return way is not None and way.sign == 1


def _way(expr: Expr, known: Known) -> _Way | None:
    """The way a formula goes as the number that it reads grows; None if that is not seen."""
    match expr:
        case Read():
            return _RISES
        case _ if not reads(expr):
            return _LEVEL
        case Call("neg", (inner,)):
            return _scaled(_way(inner, known), -1)
        case Call("sub", (left, right)):
            return _both(_way(left, known), _scaled(_way(right, known), -1))
        case Call("add", (left, right)):
            return _both(_way(left, known), _way(right, known))
        case Call("mul", (Number(factor), inner)) | Call("mul", (inner, Number(factor))):
            return _scaled(_way(inner, known), factor)
        case Call("div", (inner, Number(factor))) if factor:
            return _scaled(_way(inner, known), factor)
        case Call("where", (Call() as condition, yes, no)):
            return _chosen(condition, yes, no, known)
        case Call(fn, (inner,)) if FUNCTIONS[fn].rising:
            way = _way(inner, known)
            return way and _Way(way.sign, way.strict and FUNCTIONS[fn].rising == "strictly")
    return None


def _scaled(way: _Way | None, factor: Fraction | int) -> _Way | None:
    """What is multiplied by a number."""
    if way is None or factor > 0:
        return way
    return _Way(-way.sign, way.strict) if factor else _LEVEL


def _both(one: _Way | None, two: _Way | None) -> _Way | None:
    """A sum: level only where both are."""
    if one is None or two is None or one.sign * two.sign < 0:
        return None
    return _Way(one.sign or two.sign, one.strict or two.strict)


def _chosen(condition: Call, yes: Expr, no: Expr, known: Known) -> _Way | None:
    """Two branches on both sides of a number, if they meet there.

    Where the branch that does not have that number is level up to it, the other one must be level
    as well: the number belongs to what is level.
    """
    if condition in known:
        return _way(yes if known[condition] else no, known)
    ways = _way(yes, {**known, condition: True}), _way(no, {**known, condition: False})
    match condition:
        case Call(fn, (Read(), limit)) if fn in _COMPARISONS and not reads(limit):
            meets, closed = _meet(yes, no, _at(limit, Fraction(0))), fn in ("ge", "le")
        case _:
            return None
    owner, other = ways if closed else ways[::-1]
    if not meets or owner is None or other is None:
        return None
    if not other.strict and owner.sign:
        return None
    joined = _both(owner, other)
    return joined and _Way(joined.sign, owner.strict and other.strict)


def _meet(one: Expr, two: Expr, pivot: Fraction | None) -> bool:
    """Whether both formulas are known to have the same value at a number."""
    if pivot is None:
        return False
    values = _at(one, pivot), _at(two, pivot)
    return None not in values and values[0] == values[1]


def _at(expr: Expr, number: Fraction) -> Fraction | None:
    """The value at a number where that is exact."""
    match expr:
        case Read():
            return number
        case Number(value):
            return value
        case Call("where", (Call(fn, (left, right)), yes, no)) if fn in _COMPARISONS:
            one, two = _at(left, number), _at(right, number)
            if one is None or two is None:
                return None
            return _at(yes if _COMPARISONS[fn](one, two) else no, number)
        case Call(fn, args):
            values = [_at(argument, number) for argument in args]
            if fn in _AT_ZERO:
                return Fraction(0) if values == [0] else None
            if fn in _OPERATORS and None not in values:
                return _OPERATORS[fn](*values)
    return None
