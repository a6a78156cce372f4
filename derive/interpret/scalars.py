"""The scalar functions on Python numbers: int, Fraction, float, complex, or any object.

Integers and fractions stay exact (``1/3`` is a Fraction). Complex numbers are there for
complex-step derivatives: what compares, compares real parts. This table is the oracle's own
and is shared with no printer.
"""

from __future__ import annotations

import cmath
import math
import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any


def divide(a: Any, b: Any) -> Any:
    """``a/b``, exactly if both are integers."""
    if isinstance(a, int) and isinstance(b, int):
        return Fraction(a, b)
    return a / b


def total(values: Sequence[Any]) -> Any:
    """Σ values; a sum of floats is rounded once, so that it does not depend on the order."""
    kinds = set(map(type, values))
    if float in kinds and kinds <= {float, int}:
        return math.fsum(values)
    return sum(values)


def rank(value: Any) -> Any:
    """What a number is compared by: a complex number by its real part."""
    return value.real if isinstance(value, complex) else value


def _power(a: Any, b: Any) -> Any:
    """``a**b``, exactly if both are integers."""
    if isinstance(a, int) and isinstance(b, int) and b < 0:
        return Fraction(a) ** b
    return a**b


def _either(real: Callable[[Any], Any], complex_: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda z: complex_(z) if isinstance(z, complex) else real(z)


def _complex_erf(z: complex) -> complex:
    """erf(z) = 2/√π · exp(−z²) · Σ_k 2^k z^(2k+1)/(2k+1)!! (no cancellation near the real axis)."""
    if abs(z.real) > 6:  # 1 − erf(6) < 2e-17
        return complex(math.copysign(1, z.real))
    term, series, k = z, z, 0
    while abs(term) > 1e-18 * abs(series):
        k += 1
        term = term * 2 * z * z / (2 * k + 1)
        series += term
    return 2 / math.sqrt(math.pi) * cmath.exp(-z * z) * series


def _complex_expm1(z: complex) -> complex:
    """e^a·cos b − 1 + i·e^a·sin b, the real part without cancellation near 0."""
    real = math.expm1(z.real) * math.cos(z.imag) - 2 * math.sin(z.imag / 2) ** 2
    return complex(real, math.exp(z.real) * math.sin(z.imag))


def _complex_log1p(z: complex) -> complex:
    """log|1 + z| + i·arg(1 + z), the real part without cancellation near 0."""
    square = z.real * (2 + z.real) + z.imag**2
    return complex(math.log1p(square) / 2, math.atan2(z.imag, 1 + z.real))


_exp = _either(math.exp, cmath.exp)
_log = _either(math.log, cmath.log)


def _sigmoid(z: Any) -> Any:
    """1/(1 + exp(−z)), with the exponent kept negative so that it cannot overflow."""
    if rank(z) >= 0:
        return 1 / (1 + _exp(-z))
    e = _exp(z)
    return e / (1 + e)


def _softplus(z: Any) -> Any:
    """log(1 + exp(z)) = max(z, 0) + log(1 + exp(−|z|))."""
    e = _exp(-z if rank(z) > 0 else z)
    return (z if rank(z) > 0 else 0) + (_log(1 + e) if isinstance(e, complex) else math.log1p(e))


def _sign(z: Any) -> int:
    return int(rank(z) > 0) - int(rank(z) < 0)


def _compare(holds: Callable[[Any, Any], Any]) -> Callable[[Any, Any], int]:
    return lambda a, b: int(bool(holds(rank(a), rank(b))))


SCALARS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "neg": operator.neg,
    "mul": operator.mul,
    "div": divide,
    "pow": _power,
    "pi": lambda: math.pi,
    "exp": _exp,
    "log": _log,
    "expm1": _either(math.expm1, _complex_expm1),
    "log1p": _either(math.log1p, _complex_log1p),
    "sqrt": _either(math.sqrt, cmath.sqrt),
    "sin": _either(math.sin, cmath.sin),
    "cos": _either(math.cos, cmath.cos),
    "tanh": _either(math.tanh, cmath.tanh),
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "erf": _either(math.erf, _complex_erf),
    "relu": lambda z: z if rank(z) > 0 else 0,
    "abs": lambda z: -z if rank(z) < 0 else z,
    "sign": _sign,
    "maximum": lambda a, b: b if rank(b) > rank(a) else a,
    "minimum": lambda a, b: b if rank(b) < rank(a) else a,
    "eq": _compare(operator.eq),
    "ne": _compare(operator.ne),
    "lt": _compare(operator.lt),
    "le": _compare(operator.le),
    "gt": _compare(operator.gt),
    "ge": _compare(operator.ge),
}
"""Every function of the language but ``where``, which evaluates only the chosen branch."""
