"""Facts about a single layer, against numbers counted by hand."""

from __future__ import annotations

import pytest
from examples import attention, conv, equation, named, softmax, toy, transposed

import derive
from derive import calculus
from derive.derivations import Derivation
from derive.documents import Display, Paragraph
from derive.render.notes.facts import facts
from derive.render.notes.layer import notes
from derive.render.notes.reach import windows
from derive.render.notes.remarks import sums_to_one
from derive.render.notes.sheet import Sheet
from derive.render.terminal.summary import summary
from derive.render.terminal.text import inline, line


def told(derivation: Derivation) -> str:
    return "\n".join(inline(sentence) for sentence in facts(Sheet(derivation)))


def test_article_s4_has_4_weights_where_36_would_connect_everything() -> None:
    text = told(toy())
    assert "train: 4 (weights of a fully connected layer between the same shapes: 36)" in text
    assert "sample: 16." in text  # 4 outputs of 4 taps
    assert "sees 2×2 of x" in text
    assert "local" in text
    assert "shared" in text


def test_channels_dilation_and_stride_enter_the_counts() -> None:
    """6 filters of 2·3·3 and a bias; a window of 5, every second place; 6·3·3 outputs."""
    d = conv(input=(2, 9, 9), kernel=(3, 3), filters=6, dilation=2, stride=2, bias=True)
    text = told(d)
    assert f"train: {6 * 18 + 6} " in text
    assert f"shapes: {2 * 81 * 6 * 9})" in text
    assert f"sample: {6 * 9 * 18}." in text
    assert [(f.size, f.jump) for f in windows(d)] == [(2, 0), (5, 2), (5, 2)]


def test_a_dense_layer_is_neither_local_nor_shared() -> None:
    text = told(named("dense", input=(6,), units=3))
    assert "train: 21 " in text
    assert "shapes: 18)" in text
    assert "Nothing is local and nothing is shared" in text
    assert "Receptive" not in text


def test_pooling_is_local_and_has_nothing_to_train() -> None:
    text = told(named("max_pool", input=(2, 6, 6), kernel=(2, 2)))
    assert "sees 1×2×2 of x" in text
    assert "jump (how far apart neighbouring entries look): 1×2×2" in text
    assert "local" in text
    assert "There is nothing to train" in text
    assert "shared" not in text


def test_a_transposed_convolution_has_as_many_products_as_pairs_of_input_and_tap() -> None:
    assert "sample: 9." in told(transposed())


@pytest.mark.parametrize("make", [softmax, attention])
def test_no_window_is_claimed_of_layers_of_several_equations(make) -> None:
    assert windows(make()) == ()


def test_nothing_is_said_where_sizes_are_unknown() -> None:
    d = equation("y[i] = sum[u](x[s*i+u]*w[u])")
    assert told(d) == ""
    assert "Counts" not in summary(d)


def test_the_summary_has_the_size_of_the_output_with_its_numbers() -> None:
    page = summary(conv(input=(28,), kernel=(5,), stride=2, padding=1))
    assert "⌊(28 + 2·1 − 5)/2⌋ + 1 = 13" in page
    assert page.index("Counts and connections") > page.index("For example")


def test_cross_entropy_says_when_its_gradient_is_p_minus_t() -> None:
    d = named("cross_entropy", input=(4,), target="distribution")
    remark = "Where ∑_{c*} t[n,c*] = 1, as for a distribution, this is"
    short = "∂L/∂x[n,c] = (exp(z[n,c])/s[n] − t[n,c])/N"
    page = summary(d)
    assert page.index(remark) < page.index(short)
    blocks = notes(d).blocks
    (place,) = (
        k
        for k, b in enumerate(blocks)
        if isinstance(b, Paragraph) and "1, as for" in inline(b.text)
    )
    after = blocks[place + 1]
    assert isinstance(after, Display)
    assert line(after.rows[0][0]) + "".join(map(line, after.rows[0][1])) == short


def test_the_remark_comes_from_the_form_not_from_a_name() -> None:
    text = "s[n] = sum[j](exp(x[n,j]))\ny = mean[n](sum[i](q[n,i]*(log(s[n]) - x[n,i])))"
    d = calculus.derive(derive.equation(text, {"x": (3,), "q": (3,)}, data=("x", "q")))
    found = {g.of: sums_to_one(g, d.equation) for g in d.gradients}
    assert found["x"] is not None
    assert found["q"] is None


def test_other_losses_have_no_such_remark() -> None:
    for name in ("mse", "l1", "huber"):
        d = named(name, input=(3,))
        assert [sums_to_one(g, d.equation) for g in d.gradients] == [None, None]


def test_in_groups_an_entry_sees_the_channels_of_its_group() -> None:
    d = conv(input=(4, 9, 9), kernel=(3, 3), filters=8, groups=2)
    assert [(f.size, f.jump) for f in windows(d)] == [(2, 0), (3, 1), (3, 1)]
    assert f"sample: {8 * 49 * 2 * 9}." in told(d)
