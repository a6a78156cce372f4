"""The symbolic claim: the kernel's text, run on symbols, gives the explicit path's entries.

Every entry of y and of every gradient, as a SymPy expression, equals what plain ``sympy.diff``
gives: ``expand(a - b) == 0``. For polynomial (and rational) layers of small size.
"""

from __future__ import annotations

from fractions import Fraction
from math import isfinite, prod
from typing import Any

import numpy as np
import sympy

from .. import explicit
from ..certificates import Claim, Omitted
from ..derivations import Derivation
from ..equations import Equation
from ..functions import arithmetic
from .running import Kernel, compare, mixes

MOST_PRODUCTS = 600
"""Scalar products in the forward pass beyond which symbols take too long."""


def symbolic(derivation: Derivation, kernel: Kernel) -> Claim | Omitted | None:
    """Check all entries, or say why not."""
    needed = arithmetic(derivation.equation)
    if not needed <= {"polynomial", "rational"}:
        return None
    batch = 2 if mixes(derivation.equation) else 1
    products = batch * explicit.terms(derivation.equation)
    if too_large(derivation.equation, products):
        slots = (("products", str(products)), ("limit", str(MOST_PRODUCTS)))
        return Omitted("symbolic", "too_large", slots)
    arrays = explicit.symbols(derivation.equation, batch)
    output = derivation.equation.output
    found = kernel.forward(arrays)
    wanted = explicit.forward(derivation.equation, batch)
    compare(kernel, "symbolic", output.name, found, wanted, same)
    count = found.size
    gradients = kernel.backward(arrays[output.gradient], arrays)
    for tensor, entries in gradients.items():
        expected = explicit.gradient(derivation.equation, tensor, batch)
        name = derivation.equation.tensor(tensor).gradient
        compare(kernel, "symbolic", name, np.asarray(entries), expected, same)
        count += entries.size
    subject = (output.name, *(derivation.equation.tensor(t).gradient for t in gradients))
    return Claim("symbolic", subject, (("entries", str(count)), ("products", str(products))))


MOST_DERIVATIVES = 20_000


def too_large(equation: Equation, products: int) -> bool:
    """Whether symbols take too long: every product of an output is derived for each entry in it."""
    outputs = prod(equation.at_sizes().output.sizes())
    return products > MOST_PRODUCTS or products * (products // outputs) > MOST_DERIVATIVES


def same(one: Any, two: Any) -> bool:
    """Whether two expressions are equal as rational functions."""
    if one == two:
        return True
    difference = sympy.expand(exactly(one) - two)
    return bool(difference == 0 or sympy.cancel(difference) == 0)


SIMPLE = 10**6
"""Denominators of the fractions that a rounded number is taken for."""


def exactly(value: Any) -> Any:
    """A number or an expression of our own text, its floats as the fractions that they mean."""
    value = meant(value.item() if isinstance(value, np.generic) else value)
    if isinstance(value, bool):  # masks among objects are Python's own truth values
        return sympy.Integer(int(value))
    if isinstance(value, Fraction):
        return sympy.Rational(value.numerator, value.denominator)
    expr = sympy.sympify(value, strict=True)
    return expr.xreplace({n: exactly(float(n)) for n in expr.atoms(sympy.Float)})


def meant(value: Any) -> Any:
    """A number such as ``1 / 3`` of our own text, as the fraction that it was rounded from."""
    if not isinstance(value, float) or not isfinite(value):
        return value
    simple = Fraction(value).limit_denominator(SIMPLE)
    return simple if float(simple) == value else Fraction(value)
