"""Integer index expressions: ``s*i + d*u - p``, and ``(a + p - d*u)/s`` once solved.

An :class:`Affine` is a polynomial with integer coefficients in names (indices, sizes,
strides, ...) over a polynomial denominator. It is affine in the indices by the parser's
check; strides, dilations and extents stay names until numbers are put in. The order in
which terms were written is kept for printing and ignored by ``==``.

This module is arithmetic only: it does not know which names are indices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import cached_property
from math import gcd

Monomial = tuple[str, ...]
Terms = tuple[tuple[Monomial, int], ...]


def _collect(terms: Iterable[tuple[Monomial, int]]) -> Terms:
    """Add up equal monomials (in any order of their names), keep first-seen order."""
    total: dict[Monomial, int] = {}
    shown: dict[Monomial, Monomial] = {}
    for monomial, coefficient in terms:
        key = tuple(sorted(monomial)) if len(monomial) > 1 else monomial
        shown.setdefault(key, monomial)
        total[key] = total.get(key, 0) + coefficient
    return tuple((shown[key], value) for key, value in total.items() if value)


_ONE: Terms = (((), 1),)


class Affine:
    """A polynomial ``terms`` over a polynomial ``over``; immutable, hashable, exact."""

    __slots__ = ("__dict__", "over", "terms")
    terms: Terms
    over: Terms

    def __init__(self, terms: Iterable[tuple[Monomial, int]], over: Terms = _ONE) -> None:
        top, bottom = _collect(terms), over
        if over is not _ONE:
            top, bottom = _cancel(top, _collect(over))
        object.__setattr__(self, "terms", top)
        object.__setattr__(self, "over", bottom)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Affine is immutable (tried to set {name})")

    # -- making ---------------------------------------------------------------------------
    @classmethod
    def of(cls, value: int | str | Affine) -> Affine:
        """An integer, a name, or an Affine itself."""
        if isinstance(value, Affine):
            return value
        return cls([((), value)] if isinstance(value, int) else [((value,), 1)])

    # -- arithmetic -----------------------------------------------------------------------
    def __add__(self, other: int | str | Affine) -> Affine:
        other = Affine.of(other)
        if self.over == other.over:
            return Affine((*self.terms, *other.terms), self.over)
        return Affine(
            (*_times(self.terms, other.over), *_times(other.terms, self.over)),
            _times(self.over, other.over),
        )

    def __neg__(self) -> Affine:
        return Affine([(m, -c) for m, c in self.terms], self.over)

    def __sub__(self, other: int | str | Affine) -> Affine:
        return self + -Affine.of(other)

    def __mul__(self, other: int | str | Affine) -> Affine:
        other = Affine.of(other)
        return Affine(_times(self.terms, other.terms), _times(self.over, other.over))

    def __truediv__(self, other: int | str | Affine) -> Affine:
        other = Affine.of(other)
        if not other.terms:
            raise ZeroDivisionError("division of an index expression by 0")
        return Affine(_times(self.terms, other.over), _times(self.over, other.terms))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Affine) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @cached_property
    def _key(self) -> tuple[frozenset[tuple[Monomial, int]], frozenset[tuple[Monomial, int]]]:
        return (
            frozenset((tuple(sorted(m)), c) for m, c in self.terms),
            frozenset((tuple(sorted(m)), c) for m, c in self.over),
        )

    # -- looking --------------------------------------------------------------------------
    @cached_property
    def names(self) -> tuple[str, ...]:
        """All names, in the order of first appearance."""
        return tuple(dict.fromkeys(n for m, _ in (*self.terms, *self.over) for n in m))

    @property
    def is_whole(self) -> bool:
        """True if nothing stands under a fraction bar."""
        return self.over is _ONE or self.over == _ONE

    @property
    def numerator(self) -> Affine:
        """The part above the fraction bar."""
        return Affine(self.terms)

    @property
    def denominator(self) -> Affine:
        """The part below the fraction bar (1 if there is none)."""
        return Affine(self.over)

    @property
    def bare(self) -> str | None:
        """The name itself if this is a single name, else None."""
        if self.is_whole and len(self.terms) == 1:
            (monomial, coefficient) = self.terms[0]
            if coefficient == 1 and len(monomial) == 1:
                return monomial[0]
        return None

    @property
    def number(self) -> int | None:
        """The integer if no name is left, else None."""
        if not self.terms:
            return 0
        if self.is_whole and len(self.terms) == 1 and self.terms[0][0] == ():
            return self.terms[0][1]
        return None

    def coefficient(self, name: str) -> Affine:
        """What ``name`` is multiplied by (the expression is affine in ``name``)."""
        found = []
        for monomial, value in self.terms:
            if name in monomial:
                at = monomial.index(name)
                found.append((monomial[:at] + monomial[at + 1 :], value))
        return Affine(found, self.over)

    def substitute(self, values: Mapping[str, Affine | int]) -> Affine:
        """Put expressions in the place of names."""
        if not any(name in values for name in self.names):
            return self
        top = _substitute(self.terms, values)
        return top if self.is_whole else top / _substitute(self.over, values)

    def evaluate(self, values: Mapping[str, int]) -> Fraction:
        """The number, exactly; a missing name is a KeyError."""
        top, bottom = (
            sum(c * _product(values[n] for n in m) for m, c in part)
            for part in (self.terms, self.over)
        )
        return Fraction(top, bottom)

    def __str__(self) -> str:
        """Python text, terms in the order written: ``2*i + u - 1``."""
        top = _text(self.terms)
        if self.is_whole:
            return top
        bottom = _text(self.over)
        if len(self.terms) > 1:
            top = f"({top})"
        if len(self.over) > 1 or "*" in bottom:
            bottom = f"({bottom})"
        return f"{top}/{bottom}"

    def __repr__(self) -> str:
        return f"Affine({str(self)!r})"


def _product(values: Iterable[int]) -> int:
    result = 1
    for value in values:
        result *= value
    return result


def _times(left: Terms, right: Terms) -> Terms:
    return _collect((a + b, x * y) for a, x in left for b, y in right)


def _substitute(terms: Terms, values: Mapping[str, Affine | int]) -> Affine:
    put = {name: Affine.of(value) for name, value in values.items()}
    if all(value.is_whole for value in put.values()):
        return Affine(term for one in terms for term in _expanded(one, put))
    total = Affine(())
    for monomial, coefficient in terms:
        product = Affine.of(coefficient)
        for name in monomial:
            product = product * (put[name] if name in put else Affine.of(name))
        total = total + product
    return total


def _expanded(term: tuple[Monomial, int], put: Mapping[str, Affine]) -> Terms:
    """One term with whole expressions in the place of names, multiplied out."""
    monomial, coefficient = term
    found: Terms = (((), coefficient),)
    for name in monomial:
        other = put[name].terms if name in put else (((name,), 1),)
        found = tuple((m + n, c * d) for m, c in found for n, d in other)
    return found


def _cancel(top: Terms, bottom: Terms) -> tuple[Terms, Terms]:
    """Cancel a single-term denominator as far as every numerator term allows."""
    if bottom == _ONE:
        return top, bottom
    if not top:
        return (), _ONE
    if len(bottom) != 1:
        same = Affine(top) == Affine(bottom)
        return (_ONE, _ONE) if same else (top, bottom)
    (names, value) = bottom[0]
    for name in names:
        if all(name in monomial for monomial, _ in top):
            top = tuple((_without(monomial, name), c) for monomial, c in top)
            names = _without(names, name)
    shared = gcd(value, *(c for _, c in top)) * (-1 if value < 0 else 1)
    return tuple((m, c // shared) for m, c in top), ((names, value // shared),)


def _without(monomial: Monomial, name: str) -> Monomial:
    at = monomial.index(name)
    return monomial[:at] + monomial[at + 1 :]


def _text(terms: Terms) -> str:
    if not terms:
        return "0"
    pieces: list[str] = []
    for monomial, coefficient in terms:
        size = abs(coefficient)
        factors = [] if size == 1 and monomial else [str(size)]
        body = "*".join([*factors, *monomial])
        sign = "-" if coefficient < 0 else "+"
        pieces.append(f" {sign} {body}" if pieces else ("-" if sign == "-" else "") + body)
    return "".join(pieces)
