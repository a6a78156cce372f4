"""Derived formulas, evaluated entry by entry, against gradients by their definition.

The formula that is evaluated is the one that is printed: with names for its sizes, and with
numbers. Everything is an integer or a fraction, so that every comparison is exact.
"""

from fractions import Fraction

import numpy as np
import pytest
import sympy
from by_hand import conv_equation, pool_equation
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import conv_backward, geometries, max_pool_backward

from derive import explicit
from derive.calculus import differentiate
from derive.expressions import Partial, walk
from derive.interpret import interpret_statement
from derive.parse import parse
from derive.sizes import with_sizes


def gathered(gradient, equation, arrays):
    """``d[a] = Σ …`` for every entry a."""
    return interpret_statement(gradient.gather, equation, arrays)


def scattered(gradient, equation, arrays):
    """``d[…] += …`` for every product, one statement for each place where the tensor is read."""
    return sum(interpret_statement(s, equation, arrays) for s in gradient.scatters)


FORMS = pytest.mark.parametrize("form", [gathered, scattered])
INSTANCES = pytest.mark.parametrize("with_numbers", [False, True])


@FORMS
@INSTANCES
@given(geometry=geometries(), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_the_formulas_of_a_convolution_are_its_gradients(form, with_numbers, geometry, seed):
    arrays = geometry.arrays(seed)
    equation = conv_equation(
        (geometry.channels, *geometry.sizes),
        geometry.kernel,
        geometry.filters,
        bias=True,
        **geometry.settings,
    )
    equation = equation.at_sizes() if with_numbers else equation
    expected = conv_backward(arrays["dy"], arrays["x"], arrays["w"], **geometry.settings)
    for tensor, wanted in zip("xwb", expected, strict=True):
        result = form(differentiate(equation, tensor), equation, arrays)
        assert np.array_equal(result, wanted), tensor


@FORMS
@given(
    values=st.lists(st.integers(0, 2), min_size=16, max_size=16),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.integers(0, 1),
    ties=st.sampled_from(["first", "split"]),
)
@settings(max_examples=40, deadline=None)
def test_the_formulas_of_a_max_pool_are_its_gradients(
    form, values, stride, dilation, padding, ties
):
    x = np.array(values).reshape(1, 1, 4, 4)
    setting = {"stride": stride, "padding": padding, "dilation": dilation, "ties": ties}
    equation = pool_equation((1, 4, 4), (2, 2), "max", **setting)
    sizes = equation.output.sizes()
    dy = np.arange(1, np.prod(sizes) + 1).astype(object).reshape(1, *sizes)  # 1/3 stays exact
    result = form(differentiate(equation, "x"), equation, {"x": x, "dy": dy})
    assert np.array_equal(result, max_pool_backward(dy, x, (2, 2), **setting))


@INSTANCES
@pytest.mark.parametrize(
    "equation",
    [
        conv_equation((3, 3), (2, 2)),
        conv_equation((5,), (2,), stride=2, padding=1, dilation=2),
        conv_equation((4, 4), (3,), 2, groups=2, bias=True, padding=((1, 0),)),
        conv_equation((2, 3, 3), (2, 2), 2, stride=(1, 2)),
        pool_equation((1, 5), (3,), "max", 2, 1),
        pool_equation((1, 4), (2,), "mean", 1),
    ],
    ids=["plain", "stride padding dilation", "groups bias", "channels", "max", "mean"],
)
def test_every_step_keeps_the_value_of_the_one_before(equation, with_numbers):
    equation = equation.at_sizes() if with_numbers else equation
    sized, rng = equation.at_sizes(), np.random.default_rng(4)
    named = {t.name: t for t in sized.tensors} | {sized.output.gradient: sized.output}
    arrays = {
        name: rng.integers(-9, 10, (*((2,) if t.batched else ()), *t.sizes())).astype(object)
        for name, t in named.items()
    }
    for tensor in sized.tensors:
        gradient = differentiate(equation, tensor.name)
        finished = [
            step
            for step in (*gradient.steps, *gradient.scatter_steps)
            if not any(isinstance(node, Partial) for node in walk(step.after.rhs))
        ]
        assert finished
        values = [interpret_statement(step.after, equation, arrays) for step in finished]
        for step, value in zip(finished, values, strict=True):
            assert np.array_equal(value, values[0]), step.rule


EQUATIONS = {
    "y[i] = sum[u](x[i+u]*w[u]) * sum[u](x[i+u])": {"x": (4,), "w": (2,)},
    "y[i] = sum[u](x[i+u]*w[u])**2": {"x": (4,), "w": (2,)},
    "y[i] = exp(x[i]) / sum[k](exp(x[k]))": {"x": (3,)},
    "y[i] = x[i]*x[i] + x[i+1]": {"x": (4,)},
    "y[i,j] = sum[k](x[i,k]*x[j,k])": {"x": (3, 2)},
    "y[i] = sum[u](x[2*i+3*u-1]*w[u]) / (1 + x[i]**2)": {"x": (9,), "w": (2,)},
    "y[i] = sum[u,v](x[i+u+v]*w[u]*w[v])": {"x": (5,), "w": (2,)},
    "y[i] = max[u](x[2*i+u]*w[u])": {"x": (6,), "w": (3,)},
    "y[i] = max[u](x[i+u] + sum[v](w[u,v]*x[i+v]))": {"x": (4,), "w": (2, 2)},
    "y[i] = relu(sum[u](x[i+u]*w[u])) + abs(x[i])": {"x": (4,), "w": (2,)},
    "y[i] = sum[u](x[u-i]*w[u])": {"x": (4,), "w": (3,)},
    "y[(c,i)] = x[c,i]*w[c]": {"x": (2, 3), "w": (2,)},
    "y[c,i] = x[(c,i)]*w[i]": {"x": (6,), "w": (3,)},
    "y[i] = sum[u](tanh(x[i+u])*sigmoid(w[u]*x[i]))": {"x": (3,), "w": (2,)},
    "y[i] = sum[k](where(k<=i, x[k], 0)*w[i-k])": {"x": (4,), "w": (4,)},
    "y[i] = sum[u](inside(x[i+u-1])*w[u]*x[i+u-1]) / sum[u](inside(x[i+u-1]))": {
        "x": (4,),
        "w": (3,),
    },
    "y[i,j] = sum[u](x[i+u,j]*x[i,j+u]*w[u])": {"x": (3, 3), "w": (2,)},
}


def halves(equation):
    """Exact random arrays, one batch entry, for every tensor and for dy; ties do happen."""
    rng, sized = np.random.default_rng(5), equation.at_sizes()
    named = {t.name: t for t in sized.tensors} | {sized.output.gradient: sized.output}
    arrays = {}
    for name, tensor in named.items():
        shape = (*((1,) if tensor.batched else ()), *tensor.sizes())
        drawn = [Fraction(int(k), 2) for k in rng.integers(-4, 6, int(np.prod(shape)))]
        arrays[name] = np.array(drawn, dtype=object).reshape(shape)
    return arrays


@FORMS
@INSTANCES
@pytest.mark.parametrize("text", EQUATIONS)
def test_the_formulas_of_any_equation_are_its_derivatives_by_sympy(form, with_numbers, text):
    (equation,) = with_sizes(parse(text), EQUATIONS[text])
    equation = equation.at_sizes() if with_numbers else equation
    arrays, known = halves(equation), explicit.symbols(equation)
    numbers = {
        symbol: sympy.Rational(value.numerator, value.denominator)
        for name, array in arrays.items()
        for symbol, value in zip(known[name].flat, array.flat, strict=True)
    }
    at = {name: arrays[name] for name in arrays if name != "dy"}
    for tensor in equation.tensors:
        expected = explicit.gradient(equation, tensor.name, at=at)
        wanted = [float(entry.xreplace(numbers)) for entry in expected.flat]
        result = form(differentiate(equation, tensor.name), equation, arrays)
        np.testing.assert_allclose(result.astype(float).ravel(), wanted, rtol=1e-12)
