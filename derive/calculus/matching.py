"""Is one expression another with indices put in? Structural, up to the names of bound indices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..affine import Affine
from ..expressions import (
    Bracket,
    Call,
    Condition,
    Expr,
    Index,
    Number,
    Read,
    Reduce,
    Subscript,
    Winner,
)

Binding = dict[str, Affine]
"""What stands in the place of each index of the pattern."""

Bound = Mapping[str, str]
"""Which bound index of the expression corresponds to one of the pattern."""


@dataclass
class Matcher:
    """Matches a pattern whose ``variables`` can be any index expression.

    ``ranges`` says how far indices run (``u*`` like ``u``): two sums are the same only if their
    indices run equally far. ``found`` is filled on the way.
    """

    ranges: Mapping[str, Affine]
    variables: frozenset[str] = frozenset()
    found: Binding = field(default_factory=dict)

    def matches(self, one: Expr, two: Expr, bound: Bound | None = None) -> bool:
        """Whether ``two`` is the pattern ``one``."""
        bound = bound or {}
        match one, two:
            case Number(), Number():
                return one == two
            case Index(a), Index(b):
                return self._affine(a, b, bound)
            case Read(a, axes), Read(b, others):
                return a == b and self._subscripts(axes, others, bound)
            case Call(a, args), Call(b, others):
                pairs = zip(args, others, strict=False)
                same = a == b and len(args) == len(others)
                return same and all(self.matches(x, y, bound) for x, y in pairs)
            case Reduce(a, over, body, where), Reduce(b, over2, body2, where2):
                inner = self._bind(over, over2, bound)
                return (
                    inner is not None
                    and a == b
                    and self._conditions(where, where2, inner)
                    and self.matches(body, body2, inner)
                )
            case Winner(a, over, body, at, ties), Winner(b, over2, body2, at2, ties2):
                inner = self._bind(over, over2, bound)
                return (
                    inner is not None
                    and (a, ties) == (b, ties2)
                    and all(self._affine(x, y, bound) for x, y in zip(at, at2, strict=True))
                    and self.matches(body, body2, inner)
                )
            case Bracket(a), Bracket(b):
                return self._conditions(a, b, bound)
        return False

    def _bind(self, one: tuple[str, ...], two: tuple[str, ...], bound: Bound) -> Bound | None:
        """Bound indices correspond in order."""
        if len(one) != len(two):
            return None
        for a, b in zip(one, two, strict=True):
            if self.ranges.get(a.rstrip("*")) != self.ranges.get(b.rstrip("*")):
                return None
        return {**bound, **dict(zip(one, two, strict=True))}

    def _conditions(
        self, one: tuple[Condition, ...], two: tuple[Condition, ...], bound: Bound
    ) -> bool:
        if [type(c) for c in one] != [type(c) for c in two]:
            return False
        pairs = zip(one, two, strict=True)
        sides = ((x, y) for a, b in pairs for x, y in zip(vars(a).values(), vars(b).values()))  # noqa: B905  # same type, so equally many
        return all(self._affine(x, y, bound) for x, y in sides)

    def _subscripts(
        self, one: tuple[Subscript, ...], two: tuple[Subscript, ...], bound: Bound
    ) -> bool:
        if [len(axis) for axis in one] != [len(axis) for axis in two]:
            return False
        pairs = zip(one, two, strict=True)
        return all(self._affine(x, y, bound) for a, b in pairs for x, y in zip(a, b, strict=True))

    def _affine(self, one: Affine, two: Affine, bound: Bound) -> bool:
        name = one.bare
        if name is not None and name in self.variables and name not in bound:
            if set(two.names) & set(bound.values()):
                return False  # an index bound inside cannot be the value of a free one
            return self.found.setdefault(name, two) == two
        inner = {old: Affine.of(new) for old, new in bound.items()}
        return one.substitute({**self.found, **inner}) == two
