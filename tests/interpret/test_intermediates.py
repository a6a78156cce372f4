"""The oracle on statements in a row, against closed forms."""

from dataclasses import replace

import numpy as np
import pytest
from several import SEVERAL

import derive
from derive import pipeline
from derive.affine import Affine
from derive.errors import DeriveError, UsageError
from derive.expressions import substitute
from derive.interpret import entries, entry, interpret, interpret_statement

NAMES = sorted(SEVERAL)


def equation(text, shapes, **settings):
    return derive.equation(text, shapes, **settings).equation


class Counted:
    """A whole number that counts the multiplications it takes part in."""

    products = 0

    def __init__(self, value):
        self.value = value

    def __mul__(self, other):
        Counted.products += 1
        return Counted(self.value * getattr(other, "value", other))

    __rmul__ = __mul__

    def __add__(self, other):
        return Counted(self.value + getattr(other, "value", other))

    __radd__ = __add__


def counted(values):
    Counted.products = 0
    array = np.empty((1, len(values)), dtype=object)
    array[0] = [Counted(v) for v in values]
    return array


def without_valid_reads():
    """h[i] = max[u](x[i+u-9]); y[i] = h[i] + 1. No user could write it: the sizes are checked."""
    made = equation("h[i] = max[u](x[i+u])\ny[i] = h[i] + 1", {"x": 3, "u": 2})
    shifted = substitute(made.given[0].rhs, {"i": Affine.of("i") - 9})
    return replace(made, given=(replace(made.given[0], rhs=shifted),))


@pytest.mark.parametrize("name", NAMES)
def test_the_values_are_those_of_the_closed_form(name):
    row = SEVERAL[name]
    arrays = row.arrays(seed=1)
    equation = row.layer.equation
    expected = row.forward(*(arrays[t.name] for t in equation.tensors))
    found = interpret(equation, {t.name: arrays[t.name] for t in equation.tensors})
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_every_derived_gradient_is_that_of_the_closed_form(name):
    row = SEVERAL[name]
    arrays = row.arrays(seed=2)
    derivation = pipeline.derive(row.layer)
    sized = derivation.equation.at_sizes()
    expected = row.backward(arrays["dy"], *(arrays[t.name] for t in sized.tensors))
    found = dict(arrays)
    for gradient in (*derivation.inner_instance, *derivation.instance):
        of = sized.tensor(gradient.of)
        carries = sized.rank(of) > len(of.shape)
        shape = (*((2,) if carries else ()), *of.sizes())
        found[of.gradient] = interpret_statement(gradient.gather, sized, found, shape)
    for tensor, value in expected.items():
        np.testing.assert_allclose(found["d" + tensor], value, rtol=1e-11, atol=1e-13)


def test_whole_numbers_stay_exact_through_intermediates():
    row = SEVERAL["two_dense_squared"]
    arrays = row.arrays(whole=True)
    del arrays["dy"]
    found = interpret(row.layer.equation, arrays)
    assert found.dtype == object
    assert np.array_equal(found, row.forward(**arrays))


def test_an_intermediate_is_worked_out_once():
    made = equation("s = sum[j](x[j]*x[j])\ny[i] = x[i]*s", {"x": 4})
    x = counted([1, 2, 3, 4])
    value = entries(made, {"x": x})
    assert [value((0, k)).value for k in range(4)] == [30, 60, 90, 120]
    assert Counted.products == 4 + 4


def test_a_sample_costs_only_what_it_depends_on():
    made = equation("h[i] = x[i]*x[i]\ny[i] = h[i]*h[i]", {"x": 5})
    assert entry(made, {"x": counted([1, 2, 3, 4, 5])}, (0, 2)).value == 81
    assert Counted.products == 2


def test_intermediates_that_are_given_are_read_instead_of_worked_out():
    made = equation("s = sum[j](x[j])\ny[i] = x[i]*s", {"x": 3})
    x = np.array([[1, 2, 3]])
    assert interpret(made, {"x": x}).tolist() == [[6, 12, 18]]
    assert interpret(made, {"x": x, "s": np.array([10])}).tolist() == [[10, 20, 30]]


def test_a_given_intermediate_of_another_shape_is_refused():
    made = equation("s = sum[j](x[j])\ny[i] = x[i]*s", {"x": 3})
    with pytest.raises(UsageError) as caught:
        interpret(made, {"x": np.ones((2, 3)), "s": np.ones((2, 3))})
    assert str(caught.value) == "s has shape (2, 3); one batch axis and 0 more are needed"


def test_the_gradient_of_an_intermediate_has_to_be_given():
    made = derive.equation("s = sum[j](x[j])\ny[i] = x[i]*s", {"x": 3})
    derivation = pipeline.derive(made)
    arrays = {"x": np.ones((1, 3)), "dy": np.ones((1, 3))}
    with pytest.raises(UsageError) as caught:
        interpret_statement(
            derivation.at_sizes("x").gather, derivation.equation.at_sizes(), arrays, (1, 3)
        )
    assert str(caught.value) == "no values are given for ds"


def test_an_entry_without_a_value_is_named_by_its_own_tensor():
    made = without_valid_reads()
    with pytest.raises(DeriveError) as caught:
        interpret(made, {"x": np.ones((1, 3))})
    assert str(caught.value) == "h[0, 0]: a max has no valid read in its window"


def test_a_maximum_over_an_intermediate_skips_what_lies_outside():
    made = equation("h[i] = x[i] - 9\ny[i] = max[u](h[2*i+u-1])", {"x": 4, "u": 3, "y": 2})
    assert interpret(made, {"x": np.array([[1, 2, 3, 4]])}).tolist() == [[-7, -5]]


def test_a_sum_over_what_a_maximum_skips_reads_0_outside():
    made = equation(
        "m[i] = max[u](x[i+u-1])\ny[i] = m[i] + sum[v](x[i+v-1])",
        {"x": 3, "u": 3, "v": 3, "y": 3},
    )
    assert interpret(made, {"x": np.array([[-1, -2, -4]])}).tolist() == [[-4, -8, -8]]


def test_statistics_over_the_batch_carry_no_batch_axis():
    made = equation("m[i] = mean[n](x[n,i])\ny[n,i] = x[n,i] - m[i]", {"x": 2})
    assert made.rank(made.tensor("m")) == 1
    assert interpret(made, {"x": np.array([[1, 5], [3, 9]])}).tolist() == [[-1, -2], [1, 2]]
