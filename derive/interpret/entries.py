"""One entry of an expression, as a Python function of the values of the indices.

Every node becomes a closure once; after that only loops, additions and array reads run.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

from ..equations import NO_OUTSIDE, SKIP_OUTSIDE
from ..errors import DeriveError
from ..expressions import Bracket, Call, Expr, Index, Number, Read, Reduce, Winner
from .places import Entry, Indices, Refused, Scope, holds_all, index_of, place_of
from .scalars import SCALARS, divide, rank, total


class Skipped(Exception):
    """A tap that does not count: it reads outside of a tensor under max or min."""


def entry_of(expr: Expr, scope: Scope, skipping: bool = False) -> Entry:
    """The value of ``expr`` as a function of its free indices.

    ``skipping`` says that the innermost reducer around is a max or min, so that a read
    outside drops the tap; elsewhere such a read is 0.
    """
    match expr:
        case Number(value):
            constant = value.numerator if value.denominator == 1 else value
            return lambda at: constant
        case Index(value):
            return index_of(value)
        case Read():
            return _read(expr, scope, skipping)
        case Call():
            return _call(expr, scope, skipping)
        case Reduce():
            return _reduce(expr, scope)
        case Winner():
            return _winner(expr, scope)
        case Bracket(conditions):
            holds = holds_all(conditions)
            return lambda at: int(holds(at))
    raise DeriveError(f"{type(expr).__name__} has no value: the derivation is not finished")


def _read(read: Read, scope: Scope, skipping: bool) -> Entry:
    if read.tensor not in scope.tensors:
        raise DeriveError(f"no values are given for {read.tensor}")
    stored = scope.tensors[read.tensor]
    place, item = place_of(read.axes, stored, scope), stored.item
    skip = skipping and stored.outside == SKIP_OUTSIDE
    refuse = stored.outside == NO_OUTSIDE

    def value(at: Indices) -> Any:
        position = place(at)
        if position is not None:
            return item(position)
        if refuse:
            raise Refused(f"{read.tensor} is read outside of its shape {stored.shape}")
        if skip:
            raise Skipped
        return 0

    return value


def _call(call: Call, scope: Scope, skipping: bool) -> Entry:
    args = tuple(entry_of(arg, scope, skipping) for arg in call.args)
    if call.fn == "where":
        test, yes, no = args
        return lambda at: yes(at) if test(at) else no(at)
    if call.fn not in SCALARS:
        raise DeriveError(f"the oracle does not know the function {call.fn}")
    if call.fn == "mul" and any(isinstance(arg, Bracket | Winner) for arg in call.args):
        return _guarded(*args, guard_first=isinstance(call.args[0], Bracket | Winner))
    fn = SCALARS[call.fn]
    if len(args) == 2:
        left, right = args
        return lambda at: fn(left(at), right(at))
    return lambda at: fn(*(arg(at) for arg in args))


def _guarded(left: Entry, right: Entry, *, guard_first: bool) -> Entry:
    """A product with a bracket, which is 0 where the bracket is, whatever the rest would be."""
    guard, rest = (left, right) if guard_first else (right, left)

    def value(at: Indices) -> Any:
        share = guard(at)
        return share * rest(at) if share else 0

    return value


Taps = Callable[[Indices], list[tuple[tuple[int, ...], Any]]]


def _taps(expr: Reduce | Winner, scope: Scope, skipping: bool) -> Taps:
    """Every tap that counts, in row-major order: the values of ``over`` and of the body."""
    over = expr.over
    body = entry_of(expr.body, scope, skipping)
    holds = holds_all(expr.where) if isinstance(expr, Reduce) and expr.where else None
    ranges = tuple(range(scope.extent(index)) for index in over)

    def taps(at: Indices) -> list[tuple[tuple[int, ...], Any]]:
        inner = dict(at)
        found = []
        for tap in product(*ranges):
            inner.update(zip(over, tap, strict=True))
            if holds is not None and not holds(inner):
                continue
            try:
                found.append((tap, body(inner)))
            except Skipped:
                continue
        return found

    return taps


def _reduce(expr: Reduce, scope: Scope) -> Entry:
    taps = _taps(expr, scope, skipping=expr.op in ("max", "min"))
    count = prod(scope.extent(index) for index in expr.over)
    match expr.op:
        case "sum":
            return lambda at: total([value for _, value in taps(at)])
        case "mean":  # over the whole ranges: a tap that does not count counts in the divisor
            return lambda at: divide(total([value for _, value in taps(at)]), count)
        case "max" | "min":
            return lambda at: _best(taps(at), expr.op)[1]
    raise DeriveError(f"the oracle does not know the reducer {expr.op}")


def _best(taps: list[tuple[tuple[int, ...], Any]], op: str) -> tuple[tuple[int, ...], Any]:
    """The first largest (or smallest) tap and its value."""
    if not taps:
        raise Refused(f"a {op} has no valid read in its window")
    best = taps[0]
    for tap in taps[1:]:
        mine, theirs = rank(tap[1]), rank(best[1])
        if (mine > theirs) if op == "max" else (mine < theirs):
            best = tap
    return best


def _winner(expr: Winner, scope: Scope) -> Entry:
    """The share of the tap ``at`` in a max or min."""
    taps = _taps(expr, scope, skipping=True)
    named = tuple(index_of(part) for part in expr.at)

    def share(at: Indices) -> int | Fraction:
        tap, window = tuple(part(at) for part in named), taps(at)
        first, value = _best(window, expr.op)
        if expr.ties == "first":
            return int(tap == first)
        winners = [t for t, v in window if rank(v) == rank(value)]
        return Fraction(1, len(winners)) if tap in winners else 0

    return share
