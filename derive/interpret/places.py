"""Where in a tensor the subscripts of a read point, as a function of the indices.

Index expressions and conditions become closures once. A subscript composed of several parts
is row-major, so its parts are read like axes of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from operator import itemgetter
from typing import Any

from ..affine import Affine, Terms
from ..errors import DeriveError
from ..expressions import Condition, Divides, Equal, Subscript, Within

Indices = dict[str, int]
Entry = Callable[[Indices], Any]


class Refused(DeriveError):
    """An entry that has no value; the caller adds which entry it is."""


@dataclass(frozen=True)
class Stored:
    """A tensor's entries.

    ``item``     the entry at a row-major position, as a Python number
    ``shape``    the batch included
    ``outside``  what a read outside gives
    ``factors``  for a composed axis, how far each of its parts runs
    """

    name: str
    item: Callable[[int], Any]
    shape: tuple[int, ...]
    outside: str
    factors: tuple[tuple[int, ...] | None, ...]


@dataclass(frozen=True)
class Scope:
    """The tensors and how far each index runs."""

    tensors: Mapping[str, Stored]
    extents: Mapping[str, int]

    def extent(self, index: str) -> int:
        """How far an index runs; ``c'`` and ``u*`` run as far as ``c`` and ``u``."""
        for name in (index, index.rstrip("'*")):
            if name in self.extents:
                return self.extents[name]
        raise DeriveError(f"how far index {index} runs is not known")


def index_of(value: Affine) -> Entry:
    """An index expression as a function: an int, or a Fraction where a division leaves a rest."""
    top = _polynomial(value.terms)
    if value.is_whole:
        return top
    bottom = _polynomial(value.over)

    def quotient(at: Indices) -> int | Fraction:
        result = Fraction(top(at), bottom(at))
        return result.numerator if result.denominator == 1 else result

    return quotient


def _polynomial(terms: Terms) -> Entry:
    """Σ coefficient · ∏ names."""
    if len(terms) == 1 and terms[0][1] == 1 and len(terms[0][0]) == 1:
        return itemgetter(terms[0][0][0])
    constant = sum(c for m, c in terms if not m)
    linear = tuple((m[0], c) for m, c in terms if len(m) == 1)
    higher = tuple((m, c) for m, c in terms if len(m) > 1)

    def value(at: Indices) -> int:
        result = constant
        for name, c in linear:
            result += c * at[name]
        for names, c in higher:
            result += c * prod(at[name] for name in names)
        return result

    return value


def holds_all(conditions: tuple[Condition, ...]) -> Callable[[Indices], bool]:
    """Whether every condition holds."""
    checks = tuple(_condition(c) for c in conditions)
    return lambda at: all(check(at) for check in checks)


def _condition(condition: Condition) -> Callable[[Indices], bool]:
    match condition:
        case Equal(left, right):
            a, b = index_of(left), index_of(right)
            return lambda at: bool(a(at) == b(at))
        case Divides(divisor, value):
            d, v = index_of(divisor), index_of(value)
            return lambda at: bool(v(at) % d(at) == 0)
        case Within(value, extent):
            v, e = index_of(value), index_of(extent)
            return lambda at: bool(0 <= v(at) < e(at))


def places(axes: tuple[Subscript, ...], stored: Stored, scope: Scope) -> tuple[int, ...]:
    """How far every part of every subscript runs; a composed axis has several parts."""
    runs: list[int] = []
    for axis, size, factors in zip(axes, stored.shape, stored.factors, strict=True):
        if len(axis) == 1:
            runs.append(size)
            continue
        if factors is None or len(factors) != len(axis):
            bare = tuple(p.bare for p in axis)
            factors = tuple(scope.extent(name) for name in bare if name is not None)
        if len(factors) != len(axis) or prod(factors) != size:
            raise DeriveError(f"how an axis of {stored.name} is composed is not known")
        runs += factors
    return tuple(runs)


def strides_of(runs: tuple[int, ...]) -> tuple[int, ...]:
    """Row-major: the last part moves by 1."""
    return tuple(prod(runs[k + 1 :]) for k in range(len(runs)))


def place_of(axes: tuple[Subscript, ...], stored: Stored, scope: Scope) -> Entry:
    """The row-major position that the subscripts mean, or None outside of the tensor."""
    runs = places(axes, stored, scope)
    parts = [index_of(part) for axis in axes for part in axis]
    steps = tuple(zip(parts, runs, strides_of(runs), strict=True))
    name = stored.name
    whole = all(part.is_whole for axis in axes for part in axis)

    def place(at: Indices) -> int | None:
        position = 0
        for part, run, stride in steps:
            k = part(at)
            if not whole and not isinstance(k, int):
                raise Refused(f"{name} is read at {k}: a divisibility condition is missing")
            if not 0 <= k < run:
                return None
            position += k * stride
        return position

    return place
