"""Which indices become Python loops: the short ones, so that every read is a slice."""

from __future__ import annotations

from collections.abc import Iterator

from ..expressions import Expr, Read, Reduce, Winner, children, free_names, substitute
from .scope import Scope
from .sources import parts
from .sums import Sum

LARGEST_BROADCAST = 1 << 20
"""Entries per sample beyond which a sum that is no matrix product is looped instead."""


def loops_of(scope: Scope, term: Sum) -> tuple[str, ...]:
    """The indices to loop over so that every subscript keeps at most one other index."""
    exprs = (*term.product.factors, *term.product.divisors)
    reads = [term.lhs, *(r for e in exprs for r in direct_reads(e))]
    loops = list(scope.loops)
    for read in reads:
        for part in parts(read):
            moving = [n for n in part.numerator.names if n not in loops]
            moving.sort(key=lambda n: (scope.sizes.number(n), n in scope.equation.output_indices))
            loops += moving[:-1]
        along = [n for part in parts(read) for n in part.numerator.names if n not in loops]
        loops += [n for n in dict.fromkeys(along) if along.count(n) > 1]
    for factor in term.product.factors:
        if isinstance(factor, Winner):
            at = [a.bare for a in factor.at if a.bare is not None]
            loops += at if any(a in loops for a in at) else []
    loops += _too_wide(scope, term, loops)
    chosen = set(loops) - set(scope.loops)
    ranked = [*(n for part in parts(term.lhs) for n in part.names), *term.over, *sorted(chosen)]
    return tuple(n for n in dict.fromkeys(ranked) if n in chosen)


def direct_reads(expr: Expr) -> Iterator[Read]:
    """Reads that are sliced in the innermost loop: not those of sums computed beforehand."""
    if isinstance(expr, Read):
        yield expr
    elif isinstance(expr, Winner):
        yield from direct_reads(at_tap(expr))
    elif not isinstance(expr, Reduce):
        for child in children(expr):
            yield from direct_reads(child)


def _too_wide(scope: Scope, term: Sum, loops: list[str]) -> list[str]:
    """Summed indices to loop over where a broadcast would grow too large."""
    if all(isinstance(f, Read) for f in term.product.factors):
        return []  # a matrix product broadcasts nothing
    exprs = (*term.product.factors, *term.product.divisors)
    labels = {n for e in exprs for n in free_names(e) if scope.runs(n)}
    labels -= {*loops, scope.equation.batch}
    more: list[str] = []
    candidates = sorted(labels & set(term.over), key=lambda n: (scope.sizes.number(n), n))
    while candidates and _entries(scope, labels - set(more)) > LARGEST_BROADCAST:
        more.append(candidates.pop())
    return more


def _entries(scope: Scope, labels: set[str]) -> int:
    total = 1
    for label in sorted(labels):
        total *= scope.sizes.number(label)
    return total


def nesting(term: Sum, loops: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Loops over the taps of a maximum go innermost, in row-major order: the first one wins."""
    for factor in term.product.factors:
        if isinstance(factor, Winner):
            at = tuple(a.bare for a in factor.at if a.bare is not None)
            return tuple(i for i in loops if i not in at), tuple(i for i in at if i in loops)
    return (), loops


def at_tap(winner: Winner) -> Expr:
    """The body with the tap's own indices in place of the inner ones."""
    return substitute(winner.body, dict(zip(winner.over, winner.at, strict=True)))
