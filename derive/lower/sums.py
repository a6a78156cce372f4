"""Statements taken apart: summands, and what each product is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from ..affine import Affine
from ..equations import Statement
from ..expressions import Call, Condition, Expr, Index, Number, Read, Reduce, substitute
from .scope import Scope


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


@dataclass(frozen=True)
class Sum:
    """One summand of a statement: ``lhs += sign · Σ_{over: where} body``."""

    lhs: Read
    over: tuple[str, ...]
    where: tuple[Condition, ...]
    product: Product


def sums_of(statement: Statement, scope: Scope) -> Iterator[Sum]:
    """Every summand of a statement, the nested sums of each as one; means become shares."""
    for sign, expr in pieces_of(statement.rhs):
        over: tuple[str, ...] = ()
        where: tuple[Condition, ...] = ()
        body, share = expr, Fraction(sign)
        count: tuple[Expr, ...] = ()
        while isinstance(body, Reduce) and body.op in ("sum", "mean"):
            over, where = over + body.over, where + body.where
            for index in body.over if body.op == "mean" else ():
                extent = scope.sizes[index]
                if isinstance(extent, int):
                    share /= extent
                else:
                    count = (Index(Affine.of(extent)),)
            body = body.body
        found = product_of(body)
        share, divisors = share * found.coefficient, (*found.divisors, *count)
        yield Sum(statement.lhs, over, where, Product(found.factors, divisors, share))


def fixed(term: Sum, values: dict[str, int]) -> Sum:
    """Put numbers in the place of indices that have a single value."""
    if not values:
        return term
    lhs = substitute(term.lhs, values)
    assert isinstance(lhs, Read)  # substitution keeps the node type
    moved = substitute(Reduce("sum", (), Number(Fraction(0)), term.where), values)
    assert isinstance(moved, Reduce)
    found = Product(
        tuple(substitute(f, values) for f in term.product.factors),
        tuple(substitute(d, values) for d in term.product.divisors),
        term.product.coefficient,
    )
    return Sum(lhs, tuple(i for i in term.over if i not in values), moved.where, found)


def negated(term: Sum) -> Sum:
    """The same summand with the other sign."""
    product = replace(term.product, coefficient=-term.product.coefficient)
    return replace(term, product=product)
