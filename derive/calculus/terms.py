"""A statement's right-hand side as a sum of terms ``c · Σ_{over: where} ∏ factors / ∏ divisors``.

The deltas of a derivative sit deep inside sums and products. Here they are brought to the
surface: nested sums merge, products distribute over the sums that hold a delta, and the
deltas become conditions under the sum. Parts without a delta stay whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from ..affine import Affine
from ..expressions import (
    ONE,
    ZERO,
    Bracket,
    Call,
    Condition,
    Expr,
    Number,
    Read,
    Reduce,
    bound_by,
    free_names,
    rebuild,
    rename,
    substitute,
    walk,
)
from .rules import count

ExtentOf = Callable[[str], Affine]


@dataclass(frozen=True)
class Term:
    """One product under one sum."""

    over: tuple[str, ...] = ()
    factors: tuple[Expr, ...] = ()
    divisors: tuple[Expr, ...] = ()
    where: tuple[Condition, ...] = ()
    coefficient: Fraction = Fraction(1)

    def times(self, other: Term) -> Term:
        """The product of two terms; their indices are kept apart by the caller."""
        return Term(
            self.over + other.over,
            self.factors + other.factors,
            self.divisors + other.divisors,
            self.where + other.where,
            self.coefficient * other.coefficient,
        )

    def apart(self, names: tuple[str, ...]) -> Term:
        """The same term with no summed index called one of ``names``."""
        clash = tuple(i for i in self.over if i in names)
        if not clash:
            return self
        used = {*names, *self.over, *(n for f in self.factors for n in all_names(f))}
        values = {index: Affine.of(starred(index, used)) for index in clash}
        moved = self.substitute(values)
        return replace(moved, over=tuple(str(values.get(i, i)) for i in self.over))

    @property
    def legible(self) -> Term:
        """The same term with no sum inside over a letter that the term itself sums over."""
        return replace(
            self,
            factors=tuple(avoiding(f, self.over) for f in self.factors),
            divisors=tuple(avoiding(d, self.over) for d in self.divisors),
        )

    @property
    def expr(self) -> Expr:
        """The term as one expression."""
        size = abs(self.coefficient)
        parts = [*([Number(size)] if size != 1 else []), *self.factors]
        body = _product(parts)
        if self.divisors:
            body = body / _product(self.divisors)
        if self.coefficient < 0:
            body = -body
        return Reduce("sum", self.over, body, self.where) if self.over or self.where else body

    def substitute(self, values: dict[str, Affine]) -> Term:
        """Put index expressions in the place of summed indices, which leave the sum."""
        names = tuple(name for value in values.values() for name in value.names)
        moved = Reduce("sum", (), ZERO, self.where)
        conditions = substitute(moved, values)
        assert isinstance(conditions, Reduce)  # substitution keeps the node type
        return replace(
            self,
            over=tuple(i for i in self.over if i not in values),
            factors=tuple(substitute(avoiding(f, names), values) for f in self.factors),
            divisors=tuple(substitute(avoiding(d, names), values) for d in self.divisors),
            where=conditions.where,
        )


def _product(parts: Iterable[Expr]) -> Expr:
    result: Expr | None = None
    for part in parts:
        result = part if result is None else result * part
    return ONE if result is None else result


def total(terms: Iterable[Term]) -> Expr:
    """The sum of the terms as one expression."""
    result: Expr | None = None
    for term in terms:
        if result is None:
            result = term.expr
        elif term.coefficient < 0:
            result = result - replace(term, coefficient=-term.coefficient).expr
        else:
            result = result + term.expr
    return ZERO if result is None else result


def terms_of(expr: Expr, extent: ExtentOf, *, top: bool = True) -> tuple[Term, ...]:
    """The terms of an expression; ``top`` opens sums that hold no delta too."""
    if not top and not holds_delta(expr):
        return _atom(expr)
    match expr:
        case Number():
            return _atom(expr)
        case Bracket(conditions):
            return (Term(where=conditions),)
        case Call("add" | "sub" as fn, (left, right)):
            second = terms_of(right, extent, top=top)
            sign = 1 if fn == "add" else -1
            return (
                *terms_of(left, extent, top=top),
                *(replace(t, coefficient=sign * t.coefficient) for t in second),
            )
        case Call("neg", (inner,)):
            return tuple(
                replace(t, coefficient=-t.coefficient) for t in terms_of(inner, extent, top=top)
            )
        case Call("mul", (left, right)):
            return tuple(
                a.times(b.apart(a.over))
                for a in terms_of(left, extent, top=False)
                for b in terms_of(right, extent, top=False)
            )
        case Call("div", (above, below)):
            return tuple(
                replace(t, divisors=(*t.divisors, below)) for t in terms_of(above, extent, top=top)
            )
        case Reduce("sum" | "mean" as op, over, body, where):
            share = (count(tuple(extent(i) for i in over)),) if op == "mean" else ()
            outer = Term(over=over, divisors=share, where=where)
            return tuple(
                replace(outer.times(t), divisors=(*t.divisors, *share))
                for t in terms_of(body, extent, top=top)
            )
    return _atom(expr)


def _atom(expr: Expr) -> tuple[Term, ...]:
    """A whole expression as one term (none if it is 0)."""
    if isinstance(expr, Number):
        return (Term(coefficient=expr.value),) if expr.value else ()
    return (Term(factors=(expr,)),)


def holds_delta(expr: Expr) -> bool:
    """Whether a bracket stands anywhere below."""
    return any(isinstance(node, Bracket) for node in walk(expr))


LETTERS = ("abe", "qrz", "hkm")
"""Letters for the entry of a gradient, by three, so that neighbours stay together."""


def fresh(used: Iterable[str], mine: Iterable[str] = ()) -> str:
    """An index name that is not used yet, from the group that ``mine`` were taken from."""
    taken, own = set(used), set(mine)
    for group in LETTERS:
        if not taken & set(group) and (free := sorted(set(group) - own)):
            return free[0]
    numbered = (f"a{k}" for k in range(len(taken | own) + 1))
    return next(name for name in numbered if name not in taken | own)


def starred(name: str, used: Iterable[str]) -> str:
    """Another index with the range of ``name``: ``u*``, or with more stars."""
    taken = set(used)
    while name in taken:
        name += "*"
    return name


def all_names(expr: Expr) -> set[str]:
    """Every index name below, free or bound, and every tensor name."""
    found = set(free_names(expr))
    for node in walk(expr):
        found.update(bound_by(node), free_names(node))
        found.update((node.tensor,) if isinstance(node, Read) else ())
    return found


def avoiding(expr: Expr, names: Iterable[str]) -> Expr:
    """The same expression with no index bound inside that is called one of ``names``."""
    clash = sorted(set(names) & {n for node in walk(expr) for n in bound_by(node)})
    if not clash:
        return expr
    used = all_names(expr) | set(names)
    return _rename_bound(expr, {name: starred(name, used) for name in clash})


def _rename_bound(expr: Expr, names: dict[str, str]) -> Expr:
    """Rename where bound, and only there."""
    inner = rebuild(expr, lambda child: _rename_bound(child, names))
    mine = {n: names[n] for n in bound_by(inner) if n in names}
    return rename(inner, mine) if mine else inner
