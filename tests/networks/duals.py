"""Exact forward-mode derivatives, and the layers of the articles written out by hand.

A number carries its derivative by one parameter; comparisons look at the value. Nothing here
comes from derive, and no gradient is written down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Dual:
    """``value + slope * ε`` with ε² = 0."""

    value: Fraction
    slope: Fraction = Fraction(0)

    def __add__(self, other: Any) -> Dual:
        two = dual(other)
        return Dual(self.value + two.value, self.slope + two.slope)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Dual:
        two = dual(other)
        return Dual(self.value - two.value, self.slope - two.slope)

    def __mul__(self, other: Any) -> Dual:
        two = dual(other)
        return Dual(self.value * two.value, self.slope * two.value + self.value * two.slope)

    __rmul__ = __mul__


def dual(value: Any) -> Dual:
    return value if isinstance(value, Dual) else Dual(Fraction(value))


Tensors = dict[str, np.ndarray]


def slopes(loss: Callable[[Tensors], Dual], point: Tensors, name: str) -> np.ndarray:
    """∂loss/∂(every entry of one tensor), one entry after the other."""
    out = np.empty(point[name].shape, dtype=object)
    for place in np.ndindex(out.shape):
        seeded = dict(point)
        seeded[name] = point[name].copy()
        seeded[name][place] = Dual(Fraction(point[name][place]), Fraction(1))
        out[place] = loss(seeded).slope
    return out


def fractions(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Random sixths: no product of them is rounded, and equal ones are frequent."""
    whole = generator.integers(-9, 10, shape)
    return np.array([Fraction(int(n), 6) for n in whole.ravel()], dtype=object).reshape(shape)


# -- layers, for one sample --------------------------------------------------------------------
def conv(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    rows, columns = x.shape[0] - w.shape[0] + 1, x.shape[1] - w.shape[1] + 1
    y = np.empty((rows, columns), dtype=object)
    for i, j in np.ndindex(rows, columns):
        y[i, j] = sum(
            (dual(x[i + u, j + v]) * w[u, v] for u, v in np.ndindex(*w.shape)), Dual(Fraction(0))
        )
    return y


def max_pool(x: np.ndarray, k: int) -> np.ndarray:
    y = np.empty((x.shape[0] // k, x.shape[1] // k), dtype=object)
    for i, j in np.ndindex(*y.shape):
        best = dual(x[i * k, j * k])
        for u, v in np.ndindex(k, k):
            one = dual(x[i * k + u, j * k + v])
            best = one if one.value > best.value else best  # the first of equal ones stays
        y[i, j] = best
    return y


def relu(x: np.ndarray) -> np.ndarray:
    y = np.empty(x.shape, dtype=object)
    for place in np.ndindex(x.shape):
        one = dual(x[place])
        y[place] = one if one.value > 0 else Dual(Fraction(0))
    return y


def dense(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    y = np.empty(len(w), dtype=object)
    for i in range(len(w)):
        y[i] = sum((dual(w[i, j]) * x[j] for j in range(len(x))), dual(b[i]))
    return y


def squares(y: np.ndarray, t: np.ndarray) -> Dual:
    """Σ (y − t)²."""
    return sum(
        ((dual(a) - b) * (dual(a) - b) for a, b in zip(y, t, strict=True)), Dual(Fraction(0))
    )
