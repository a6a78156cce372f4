"""Entries written out, against loops over the definition of the layer."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from examples import conv, equation, strided, toy, transposed
from hypothesis import given, settings
from hypothesis import strategies as st

from derive.expressions import Call, Expr, Number, Read
from derive.render.notes.entries import Frame, entry, positions
from derive.render.notes.matrix import cells
from derive.render.notes.sheet import Sheet
from derive.render.notes.worked import display, lines_of, samples, short
from derive.render.terminal.text import line
from derive.render.tex.page import block
from derive.specs import Style


def evaluate(expr: Expr, arrays) -> Fraction:
    match expr:
        case Number(value):
            return value
        case Read(tensor, axes):
            return arrays[tensor][tuple(axis[0].number for axis in axes)]
        case Call("mul", (left, right)):
            return evaluate(left, arrays) * evaluate(right, arrays)
        case Call("div", (left, right)):
            return Fraction(evaluate(left, arrays)) / evaluate(right, arrays)
        case Call("neg", (inner,)):
            return -evaluate(inner, arrays)
    raise TypeError(expr)


def table(statement, frame, arrays):
    """All entries of a statement, added up from the products that are printed."""
    return {
        position: sum(
            part.sign * evaluate(one.body, arrays)
            for part in entry(statement, position, frame)
            for one in part.products
        )
        for position in positions(statement, frame)
    }


def by_loops(x, w, dy, stride, padding, dilation):
    """y, dx and dw of a 1-D convolution, straight from the definition."""
    y, dx, dw = np.zeros_like(dy), np.zeros_like(x), np.zeros_like(w)
    for i, u in product(range(len(dy)), range(len(w))):
        m = stride * i + dilation * u - padding
        if 0 <= m < len(x):
            y[i] += x[m] * w[u]
            dx[m] += dy[i] * w[u]
            dw[u] += dy[i] * x[m]
    return y, dx, dw


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 7),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(1, 2),
    st.integers(0, 2**32 - 1),
)
def test_entries_add_up_to_the_definition(H, K, stride, padding, dilation, seed):
    outputs = (H + 2 * padding - dilation * (K - 1) - 1) // stride + 1
    if outputs < 1:
        return
    d = conv(input=(H,), kernel=(K,), stride=stride, padding=padding, dilation=dilation)
    rng = np.random.default_rng(seed)
    x, w, dy = (rng.integers(-9, 10, n) for n in (H, K, outputs))
    arrays = {"x": x, "w": w, "dy": dy}
    y, dx, dw = by_loops(x, w, dy, stride, padding, dilation)
    sheet = Sheet(d)
    statements = [d.equation.at_sizes().forward, *(g.gather for g in d.instance)]
    for statement, expected in zip(statements, (y, dx, dw), strict=True):
        found = table(sheet.one(statement), sheet.frame, arrays)
        assert [found[position] for position in sorted(found)] == list(expected)


def written(d, tensor, position, *, base=0):
    sheet = Sheet(d, Style(base))
    gather = sheet.one(d.at_sizes(tensor).gather)
    left, pieces = short(gather, position, sheet, sheet.frame)
    return line(left) + "".join(line(p) for p in pieces)


def test_the_weight_gradient_of_the_article():
    # "Backpropagation of CNN and convolution as a sparse matrix": ∂L/∂W11 = ∂L/∂h11·X11 + …
    assert written(toy(), "w", (0, 0), base=1) == (
        "∂L/∂w[1,1] = g[1,1]·x[1,1] + g[1,2]·x[1,2] + g[2,1]·x[2,1] + g[2,2]·x[2,2]"
    )


def test_the_middle_entry_meets_the_taps_in_reverse():
    assert written(toy(), "x", (1, 1)) == (
        "∂L/∂x[1,1] = g[1,1]·w[0,0] + g[1,0]·w[0,1] + g[0,1]·w[1,0] + g[0,0]·w[1,1]"
    )


def test_an_entry_that_no_window_reads_is_zero():
    d = conv(input=(5,), kernel=(1,), stride=3)
    assert written(d, "x", (1,)) == "∂L/∂x[1] = 0"


def test_products_without_their_first_tap_still_have_a_relation():
    assert written(conv(input=(4,), kernel=(2,)), "x", (3,)) == "∂L/∂x[3] = g[2]·w[1]"


def test_a_long_entry_keeps_its_first_products_and_its_last():
    text = written(conv(input=(3, 16, 16), kernel=(5, 5), filters=2), "w", (0, 0, 0, 0))
    assert text.startswith("∂L/∂w[0,0,0,0] = g[0,0,0]·x[0,0,0] + ")
    assert text.endswith("+ ⋯ + g[0,11,11]·x[0,11,11]")


def test_a_column_belongs_to_one_tap():
    d = toy()
    sheet = Sheet(d)
    gather = sheet.one(d.at_sizes("x").gather)
    for position in positions(gather, sheet.frame):
        for _, pieces in lines_of(gather, position, sheet, sheet.frame):
            for column, piece in enumerate(pieces):
                taps = [f"w[{u},{v}]" for u, v in product(range(2), range(2))]
                present = [number for number, tap in enumerate(taps) if tap in line(piece)]
                assert present in ([], [column])


def test_taps_outside_are_skipped_under_a_maximum():
    d = equation("y[i] = max[u](x[s*i+u-p])", (("x", (5,)), ("y", (3,)), ("s", 2), ("p", 1)))
    frame = Frame.of(d.equation)
    sheet = Sheet(d)
    parts = entry(sheet.one(d.equation.at_sizes().forward), (0,), frame)
    assert [one.place for one in parts[0].products] == [(1,), (2,)]  # x[-1] is no tap


def test_samples_are_distinct_positions():
    sheet = Sheet(strided())
    found = samples(sheet.one(strided().at_sizes("x").gather), sheet.frame)
    assert found == ((0, 0, 0), (0, 0, 3), (1, 2, 3))


# -- the sparse matrix --------------------------------------------------------------------------
def test_the_matrix_of_the_article_has_16_of_36_entries_and_4_weights():
    sheet = Sheet(toy())
    found, offsets = cells(sheet, sheet.frame, sheet.here.data[0])
    assert not offsets
    assert len(found) == 16
    assert len(set(found.values())) == 4


def test_the_matrix_times_x_is_y():
    sheet = Sheet(toy())
    found, _ = cells(sheet, sheet.frame, sheet.here.data[0])
    rng = np.random.default_rng(0)
    x, w = rng.integers(-9, 10, (3, 3)), rng.integers(-9, 10, (2, 2))
    y = np.zeros((2, 2), int)
    for (out, place), coefficient in found.items():
        y[out] += evaluate(coefficient, {"w": w}) * x[place]
    for i, j in product(range(2), range(2)):
        assert y[i, j] == (x[i : i + 2, j : j + 2] * w).sum()


@pytest.mark.parametrize(
    "text", ["y[i] = sum[u](x[i+u]*x[i+u]*w[u])", "y[i] = max[u](x[i+u]*w[u])"]
)
def test_what_is_not_linear_has_no_matrix(text):
    sheet = Sheet(equation(text, (("x", (5,)), ("w", (3,)))))
    assert cells(sheet, sheet.frame, sheet.here.data[0]) is None


def test_entries_of_a_transposed_convolution_have_the_hues_of_their_taps():
    sheet = Sheet(transposed())
    shown = display(sheet.one(sheet.derivation.resolved.gather), sheet, sheet.frame)
    hues = set(re.findall(r"\\color\{tap(\d)\}w_\{(\d)\}", block(shown)))
    assert hues == {("0", "0"), ("1", "1"), ("2", "2")}
