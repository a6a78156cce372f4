"""What a product is made of: its factors, divisors and rational coefficient."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ..expressions import Call, Expr, Number


@dataclass(frozen=True)
class Product:
    """``coefficient * ∏ factors / ∏ divisors``."""

    factors: tuple[Expr, ...] = ()
    divisors: tuple[Expr, ...] = ()
    coefficient: Fraction = Fraction(1)


def product_of(expr: Expr) -> Product:
    """Take products, quotients, signs and numbers apart; anything else is a factor."""
    match expr:
        case Number(value):
            return Product(coefficient=value)
        case Call("neg", (inner,)):
            found = product_of(inner)
            return Product(found.factors, found.divisors, -found.coefficient)
        case Call("mul", (left, right)):
            one, two = product_of(left), product_of(right)
            return Product(
                one.factors + two.factors,
                one.divisors + two.divisors,
                one.coefficient * two.coefficient,
            )
        case Call("div", (above, below)):
            one, two = product_of(above), product_of(below)
            if two.coefficient:  # division by zero is the arithmetic's to report
                return Product(
                    one.factors + two.divisors,
                    one.divisors + two.factors,
                    one.coefficient / two.coefficient,
                )
            return Product(one.factors, (*one.divisors, below), one.coefficient)
    return Product((expr,))


def pieces_of(expr: Expr, sign: int = 1) -> tuple[tuple[int, Expr], ...]:
    """The summands of an expression with their signs."""
    match expr:
        case Call("add", (left, right)):
            return (*pieces_of(left, sign), *pieces_of(right, sign))
        case Call("sub", (left, right)):
            return (*pieces_of(left, sign), *pieces_of(right, -sign))
        case Call("neg", (inner,)):
            return pieces_of(inner, -sign)
    return ((sign, expr),)
