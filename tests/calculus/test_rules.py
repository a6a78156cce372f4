"""One rule of differentiation at a time, and the slopes that they take from the table."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
from by_hand import read

from derive.affine import Affine
from derive.calculus.rules import (
    RULES,
    count,
    delta,
    function_rule,
    linearity,
    product_rule,
    selection,
)
from derive.errors import NotDerivable
from derive.expressions import (
    ZERO,
    Bracket,
    Call,
    Equal,
    Index,
    Number,
    Partial,
    Read,
    Reduce,
    Winner,
)
from derive.functions import FUNCTIONS

X, W, AT = read("x", "i"), read("w", "i"), read("x", "a")
U = Affine.of("u")


def of(body):
    """∂body/∂x[a]."""
    return Partial(body, AT)


def test_what_does_not_hold_the_tensor_has_derivative_0():
    assert linearity(of(W * W + 2), "first") == ZERO


@pytest.mark.parametrize("op", ["sum", "mean"])
def test_a_sum_is_differentiated_term_by_term(op):
    shifted = read("x", Affine.of("i") + "u")
    assert linearity(of(Reduce(op, ("u",), shifted)), "first") == Reduce(op, ("u",), of(shifted))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (X + X, of(X) + of(X)),
        (X - X, of(X) - of(X)),
        (X + W, of(X)),
        (W + X, of(X)),
        (X - W, of(X)),
        (W - X, -of(X)),
        (-X, -of(X)),
        (X / W, of(X) / W),
    ],
    ids=["x + x", "x - x", "x + w", "w + x", "x - w", "w - x", "-x", "x/w"],
)
def test_linearity_leaves_out_what_vanishes(body, expected):
    assert linearity(of(body), "first") == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [(X * W, of(X) * W), (W * X, W * of(X)), (X * X, of(X) * X + X * of(X))],
    ids=["x*w", "w*x", "x*x"],
)
def test_a_product_has_one_summand_for_each_factor_that_holds_the_tensor(body, expected):
    assert product_rule(of(body), "first") == expected


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [
        (2, 2 * X * of(X)),
        (3, 3 * X**2 * of(X)),
        (Fraction(1, 2), Number(Fraction(1, 2)) * X ** Number(Fraction(-1, 2)) * of(X)),
    ],
)
def test_a_power_is_folded(exponent, expected):
    body = Call("pow", (X, Number(Fraction(exponent))))
    assert function_rule(of(body), "first") == expected


def test_the_chain_rule_takes_the_slope_of_the_table():
    assert function_rule(of(Call("exp", (X,))), "first") == Call("exp", (X,)) * of(X)
    assert function_rule(of(Call("sign", (X,))), "first") == ZERO


def test_a_maximum_passes_on_the_derivative_of_the_winning_tap_alone():
    shifted = read("x", Affine.of("i") + "u")
    found = selection(of(Reduce("max", ("u",), shifted)), "split")
    winner = Winner("max", ("u*",), read("x", Affine.of("i") + "u*"), (U,), "split")
    assert found == Reduce("sum", ("u",), winner * of(shifted))


def test_an_entry_depends_on_itself_alone():
    found = delta(Partial(read("x", "n", ("c", "i")), read("x", "m", ("d", "a"))), "first")
    pairs = (("n", "m"), ("c", "d"), ("i", "a"))
    assert found == Bracket(tuple(Equal(Affine.of(a), Affine.of(b)) for a, b in pairs))


def test_one_axis_read_in_two_ways_is_refused():
    with pytest.raises(NotDerivable, match=r"^one tensor is read with an axis composed"):
        delta(Partial(read("x", ("c", "i")), read("x", "a")), "first")


def test_every_rule_leaves_other_nodes_alone():
    foreign = {
        "linearity": of(X * X),
        "product_rule": of(Call("exp", (X,))),
        "selection": of(Reduce("sum", ("u",), X)),
        "function_rule": of(X),
        "delta": of(X * W),
    }
    assert {name for name, _ in RULES} == set(foreign)
    for name, rule in RULES:
        assert rule(foreign[name], "first") is None, name


def test_the_taps_of_a_mean_are_counted_in_numbers_or_names():
    assert count((Affine.of(3), Affine.of(4))) == Number(Fraction(12))
    assert count((Affine.of("K"), Affine.of(4))) == Index(Affine.of("K") * 4)


# -- slopes -----------------------------------------------------------------------------------

Z = sympy.symbols("z", positive=True)
A, B = sympy.symbols("a b", positive=True)
BY_SYMPY = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
    "neg": lambda a: -a,
    "pi": lambda: sympy.pi,
    "sigmoid": lambda z: 1 / (1 + sympy.exp(-z)),
    "softplus": lambda z: sympy.log(1 + sympy.exp(z)),
    "expm1": lambda z: sympy.exp(z) - 1,
    "log1p": lambda z: sympy.log(1 + z),
}


def by_sympy(expr):
    """An expression in z, a, b as SymPy's."""
    match expr:
        case Number(value):
            return sympy.Rational(value.numerator, value.denominator)
        case Read(tensor, _):
            return {"z": Z, "a": A, "b": B}[tensor]
        case Call(fn, args):
            mapped = BY_SYMPY.get(fn) or getattr(sympy, fn)
            return mapped(*map(by_sympy, args))
    raise TypeError(expr)


SMOOTH = [
    fn
    for fn, row in FUNCTIONS.items()
    if row.kind != "selecting" and row.arity and not row.at_kinks
]


@pytest.mark.parametrize("fn", SMOOTH)
def test_the_slope_of_a_smooth_function_is_its_derivative_by_sympy(fn):
    names = "z" if FUNCTIONS[fn].arity == 1 else "ab"
    args = tuple(read(name) for name in names)
    value = by_sympy(Call(fn, args))
    for slope, name in zip(FUNCTIONS[fn].slopes, names, strict=True):
        expected = sympy.diff(value, {"z": Z, "a": A, "b": B}[name])
        difference = by_sympy(slope(*args)) - expected
        assert sympy.simplify(difference.rewrite(sympy.exp)) == 0, slope(*args)


def value_at(expr, numbers):
    """A selecting slope at exact numbers."""
    match expr:
        case Number(value):
            return value
        case Read(tensor, _):
            return Fraction(numbers[tensor])
        case Call("where", (condition, one, other)):
            return value_at(one if value_at(condition, numbers) else other, numbers)
        case Call("gt", (one, other)):
            return value_at(one, numbers) > value_at(other, numbers)
        case Call("lt", (one, other)):
            return value_at(one, numbers) < value_at(other, numbers)
        case Call("eq", (one, other)):
            return value_at(one, numbers) == value_at(other, numbers)
        case Call("sign", (inner,)):
            value = value_at(inner, numbers)
            return (value > 0) - (value < 0)
    raise TypeError(expr)


@pytest.mark.parametrize(
    ("fn", "numbers", "slopes"),
    [
        ("relu", (3,), (1,)),
        ("relu", (-3,), (0,)),
        ("relu", (0,), (0,)),
        ("abs", (3,), (1,)),
        ("abs", (-3,), (-1,)),
        ("abs", (0,), (0,)),
        ("maximum", (2, 1), (1, 0)),
        ("maximum", (1, 2), (0, 1)),
        ("maximum", (1, 1), (Fraction(1, 2), Fraction(1, 2))),
        ("minimum", (2, 1), (0, 1)),
        ("minimum", (1, 2), (1, 0)),
        ("minimum", (1, 1), (Fraction(1, 2), Fraction(1, 2))),
    ],
)
def test_slopes_at_kinks_are_the_stated_ones(fn, numbers, slopes):
    args = tuple(read(name) for name in "ab"[: len(numbers)])
    at = dict(zip("ab", numbers, strict=False))
    found = tuple(value_at(slope(*args), at) for slope in FUNCTIONS[fn].slopes)
    assert found == slopes


def test_every_function_with_a_kink_says_what_it_does_there():
    assert {fn for fn, row in FUNCTIONS.items() if row.at_kinks} >= {
        "relu",
        "abs",
        "maximum",
        "minimum",
    }
