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


def agreement(derivation: Derivation, kernel: Kernel, other: Kernel) -> Claim | Omitted | None:
    """Compare all entries of all gradients: exactly for integers, else to rounding.

    ``other`` is the same layer with its gradients in the other form.
    """
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
    first, second = (form.backward(dy, point) for form in (kernel, other))
    count = 0
    for tensor, expected in second.items():
        scale = float(np.abs(expected).max(initial=0)) or 1.0
        if exact and np.array_equal(first[tensor], expected):
            count += expected.size
            continue

        def equal(a: float, b: float, scale: float = scale) -> bool:
            return a == b if exact else abs(a - b) <= RELATIVE * scale

        name = equation.tensor(tensor).gradient
        compare(kernel, "agreement", name, first[tensor], expected, equal)
        count += expected.size
    subject = tuple(equation.tensor(t).gradient for t in second)
    return Claim("agreement", subject, (("entries", str(count)), ("exact", str(exact).lower())))
