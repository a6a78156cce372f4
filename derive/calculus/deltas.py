"""Getting rid of deltas: collapse the trivial ones, solve the others over the integers.

Σ_i δ(i, a)·f(i) = f(a) needs no more than a's being in i's range. Σ_i δ(s·i + r, a)·f(i) keeps
one term as well, but only where s divides a − r and the quotient is in range: both conditions
are kept, because dropping the first is the classical mistake (∂/∂x[3] of Σ g[i]·x[2i] is 0,
not g[3/2]).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..affine import Affine
from ..equations import Equation
from ..expressions import Condition, Divides, Equal, Within
from .terms import Term


@dataclass(frozen=True)
class Solution:
    """``index = value``, provided the conditions hold."""

    index: str
    value: Affine
    conditions: tuple[Condition, ...]


Ranges = dict[str, Affine]
"""How far every index runs that is not of the equation: the fresh ones of the gradient."""


def trivial(term: Term, equation: Equation, ranges: Ranges) -> tuple[Solution, ...]:
    """One solution for each delta between a summed index and a single other name."""
    found: dict[str, Solution] = {}
    for condition in term.where:
        if not isinstance(condition, Equal):
            continue
        for one, other in ((condition.left, condition.right), (condition.right, condition.left)):
            index, target = one.bare, other.bare
            if index in term.over and target is not None and index not in found:
                if target in found or target == index:
                    continue
                found[index] = _identified(index, other, equation, ranges)
                break
    return tuple(found.values())


def _identified(index: str, value: Affine, equation: Equation, ranges: Ranges) -> Solution:
    """``index = value`` for two names; a range condition only if their ranges differ."""
    reach = ranges.get(str(value)) or dict(equation.extents).get(str(value))
    extent = equation.extent(index)
    return Solution(index, value, () if reach == extent else (Within(value, extent),))


def solvable(term: Term, equation: Equation) -> Solution | None:
    """The first delta that holds a summed index, solved for it.

    Indices of the output come first: what is left is then a sum over kernel taps, which is
    how textbooks write it.
    """
    for condition in term.where:
        if not isinstance(condition, Equal):
            continue
        present = [i for i in term.over if i in (*condition.left.names, *condition.right.names)]
        for index in sorted(present, key=lambda i: i not in equation.output_indices):
            return _solved(index, condition, equation.extent(index))
    return None


def _solved(index: str, condition: Equal, extent: Affine) -> Solution:
    """Solve ``left = right`` for ``index``: (what is left of the index) / (its coefficient)."""
    one, other = condition.left, condition.right
    if index not in one.names:
        one, other = other, one
    difference = (other - one).numerator
    coefficient = difference.coefficient(index)
    rest = difference - coefficient * index
    value = rest / -coefficient if _negative(coefficient) else -rest / coefficient
    # what is added first, as one writes (a + p − d·u)/s
    above = Affine(sorted(value.numerator.terms, key=lambda term: term[1] < 0))
    value = above / value.denominator
    divides = () if value.is_whole else (Divides(value.denominator, value.numerator),)
    return Solution(index, value, (*divides, Within(value, extent)))


def _negative(coefficient: Affine) -> bool:
    """Strides and dilations are positive, so the sign is that of the written number."""
    return all(c < 0 for _, c in coefficient.terms)


def apply(term: Term, solutions: tuple[Solution, ...]) -> Term:
    """The term with the solved indices replaced and their conditions taken in."""
    values = {s.index: s.value for s in solutions}
    moved = term.substitute(values)
    kept = [_whole(c) for c in moved.where if not _settled(c)]
    added = [c for s in solutions for c in s.conditions]
    return replace(moved, where=tuple(dict.fromkeys([*kept, *added])))


def _settled(condition: Condition) -> bool:
    return isinstance(condition, Equal) and condition.left == condition.right


def _whole(condition: Condition) -> Condition:
    """``d | a/b`` says the same as ``d·b | a``; ``a/b = c`` the same as ``a = b·c``."""
    match condition:
        case Divides(divisor, value) if not value.is_whole:
            return Divides(divisor * value.denominator, value.numerator)
        case Equal(left, right) if not (left.is_whole and right.is_whole):
            scale = left.denominator * right.denominator
            return Equal(left * scale, right * scale)
    return condition
