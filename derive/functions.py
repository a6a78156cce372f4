"""The scalar functions of the equation language, and the derivative of each.

One row a function: how many arguments it takes and ∂f/∂(argument k) as an expression of the
arguments. This is the table that every calculus starts from; nothing here knows a layer.
Derivatives at kinks follow PyTorch: relu′(0) = 0, abs′(0) = 0; of two equal arguments of
``maximum`` or ``minimum`` each gets one half.

How a function is written in NumPy, LaTeX or SymPy belongs to the printers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from .equations import Equation
from .expressions import ONE, ZERO, Call, Expr, Number, Reduce, Winner, walk

Slope = Callable[..., Expr]


@dataclass(frozen=True)
class Function:
    """A scalar function.

    ``arity``      number of arguments
    ``slopes``     ∂f/∂argument, one a argument, each a function of all arguments
    ``kind``       ``polynomial``, ``rational``, ``selecting`` (comparisons decide) or ``smooth``
    ``at_kinks``   the derivative where there is none, in words; empty if there is no kink
    ``rising``     ``strictly`` if it grows with its argument, everywhere; ``weakly`` if it never
                   falls and its slope is 0 wherever it is level; empty otherwise
    """

    name: str
    arity: int
    slopes: tuple[Slope, ...]
    kind: str
    at_kinks: str = ""
    rising: str = ""


def _call(fn: str, *args: Expr) -> Expr:
    return Call(fn, args)


def _step(fn: str) -> Slope:
    """1 where the comparison of the first argument with 0 holds, else 0."""
    return lambda z: _call("where", _call(fn, z, ZERO), ONE, ZERO)


def _half(first: str) -> tuple[Slope, Slope]:
    """Slopes of maximum (``gt``) and minimum (``lt``): the chosen one, equal ones share."""
    half = Number(Fraction(1, 2))

    def share(a: Expr, b: Expr) -> Expr:
        return _call(
            "where", _call(first, a, b), ONE, _call("where", _call("eq", a, b), half, ZERO)
        )

    return (share, lambda a, b: share(b, a))


def _zero(*_: Expr) -> Expr:
    return ZERO


_SQRT_PI = _call("sqrt", _call("pi"))

_ROWS = (
    Function("add", 2, (lambda a, b: ONE, lambda a, b: ONE), "polynomial"),
    Function("sub", 2, (lambda a, b: ONE, lambda a, b: -ONE), "polynomial"),
    Function("neg", 1, (lambda a: -ONE,), "polynomial"),
    Function("mul", 2, (lambda a, b: b, lambda a, b: a), "polynomial"),
    Function("div", 2, (lambda a, b: ONE / b, lambda a, b: -a / b**2), "rational"),
    Function(
        "pow",
        2,
        (lambda a, b: b * a ** (b - 1), lambda a, b: a**b * _call("log", a)),
        "smooth",
    ),
    Function("pi", 0, (), "smooth"),
    Function("exp", 1, (lambda z: _call("exp", z),), "smooth", rising="strictly"),
    Function("log", 1, (lambda z: ONE / z,), "smooth"),
    Function("expm1", 1, (lambda z: _call("exp", z),), "smooth", rising="strictly"),
    Function("log1p", 1, (lambda z: ONE / (1 + z),), "smooth"),
    Function("sqrt", 1, (lambda z: ONE / (2 * _call("sqrt", z)),), "smooth"),
    Function("sin", 1, (lambda z: _call("cos", z),), "smooth"),
    Function("cos", 1, (lambda z: -_call("sin", z),), "smooth"),
    Function("tanh", 1, (lambda z: 1 - _call("tanh", z) ** 2,), "smooth", rising="strictly"),
    Function(
        "sigmoid",
        1,
        (lambda z: _call("sigmoid", z) * (1 - _call("sigmoid", z)),),
        "smooth",
        rising="strictly",
    ),
    Function("softplus", 1, (lambda z: _call("sigmoid", z),), "smooth", rising="strictly"),
    Function(
        "erf",
        1,
        (lambda z: 2 * _call("exp", -(z**2)) / _SQRT_PI,),
        "smooth",
        rising="strictly",
    ),
    Function("relu", 1, (_step("gt"),), "selecting", "relu'(0) = 0", "weakly"),
    Function("abs", 1, (lambda z: _call("sign", z),), "selecting", "abs'(0) = 0"),
    Function("sign", 1, (_zero,), "selecting"),
    Function("maximum", 2, _half("gt"), "selecting", "equal arguments share the slope"),
    Function("minimum", 2, _half("lt"), "selecting", "equal arguments share the slope"),
    Function(
        "where",
        3,
        (
            _zero,
            lambda c, a, b: _call("where", c, ONE, ZERO),
            lambda c, a, b: _call("where", c, ZERO, ONE),
        ),
        "selecting",
    ),
    *(Function(fn, 2, (_zero, _zero), "selecting") for fn in ("eq", "ne", "lt", "le", "gt", "ge")),
)

FUNCTIONS: dict[str, Function] = {row.name: row for row in _ROWS}

REDUCERS: dict[str, str] = {
    "sum": "polynomial",
    "mean": "rational",
    "max": "selecting",
    "min": "selecting",
}
"""The reducers and what kind of arithmetic each needs."""


def kinds(expr: Expr) -> frozenset[str]:
    """Every kind of arithmetic that an expression needs.

    Polynomial: exact on integers. Rational: exact on fractions. Selecting: comparisons decide,
    exact on anything ordered. Smooth: only as exact as floating point.
    """
    return frozenset(_kind(node) for node in walk(expr)) | {"polynomial"}


def arithmetic(equation: Equation) -> frozenset[str]:
    """Every kind of arithmetic that the statements of an equation need."""
    return frozenset(kind for s in equation.statements for kind in kinds(s.rhs))


def _kind(node: Expr) -> str:
    match node:
        case Number(value):
            return "polynomial" if value.denominator == 1 else "rational"
        case Call("pow", (_, Number(exponent))) if exponent.denominator == 1:
            return "polynomial" if exponent >= 0 else "rational"
        case Call(fn, _):
            return FUNCTIONS[fn].kind
        case Reduce(op, _, _, _):
            return REDUCERS[op]
        case Winner():
            return "selecting"
    return "polynomial"
