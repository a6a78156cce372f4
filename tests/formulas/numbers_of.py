"""The numbers that formulas are read with: exact fractions or floats, and duals for ∂."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any


@dataclass(frozen=True)
class Dual:
    """``value + slope·ε`` with ε² = 0: the slope is the derivative by what ε was added to."""

    value: Any
    slope: Any

    def __add__(self, other: Any) -> Dual:
        return Dual(self.value + plain(other), self.slope + slope(other))

    def __sub__(self, other: Any) -> Dual:
        return Dual(self.value - plain(other), self.slope - slope(other))

    def __rsub__(self, other: Any) -> Dual:
        return -self + other

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.slope)

    def __mul__(self, other: Any) -> Dual:
        one, two = plain(self), plain(other)
        return Dual(one * two, self.slope * two + one * slope(other))

    __radd__, __rmul__ = __add__, __mul__


def plain(number: Any) -> Any:
    return number.value if isinstance(number, Dual) else number


def slope(number: Any) -> Any:
    return number.slope if isinstance(number, Dual) else 0


def divided(top: Any, bottom: Any) -> Any:
    """``top / bottom``; whole numbers give a fraction."""
    if isinstance(bottom, Dual):
        slope_ = divided(-bottom.slope, bottom.value * bottom.value)
        return top * Dual(divided(1, bottom.value), slope_)
    if isinstance(top, Dual):
        return Dual(divided(top.value, bottom), divided(top.slope, bottom))
    if isinstance(top, int) and isinstance(bottom, int):
        return Fraction(top, bottom)
    return top / bottom


def power(base: Any, exponent: Any) -> Any:
    """``base ** exponent`` with a constant exponent, exact where that is a whole number."""
    if isinstance(base, Dual):
        lower = exponent * power(base.value, exponent - 1) * base.slope if base.slope else 0
        return Dual(power(base.value, exponent), lower)
    if Fraction(exponent).denominator == 1:
        exponent = int(exponent)
        if exponent >= 0:
            return base**exponent
        return divided(1, base**-exponent)
    return float(base) ** float(exponent)


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def _sign(z: Any) -> int:
    return int(z > 0) - int(z < 0)


Slope = Callable[[Any], Any]

_FUNCTIONS: dict[str, tuple[Slope, Slope]] = {
    "exp": (math.exp, math.exp),
    "log": (math.log, lambda z: 1 / z),
    "expm1": (math.expm1, math.exp),
    "log1p": (math.log1p, lambda z: 1 / (1 + z)),
    "sqrt": (math.sqrt, lambda z: 0.5 / math.sqrt(z)),
    "sin": (math.sin, math.cos),
    "cos": (math.cos, lambda z: -math.sin(z)),
    "tanh": (math.tanh, lambda z: 1 / math.cosh(z) ** 2),
    "sigmoid": (_sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z)),
    "softplus": (lambda z: math.log1p(math.exp(z)), _sigmoid),
    "erf": (math.erf, lambda z: 2 / math.sqrt(math.pi) * math.exp(-z * z)),
    "relu": (lambda z: max(z, 0), lambda z: int(z > 0)),
    "abs": (abs, _sign),
    "sgn": (_sign, lambda z: 0),
}
"""Upright names: the function and its derivative, at kinks as PyTorch has it."""

NAMES = frozenset({*_FUNCTIONS, "max", "min"})


def applied(name: str, given: list[Any]) -> Any:
    """A function of numbers, and of duals."""
    if name in ("max", "min"):
        return chosen(name, given, "split")
    function, derivative = _FUNCTIONS[name]
    (z,) = given
    if isinstance(z, Dual):
        return Dual(function(z.value), derivative(z.value) * z.slope if z.slope else 0)
    return function(z)


def chosen(name: str, given: list[Any], ties: str) -> Any:
    """The largest or smallest; of equal ones the first counts, or all in equal parts."""
    if not given:
        raise ValueError(f"{name} of nothing")
    best = (max if name == "max" else min)(map(plain, given))
    if not any(isinstance(one, Dual) for one in given):
        return best
    slopes = [slope(one) for one in given if plain(one) == best]
    return Dual(best, slopes[0] if ties == "first" else divided(sum(slopes), len(slopes)))
