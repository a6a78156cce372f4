"""The selecting claim: layers that compare (max, relu, ...) run on ranked expressions.

Each entry carries a number to compare by and a SymPy expression to compute with. The numbers
are few, so ties occur. The explicit path fixes the same choices first and differentiates the
chosen branch; every entry has to be equal.
"""

from __future__ import annotations

import operator
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from .. import explicit
from ..certificates import Claim, Omitted
from ..classes import classes
from ..derivations import Derivation
from ..equations import Equation
from ..expressions import Number, walk
from ..functions import arithmetic
from ..interpret import interpret
from .running import Array, Kernel, batch_shape, compare, mixes
from .symbolic import MOST_PRODUCTS, exactly, meant, same, too_large

HALVES = (1, 2, 3, 8)
"""Draws in turn are from minus one of these to it: few numbers tie often, many reach far."""

DRAWN = 96
"""Small layers are drawn more often, until about so many entries were."""


class Ranked:
    """An expression that compares by a number: arithmetic acts on both."""

    __slots__ = ("expr", "rank")

    def __init__(self, rank: Fraction, expr: Any) -> None:
        self.rank, self.expr = rank, expr

    def _with(self, other: Any, op: Any) -> Ranked:
        two = other
        if not isinstance(other, Ranked):
            number = meant(other)
            two = Ranked(number, exactly(number))
        return Ranked(op(self.rank, two.rank), op(self.expr, two.expr))

    def __add__(self, other: Any) -> Ranked:
        return self._with(other, lambda a, b: a + b)

    def __radd__(self, other: Any) -> Ranked:
        return self._with(other, lambda a, b: b + a)

    def __sub__(self, other: Any) -> Ranked:
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Ranked:
        return self._with(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> Ranked:
        return self._with(other, lambda a, b: a * b)

    def __rmul__(self, other: Any) -> Ranked:
        return self._with(other, lambda a, b: b * a)

    def __truediv__(self, other: Any) -> Ranked:
        return self._with(other, lambda a, b: a / b)

    def __rtruediv__(self, other: Any) -> Ranked:
        return self._with(other, lambda a, b: b / a)

    def __pow__(self, other: Any) -> Ranked:
        return self._with(other, lambda a, b: a**b)

    def __neg__(self) -> Ranked:
        return Ranked(-self.rank, -self.expr)

    def __abs__(self) -> Ranked:
        return -self if self.rank < 0 else self

    def __eq__(self, other: object) -> bool:
        return bool(self.rank == _rank(other))

    def __lt__(self, other: Any) -> bool:
        return bool(self.rank < _rank(other))

    def __le__(self, other: Any) -> bool:
        return bool(self.rank <= _rank(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.rank > _rank(other))

    def __ge__(self, other: Any) -> bool:
        return bool(self.rank >= _rank(other))

    def __hash__(self) -> int:
        return hash(self.rank)


def _rank(value: Any) -> Any:
    return value.rank if isinstance(value, Ranked) else value


def selecting(derivation: Derivation, kernel: Kernel) -> Claim | Omitted | None:
    """Check all entries at a few draws of numbers, or say why not."""
    needed = arithmetic(derivation.equation)
    if "selecting" not in needed or "smooth" in needed:
        return None
    equation = derivation.equation.at_sizes()
    batch = 2 if mixes(equation) else 1
    products = batch * explicit.terms(equation)
    if too_large(equation, products):
        slots = (("products", str(products)), ("limit", str(MOST_PRODUCTS)))
        return Omitted("selecting", "too_large", slots)
    output = equation.output
    symbols = explicit.symbols(equation, batch)
    count = draws = 0
    for draw in range(_draws(symbols)):
        numbers, expected = _defined(equation, symbols, draw, batch)
        if expected is None:
            continue
        draws += 1
        arrays = {name: _ranked(symbols[name], numbers[name]) for name in symbols}
        arrays |= {t.name: numbers[t.name] for t in equation.tensors if t.integer}
        at = {t.name: numbers[t.name] for t in equation.tensors}
        fixed = {
            s: exactly(v)
            for name, values in at.items()
            for s, v in zip(symbols[name].flat, values.flat, strict=True)
        }
        # at a tie the value is one number but has several expressions: compare the number
        found = _ranks(kernel.forward(arrays))
        wanted = expected.reshape(found.shape)
        compare(kernel, "selecting", output.name, found, wanted, operator.eq)
        count += found.size
        gradients = kernel.backward(arrays[output.gradient], arrays)
        for tensor, entries in gradients.items():
            wanted = explicit.gradient(equation, tensor, batch, at)
            name = equation.tensor(tensor).gradient
            compare(kernel, "selecting", name, _plain(entries), wanted, partial(_agree, fixed))
            count += entries.size
    if not draws:
        return Omitted("selecting", "undefined")
    subject = (output.name, *(equation.tensor(t).gradient for t, _ in kernel.gradients))
    return Claim("selecting", subject, (("draws", str(draws)), ("entries", str(count))))


def _draws(symbols: dict[str, Array]) -> int:
    size = sum(array.size for array in symbols.values())
    return max(len(HALVES), min(6 * len(HALVES), DRAWN // size))


def _defined(
    equation: Equation, symbols: dict[str, Array], draw: int, batch: int
) -> tuple[dict[str, Array], Array | None]:
    """Numbers and the oracle's y; numbers without 0 where y divides by one, None if that fails."""
    for zero in (True, False):
        numbers = _numbers(equation, symbols, draw, zero)
        arrays = {t.name: numbers[t.name] for t in equation.tensors}
        try:
            return numbers, interpret(equation, _batched(equation, arrays, batch))
        except ZeroDivisionError:
            continue
    return numbers, None


def _numbers(
    equation: Equation, symbols: dict[str, Array], draw: int, zero: bool
) -> dict[str, Array]:
    """Small whole numbers, so that ties and zeros occur, and what lies around any kink."""
    generator = np.random.default_rng(draw)
    half = HALVES[draw % len(HALVES)]
    constants = [n.value for s in equation.statements for n in walk(s.rhs) if isinstance(n, Number)]
    around = (sign * (c + step) for c in constants for sign in (1, -1) for step in (-1, 0, 1))
    pool = sorted({n for n in (*map(Fraction, range(-half, half + 1)), *around) if n or zero})
    labels = {t.name: classes(equation, t) for t in equation.tensors if t.integer}
    result = {}
    for name in sorted(symbols):
        if name in labels:
            result[name] = generator.integers(0, labels[name], symbols[name].shape)
            continue
        drawn = np.empty(symbols[name].size, dtype=object)
        drawn[:] = [pool[k] for k in generator.integers(0, len(pool), drawn.size)]
        result[name] = drawn.reshape(symbols[name].shape)
    return result


def _agree(fixed: dict[Any, Any], one: Any, two: Any) -> bool:
    """Whether two entries of a gradient are equal, as linear forms in g at the drawn numbers.

    At a tie one value has several expressions (relu(0) is x and 0), and a gradient may hold any.
    """
    return same(one, two) or same(exactly(one).xreplace(fixed), two.xreplace(fixed))


def _ranked(symbols: Array, numbers: Array) -> Array:
    pairs = [Ranked(n, s) for n, s in zip(numbers.flat, symbols.flat, strict=True)]
    made = np.empty(len(pairs), dtype=object)
    made[:] = pairs
    return made.reshape(symbols.shape)


def _batched(equation: Equation, at: dict[str, Array], batch: int) -> dict[str, Array]:
    return {n: a.reshape(batch_shape(equation, equation.tensor(n), batch)) for n, a in at.items()}


def _ranks(entries: Array) -> Array:
    """The numbers alone."""
    made = np.empty(entries.size, dtype=object)
    made[:] = [_rank(e) for e in entries.flat]
    return made.reshape(entries.shape)


def _plain(entries: Array) -> Array:
    """Back to expressions."""
    made = np.empty(entries.size, dtype=object)
    made[:] = [e.expr if isinstance(e, Ranked) else exactly(e) for e in entries.flat]
    return made.reshape(entries.shape)
