"""The element-wise layers, one row each: ``y[i] = f(x[i])`` on an input of any shape.

A row is a formula in ``x``, its parameters with their defaults, and what is said about it. At a
kink the derivative is that of the branch which the formula takes there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, Signature

from .. import geometry
from ..errors import UsageError
from ..geometry import Sizes
from ..specs import Spec, entry, number, real

Check = Callable[..., str]
"""What is wrong with a layer's parameters, in words; empty if nothing is."""


@dataclass(frozen=True)
class Row:
    """One element-wise layer; ``about`` says the rest of its documentation."""

    name: str
    formula: str
    title: str
    source: str
    about: str = ""
    parameters: tuple[tuple[str, float], ...] = ()
    check: Check = lambda **_: ""


_GOODFELLOW = "Goodfellow, Bengio, Courville, Deep Learning (2016), section 6.3"

ROWS = (
    Row("abs", "abs(x)", "Absolute value", _GOODFELLOW, "abs'(0) = 0."),
    Row(
        "elu",
        "where(x > 0, x, alpha*expm1(where(x > 0, 0, x)))",
        "Exponential linear unit",
        "Clevert, Unterthiner, Hochreiter, arXiv 1511.07289, eq. 15",
        "elu'(0) = alpha. The inner where keeps the exponential from overflowing.",
        (("alpha", 1.0),),
    ),
    Row("exp", "exp(x)", "Exponential", "Abramowitz, Stegun (1964), 4.2"),
    Row(
        "gelu",
        "x*(1 + erf(x/sqrt(2)))/2",
        "Gaussian error linear unit",
        "Hendrycks, Gimpel, arXiv 1606.08415, section 2",
        "The exact form, with the error function.",
    ),
    Row(
        "hardtanh",
        "where(x >= max_val, max_val, where(x <= min_val, min_val, x))",
        "Clipped identity",
        "Collobert, PhD thesis, Paris VI (2004), section 5.2",
        "The derivative at both ends is 0.",
        (("min_val", -1.0), ("max_val", 1.0)),
        lambda min_val, max_val: (
            "" if min_val < max_val else f"min_val (={min_val}) must be below max_val (={max_val})"
        ),
    ),
    Row(
        "leaky_relu",
        "where(x > 0, x, negative_slope*x)",
        "Leaky rectified linear unit",
        "Maas, Hannun, Ng, ICML Workshop on Deep Learning (2013), section 2",
        "leaky_relu'(0) = negative_slope.",
        (("negative_slope", 0.01),),
    ),
    Row(
        "log_sigmoid",
        "-softplus(-x)",
        "Logarithm of the logistic function",
        _GOODFELLOW,
        "log(1/(1 + exp(-x))), without overflow.",
    ),
    Row(
        "mish",
        "x*tanh(softplus(x))",
        "Mish",
        "Misra, arXiv 1908.08681, eq. 1",
    ),
    Row(
        "relu",
        "relu(x)",
        "Rectified linear unit",
        _GOODFELLOW,
        "max(x, 0), with relu'(0) = 0.",
    ),
    Row(
        "relu6",
        "where(x >= 6, 6, where(x <= 0, 0, x))",
        "Rectified linear unit, clipped at 6",
        "Krizhevsky, Convolutional deep belief networks on CIFAR-10 (2010), section 4",
        "The derivative at both ends is 0.",
    ),
    Row("sigmoid", "sigmoid(x)", "Logistic function", _GOODFELLOW, "1/(1 + exp(-x))."),
    Row(
        "silu",
        "x*sigmoid(x)",
        "Sigmoid linear unit (swish)",
        "Hendrycks, Gimpel, arXiv 1606.08415, section 2",
    ),
    Row("softplus", "softplus(x)", "Softplus", _GOODFELLOW, "log(1 + exp(x)), without overflow."),
    Row(
        "softsign",
        "x/(1 + abs(x))",
        "Softsign",
        "Glorot, Bengio, AISTATS (2010), section 2.2",
    ),
    Row("square", "x**2", "Square", _GOODFELLOW),
    Row("tanh", "tanh(x)", "Hyperbolic tangent", _GOODFELLOW),
)

__all__ = [row.name for row in ROWS]  # the table says which layers there are


def _layer(row: Row) -> Callable[..., Spec]:
    """The function of a row: its signature and its documentation come from the row too."""

    def made(*, input: Sizes, **given: float) -> Spec:
        defaults = dict(row.parameters)
        for name in given:
            if name not in defaults:
                raise UsageError(f"{name} is no parameter of {row.name}")
        values = {name: real(name, given.get(name, default)) for name, default in row.parameters}
        if wrong := row.check(**values):
            raise UsageError(wrong)
        return _spec(row, input, values)

    keyword = Parameter.KEYWORD_ONLY
    options = [
        Parameter(name, keyword, default=default, annotation=float)
        for name, default in row.parameters
    ]
    inputs = Parameter("input", keyword, annotation=Sizes)
    made.__name__ = made.__qualname__ = row.name
    made.__signature__ = Signature([inputs, *options], return_annotation=Spec)  # type: ignore[attr-defined]  # functions take attributes
    shapes = "Shapes: x any, y the same."
    made.__doc__ = (
        f"y[i] = {_formula(row, 'x[i]')}.\n\n{' '.join(filter(None, (row.about, shapes)))}"
    )
    return made


def _spec(row: Row, input: Sizes, values: dict[str, float]) -> Spec:
    shape = geometry.sizes("input", input, scalar=True)
    letters = entry("input", shape)
    at = f"[{','.join(letters)}]" if letters else ""
    words = [
        f"{short}{number(value).strip('()').replace('.', '_').replace('-', 'm')}"
        for (name, default), value in zip(row.parameters, values.values(), strict=True)
        for short in [name[0] if len(row.parameters) == 1 else name.split("_")[0]]
        if value != default
    ]
    return Spec(
        name=row.name,
        text=f"y{at} = {_formula(row, f'x{at}', values)}",
        shapes={"x": shape},
        slug="_".join([row.name, geometry.text(shape) or "scalar", *words]),
        title=row.title,
        meanings={"x": "input", "y": "output"},
        settings={"input": shape, **values},
        source=row.source,
    )


def _formula(row: Row, read: str, values: dict[str, float] | None = None) -> str:
    """The formula with a read in the place of x, and numbers in those of parameters."""
    given = {name: number(value) for name, value in (values or {}).items()} | {"x": read}
    pieces, word = [], ""
    for character in f"{row.formula} ":
        if character.isalnum() or character == "_":
            word += character
        else:
            found = given.get(word, word)
            pieces += [] if (found, character) == ("1", "*") else [found, character]
            word = ""
    return "".join(pieces).rstrip()


_FUNCTIONS = {row.name: _layer(row) for row in ROWS}


def __getattr__(name: str) -> Callable[..., Spec]:
    if name in _FUNCTIONS:
        return _FUNCTIONS[name]
    raise AttributeError(name)
