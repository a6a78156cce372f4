"""Expressions as array expressions, at the loop variables that are fixed where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from ..affine import Affine
from ..equations import Statement
from ..expressions import (
    Bracket,
    Call,
    Condition,
    Divides,
    Expr,
    Index,
    Number,
    Read,
    Reduce,
    Winner,
    Within,
    bound_by,
    free_names,
    rename,
    walk,
)
from ..programs import Binary, Item, Literal, Name, Unary
from . import extrema, taps
from .scalars import apply, as_number, condition_value, constant, index_value
from .scope import LOSER, Scope
from .sources import Source, parts
from .sums import Sum, product_of, sums_of
from .values import BATCH, FULL, Value, contracted, elementwise, named, summed


def total(scope: Scope, term: Sum) -> Value:
    """Σ over the indices of a sum that are not loops."""
    over = [i for i in term.over if i not in scope.loops]
    values = [evaluated(scope, f) for f in term.product.factors]
    conditions = [c for c in term.where if not _explained(c, term.product.factors)]
    values += [condition_value(c, scope) for c in conditions]
    divisors = [evaluated(scope, d) for d in term.product.divisors]
    for factor in term.product.factors:
        if extrema.splits(factor):
            values = _shared(scope, values, extrema.tied(scope, factor))
    coefficient = term.product.coefficient
    late = [d for d in divisors if not set(d.labels) & set(over)]
    for divisor in (d for d in divisors if set(d.labels) & set(over)):
        first = values.pop(0) if values else constant(Fraction(1))
        values.insert(0, elementwise("/", first, divisor, scope.order))
    present = {label for v in values for label in v.labels}
    copies = [i for i in over if i not in present]
    result = product(scope, values, over) if values else constant(Fraction(1))
    for index in copies:
        result = _times_extent(scope, result, index)
    result = _scaled(result, coefficient)
    for divisor in late:
        result = elementwise("/", result, divisor, scope.order)
    return result


def _shared(scope: Scope, values: list[Value], ties: Value) -> list[Value]:
    """A factor divided by the number of ties, before masks put zeros into it: exact fractions."""
    plain = [v for v in values if not v.mask] or [constant(Fraction(1))]
    first = elementwise("/", plain[0], ties, scope.order)
    return [first, *plain[1:], *(v for v in values if v.mask)]


def _times_extent(scope: Scope, value: Value, index: str) -> Value:
    extent = Name(BATCH) if scope.sizes[index] == BATCH else Literal(str(scope.sizes[index]))
    return Value(Binary("*", as_number(value).array, extent), value.labels)


def _scaled(value: Value, by: Fraction) -> Value:
    """Multiply by integers first and divide by integers last: exact where numbers are."""
    if by == 1:
        return value
    value = as_number(value)
    array = value.array
    if by.numerator == -1:
        array = Unary("-", array)
    elif by.numerator != 1:
        one = isinstance(array, Literal) and array.text == "1"
        scale = Literal(str(by.numerator))
        array = scale if one else Binary("*", scale, array)
    if by.denominator != 1:
        array = Binary("/", array, Literal(str(by.denominator)))
    return Value(array, value.labels)


def product(scope: Scope, values: list[Value], over: list[str]) -> Value:
    """Multiply, and sum over what is summed, pair by pair."""
    values = sorted(values, key=lambda v: v.mask)
    while len(values) > 1:
        one, two = _pair(values)
        rest = [v for v in values if v is not one and v is not two]
        later = {label for v in rest for label in v.labels}
        here = [label for label in over if label not in later]
        if set(one.labels) & set(two.labels) & set(here):
            one, two = _bound(scope, one), _bound(scope, two)
        values = [contracted(one, two, here, scope.order, scope.sizes), *rest]
        values.sort(key=lambda v: v.mask)
    return summed(values[0], over)


def _pair(values: list[Value]) -> tuple[Value, Value]:
    """Two factors of which one only runs along axes of the other, if there are such two."""
    for number_one, one in enumerate(values):
        for two in values[number_one + 1 :]:
            if len(values) > 2 and (
                set(one.labels) <= set(two.labels) or set(two.labels) <= set(one.labels)
            ):
                return one, two
    return values[0], values[1]


def _bound(scope: Scope, value: Value) -> Value:
    """Give a slice a name before it is reshaped for a matrix product."""
    array = value.array
    if not isinstance(array, Item) or not scope.loops or all(e == FULL for e in array.entries):
        return value
    if not any(e != FULL and not isinstance(e, str) for e in array.entries):
        return value
    owner = array.base.id if isinstance(array.base, Name) else "window"
    name = scope.name("window", f"{owner}_window")
    scope.assign(name, array)
    return replace(value, array=Name(name))


def _explained(condition: Condition, factors: Sequence[Expr]) -> bool:
    """Whether a condition only says that a read gives zero between or beyond the entries."""
    for factor in factors:
        if isinstance(factor, Read):
            for part in parts(factor):
                if condition == Divides(part.denominator, part.numerator):
                    return True
                if isinstance(condition, Within) and condition.value == part:
                    return True
    return False


def evaluated(scope: Scope, expr: Expr) -> Value:
    """An expression at the present loop variables."""
    if expr in scope.known:
        return scope.known[expr]
    match expr:
        case Number(value):
            return constant(value)
        case Index(value):
            return index_value(value, scope)
        case Read():
            return scope.source(expr).slice(parts(expr), scope.loops, scope.sizes)
        case Bracket(conditions):
            masks = [condition_value(c, scope) for c in conditions]
            return product(scope, masks, [])
        case Reduce():
            return _reduced(scope, expr)
        case Winner():
            return extrema.share(scope, expr)
        case Call("mul" | "div" | "neg", _):
            return total(scope, Sum(Read("", ()), (), (), product_of(expr)))
        case Call("where", (condition, Number(value), Number(other))) if {value, other} == {0, 1}:
            return _indicator(evaluated(scope, condition), negated=other == 1)
        case Call(fn, args):
            return apply(fn, tuple(evaluated(scope, a) for a in args), scope.order)
    raise TypeError(f"nothing lowers {type(expr).__name__}")


def _indicator(condition: Value, *, negated: bool) -> Value:
    """``where(condition, 1, 0)`` is the condition itself, as a mask."""
    array = Unary("~", condition.array) if negated else condition.array
    return Value(array, condition.labels, mask=True)


def hoist(scope: Scope, term: Sum, loops: tuple[str, ...]) -> None:
    """Compute, before the loops, every inner sum that does not change in them."""
    inside = set(loops)
    for root in (*term.product.factors, *term.product.divisors):
        for expr in walk(root):
            inner = extrema.peak(expr) if isinstance(expr, Winner) else expr
            if isinstance(inner, Reduce) and not inside & set(free_names(inner)):
                evaluated(scope, inner)


def _reduced(scope: Scope, expr: Reduce) -> Value:
    """A sum or extremum inside an expression, as a variable of its own."""
    asked, expr = expr, _plain(scope, expr)
    if expr in scope.known:
        scope.known[asked] = scope.known[expr]
        return scope.known[expr]
    labels = tuple(
        label for label in scope.order if label in free_names(expr) and label not in scope.loops
    )
    name = scope.name(f"{expr.op}_{''.join(expr.over)}")
    lhs = Read(name, tuple((Affine.of(label),) for label in labels))
    if expr.op in LOSER:
        extrema.extremum(scope, name, labels, expr)
    else:
        statement = Statement(lhs, expr)
        axes = tuple(scope.wide(scope.sizes[label], Affine.of(label)) for label in labels)
        taps.accumulate(scope, Source(name, name, axes), list(sums_of(statement, scope)))
    value = named(name, labels)
    # inside a loop over u the name u is not free again: found there by the name asked for
    scope.known[expr] = scope.known[asked] = value
    return value


def _plain(scope: Scope, expr: Reduce) -> Reduce:
    """``u*`` becomes ``u`` where no other u is in sight, so that equal sums look equal."""
    used = {*scope.loops, *(n for e in walk(expr) for n in (*free_names(e), *bound_by(e)))}
    names: dict[str, str] = {}
    for index in expr.over:
        plain = index.rstrip("*")
        while plain in used - {index} or plain in names.values():
            plain += plain[0]
        if plain != index:
            names[index] = plain
            scope.alias(plain, index)
    if not names:
        return expr
    renamed = rename(expr, names)
    assert isinstance(renamed, Reduce)  # renaming keeps the node type
    return renamed
