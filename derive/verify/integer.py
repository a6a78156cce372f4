"""The integer claim: exact arithmetic at any size, on random integers.

The kernel runs in float64 on integers of so few bits that every partial sum stays below 2⁵³:
nothing is rounded. Forward is compared with the oracle entry by entry. Backward is compared
with forward by ⟨g, J·v⟩ = ⟨Jᵀ·g, v⟩, where J·v comes from differences of forward values, which
are exact derivatives of a polynomial. Both sides are polynomials in the drawn numbers; if
they were different polynomials of degree d, a draw from s numbers would hide it with
probability at most d/s (Schwartz 1980, Zippel 1979). Drawn again until that is below 2⁻⁶⁰.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import log2, prod

import numpy as np

from ..certificates import Claim, Omitted
from ..derivations import Derivation
from ..equations import Equation
from ..functions import arithmetic
from ..interpret import entries
from .magnitudes import POINT, order, reach
from .running import Array, Kernel, axes, batch_shape, disproved, drawn, sample, samples

WANTED = 60
"""The bound on a false "yes" is to be below 2 to the minus this."""

ORACLE_PRODUCTS = 200_000
"""Scalar products that the oracle is given a round; beyond it a sample of entries."""


@dataclass(frozen=True)
class Plan:
    """How large the numbers may be and how often to draw."""

    half: int  # integers from -half to half
    steps: tuple[int, ...]  # forward is run at point + step * direction
    weights: tuple[Fraction, ...]  # the weighted sum of those runs is the derivative
    degree: int
    rounds: int

    @property
    def bound(self) -> int:
        """The bound is 2 to the minus this."""
        return int(self.rounds * log2((2 * self.half + 1) / self.degree))


def integer(derivation: Derivation, kernel: Kernel) -> Claim | Omitted | None:
    """Check forward and backward, or say why not."""
    if arithmetic(derivation.equation) != {"polynomial"}:
        return None
    plan = planned(derivation)
    if plan is None:
        return Omitted("integer", "too_few_bits")
    equation = derivation.equation.at_sizes()
    batch = samples(equation)
    compared = 0
    for number in range(plan.rounds):
        compared += _round(derivation, equation, kernel, plan, number, batch)
    subject = (equation.output.name, *(equation.tensor(t).gradient for t, _ in kernel.gradients))
    total = plan.rounds * prod(batch_shape(equation, equation.output, batch))
    checked = (
        ("rounds", str(plan.rounds)),
        ("batch", str(batch)),
        ("integers", f"-{plan.half}..{plan.half}"),
        ("entries", str(compared)),
        ("of", str(total)),
        ("bound", f"2^-{plan.bound}"),
    )
    return Claim("integer", subject, checked)


def planned(derivation: Derivation) -> Plan | None:
    """How to draw for a polynomial layer; None if too few bits are left to tell anything."""
    equation = derivation.equation.at_sizes()
    batch = samples(equation)
    degree = order(equation)
    steps, weights = _differences(degree)
    furthest = 1 + max(abs(step) for step in steps)
    half = 0
    for bits in range(1, 25):  # so that exact dot products fit in 64 bits too
        wide = (1 << bits) - 1
        if reach(derivation, equation, batch, wide * furthest) >= POINT:
            break
        half = wide
    total = degree + 1
    if 2 * half + 1 <= 2 * total:
        return None
    rounds = -(-WANTED // 1) / log2((2 * half + 1) / total)
    return Plan(half, steps, weights, total, int(rounds) + 1)


def _differences(order: int) -> tuple[tuple[int, ...], tuple[Fraction, ...]]:
    """Points and weights with Σ w·p(t) = p′(0) for every polynomial of that degree."""
    reach = (order + 1) // 2
    points = tuple(t for t in range(-reach, reach + 1) if t or order % 2 == 0)[: order + 2]
    points = points if order > 1 else (-1, 1)
    weights = []
    for one in points:
        others = [p for p in points if p != one]
        below = prod(Fraction(one - p) for p in others)
        # derivative at 0 of the Lagrange basis polynomial of this point
        above = sum(prod(Fraction(-p) for p in others if p != left_out) for left_out in others)
        weights.append(Fraction(above) / below)
    kept = [(p, w) for p, w in zip(points, weights, strict=True) if w]
    return tuple(p for p, _ in kept), tuple(w for _, w in kept)


def _round(
    derivation: Derivation,
    equation: Equation,
    kernel: Kernel,
    plan: Plan,
    number: int,
    batch: int,
) -> int:
    generator = np.random.default_rng(number)

    def integers(shape: tuple[int, ...]) -> Array:
        values: Array = generator.integers(-plan.half, plan.half + 1, shape).astype(np.float64)
        return values

    point = drawn(equation, batch, generator, integers)
    direction = {t: integers(point[t].shape) for t, _ in kernel.gradients}
    moved = [
        {n: a + step * direction[n] if n in direction else a for n, a in point.items()}
        for step in plan.steps
    ]
    runs = [kernel.forward(arrays) for arrays in moved]
    compared = _with_oracle(equation, kernel, moved[0], runs[0], generator)
    g = integers(runs[0].shape)
    gradients = kernel.backward(g, point)
    if not number:
        axes(equation, kernel, "integer", point, g, (kernel.forward(point), gradients))
    if not all(np.array_equal(a, np.rint(a)) for a in gradients.values()):
        raise _located(equation, kernel, plan, point, g, gradients)  # _dot takes integers
    scale = prod(w.denominator for w in plan.weights)
    left = sum(int(w * scale) * _dot(g, y) for w, y in zip(plan.weights, runs, strict=True))
    right = sum(_dot(gradients[t], v) for t, v in direction.items()) * scale
    if left != right:
        raise _located(equation, kernel, plan, point, g, gradients)
    return compared


def _with_oracle(
    equation: Equation,
    kernel: Kernel,
    arrays: dict[str, Array],
    found: Array,
    generator: np.random.Generator,
) -> int:
    """Compare all entries of y with the oracle's, or a random sample of a large y."""
    chosen = sample(equation, found, generator, ORACLE_PRODUCTS, least=8)
    expected = entries(equation, arrays)
    for place in chosen:
        value = expected(place)
        if found[place] != value:
            name = equation.output.name
            raise disproved(kernel, "integer", name, place, found[place], value)
    return len(chosen)


def _dot(one: Array, two: Array) -> int:
    """Σ a·b of integers held in float64, exactly: in halves of 26 bits, then in Python's."""
    a, b = one.ravel().astype(np.int64), two.ravel().astype(np.int64)
    if np.abs(b).max(initial=0) > np.abs(a).max(initial=0):
        a, b = b, a
    low, high = a & ((1 << 26) - 1), a >> 26
    total = 0
    for start in range(0, a.size, 1 << 10):
        part = slice(start, start + (1 << 10))
        total += (int(high[part] @ b[part]) << 26) + int(low[part] @ b[part])
    return total


def _located(
    equation: Equation,
    kernel: Kernel,
    plan: Plan,
    point: dict[str, Array],
    g: Array,
    gradients: dict[str, Array],
) -> Exception:
    """The first wrong entry of a gradient, by differences of forward along single entries."""
    for tensor, gradient in gradients.items():
        for flat in range(gradient.size):
            place = tuple(int(k) for k in np.unravel_index(flat, gradient.shape))
            slope = Fraction(0)
            for step, weight in zip(plan.steps, plan.weights, strict=True):
                moved = {n: a.copy() for n, a in point.items()}
                moved[tensor][place] += step
                slope += weight * _dot(g, kernel.forward(moved))
            if slope != gradient[place]:
                name = equation.tensor(tensor).gradient
                return disproved(kernel, "integer", name, place, gradient[place], slope)
    return disproved(kernel, "integer", "the gradients", (), "another sum", "⟨g, J·v⟩")
