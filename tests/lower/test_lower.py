"""From derivations to programs: which form is taken, and what a program refuses."""

from __future__ import annotations

import pytest
from kernels import derivation_of, pool_layer

import derive
from derive.errors import NotDerivable
from derive.lower import lower
from derive.lower.forms import chosen, work
from derive.programs import Binary, For, Function, Let, Literal, Name, Program, Return

STRIDED = derive.conv(input=(2, 8, 8), kernel=(3, 3), filters=4, stride=2)
PLAIN = derive.conv(input=(2, 8, 8), kernel=(3, 3), filters=4)


@pytest.mark.parametrize("form", ["scatter", "gather"])
def test_the_form_asked_for_is_the_one_that_is_lowered(form):
    program = lower(derivation_of(STRIDED), form)
    assert dict(program.strategies)["dx"] == f"taps, {form}"
    assert [f.name for f in program.functions] == ["forward", "backward"]


def test_the_fastest_form_multiplies_least():
    derivation = derivation_of(STRIDED)
    equation = derivation.equation.at_sizes()
    gradient = derivation.at_sizes("x")
    scattered = work(gradient.scatters, equation)
    gathered = work((gradient.gather,), equation)
    assert scattered == 2 * 4 * (3 * 3) * (3 * 3)  # channels, filters, taps, windows
    assert gathered == 2 * 4 * (3 * 3) * (8 * 8)  # ... entries of x
    assert chosen(gradient, equation)[0] == "scatter"


def test_a_gradient_through_a_maximum_is_always_scattered():
    derivation = derivation_of(pool_layer((1, 4, 4), (2, 2)))
    equation = derivation.equation.at_sizes()
    for form in ("fastest", "scatter", "gather"):
        assert chosen(derivation.at_sizes("x"), equation, form)[0] == "scatter"


def test_without_sizes_there_is_no_program():
    layer = derive.equation("y[i] = sum[u](x[i+u]*w[u])")
    with pytest.raises(NotDerivable, match=r"^a kernel needs sizes; give them with --shape$"):
        lower(derivation_of(layer))


def test_the_same_derivation_gives_the_same_program():
    assert lower(derivation_of(PLAIN)) == lower(derivation_of(PLAIN))
    assert isinstance(lower(derivation_of(PLAIN)), Program)


def test_a_function_that_uses_a_name_too_early_cannot_be_made():
    add = Let(Name("y"), Binary("+", Name("x"), Name("z")))
    with pytest.raises(ValueError, match=r"^forward uses z before it is assigned$"):
        Function("forward", ("x",), (add, Return(Name("y"))))
    with pytest.raises(ValueError, match=r"^forward uses y before it is assigned$"):
        Function("forward", ("x",), (Let(Name("y"), Name("x"), "+="),))
    with pytest.raises(ValueError, match=r"^forward returns y, never assigned$"):
        Function("forward", ("x",), (Return(Name("y")),))
    loop = For("u", 3, (Let(Name("y"), Binary("*", Name("x"), Name("u"))),))
    zero = Let(Name("y"), Literal("0"))
    assert Function("forward", ("x",), (zero, loop, Return(Name("y"))))


@pytest.mark.parametrize("wrt", [("w",), ("b",), ("x", "b")])
def test_gradients_that_nobody_asked_for_are_not_computed(wrt):
    layer = derive.conv(input=(1, 5), kernel=(3,), filters=2, bias=True)
    program = lower(derive.derive(layer, wrt))
    assert {name for name, _ in program.strategies} == {"y", *(f"d{t}" for t in wrt)}
