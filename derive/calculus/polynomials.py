"""Polynomials: sums of rational multiples of products of atoms to integer powers."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ..expressions import Expr, Number

Powers = tuple[tuple[Expr, int], ...]


@dataclass(frozen=True)
class Monomial:
    """``coefficient · ∏ atom^power``."""

    coefficient: Fraction
    powers: Powers = ()

    def times(self, other: Monomial) -> Monomial:
        """The product."""
        total = dict(self.powers)
        for atom, power in other.powers:
            total[atom] = total.get(atom, 0) + power
        kept = tuple((atom, power) for atom, power in total.items() if power)
        return Monomial(self.coefficient * other.coefficient, kept)

    def power(self, exponent: int) -> Monomial:
        """An integer power."""
        powers = tuple((atom, power * exponent) for atom, power in self.powers)
        return Monomial(self.coefficient**exponent, powers if exponent else ())

    @property
    def key(self) -> frozenset[tuple[Expr, int]]:
        """What has to be equal for two monomials to be added."""
        return frozenset(self.powers)


Polynomial = tuple[Monomial, ...]
ONE = Monomial(Fraction(1))


def added(*parts: Polynomial) -> Polynomial:
    """The sum, like terms collected, in order of first appearance."""
    total: dict[frozenset[tuple[Expr, int]], Monomial] = {}
    for monomial in (m for part in parts for m in part):
        before = total.get(monomial.key, Monomial(Fraction(0), monomial.powers))
        total[monomial.key] = Monomial(before.coefficient + monomial.coefficient, before.powers)
    return tuple(m for m in total.values() if m.coefficient)


def multiplied(one: Polynomial, two: Polynomial) -> Polynomial:
    """The product, multiplied out."""
    return added(tuple(a.times(b) for a in one for b in two))


def cancels(one: Monomial, two: Monomial) -> bool:
    """Whether something above a fraction line in one meets the same below in the other."""
    product = one.times(two)
    size = sum(abs(p) for m in (one, two) for _, p in m.powers)
    above = abs(one.coefficient.numerator * two.coefficient.numerator)
    return (
        above > abs(product.coefficient.numerator) > 0
        or sum(abs(p) for _, p in product.powers) < size
    )


def expression(polynomial: Polynomial) -> Expr:
    """A polynomial as an expression: what is added first, then what is subtracted."""
    total: Expr | None = None
    for monomial in sorted(polynomial, key=lambda m: m.coefficient < 0):
        minus = total is not None and monomial.coefficient < 0
        term = _term(Monomial(abs(monomial.coefficient), monomial.powers) if minus else monomial)
        if total is None:
            total = term
            continue
        total = total - term if minus else total + term
    return Number(Fraction(0)) if total is None else total


def _term(monomial: Monomial) -> Expr:
    size = abs(monomial.coefficient)
    above: list[Expr] = [Number(Fraction(size.numerator))] if size.numerator != 1 else []
    below: list[Expr] = [Number(Fraction(size.denominator))] if size.denominator != 1 else []
    for atom, power in monomial.powers:
        side = above if power > 0 else below
        side.append(atom if abs(power) == 1 else atom ** abs(power))
    result = _product(above)
    if below:
        result = result / _product(below)
    return -result if monomial.coefficient < 0 else result


def _product(parts: list[Expr]) -> Expr:
    result: Expr | None = None
    for part in parts:
        result = part if result is None else result * part
    return Number(Fraction(1)) if result is None else result
