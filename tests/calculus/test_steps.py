"""Chains of steps: whole, without gaps, and nothing dropped on the way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from by_hand import conv_equation
from kernels import derivation_of, kernel_of

import derive
from derive.affine import Affine
from derive.calculus import derive as derive_layer
from derive.calculus import differentiate
from derive.errors import UsageError
from derive.expressions import (
    Bracket,
    Divides,
    Equal,
    Partial,
    Read,
    Reduce,
    Within,
    bound_by,
    children,
    free_names,
    walk,
)
from derive.interpret import interpret_statement

EQUATIONS = {
    "y[i] = sum[u](x[2*i+3*u-1]*w[u])": {"x": (9,), "w": (2,)},
    "y[i] = x[2*i]": {"x": (6,)},
    "y[i] = x[i]*x[i+1]": {"x": (6,)},
    "y[i] = sum[u](x[i+u]*w[u])**2": {"x": (5,), "w": (3,)},
    "y[i] = exp(x[i]) / sum[j](exp(x[j]))": {"x": (4,)},
    "y[i,j] = max[u,v](x[2*i+u,2*j+v])": {"x": (4, 6), "u": 2, "v": 2},
    "y[i] = mean[u](x[2*i+u])": {"x": (7,), "u": 3},
    "y[(c,i,j)] = x[c,i,j]": {"x": (2, 3, 4)},
    "y[m] = sum[i,u](x[i]*w[u]*delta(2*i+u-1,m))": {"x": (4,), "w": (3,), "y": (7,)},
    "y[i] = sum[u](inside(x[i+u-1])*x[i+u-1])/sum[u](inside(x[i+u-1]))": {"x": (5,), "u": 3},
    "y[i] = x[i,i]": {"x": (3, 3)},
    "y[i] = sum[j](where(j<=i, x[j]*w[i,j], 0))": {"x": (4,), "w": (4, 4)},
    "y = max[i](x[i])": {"x": (5,)},
}
EVERY = pytest.mark.parametrize("text", EQUATIONS)


def gradients(text):
    """Every gradient, with names and with numbers."""
    derivation = derivation_of(derive.equation(text, EQUATIONS[text]))
    return (*derivation.gradients, *derivation.instance)


@EVERY
def test_a_chain_starts_at_the_loss_and_ends_without_derivatives(text):
    for gradient in gradients(text):
        first, last = gradient.steps[0], gradient.steps[-1]
        assert first.rule == "chain_rule"
        assert isinstance(first.before.rhs, Partial)
        assert first.before.rhs.body == Read("L", ())
        assert first.before.rhs.wrt.tensor == gradient.of
        for statement in (last.after, *gradient.scatters):
            assert not any(isinstance(node, Partial) for node in walk(statement.rhs))


@EVERY
def test_every_step_starts_where_the_one_before_it_ended(text):
    for gradient in gradients(text):
        for one, two in zip(gradient.steps, gradient.steps[1:], strict=False):
            assert one.after == two.before
            assert one.before != one.after  # a step that changes nothing explains nothing
        ends = [step.after for step in gradient.steps]
        assert all(step.before in ends for step in gradient.scatter_steps)
        assert all(s.accumulate for s in gradient.scatters) or not gradient.scatter_steps


@EVERY
def test_no_delta_and_no_fresh_letter_is_left(text):
    for gradient in gradients(text):
        statement = gradient.gather
        solved = [c for n in walk(statement.rhs) if isinstance(n, Reduce) for c in n.where]
        if "i,i" not in text:  # the diagonal is zero elsewhere: that delta is the answer
            assert not any(isinstance(c, Equal) for c in solved)
            free = set(statement.lhs.names)
            assert set(free_names(statement.rhs)) <= free | {"H", "O", "K", "N"} | {
                name for name in free_names(statement.rhs) if name[0].isupper()
            }
        held = [c for n in walk(statement.rhs) if isinstance(n, Bracket) for c in n.conditions]
        assert all(isinstance(c, Within) for c in held)
        assert not any("'" in name for name in (*statement.free, *statement.lhs.names))


def captured(expr, outside=frozenset()):
    """Letters that are bound twice, one inside the other."""
    mine = set(bound_by(expr))
    found = mine & outside
    for child in children(expr):
        found |= captured(child, outside | mine)
    return found


@EVERY
def test_no_letter_is_captured(text):
    for gradient in gradients(text):
        for step in (*gradient.steps, *gradient.scatter_steps):
            for statement in (step.before, step.after):
                assert not captured(statement.rhs, frozenset(statement.lhs.names)), step.rule


def test_a_square_keeps_its_two_sums_apart():
    text = "y[i] = sum[u](x[i+u]*w[u])**2"
    gather = derivation_of(derive.equation(text, EQUATIONS[text])).at_sizes("w").gather
    sums = [node.over for node in walk(gather.rhs) if isinstance(node, Reduce)]
    assert sums == [("n", "i"), ("u*",)]


# -- the classical mistake ----------------------------------------------------------------------


def test_an_entry_between_the_strides_has_gradient_0():
    layer = derive.equation("y[i] = x[2*i]", {"x": (6,)})
    derivation = derivation_of(layer)
    for gradient in (derivation.gradient("x"), derivation.at_sizes("x")):
        (sum_,) = [node for node in walk(gradient.gather.rhs) if isinstance(node, Reduce)]
        a = Affine.of("a")
        assert Divides(Affine.of(2), a) in sum_.where
        arrays = {"x": np.zeros((1, 6), int), "dy": np.array([[5, 6, 7]])}
        found = interpret_statement(gradient.gather, layer.equation, arrays)
        assert found.tolist() == [[5, 0, 6, 0, 7, 0]]
    kernel = kernel_of(layer, "gather")
    assert kernel.backward(arrays["dy"], arrays["x"]).dx.tolist() == [[5, 0, 6, 0, 7, 0]]


def test_divisibility_is_never_dropped_where_it_can_fail():
    for stride in (2, 3):
        equation = conv_equation((7,), (2,), stride=stride, dilation=stride).at_sizes()
        gather = differentiate(equation, "x").gather
        kept = [c for c in gather.rhs.where if isinstance(c, Divides)]
        assert [c.divisor.number for c in kept] == [stride]


def test_conditions_that_always_hold_are_dropped_by_a_step_of_its_own():
    equation = conv_equation((5,), (1,)).at_sizes()
    rules = [step.rule for step in differentiate(equation, "x").steps]
    assert rules.count("drop_conditions") == 1
    last = differentiate(equation, "x").gather.rhs
    assert last.where == ()


# -- which gradients ----------------------------------------------------------------------------


def test_only_the_gradients_asked_for_are_derived():
    layer = derive.conv(input=(3, 3), kernel=(2, 2))
    assert [g.of for g in derive_layer(layer).gradients] == ["x", "w"]
    assert [g.of for g in derive_layer(layer, ("w",)).gradients] == ["w"]
    assert [g.of for g in derive_layer(layer, ("w",)).instance] == ["w"]


def test_a_gradient_of_a_tensor_that_is_not_there_is_refused():
    layer = derive.conv(input=(3, 3), kernel=(2, 2))
    with pytest.raises(UsageError) as caught:
        derive_layer(layer, ("b",))
    assert str(caught.value) == "--wrt b: the layer has no such tensor; it has x, w"


def test_a_chain_with_a_gap_cannot_be_made():
    gradient = derivation_of(derive.conv(input=(3, 3), kernel=(2, 2))).gradient("x")
    with pytest.raises(
        ValueError, match=r"^∂L/∂x: chain_rule does not start where insert_forward ended$"
    ):
        replace(gradient, steps=gradient.steps[::-1][-2:] + gradient.steps[:1])
    with pytest.raises(ValueError, match=r"^the gradient of x has no steps$"):
        replace(gradient, steps=())
    elsewhere = replace(gradient.scatter_steps[0], before=gradient.scatter_steps[0].after)
    with pytest.raises(ValueError, match=r"^∂L/∂x: the scatter form starts from no step$"):
        replace(gradient, scatter_steps=(elsewhere,))
