"""The oracle's scalar functions against mpmath, NumPy and each other's complex step."""

import cmath

import mpmath
import numpy as np
import pytest
from by_hand import equation, read, shape

from derive.equations import DATA, OUTPUT, Tensor
from derive.expressions import Call
from derive.functions import FUNCTIONS
from derive.interpret import interpret
from derive.interpret.scalars import SCALARS


def formula(rhs, *names, size=5):
    """y[i] = rhs."""
    return equation(
        read("y", "n", "i"),
        rhs,
        [Tensor(name, DATA, shape([size])) for name in names],
        Tensor("y", OUTPUT, shape([size])),
        {"i": size},
        {},
    )


def elementwise(fn, *names, size=5):
    """y[i] = fn(x[i], ...)."""
    return formula(Call(fn, tuple(read(name, "n", "i") for name in names)), *names, size=size)


POINTS = (-2.5, -0.75, 0.25, 0.5, 3.0)

KNOWN = {
    "exp": mpmath.exp,
    "log": mpmath.log,
    "expm1": mpmath.expm1,
    "log1p": lambda z: mpmath.log(1 + z),
    "sqrt": mpmath.sqrt,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tanh": mpmath.tanh,
    "erf": mpmath.erf,
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
    "softplus": lambda z: mpmath.log(1 + mpmath.exp(z)),
    "relu": lambda z: max(z, 0),
    "abs": mpmath.fabs,
    "sign": mpmath.sign,
    "neg": lambda z: -z,
}


def test_the_oracle_knows_every_function_of_the_language():
    assert {*SCALARS, "where"} == set(FUNCTIONS)


@pytest.mark.parametrize("fn", sorted(KNOWN))
def test_a_function_is_the_mathematical_one(fn):
    points = [z for z in POINTS if z > 0 or fn not in ("log", "log1p", "sqrt")]
    result = interpret(elementwise(fn, "x", size=len(points)), {"x": np.array([points])})
    expected = [float(KNOWN[fn](mpmath.mpf(z))) for z in points]
    np.testing.assert_allclose(result[0], expected, rtol=1e-15)


@pytest.mark.parametrize("fn", ["maximum", "minimum"])
def test_a_choice_of_two_is_numpys(fn):
    x, z = np.array([[1, 2, 3, -1, 0]]), np.array([[2, 2, -5, -1, 1]])
    assert np.array_equal(
        interpret(elementwise(fn, "x", "z"), {"x": x, "z": z}), getattr(np, fn)(x, z)
    )


@pytest.mark.parametrize(
    ("fn", "ufunc"),
    [
        ("eq", np.equal),
        ("ne", np.not_equal),
        ("lt", np.less),
        ("le", np.less_equal),
        ("gt", np.greater),
        ("ge", np.greater_equal),
    ],
)
def test_a_comparison_is_0_or_1(fn, ufunc):
    x, z = np.array([[1, 2, 3, -1, 0]]), np.array([[2, 2, -5, -1, 1]])
    result = interpret(elementwise(fn, "x", "z"), {"x": x, "z": z})
    assert result.tolist() == ufunc(x, z).astype(int).tolist()


@pytest.mark.parametrize("fn", ["sigmoid", "softplus"])
def test_large_arguments_do_not_overflow(fn):
    result = interpret(elementwise(fn, "x", size=2), {"x": np.array([[-1e4, 1e4]])})
    assert result.tolist() == [[0.0, 1.0 if fn == "sigmoid" else 1e4]]


@pytest.mark.parametrize("fn", sorted(name for name, f in FUNCTIONS.items() if f.arity == 1))
def test_the_slope_in_the_table_is_the_complex_step_derivative(fn):
    points = np.array([[z for z in POINTS if z > 0 or fn not in ("log", "log1p", "sqrt")]])
    size = points.shape[1]
    stepped = interpret(elementwise(fn, "x", size=size), {"x": points + 1e-30j})
    slope = formula(FUNCTIONS[fn].slopes[0](read("x", "n", "i")), "x", size=size)
    result = interpret(slope, {"x": points})
    # erf: a few digits of its small imaginary part cancel, far below the size of any mistake
    np.testing.assert_allclose(result, np.imag(stepped) / 1e-30, rtol=1e-14, atol=1e-14)


def test_the_complex_error_function_is_mpmaths():
    for z in (0.1 + 0.2j, -1.5 + 0.5j, 3 + 1e-20j, 5.5 - 0.1j):
        expected = complex(mpmath.erf(mpmath.mpc(z)))
        assert cmath.isclose(SCALARS["erf"](z), expected, rel_tol=1e-13)
