"""Which conditions always hold: interval arithmetic over the ranges of the indices."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import ceil, floor

from ..affine import Affine
from ..expressions import Condition, Divides, Equal, Within


def bounds(value: Affine, extents: Mapping[str, Affine]) -> tuple[Fraction, Fraction] | None:
    """Least and greatest value over all index ranges, None if a name has no number."""
    low = high = Fraction(0)
    below = value.denominator.number
    if below is None:
        return None
    for monomial, coefficient in value.numerator.terms:
        if monomial == ():
            ends = (Fraction(coefficient), Fraction(coefficient))
        elif len(monomial) == 1 and (reach := extents.get(monomial[0])) is not None:
            if reach.number is None:
                return None
            ends = (Fraction(0), Fraction(coefficient * (reach.number - 1)))
        else:
            return None
        low, high = low + min(ends), high + max(ends)
    return low / below, high / below


def always(condition: Condition, extents: Mapping[str, Affine]) -> bool:
    """Whether the condition holds for every value of the indices."""
    match condition:
        case Equal(left, right):
            return left == right
        case Divides(divisor, value):
            number = divisor.number
            return number is not None and all(c % number == 0 for _, c in value.terms)
        case Within(value, extent):
            name = value.bare
            if name is not None and extents.get(name) == extent:
                return True
            ends, limit = bounds(value, extents), extent.number
            if ends is None or limit is None:
                return False
            # a fraction is only read where it divides, so the ends round inwards
            return ceil(ends[0]) >= 0 and floor(ends[1]) < limit
    return False
