"""The printed line means what the expression means."""

from __future__ import annotations

from fractions import Fraction

import pytest
from examples import conv, equation, strided, toy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from derive.affine import Affine
from derive.documents import Hued
from derive.equations import Statement
from derive.expressions import (
    Bracket,
    Call,
    Divides,
    Equal,
    Expr,
    Number,
    Partial,
    Read,
    Reduce,
    Winner,
    Within,
)
from derive.render.language import equation_text, expression_text
from derive.render.mathematics.formulas import expression, statement
from derive.render.mathematics.letters import letter
from derive.render.mathematics.notation import Notation, Taps, affine, condition, from_text
from derive.render.mathematics.sample import batch_names, for_one
from derive.render.terminal.text import ascii_only, line

PLAIN = Notation()


def shown(expr: Expr, notation: Notation = PLAIN) -> str:
    return line(expression(expr, notation))


def entry(name: str, *subscripts: Affine | str | int) -> Read:
    return Read(name, tuple((Affine.of(s),) for s in subscripts))


# -- precedence: our own text, read back by Python --------------------------------------------
NUMBERS = st.integers(0, 5).map(lambda n: Number(Fraction(n)))


def grown(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    two = st.tuples(st.sampled_from(["add", "sub", "mul", "div"]), inner, inner)
    return st.one_of(
        two.map(lambda t: Call(t[0], t[1:])),
        inner.map(lambda e: -e),
        st.tuples(inner, st.integers(0, 2)).map(lambda t: t[0] ** t[1]),
    )


ARITHMETIC = st.recursive(NUMBERS, grown, max_leaves=8)


def value(expr: Expr) -> Fraction:
    match expr:
        case Number(number):
            return number
        case Call("neg", (inner,)):
            return -value(inner)
        case Call("pow", (base, power)):
            return value(base) ** int(value(power))
        case Call(fn, (left, right)):
            a, b = value(left), value(right)
            return {
                "add": lambda: a + b,
                "sub": lambda: a - b,
                "mul": lambda: a * b,
                "div": lambda: a / b,
            }[fn]()
    raise TypeError(expr)


def read_back(text: str) -> Fraction:
    """Only ever our own output, of digits and signs."""
    assert set(text) <= set("0123456789+-*/() ")
    import re

    return eval(re.sub(r"(\d+)", r"F(\1)", text), {"F": Fraction, "__builtins__": {}})


HALF = Number(Fraction(1)) / Number(Fraction(2))


@settings(max_examples=200)
@given(ARITHMETIC)
@example(Call("neg", (-(Number(Fraction(1)) / HALF),)))
def test_brackets_stand_where_the_value_needs_them(expr):
    try:
        expected = value(expr)
    except ZeroDivisionError:
        return
    text = shown(expr).replace("−", "-").replace("·", "*").replace("^", "**")
    assert read_back(text) == expected


@settings(max_examples=200)
@given(ARITHMETIC)
@example(Call("neg", (-(Number(Fraction(1)) / HALF),)))
def test_the_equation_language_brackets_where_the_value_needs_it(expr):
    try:
        expected = value(expr)
    except ZeroDivisionError:
        return
    assert read_back(expression_text(expr)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "y[i] = sum[u](x[i+u] * w[u])",
        "y[i] = max[u](x[2*i+u])",
        "y[i] = (x[i] - t[i])**2 / 2",
        "y[i] = tanh(x[i]) * -x[i] + 1",
        "y[(c,i)] = x[c,i]",
    ],
)
def test_a_forward_equation_is_printed_in_the_language_it_was_written_in(text):
    found = equation(text)
    without_batch = for_one(found.forward, batch_names(found.equation))
    printed = equation_text(without_batch)
    assert printed.replace(" ", "") == text.replace(" ", "")


# -- notation ---------------------------------------------------------------------------------
def test_the_toy_reads_as_in_the_article():
    d = toy()
    batch = batch_names(d.equation)
    lines = [
        line(piece)
        for s in (d.forward, *(g.gather for g in d.instance))
        for piece in statement(for_one(s, batch), Notation.of(d.equation))[1]
    ]
    assert [text.strip() for text in lines] == [
        "= ∑_{u,v} x[i+u,j+v]·w[u,v]",
        "= ∑_{u,v: 0 ≤ a − u < 2, 0 ≤ b − v < 2} g[a−u,b−v]·w[u,v]",
        "= ∑_{i,j} g[i,j]·x[i+u,j+v]",
    ]


def test_the_upstream_gradient_is_g_unless_g_is_taken():
    assert Notation.of(toy().equation).shown == "g"
    grouped = conv(input=(4, 4, 4), kernel=(2, 2), filters=4, groups=2)
    assert Notation.of(grouped.equation).shown == "dy"


def test_a_gradient_is_shown_as_a_fraction():
    assert shown(entry("dx", "a", "b"), Notation.of(toy().equation)) == "∂L/∂x[a,b]"


def test_conditions_keep_their_sides():
    a, u, s = (Affine.of(n) for n in "aus")
    assert line(condition(Divides(s, a - u))) == "s ∣ a − u"
    assert line(condition(Within((a - u) / s, Affine.of("O_h")))) == "0 ≤ (a − u)/s < O_h"
    assert shown(Bracket((Equal(a, u),))) == "δ[a,u]"
    assert shown(Bracket((Divides(s, a), Equal(a, u)))) == "δ[a,u]·[s ∣ a]"


def test_a_derivative_still_to_be_worked_out_shows_its_body():
    body = entry("x", "i") * entry("w", "u")
    assert shown(Partial(body, entry("w", "u'"))) == "∂/∂w[u′](x[i]·w[u])"
    assert shown(Partial(entry("w", "u"), entry("w", "u'"))) == "∂w[u]/∂w[u′]"


def test_ties_show_in_the_winner():
    u = Affine.of("u")
    first = Winner("max", ("u*",), entry("x", "u*"), (u,), "first")
    split = Winner("max", ("u*",), entry("x", "u*"), (u,), "split")
    assert shown(first) == "[u = argmax_{u*} x[u*]]"
    assert "∈" in shown(split)
    assert "/" in shown(split)


def test_a_mean_shows_its_count_where_it_is_known():
    mean = Reduce("mean", ("u",), entry("x", "u"))
    assert shown(mean) == "mean_{u} x[u]"
    assert shown(mean, Notation(extents={"u": Affine.of(3)})) == "1/3·∑_{u} x[u]"


def test_a_sum_in_front_of_a_factor_is_bracketed():
    sum_ = Reduce("sum", ("u",), entry("x", "u"))
    assert shown(sum_ * entry("b")) == "(∑_{u} x[u])·b"
    assert shown(entry("b") * sum_) == "b·∑_{u} x[u]"
    assert shown(entry("b") - sum_) == "b − ∑_{u} x[u]"


def test_only_numbered_entries_of_the_kernel_have_a_hue():
    notation = Notation(taps=Taps(("u", "v"), (2, 2), "w", (0, 1)))
    coloured = expression(entry("w", 1, 0), notation)
    assert isinstance(coloured, Hued)
    assert coloured.hue == 2
    assert not isinstance(expression(entry("w", "u", "v"), notation), Hued)
    assert not isinstance(expression(entry("x", 1, 0), notation), Hued)


def test_entries_count_from_the_base_and_formulas_do_not():
    notation = Notation(base=1)
    assert shown(entry("x", 0, 9), notation) == "x[1,10]"
    assert shown(entry("x", Affine.of("i") + 1), notation) == "x[i+1]"


@pytest.mark.parametrize("text", ["i", "a - u", "(a - u)/s", "i*2 + d*u - p", "(a + p - u*2)/2"])
def test_index_expressions_kept_as_text_are_shown_like_the_expressions(text):
    name = {n: Affine.of(n) for n in "iausdp"}
    value_ = eval(text, {"__builtins__": {}}, name)
    assert line(from_text(str(value_))) == line(affine(value_))


def test_names_are_taken_apart():
    assert (letter("K_h").base, letter("K_h").sub) == ("K", "h")
    assert letter("c'").marks == "'"
    assert letter("beta").base == "beta"


def test_ascii_has_a_spelling_for_every_sign_of_the_summary():
    for d in (toy(), strided()):
        batch = batch_names(d.equation)
        for g in d.gradients:
            left, pieces = statement(for_one(g.gather, batch), Notation.of(d.equation))
            text = ascii_only(line(left) + "".join(line(p) for p in pieces))
            assert text.isascii()
            assert "?" not in text


def test_a_scatter_statement_accumulates():
    s = Statement(entry("dx", "i"), entry("dy", "i"), accumulate=True)
    assert line(statement(s, PLAIN)[1][0]).strip().startswith("+=")
    assert equation_text(s) == "dx[i] += dy[i]"


def test_conditions_follow_the_statement_after_where():
    dx = toy().at_sizes("x").gather
    assert equation_text(dx) == (
        "dx[n,a,b] = sum[u,v](dy[n,a-u,b-v] * w[u,v])  where 0 <= a - u < 2, 0 <= b - v < 2"
    )
