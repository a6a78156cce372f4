"""What a kernel says about itself: its equations, its docstring, the command that made it."""

from __future__ import annotations

import pytest
from examples import attention, separable, softmax, toy

from derive.lower import lower
from derive.render.kernel import kernel
from derive.verify.running import module


@pytest.mark.parametrize("make", [toy, softmax, attention, separable])
def test_equations_are_all_statements_then_intermediate_gradients_then_those_of_tensors(make):
    d = make()
    text = module(kernel(d, lower(d)), "listed").EQUATIONS
    made = [line.split("[")[0].split(" ")[0] for line in text.splitlines()]
    forward = [statement.lhs.tensor for statement in d.equation.statements]
    inner = [t.gradient for t in reversed(d.equation.inner)]
    assert made == [*forward, *inner, *(t.gradient for t in d.equation.tensors)]


def test_the_docstring_tells_the_same_in_the_same_order():
    doc = module(kernel(softmax(), lower(softmax())), "told").__doc__ or ""
    order = ["m[n] =", "e[n,i] =", "s[n] =", "y[n,i] =", "of s,", "of e,", "of m,", "of x,"]
    places = [doc.index(words) for words in order]
    assert places == sorted(places)


def test_a_command_of_several_lines_keeps_them():
    source = kernel(softmax(), lower(softmax()))
    assert "'m = max[j](x[j])\n    e[i] = exp(x[i] - m)\n    s = sum[j](e[j])\n" in source
