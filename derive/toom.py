"""Cook and Toom's matrices: m outputs of an r-tap filter from m + r − 1 multiplications.

    y = A · ((G · g) ⊙ (B · d)),   y[i] = Σ_u g[u] · d[i + u]

The filter and m outputs are read as polynomials whose product has m + r − 1 coefficients, and a
polynomial is known from as many of its values. G and A evaluate at the points, B is what
interpolation is after transposing. A point is a pair (a, b) and stands for a/b, so that infinity
is (1, 0) and no fractions arise:

    A[i, k] = a_k^i · b_k^(m−1−i)          G[k, u] = a_k^u · b_k^(r−1−u) / n_k
    B[k] = coefficients of Π_{j≠k} (b_j·z − a_j)      n_k = Π_{j≠k} (a_k·b_j − a_j·b_k)

Everything is computed from the points in whole numbers, and proved before it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import gcd, lcm, prod

from .errors import Disproved

Point = tuple[int, int]
Matrix = tuple[tuple[int, ...], ...]

POINTS: dict[int, tuple[Point, ...]] = {
    1: ((0, 1),),
    2: ((0, 1), (1, 0)),
    3: ((0, 1), (1, 1), (1, 0)),
    4: ((0, 1), (1, 1), (-1, 1), (1, 0)),
    5: ((0, 1), (3, 4), (-3, 4), (3, 1), (-3, 1)),
    6: ((0, 1), (2, 3), (-2, 3), (3, 2), (-3, 2), (1, 0)),
    7: ((0, 1), (1, 2), (-1, 2), (5, 4), (-5, 4), (4, 1), (-4, 1)),
    8: ((0, 1), (1, 2), (-1, 2), (1, 1), (-1, 1), (2, 1), (-2, 1), (1, 0)),
}
"""How many values are needed → where to take them, for the least growth of rounding errors.

Pairs p, −p on both sides of 1 keep the powers of the points small; tests compare each set with
other small fractions. 0, ±2/3, ±3/2, ∞ halve the growth of the usual 0, ±1, ±2, ∞.
"""


@dataclass(frozen=True)
class Toom:
    """The matrices of F(m, r): ``filters`` is G times ``denominator``, the others are whole."""

    outputs: int
    taps: int
    points: tuple[Point, ...]
    values: Matrix
    filters: Matrix
    denominator: int
    inputs: Matrix

    @property
    def size(self) -> int:
        """Multiplications, and inputs that are read."""
        return self.outputs + self.taps - 1


@cache
def toom(outputs: int, taps: int) -> Toom:
    """F(outputs, taps), proved. Raises ``KeyError`` where no points are known."""
    made = interpolated(outputs, taps, POINTS[outputs + taps - 1])
    prove(made)
    return made


def interpolated(outputs: int, taps: int, points: tuple[Point, ...]) -> Toom:
    """The matrices for given points, of which no two may be the same."""
    values = tuple(tuple(_power(p, i, outputs) for p in points) for i in range(outputs))
    rows, inputs = [], []
    for k, point in enumerate(points):
        others = [p for j, p in enumerate(points) if j != k]
        divisor = prod(point[0] * other[1] - other[0] * point[1] for other in others)
        product = _product(others)
        common = gcd(*product) * (1 if divisor > 0 else -1)  # so that G starts with plus signs
        inputs.append(tuple(c // common for c in product))
        rows.append([Fraction(common * _power(point, u, taps), divisor) for u in range(taps)])
    denominator = lcm(*(entry.denominator for row in rows for entry in row))
    filters = tuple(tuple(int(entry * denominator) for entry in row) for row in rows)
    return Toom(outputs, taps, points, values, filters, denominator, tuple(inputs))


def prove(found: Toom) -> None:
    """Compare both sides of the identity as polynomials in g and d.

    y[i] is a sum of products g[u]·d[t] on either side, so they are equal for all g and d if and
    only if each of these coefficients is: Σ_k A[i,k]·G[k,u]·B[k,t] = 1 if t = i + u, else 0.
    """
    for i in range(found.outputs):
        for u in range(found.taps):
            for t in range(found.size):
                whole = sum(
                    row[i] * g[u] * b[t]
                    for row, g, b in zip(
                        zip(*found.values, strict=True), found.filters, found.inputs, strict=True
                    )
                )
                if whole != (found.denominator if t == i + u else 0):
                    raise Disproved(
                        f"F({found.outputs}, {found.taps}): the coefficient of g[{u}]·d[{t}] "
                        f"in y[{i}] is {Fraction(whole, found.denominator)}"
                    )


def _power(point: Point, exponent: int, count: int) -> int:
    """A point in the power ``exponent``, homogeneous of degree ``count`` − 1."""
    return int(point[0] ** exponent * point[1] ** (count - 1 - exponent))


def _product(points: list[Point]) -> list[int]:
    """The coefficients of Π (b·z − a), the constant one first."""
    found = [1]
    for a, b in points:
        shifted = [0, *(b * c for c in found)]
        found = [s - a * c for s, c in zip(shifted, [*found, 0], strict=True)]
    return found
