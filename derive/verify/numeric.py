"""The numeric claim: float64 against the oracle, to a stated relative error.

For layers whose arithmetic is not exact. Forward is compared entry by entry. Backward is
compared by ⟨g, J·v⟩ = ⟨Jᵀ·g, v⟩ with J·v by the oracle's complex step Im f(x + i·h·v)/h, which
subtracts nothing and so loses no digit (Squire and Trapp 1998). Errors are relative to the sum
of the absolute values that are added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from ..certificates import Claim, Omitted
from ..derivations import Derivation
from ..equations import Equation
from ..functions import arithmetic
from ..interpret import entries
from .integer import planned
from .running import (
    ELSEWHERE,
    Array,
    Kernel,
    axes,
    batch_shape,
    disproved,
    drawn,
    products,
    sample,
    samples,
)

RELATIVE = 1e-10
STEP = 1e-150
RANGES = ((0.5, 1.5), (-1.5, 1.5), (-8.0, 8.0))
"""Where the numbers of each round are drawn from, so that every branch is taken."""

LIMIT = 1e100
"""Slopes beyond this are no slopes."""
ORACLE_PRODUCTS = 60_000

SLOW = 200_000
"""Scalar products beyond which all intermediate values, which a sample may need, cost seconds."""


def numeric(derivation: Derivation, kernel: Kernel) -> Claim | Omitted | None:
    """Check forward and backward at random points, where the arithmetic is not exact."""
    equation = derivation.equation.at_sizes()
    if arithmetic(derivation.equation) == {"polynomial"} and planned(derivation):
        return None  # the integer claim says more
    worst = 0.0
    compared = 0
    slow = equation.given and products(equation, samples(equation)) > SLOW
    ranges = RANGES[1:2] if slow else RANGES
    for number, first in enumerate(ranges):
        generator = np.random.default_rng(number)
        tried = (_trial(equation, kernel, generator, *ends) for ends in (first, *ELSEWHERE))
        trial = next((trial for trial in tried if trial), None)
        if trial is None:
            return Omitted("numeric", "undefined")
        error, count = _compared(equation, kernel, generator, trial)
        worst, compared = max(worst, error), compared + count
    subject = (equation.output.name, *(equation.tensor(t).gradient for t, _ in kernel.gradients))
    checked = (
        ("rounds", str(len(ranges))),
        ("entries", str(compared)),
        ("relative", f"{RELATIVE:g}"),
    )
    return Claim("numeric", subject, checked)


@dataclass(frozen=True)
class Trial:
    """A point, and what the oracle says there: entries of y, and of J·v along a direction v."""

    point: dict[str, Array]
    direction: dict[str, Array]
    values: dict[tuple[int, ...], float]
    slopes: dict[tuple[int, ...], float]


def _trial(
    equation: Equation, kernel: Kernel, generator: np.random.Generator, low: float, high: float
) -> Trial | None:
    """A random point with numbers from ``low`` to ``high``; None if y is not defined there."""
    batch = samples(equation)
    point = drawn(equation, batch, generator, lambda shape: generator.uniform(low, high, shape))
    direction = {t: generator.normal(size=point[t].shape) for t, _ in kernel.gradients}
    shifted = {n: a + 1j * STEP * direction[n] if n in direction else a for n, a in point.items()}
    output = np.empty(batch_shape(equation, equation.output, batch))
    oracle = entries(equation, shifted)
    trial = Trial(point, direction, {}, {})
    try:
        for place in sample(equation, output, generator, ORACLE_PRODUCTS, least=4):
            moved = complex(oracle(place))
            trial.values[place], trial.slopes[place] = moved.real, moved.imag / STEP
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    # the logarithm of a negative number has an imaginary part that no step made
    defined = all(isfinite(v) for v in trial.values.values()) and all(
        abs(slope) < LIMIT for slope in trial.slopes.values()
    )
    return trial if defined else None


def _compared(
    equation: Equation, kernel: Kernel, generator: np.random.Generator, trial: Trial
) -> tuple[float, int]:
    """The largest relative error of y and of ⟨g, J·v⟩, and how many entries were compared."""
    found = kernel.forward(trial.point)
    g = np.zeros(found.shape)
    along = weight = worst = 0.0
    for place, expected in trial.values.items():
        error = abs(found[place] - expected) / max(abs(expected), 1e-3)
        worst = max(worst, error)
        if not error <= RELATIVE:
            name = equation.output.name
            raise disproved(kernel, "numeric", name, place, found[place], expected)
        g[place] = generator.normal()
        along += g[place] * trial.slopes[place]
        weight += abs(g[place] * trial.slopes[place])
    gradients = kernel.backward(g, trial.point)
    axes(equation, kernel, "numeric", trial.point, g, (found, gradients))
    got = sum(float((gradients[t] * v).sum()) for t, v in trial.direction.items())
    weight += sum(float(np.abs(gradients[t] * v).sum()) for t, v in trial.direction.items())
    error = abs(got - along) / max(weight, 1e-300)
    if not error <= RELATIVE:
        raise _located(equation, kernel, trial.point, g, list(trial.values), gradients)
    return max(worst, error), len(trial.values)


def _located(
    equation: Equation,
    kernel: Kernel,
    point: dict[str, Array],
    g: Array,
    places: list[tuple[int, ...]],
    gradients: dict[str, Array],
) -> Exception:
    """The first wrong entry, by the oracle's complex step along single entries."""
    for tensor, gradient in gradients.items():
        scale = float(np.abs(gradient).max(initial=0)) or 1.0
        for place in np.ndindex(*gradient.shape):
            shifted = point[tensor].astype(complex)
            shifted[place] += 1j * STEP
            value = entries(equation, {**point, tensor: shifted})
            slope = sum(g[p] * complex(value(p)).imag / STEP for p in places)
            if not abs(slope - gradient[place]) <= 1e-9 * scale:
                name = equation.tensor(tensor).gradient
                return disproved(kernel, "numeric", name, place, gradient[place], slope)
    return disproved(kernel, "numeric", "the gradients", (), "another sum", "⟨g, J·v⟩")
