"""The numeric claim: float64 against the oracle, to a stated relative error.

For layers whose arithmetic is not exact. Forward is compared entry by entry. Backward is
compared by ⟨g, J·v⟩ = ⟨Jᵀ·g, v⟩ with J·v by the oracle's complex step Im f(x + i·h·v)/h, which
subtracts nothing and so loses no digit (Squire and Trapp 1998). Errors are relative to the sum
of the absolute values that are added up.
"""

from __future__ import annotations

import numpy as np

from ..certificates import Claim
from ..derivations import Derivation
from ..equations import Equation
from ..functions import arithmetic
from ..interpret import entries
from .integer import planned
from .running import Array, Kernel, disproved, drawn, sample

RELATIVE = 1e-10
STEP = 1e-150
ROUNDS = 3
ORACLE_PRODUCTS = 60_000


def numeric(derivation: Derivation, kernel: Kernel) -> Claim | None:
    """Check forward and backward at random points, where the arithmetic is not exact."""
    equation = derivation.equation.at_sizes()
    if arithmetic(derivation.equation) == {"polynomial"} and planned(derivation):
        return None  # the integer claim says more
    worst = 0.0
    compared = 0
    for number in range(ROUNDS):
        generator = np.random.default_rng(number)
        error, count = _round(equation, kernel, generator)
        worst, compared = max(worst, error), compared + count
    subject = (equation.output.name, *(equation.tensor(t).gradient for t, _ in kernel.gradients))
    checked = (
        ("rounds", str(ROUNDS)),
        ("entries", str(compared)),
        ("relative", f"{RELATIVE:g}"),
    )
    return Claim("numeric", subject, checked)


def _round(equation: Equation, kernel: Kernel, generator: np.random.Generator) -> tuple[float, int]:
    # away from 0, so that logarithms and roots are defined
    point = drawn(equation, 2, generator, lambda shape: generator.uniform(0.5, 1.5, shape))
    found = kernel.forward(point)
    places = sample(equation, found, generator, ORACLE_PRODUCTS, least=4)
    direction = {t: generator.normal(size=point[t].shape) for t, _ in kernel.gradients}
    shifted = {n: a + 1j * STEP * direction[n] if n in direction else a for n, a in point.items()}
    value, moved = entries(equation, point), entries(equation, shifted)
    g = np.zeros(found.shape)
    along = weight = 0.0
    worst = 0.0
    for place in places:
        expected = value(place)
        error = abs(found[place] - expected) / max(abs(expected), 1e-3)
        worst = max(worst, error)
        if not error <= RELATIVE:
            name = equation.output.name
            raise disproved(kernel, "numeric", name, place, found[place], expected)
        g[place] = generator.normal()
        slope = complex(moved(place)).imag / STEP
        along += g[place] * slope
        weight += abs(g[place] * slope)
    gradients = kernel.backward(g, point)
    got = sum(float((gradients[t] * v).sum()) for t, v in direction.items())
    weight += sum(float(np.abs(gradients[t] * v).sum()) for t, v in direction.items())
    error = abs(got - along) / max(weight, 1e-300)
    if not error <= RELATIVE:
        raise _located(equation, kernel, point, g, places, gradients)
    return max(worst, error), len(places)


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
