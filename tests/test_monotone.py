"""Which formulas never fall: every claim holds on a grid, kinks and both sides of them included."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from derive import api
from derive.equations import Layer
from derive.interpret import interpret, interpret_statement
from derive.layers import spec
from derive.layers.elementwise import ROWS
from derive.monotone import rises
from derive.pipeline import derive, layer

GRID = [Fraction(k, 4) for k in range(-40, 41)]
"""Every kink of the formulas below is on it."""

RISING = {
    *("elu", "exp", "hardtanh", "leaky_relu", "log_sigmoid", "relu", "relu6", "sigmoid"),
    *("softplus", "tanh"),
}

FORMULAS = {
    "2*x - 3": True,
    "-x": False,
    "-(-x)": True,
    "x - x": False,
    "0*x": False,
    "relu(relu(x) - 1)": True,
    "-relu(-x)": True,
    "relu(-x)": False,
    "sigmoid(x)/3 + 2*tanh(x)": True,
    "tanh(x)/(-3)": False,
    "x + relu(-x)": False,
    "where(x > 0, x - 5, x)": False,
    "where(x > 0, x, 2*x)": True,
    "where(x > 2, 3*x - 4, x)": True,
    "where(x > 6, 6, x)": False,
    "where(x >= 6, 6, x)": True,
    "where(x < 6, x, 6)": True,
    "where(x <= 6, x, 6)": False,
    "where(x > 0, 1, 0)": False,
    "where(x > 0, x, relu(x))": True,
    "where(x**2 > 1, x, x)": False,
    "sqrt(x)": False,
}
"""True where it never falls and is level only where its slope is 0; sqrt is not defined below 0."""


def _made(formula: str) -> Layer:
    if formula in RISING:
        return layer(spec(formula, {"input": (len(GRID),)}))
    text = "y[i] = " + re.sub(r"\bx\b", "x[i]", formula)
    return api.equation(text, shapes={"x": (len(GRID),)})


@pytest.mark.parametrize("formula", [*FORMULAS, *sorted(RISING)])
def test_what_is_said_to_rise_never_falls_and_is_level_only_where_its_slope_is_0(
    formula: str,
) -> None:
    made = _made(formula)
    equation = made.equation.at_sizes()
    said = rises(equation.forward.rhs)
    assert said == FORMULAS.get(formula, True)
    if not said:
        return
    x = np.array([[float(z) for z in GRID]])
    y = interpret(equation, {"x": x})[0]
    (gradient,) = derive(made).instance
    slope = interpret_statement(gradient.raw, equation, {"x": x, "dy": np.ones_like(x)})[0]
    for k, (low, high) in enumerate(pairwise(y)):
        assert low <= high
        if low == high:
            assert slope[k] == slope[k + 1] == 0


def test_the_table_of_layers_says_which_ones_rise() -> None:
    found = {
        row.name
        for row in ROWS
        if rises(layer(spec(row.name, {"input": (3,)})).equation.at_sizes().forward.rhs)
    }
    assert found == RISING
