"""Derived formulas, evaluated entry by entry, against gradients by their definition.

The formula that is evaluated is the one that is printed: with names for its sizes, and with
numbers. Everything is an integer or a fraction, so that every comparison is exact.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import (
    conv_backward,
    conv_equation,
    geometries,
    max_pool_backward,
    pool_equation,
)

from derive.calculus import differentiate
from derive.expressions import Partial, walk
from derive.interpret import interpret_statement


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
