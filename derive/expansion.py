"""Statements written out in SymPy scalars, entry by entry.

Index expressions are evaluated with ``Affine.evaluate`` at every tap: slow, and short enough
to be seen to be right. Choices (max, relu, where, ...) are made at given numbers if there are
any, and stay Max, Piecewise, ... if there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from .affine import Affine
from .equations import NO_OUTSIDE, SKIP_OUTSIDE, Equation, Statement
from .errors import DeriveError, NotDerivable
from .expressions import (
    Bracket,
    Call,
    Condition,
    Divides,
    Equal,
    Expr,
    Index,
    Number,
    Read,
    Reduce,
    Subscript,
    Within,
)

At = dict[str, int]
"""The value of every index."""

Scalar = Any
"""A SymPy expression; SymPy itself is not typed."""

SMOOTH: dict[str, Callable[..., Scalar]] = {
    "add": lambda a, b: sympy.Add(a, b),
    "sub": lambda a, b: sympy.Add(a, -b),
    "neg": lambda z: -z,
    "mul": lambda a, b: sympy.Mul(a, b),
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
    "pi": lambda: sympy.pi,
    "exp": sympy.exp,
    "log": sympy.log,
    "expm1": lambda z: sympy.exp(z) - 1,
    "log1p": lambda z: sympy.log(1 + z),
    "sqrt": sympy.sqrt,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tanh": sympy.tanh,
    "sigmoid": lambda z: 1 / (1 + sympy.exp(-z)),
    "softplus": lambda z: sympy.log(1 + sympy.exp(z)),
    "erf": sympy.erf,
}
"""Functions that choose nothing."""

RELATIONS: dict[str, Callable[..., Scalar]] = {
    "eq": sympy.Eq,
    "ne": sympy.Ne,
    "lt": sympy.Lt,
    "le": sympy.Le,
    "gt": sympy.Gt,
    "ge": sympy.Ge,
}

OPEN: dict[str, Callable[..., Scalar]] = {
    "relu": lambda z: sympy.Max(z, 0),
    "abs": sympy.Abs,
    "sign": sympy.sign,
    "maximum": sympy.Max,
    "minimum": sympy.Min,
    "where": lambda c, a, b: sympy.Piecewise((a, sympy.Ne(c, 0)), (b, True)),
    **{
        name: lambda a, b, relation=relation: sympy.Piecewise((1, relation(a, b)), (0, True))
        for name, relation in RELATIONS.items()
    },
}
"""Functions that choose, while the choice is open."""

CHOSEN: dict[str, tuple[int, Callable[..., Scalar]]] = {
    "relu": (1, lambda r, z: z if r > 0 else 0),
    "abs": (1, lambda r, z: z if r > 0 else -z if r < 0 else 0),
    "sign": (1, lambda r, z: int(bool(r > 0)) - int(bool(r < 0))),
    "maximum": (2, lambda r, s, a, b: a if r > s else b if r < s else (a + b) / 2),
    "minimum": (2, lambda r, s, a, b: a if r < s else b if r > s else (a + b) / 2),
    "where": (1, lambda r, c, a, b: a if r != 0 else b),
    "eq": (2, lambda r, s, a, b: int(bool(r == s))),
    "ne": (2, lambda r, s, a, b: int(bool(r != s))),
    "lt": (2, lambda r, s, a, b: int(bool(r < s))),
    "le": (2, lambda r, s, a, b: int(bool(r <= s))),
    "gt": (2, lambda r, s, a, b: int(bool(r > s))),
    "ge": (2, lambda r, s, a, b: int(bool(r >= s))),
}
"""How many arguments decide, and the branch chosen from their numbers and the arguments.

At a kink the branch is one whose slope is the agreed one: 0 for relu and abs at 0, one half
each for equal arguments of maximum and minimum.
"""


class Expansion:
    """The statements of an equation at given sizes, written out entry by entry, in order.

    ``entries``      the symbols of every tensor, the batch axis included; the entries of what
                     the statements give are added
    ``fixed``        the number of every symbol at which choices are made; may be empty
    ``must_choose``  an open choice is NotDerivable
    """

    def __init__(
        self,
        equation: Equation,
        extents: Mapping[str, int],
        entries: Mapping[str, NDArray[Any]],
        fixed: Mapping[Scalar, Scalar],
        must_choose: bool,
    ) -> None:
        self.equation, self.extents, self.entries = equation, extents, dict(entries)
        self.fixed, self.must_choose = dict(fixed), must_choose
        self.writing = equation.output.name
        sizes = equation.extent(equation.batch).names if equation.batch in extents else ()
        self.sizes = dict.fromkeys(sizes, extents[equation.batch]) if sizes else {}

    def write_out(self, statement: Statement, shape: tuple[int, ...]) -> None:
        """Add every entry of the left-hand side, whose shape is given."""
        self.writing = statement.lhs.tensor
        indices = statement.lhs.names
        places = product(*(range(self.extents[index]) for index in indices))
        values = np.empty(prod(shape), dtype=object)
        values[:] = [
            self.value(statement.rhs, dict(zip(indices, place, strict=True))) for place in places
        ]
        self.entries[self.writing] = values.reshape(shape)

    def value(self, expr: Expr, at: At, skipping: bool = False) -> Scalar | None:
        """``expr`` at given indices; None is a tap that does not count under max or min."""
        match expr:
            case Number(value):
                return sympy.Rational(value.numerator, value.denominator)
            case Index(value):
                exact = self.number(value, at)
                return sympy.Rational(exact.numerator, exact.denominator)
            case Read():
                return self._read(expr, at, skipping)
            case Call():
                return self._call(expr, at, skipping)
            case Reduce(op, over, body, where):
                taps = self._taps(over, body, where, at, skipping=op in ("max", "min"))
                return self._reduce(op, over, list(taps))
            case Bracket(conditions):
                return sympy.Integer(all(self.holds(c, at) for c in conditions))
        raise NotDerivable(f"{type(expr).__name__} is not part of a forward equation")

    def number(self, value: Affine, at: At) -> Fraction:
        """An index expression as a number."""
        return value.evaluate(self.sizes | at)

    def holds(self, condition: Condition, at: At) -> bool:
        """Whether a condition holds."""
        match condition:
            case Equal(left, right):
                return self.number(left, at) == self.number(right, at)
            case Divides(divisor, value):
                return self.number(value, at) % self.number(divisor, at) == 0
            case Within(value, extent):
                return 0 <= self.number(value, at) < self.number(extent, at)

    # -- reads ----------------------------------------------------------------------------
    def _read(self, read: Read, at: At, skipping: bool) -> Scalar | None:
        array, tensor = self.entries[read.tensor], self.equation.tensor(read.tensor)
        position = []
        for axis, size in zip(read.axes, array.shape, strict=True):
            parts = [self.number(part, at) for part in axis]
            runs = self._runs(axis, size)
            if all(0 <= k < run for k, run in zip(parts, runs, strict=True)):
                position.append(self._compose(read, parts, runs))
            elif tensor.outside == NO_OUTSIDE:
                raise DeriveError(f"{read.tensor} is read outside of its shape {array.shape}")
            else:
                return None if skipping and tensor.outside == SKIP_OUTSIDE else sympy.S.Zero
        return array[tuple(position)]

    def _runs(self, axis: Subscript, size: int) -> tuple[int, ...]:
        """How far each part of an axis runs."""
        if len(axis) == 1:
            return (size,)
        runs = tuple(self.extents[part.bare] for part in axis if part.bare is not None)
        if len(runs) != len(axis) or prod(runs) != size:
            raise NotDerivable("an axis is composed of more than plain indices")
        return runs

    def _compose(self, read: Read, parts: list[Fraction], runs: tuple[int, ...]) -> int:
        """The row-major position of the parts of one axis."""
        place = Fraction(0)
        for k, run in zip(parts, runs, strict=True):
            place = place * run + k
        if place.denominator != 1:
            raise DeriveError(f"{read.tensor} is read at {place}, which is no whole number")
        return place.numerator

    # -- functions and choices ------------------------------------------------------------
    def _call(self, call: Call, at: At, skipping: bool) -> Scalar | None:
        args = [self.value(arg, at, skipping) for arg in call.args]
        if any(arg is None for arg in args):
            return None
        if call.fn in SMOOTH:
            return SMOOTH[call.fn](*args)
        if call.fn not in CHOSEN:
            raise NotDerivable(f"the explicit derivation does not know the function {call.fn}")
        deciding, choose = CHOSEN[call.fn]
        ranks = self._ranks(args[:deciding], call.fn)
        if ranks is None:
            return OPEN[call.fn](*args)
        return sympy.sympify(choose(*ranks, *args), strict=True)  # numbers and expressions only

    def _taps(
        self,
        over: tuple[str, ...],
        body: Expr,
        where: tuple[Condition, ...],
        at: At,
        skipping: bool,
    ) -> Iterator[Scalar]:
        """Every tap that counts, in row-major order."""
        for tap in product(*(range(self.extents[index]) for index in over)):
            inner = at | dict(zip(over, tap, strict=True))
            if all(self.holds(condition, inner) for condition in where):
                value = self.value(body, inner, skipping)
                if value is not None:
                    yield value

    def _reduce(self, op: str, over: tuple[str, ...], taps: list[Scalar]) -> Scalar:
        match op:
            case "sum":
                return sympy.Add(*taps)
            case "mean":
                return sympy.Add(*taps) / prod(self.extents[index] for index in over)
            case "max" | "min":
                return self._select(op, taps)
        raise NotDerivable(f"the explicit derivation does not know the reducer {op}")

    def _select(self, op: str, taps: list[Scalar]) -> Scalar:
        """The winning tap, or the mean of equal winners if they split the gradient."""
        if not taps:
            raise DeriveError(f"a {op} of {self.writing} has no valid read")
        ranks = self._ranks(taps, op)
        if ranks is None:
            return (sympy.Max if op == "max" else sympy.Min)(*taps)
        best = max(ranks) if op == "max" else min(ranks)
        winners = [tap for tap, rank in zip(taps, ranks, strict=True) if rank == best]
        if self.equation.ties == "first":
            return winners[0]
        return sympy.Add(*winners) / len(winners)

    def _ranks(self, args: list[Scalar], what: str) -> list[Scalar] | None:
        """The numbers that a choice is made by; None leaves it open."""
        ranks = [arg.xreplace(self.fixed) for arg in args]
        if all(rank.is_number for rank in ranks):
            return [rank if rank.is_Rational else rank.evalf(40) for rank in ranks]
        if self.must_choose:
            raise NotDerivable(
                f"{what} chooses, and what it chooses depends on the numbers: "
                "say at which numbers to differentiate"
            )
        return None
