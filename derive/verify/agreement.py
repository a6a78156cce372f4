"""The agreement claim: scattered and gathered gradients are the same numbers.

Two kernels of the same derivation, one sending every product to its entry, the other
collecting every entry's products, run on the same random numbers.
"""

from __future__ import annotations

import numpy as np

from ..certificates import Claim, Omitted
from ..derivations import Derivation
from ..functions import arithmetic
from .magnitudes import POINT, reach
from .running import Array, Kernel, batch_shape, compare, defined, drawn, samples

HALF = 7
RELATIVE = 1e-12


def agreement(
    derivation: Derivation, kernel: Kernel, others: tuple[Kernel, ...]
) -> Claim | Omitted | None:
    """Compare all entries of all gradients: exactly for integers, else to rounding.

    ``others`` are the same layer with its gradients in the other forms.
    """
    if not others:
        return None
    equation = derivation.equation.at_sizes()
    batch = samples(equation)
    exact = arithmetic(equation) <= {"polynomial", "selecting"}
    exact = exact and reach(derivation, equation, batch, HALF) < POINT
    generator = np.random.default_rng(0)

    def whole(shape: tuple[int, ...]) -> Array:
        values: Array = generator.integers(-HALF, HALF + 1, shape).astype(np.float64)
        return values

    point = drawn(equation, batch, generator, whole) if exact else defined(equation, kernel, batch)
    if point is None:
        return Omitted("agreement", "undefined")
    dy = whole(batch_shape(equation, equation.output, batch))
    first = kernel.backward(dy, point)
    count = 0
    for other in others:
        second = other.backward(dy, point)
        for tensor, expected in second.items():
            name = equation.tensor(tensor).gradient
            _same(kernel, name, first[tensor], expected, exact=exact)
            count += expected.size
    subject = tuple(equation.tensor(t).gradient for t in first)
    return Claim("agreement", subject, (("entries", str(count)), ("exact", str(exact).lower())))


def _same(kernel: Kernel, name: str, found: Array, expected: Array, *, exact: bool) -> None:
    if exact and np.array_equal(found, expected):
        return
    scale = float(np.abs(expected).max(initial=0)) or 1.0

    def equal(a: float, b: float) -> bool:
        return a == b if exact else abs(a - b) <= RELATIVE * scale

    compare(kernel, "agreement", name, found, expected, equal)
