"""Which entries of a tensor one entry of the output depends on, through all statements.

Indices are put in and the reads followed, so this holds for any equation whatever; windows that
slide are told better by ``reach``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod

from ...equations import Equation, Statement
from ...expressions import Bracket, Call, Expr, Read, Reduce, Subscript, Winner, children
from ..mathematics.terms import factors
from .entries import holds

Place = tuple[int, ...]
Values = Mapping[str, int]

MOST = 20_000
"""Reads that are followed at most."""


def depends(equation: Equation, tensor: str) -> int | None:
    """How many entries of ``tensor`` the middle entry of the output reads; None for too many.

    ``equation`` has numbers for its sizes; one sample is looked at.
    """
    sizes = {i: e.number or 1 for i, e in equation.extents}
    if _cost(equation, sizes) > MOST:
        return None
    middle = {name: sizes[name] // 2 for name in equation.forward.lhs.names}
    middle[equation.batch] = 0
    follow = _Follow(equation, sizes, tensor)
    return len(set(follow.statement(equation.forward, middle)))


def _cost(equation: Equation, sizes: Values) -> int:
    """At most so many reads in one entry of the output."""
    total = 1
    for statement in equation.statements:
        total *= max([1, *_reduced(statement.rhs, sizes)])
    return total


def _reduced(expr: Expr, sizes: Values) -> Iterator[int]:
    if isinstance(expr, Reduce | Winner):
        yield prod(sizes[i] for i in expr.over)
    for child in children(expr):
        yield from _reduced(child, sizes)


class _Follow:
    """Following reads back to one tensor."""

    def __init__(self, equation: Equation, sizes: Values, tensor: str) -> None:
        self.equation, self.sizes, self.tensor = equation, sizes, tensor
        self.made = {s.lhs.tensor: s for s in equation.given}
        self.known: dict[tuple[str, Place], frozenset[Place]] = {}

    def statement(self, value: Statement, values: Values) -> Iterator[Place]:
        yield from self.expression(value.rhs, values)

    def expression(self, expr: Expr, values: Values) -> Iterator[Place]:
        """Places of the tensor that are read."""
        if isinstance(expr, Read):
            yield from self.read(expr, values)
            return
        if isinstance(expr, Call) and expr.fn == "mul" and self.vanishes(expr, values):
            return
        if isinstance(expr, Reduce | Winner):
            where = expr.where if isinstance(expr, Reduce) else ()
            for place in product(*(range(self.sizes[i]) for i in expr.over)):
                inside = {**values, **dict(zip(expr.over, place, strict=True))}
                if self.equation.batch in expr.over and inside[self.equation.batch]:
                    continue
                if all(holds(c, inside) for c in where):
                    yield from self.expression(expr.body, inside)
            return
        for child in children(expr):
            yield from self.expression(child, values)

    def vanishes(self, expr: Expr, values: Values) -> bool:
        """Whether a factor is a condition that does not hold."""
        brackets = (f for f in factors(expr) if isinstance(f, Bracket))
        return any(not holds(c, values) for bracket in brackets for c in bracket.conditions)

    def read(self, read: Read, values: Values) -> Iterator[Place]:
        """The place itself, or what an intermediate value was made from."""
        place = tuple(self.flat(axis, values) for axis in read.axes)
        if read.tensor == self.tensor:
            sizes = self.equation.tensor(read.tensor).sizes()
            own = place[len(place) - len(sizes) :]
            if all(0 <= k < n for k, n in zip(own, sizes, strict=True)):
                yield own
        elif read.tensor in self.made:
            if (read.tensor, place) not in self.known:
                made = self.made[read.tensor]
                names = [axis[0].bare or "" for axis in made.lhs.axes]
                found = self.statement(made, dict(zip(names, place, strict=True)))
                self.known[read.tensor, place] = frozenset(found)
            yield from self.known[read.tensor, place]

    def flat(self, axis: Subscript, values: Values) -> int:
        """A subscript's number; of a composed one, row-major (−1 where it is no whole number)."""
        total = 0
        for part in axis:
            number = part.evaluate(values)
            if number.denominator != 1:
                return -1
            total = total * prod(self.sizes.get(n, 1) for n in part.names) + int(number)
        return total
