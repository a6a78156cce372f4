"""Statements as lists that JSON can hold: an operation code, then what it works on.

===========================================  ===============================================
``3``, ``["q",1,2]``                         a number
``["i",a]``                                  an index expression as a number
``["r",tensor,[[a],[a,a],…]]``               a read, one list of index expressions an axis
``["c",fn,e,…]``                             a scalar function
``["s",op,[name,…],e,[condition,…]]``        a reducer
``["b",[condition,…]]``                      1 where all conditions hold, else 0
``["w",op,[name,…],e,[a,…],ties]``           the share of a tap in a max or min
condition                                    ``["=",a,a]``, ``["|",d,a]``, ``["<",a,extent]``
index expression                             ``3``, ``"i"``, ``[-1,"i",2,"u",1]``, ``["/",a,2]``
===========================================  ===============================================
"""

from __future__ import annotations

from typing import Any

from ...affine import Affine
from ...expressions import (
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
    Winner,
)


def tree(expr: Expr) -> Any:
    """The expression as nested lists."""
    match expr:
        case Number(value):
            whole = value.denominator == 1
            return value.numerator if whole else ["q", value.numerator, value.denominator]
        case Index(value):
            return ["i", affine(value)]
        case Read(tensor, _):
            return ["r", tensor, axes_of(expr)]
        case Call(fn, args):
            return ["c", fn, *map(tree, args)]
        case Reduce(op, over, body, where):
            return ["s", op, list(over), tree(body), [*map(condition, where)]]
        case Bracket(conditions):
            return ["b", [*map(condition, conditions)]]
        case Winner(op, over, body, at, ties):
            return ["w", op, list(over), tree(body), [*map(affine, at)], ties]
    raise TypeError(f"no list for {type(expr).__name__}")


def axes_of(read: Read) -> list[list[Any]]:
    """The index expressions of every axis."""
    return [[affine(part) for part in axis] for axis in read.axes]


def condition(value: Condition) -> list[Any]:
    """A condition between index expressions."""
    match value:
        case Equal(left, right):
            return ["=", affine(left), affine(right)]
        case Divides(divisor, whole):
            return ["|", affine(divisor), affine(whole)]
    return ["<", affine(value.value), affine(value.extent)]


def affine(value: Affine) -> Any:
    """A number, a name, or a constant followed by names and what they are multiplied by."""
    if not value.is_whole:
        return ["/", affine(value.numerator), affine(value.denominator)]
    if value.number is not None:
        return value.number
    if value.bare is not None:
        return value.bare
    constant, out = 0, []
    for monomial, coefficient in value.terms:
        if len(monomial) > 1:
            raise ValueError(f"{value} is not affine once sizes are numbers")
        if monomial:
            out += [monomial[0], coefficient]
        else:
            constant = coefficient
    return [constant, *out]
