"""The integer claim: its exact arithmetic, its bounds, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import log2

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kernels import conv_layer, derivation_of, source_of
from reference import Geometry, geometries

import derive
from derive.certificates import Claim, Omitted
from derive.errors import Disproved
from derive.interpret import interpret_statement
from derive.verify import load
from derive.verify.integer import _differences, _dot, integer, planned
from derive.verify.magnitudes import POINT, degree, largest, order

GROUPED = Geometry(4, 4, 2, (6, 5), (3, 2), (2, 1), ((1, 1), (1, 1)), (1, 1))


# -- arithmetic -------------------------------------------------------------------------------


@given(
    wide=st.lists(st.integers(1 - 2**53, 2**53 - 1), min_size=1, max_size=9),
    narrow=st.integers(0, 2**24 - 1),
    repeats=st.sampled_from([1, 300]),
    swapped=st.booleans(),
)
@example(wide=[2**53 - 1] * 9, narrow=2**24 - 1, repeats=300, swapped=False)
@example(wide=[1 - 2**53] * 9, narrow=2**24 - 1, repeats=300, swapped=True)
def test_a_dot_product_is_exact_where_floats_and_int64_are_not(wide, narrow, repeats, swapped):
    one = wide * repeats
    two = [(-1) ** k * (narrow - k % 7) for k in range(len(one))]
    arrays = np.array(one, float), np.array(two, float)
    found = _dot(*(arrays[::-1] if swapped else arrays))
    assert isinstance(found, int)
    assert found == sum(a * b for a, b in zip(one, two, strict=True))


@given(coefficients=st.lists(st.integers(-9, 9), min_size=1, max_size=8))
def test_the_weights_give_the_exact_derivative_of_every_polynomial(coefficients):
    steps, weights = _differences(len(coefficients) - 1)
    values = [sum(c * t**k for k, c in enumerate(coefficients)) for t in steps]
    slope = coefficients[1] if len(coefficients) > 1 else 0
    assert sum(w * v for w, v in zip(weights, values, strict=True)) == slope


@pytest.mark.parametrize("order_", range(9))
def test_no_step_stays_where_it_is_without_need(order_):
    steps, weights = _differences(order_)
    assert len(set(steps)) == len(steps)
    assert all(weights)
    assert all(isinstance(weight, Fraction) for weight in weights)


# -- bounds -----------------------------------------------------------------------------------

POLYNOMIALS = {
    "y[i] = sum[u](x[i+u]*w[u])": ({"x": (5,), "w": (3,)}, 2),
    "y[i] = sum[u](x[i+u]*w[u])**2 - x[i]": ({"x": (5,), "w": (3,)}, 4),
    "y[i] = x[i]*x[i+1]*x[i] + 3": ({"x": (5,)}, 3),
    "y[i] = -x[i] - 2*w[i]": ({"x": (5,), "w": (5,)}, 1),
    "y = sum[i,j](x[i]*x[j]*w[i,j])": ({"x": (3,), "w": (3, 3)}, 3),
    "y[i] = sum[u](inside(x[i+u-1])*x[i+u-1])": ({"x": (4,), "u": 3}, 1),
}


@pytest.mark.parametrize("text", POLYNOMIALS)
def test_the_degree_is_the_equations(text):
    shapes, expected = POLYNOMIALS[text]
    equation = derive.equation(text, shapes).equation
    assert degree(equation.forward.rhs, {}) == order(equation) == expected


@pytest.mark.parametrize("text", POLYNOMIALS)
@given(seed=st.integers(0, 999), size=st.integers(0, 6))
def test_no_value_of_the_kernel_exceeds_its_bound(text, seed, size):
    layer = derive.equation(text, POLYNOMIALS[text][0])
    derivation = derivation_of(layer)
    equation = layer.equation.at_sizes()
    generator = np.random.default_rng(seed)
    batched = {t.name: t for t in equation.tensors} | {"dy": equation.output}
    arrays = {
        name: generator.choice([-size, size], ((2,) if t.batched else ()) + t.sizes())
        for name, t in batched.items()
    }
    extents = {i: 2 if e.number is None else e.number for i, e in equation.extents}
    reads = dict.fromkeys((*arrays, "y"), size)
    for statement in (equation.forward, *(g.gather for g in derivation.instance)):
        found = interpret_statement(statement, equation, arrays)
        assert np.abs(found).max() <= largest(statement.rhs, extents, reads)


def test_the_bound_of_a_sum_of_equal_products_is_attained():
    equation = derive.equation("y[i] = sum[u](x[i+u]*w[u])", {"x": (5,), "w": (3,)}).equation
    bound = largest(equation.at_sizes().forward.rhs, {"u": 3}, {"x": 7, "w": 5})
    assert bound == 3 * 7 * 5


@given(geometry=geometries())
def test_every_plan_keeps_below_2_to_the_53_and_the_stated_error(geometry):
    derivation = derivation_of(conv_layer(geometry))
    plan = planned(derivation)
    assert plan is not None
    assert plan.rounds * log2((2 * plan.half + 1) / plan.degree) >= 60
    assert plan.bound >= 60
    equation = derivation.equation.at_sizes()
    furthest = plan.half * (1 + max(map(abs, plan.steps)))
    extents = {i: 2 if e.number is None else e.number for i, e in equation.extents}
    reads = dict.fromkeys(("x", "w", "b", "dy", "y"), furthest)
    for statement in (equation.forward, *(g.gather for g in derivation.instance)):
        assert largest(statement.rhs, extents, reads) < POINT


# -- claims -----------------------------------------------------------------------------------


def checked(layer, change=lambda source: source):
    """The claim about a kernel whose text was changed."""
    derivation = derivation_of(layer)
    source = source_of(layer, "scatter")
    mutant = change(source)
    return integer(derivation, load(mutant, derivation))


def test_a_true_kernel_has_the_claim_with_its_bound():
    claim = checked(conv_layer(GROUPED))
    assert isinstance(claim, Claim)
    assert claim.subject == ("y", "dx", "dw", "db")
    facts = dict(claim.checked)
    assert facts["entries"] == facts["of"]
    assert int(facts["bound"].removeprefix("2^-")) >= 60


def test_what_is_no_polynomial_has_no_integer_claim():
    assert checked(derive.equation("y[i] = tanh(x[i])", {"x": (3,)})) is None


def test_a_degree_too_high_for_53_bits_is_omitted_with_its_reason():
    layer = derive.equation("y[i] = x[i]**60", {"x": (3,)})
    assert checked(layer) == Omitted("integer", "too_few_bits")


def edited(old, new):
    """A change of the text that has to change it."""

    def change(source):
        assert old in source
        return source.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "db = dy.sum(axis=(0, 3, 4), dtype=dtype)",
            "db = dy.sum(axis=(0, 3, 4), dtype=dtype) + 0.25",
            r"the integer claim fails at db\[0\]: the kernel gives -?\d+\.\d5, the ref",
        ),
        (
            "db = dy.sum(axis=(0, 3, 4), dtype=dtype)",
            "db = dy.sum(axis=(0, 3, 4), dtype=dtype) * np.nan",
            r"the integer claim fails at db\[0\]: the kernel gives nan, the reference -?\d+$",
        ),
        (
            "dw.reshape(4, 2, 3, 2)",
            "dw.reshape(4, 2, 2, 3)",
            r"dw has shape \(4, 2, 2, 3\), not .*$",
        ),
        ("dw.reshape(4, 2, 3, 2)", "dw.reshape(4, 2, 6)", r"dw has shape \(4, 2, 6\), not .*$"),
        ("db.reshape(4)", "db.reshape(2, 2)", r"db has shape \(2, 2\), not \(4,\)$"),
        ("db.reshape(4)", "np.append(db, 0)", r"db has shape \(5,\), not \(4,\)$"),
        (
            "y.reshape(*batch, 4, 3, 6)",
            "y.reshape(*batch, 4, 6, 3)",
            r"y has shape \(1, 2, 4, 6, 3\), which does not end with \(4, 3, 6\)$",
        ),
        (
            "        return y.reshape(-1, 4, 3, 6)\n",
            "        return y.reshape(-1, 4, 6, 3)\n",
            r"y has shape \(2, 4, 6, 3\), which does not end with \(4, 3, 6\)$",
        ),
        (
            "y.reshape(*batch, 4, 3, 6)",
            "2 * y.reshape(*batch, 4, 3, 6)",
            r"the integer claim fails at y\[0,0,0,0,0\]: the kernel gives -?\d+\.0, the ref",
        ),
    ],
    ids=[
        *("a quarter too much", "no number", "turned", "flat", "split", "too long"),
        *("turned y of several axes", "turned y", "another y of several axes"),
    ],
)
def test_fractions_and_wrong_shapes_do_not_pass(old, new, message):
    title = r"^Convolution \(cross-correlation\) in 2-D.*: "
    with pytest.raises(Disproved, match=title + message):
        checked(conv_layer(GROUPED), edited(old, new))


def test_the_message_names_the_layer_the_claim_the_entry_and_both_values():
    layer = derive.equation("y[i] = 2*x[i]", {"x": (3,)})
    layer = replace(layer, title="Twice")
    derivation = derivation_of(layer)
    kernel = load(edited("y = 2 * x", "y = 2 * x + (x > 9**9)")(source_of(layer)), derivation)
    assert isinstance(integer(derivation, kernel), Claim)  # no number is so large
    kernel = load(edited("dx = 2 * dy", "dx = 3 * dy")(source_of(layer)), derivation)
    with pytest.raises(Disproved) as caught:
        integer(derivation, kernel)
    plan = planned(derivation)
    assert plan is not None
    generator = np.random.default_rng(0)
    for _ in range(2):  # x, then its direction
        generator.integers(-plan.half, plan.half + 1, (2, 3))
    g = int(generator.integers(-plan.half, plan.half + 1, (2, 3))[0, 0])
    assert str(caught.value) == (
        "Twice: the integer claim fails at dx[0,0]: "
        f"the kernel gives {float(3 * g)}, the reference {2 * g}"
    )
