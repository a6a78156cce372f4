"""The chapter around the formulas: numbers, mistakes, entries from the outputs, taps that fit."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from examples import CERTIFICATE, conv, equation, named, toy
from test_notes import one_line, words

import derive
from derive import pipeline, trying
from derive.certificates import Certificate, Claim
from derive.documents import Beside, Display, Document, Heading, Listing, Steps, Table
from derive.layers import spec
from derive.render.notes.depends import depends
from derive.render.notes.layer import notes, resized
from derive.render.notes.own import own_blocks
from derive.render.notes.sheet import Sheet
from derive.render.notes.values import array, in_words, number
from derive.render.terminal.text import inline, line
from derive.specs import Style


@cache
def document(kind: str, **settings: object) -> Document:
    """The whole notes of a layer, with kernel and example."""
    made = pipeline.make(pipeline.derive(pipeline.layer(spec(kind, settings))))
    return pipeline.document(made)


def plain() -> Document:
    return document("conv", input=(3, 3), kernel=(2, 2))


def strided() -> Document:
    return document("conv", input=(5, 5), kernel=(3, 3), stride=2, padding=1)


def pooled() -> Document:
    return document("max_pool", input=(5, 5), kernel=3, stride=2)


def tables(document: Document) -> list[list[list[str]]]:
    return [
        [[inline(cell) for cell in row] for row in (block.header, *block.rows)]
        for block in document.blocks
        if isinstance(block, Table)
    ]


def table(document: Document, head: str) -> list[list[str]]:
    """The first table whose header holds this cell."""
    return next(rows for rows in tables(document) if head in rows[0])


# -- numbers ------------------------------------------------------------------------------------
def test_entries_are_worked_with_the_numbers_of_the_arrays_and_add_up():
    (worked,) = (b for b in plain().blocks if isinstance(b, Display) and b.name == "numbers_worked")
    assert len(worked.rows) == 3
    for _, pieces in worked.rows:
        text = " ".join(map(line, pieces)).replace("·", "*").replace("−", "-")
        left, right = text.lstrip("= ").split("=")
        assert eval(left) == int(right.replace(" ", ""))  # text of this test's own making


def test_every_gradient_has_a_quotient_equal_to_what_was_derived():
    rows = table(plain(), "quotient")[1:]
    assert [row[0][0] for row in rows] == ["x", "w"]
    assert all(row[-1] == row[-2] for row in rows)


def test_every_mistake_is_told_with_a_right_and_a_wrong_number():
    rows = table(strided(), "mistake")[1:]
    told = " ".join(row[0] for row in rows)
    for words_ in ("wrong way round", "stride", "divisibility", "padding not cropped", "mean"):
        assert words_ in told
    assert all(row[2] != row[3] for row in rows)


def test_ties_of_the_example_name_the_winner_and_all_that_share_the_maximum():
    rows = table(pooled(), "won by")[1:]
    assert len(rows) == 4
    assert any(re.search(r"x\[\d,\d\], the first of x\[\d,\d\], x\[\d,\d\]", r[3]) for r in rows)
    assert "Libraries disagree about ties." in words(pooled())


def test_numbers_keep_few_digits_and_small_ones_are_powers_of_ten():
    assert line(number(-2.5)) == "−2.5"
    assert line(number(1 / 3)) == "0.33333"
    assert line(number(1.5e-7)) == "1.5·10^(−7)"
    assert line(number(0.0)) == line(number(-0.0)) == "0"
    assert line(number(1234567)).startswith("1.2346·10")


def test_long_rows_become_columns_and_stacks_stand_side_by_side():
    assert len(array(np.arange(3.0)).rows) == 1
    assert len(array(np.arange(30.0) / 7).rows) == 30
    assert line(array(np.ones((2, 1, 1)))) == "([1], [1])"


def test_powers_and_ranges_in_words_become_mathematics():
    shown = inline(in_words("integers in -12345..12345, below 2^-70, bound 1e-10, batch of 2"))
    assert shown == (
        "integers in −12\u202f345 … 12\u202f345, below 2^(−70), bound 10^(−10), batch of 2"
    )


# -- one entry, seen from the outputs -----------------------------------------------------------
def test_an_entry_of_the_input_meets_every_tap_at_another_output():
    rows = table(plain(), "beside x[1,1] there")
    assert rows[1:] == [
        ["y[1,1]", "w[0,0]", "g[1,1]·w[0,0]"],
        ["y[1,0]", "w[0,1]", "g[1,0]·w[0,1]"],
        ["y[0,1]", "w[1,0]", "g[0,1]·w[1,0]"],
        ["y[0,0]", "w[1,1]", "g[0,0]·w[1,1]"],
    ]


def test_a_weight_is_used_at_every_output_and_the_reason_for_the_sum_is_told():
    rows = table(plain(), "beside w[1,1] there")
    assert [row[:2] for row in rows[1:]] == [
        ["y[0,0]", "x[1,1]"],
        ["y[0,1]", "x[1,2]"],
        ["y[1,0]", "x[2,1]"],
        ["y[1,1]", "x[2,2]"],
    ]
    assert "that is why ∂L/∂w sums over all positions" in words(plain())


# -- which taps fit -----------------------------------------------------------------------------
def test_taps_that_do_not_divide_are_listed_beside_those_that_do():
    rows = table(strided(), "divisible by 2?")
    assert rows[0][:2] == ["u", "2 − u"]
    assert [row[1:] for row in rows[1:]] == [
        ["2", "yes", "yes"],
        ["1", "no", "no"],
        ["0", "yes", "yes"],
    ]
    text = words(strided())
    assert "subscript 2i + u − 1 = −1, outside of x" in text
    assert "polyphase" in text


def test_a_window_outside_the_output_is_called_outside():
    rows = table(pooled(), "divisible by 2?")
    assert ["2", "−2", "yes", "−1 (outside)", "no"] in rows


def test_entries_that_no_output_reads_are_named():
    found = words(notes(conv(input=(8,), kernel=(2,), dilation=2, stride=2)))
    assert "No output reads the entries at a = 1, 3, 5, 7" in found
    assert "No output reads" not in words(plain())


def test_windows_without_weights_say_whether_going_back_is_up_sampling():
    apart, over = (named("avg_pool", input=(4, 4), kernel=2, stride=s) for s in (2, 1))
    assert "going back is up-sampling" in words(notes(apart))
    assert "holds only where windows do not overlap" in words(notes(over))
    assert "up-sampling" not in words(plain())


# -- forms, code, facts -------------------------------------------------------------------------
def test_the_general_form_and_the_one_at_these_sizes_stand_side_by_side():
    pairs = [b for b in strided().blocks if isinstance(b, Beside)]
    lefts = [pair.left.name for pair in pairs]
    assert lefts == ["forward", "gather_x", "scatter_x", "gather_w"]
    assert "s·i" in line(pairs[0].left.rows[0][1][0])
    assert "2i" in line(pairs[0].right.rows[0][1][0])


def test_steps_of_a_gradient_are_one_chain():
    chains = [b for b in plain().blocks if isinstance(b, Steps)]
    assert [len(chain.steps) for chain in chains] == [8, 8]


def test_every_formula_stands_over_the_code_that_computes_it():
    blocks = plain().blocks
    pairs = [
        (line(one.rows[0][0]), two.code)
        for one, two in pairwise(blocks)
        if isinstance(one, Display) and one.name == "code" and isinstance(two, Listing)
    ]
    assert [left for left, _ in pairs] == ["y[i,j]", "∂L/∂x[i+u,j+v]", "∂L/∂w[u,v]"]
    assert "y +=" in pairs[0][1]
    assert "dx[" in pairs[1][1]
    assert "dw[" in pairs[2][1]
    assert "#" not in "".join(code for _, code in pairs)


def test_the_listed_code_is_the_whole_of_both_functions():
    made = pipeline.make(pipeline.derive(pipeline.layer(spec("conv", {"input": 5, "kernel": 2}))))
    shown = [b.code for b in pipeline.document(made).blocks if isinstance(b, Listing)]
    rows = [row for code in shown for row in code.splitlines() if row.strip()]
    wanted = []
    for name in ("_forward_taps", "_backward_taps"):
        start = made.source.index(f"def {name}(")
        wanted += made.source[start : made.source.index("\n\n\n", start)].splitlines()
    kept = [row for row in wanted if row.strip() and not row.strip().startswith("#")]
    printed = iter(rows)  # a faster function may be listed behind them
    assert all(row in printed for row in kept)


def test_the_course_signature_runs_and_gives_the_gradients():
    shown = [b.code for b in plain().blocks if isinstance(b, Listing)]
    module = derive.derive(derive.conv(input=(3, 3), kernel=(2, 2))).kernel()
    space: dict[str, object] = {"backward": module.backward}
    exec(next(code for code in shown if "cache" in code), space)  # our own listing
    x, w, g = np.ones((3, 3)), np.ones((2, 2)), np.arange(4.0).reshape(2, 2)
    for one, two in zip(space["conv_backward"](g, (x, w)), module.backward(g, x, w), strict=True):
        assert (one == two).all()


@pytest.mark.parametrize(
    ("kind", "settings", "count"),
    [
        ("softmax", {"input": (4,)}, 4),
        ("batch_norm", {"input": (2, 3, 3)}, 9),
        ("global_max_pool", {"input": (2, 4, 4)}, 16),
        ("flatten", {"input": (2, 3)}, 1),
        ("lp_pool", {"input": (4, 4), "kernel": 2}, 4),
        ("conv", {"input": (5, 5), "kernel": 3, "padding": 1}, 9),
        ("conv_transpose", {"input": (4,), "kernel": 4, "stride": 2}, 2),
    ],
)
def test_an_entry_of_the_output_depends_on_so_many_entries(kind, settings, count):
    assert depends(named(kind, **settings).equation.at_sizes(), "x") == count


def test_an_equation_that_returns_in_a_network_is_told_once():
    net = derive.network("conv 2 > relu > conv 2 > relu > flatten > dense 1 > mse", input=(5, 5))
    found = derive.derive(net)
    text = words(pipeline_document(found))
    assert text.count("This layer has the equation of conv1") == 1
    assert text.count("This layer has the equation of relu1") == 1
    assert "the kernel is rotated by 180°. If the forward pass rotated it" in text


def pipeline_document(found: object) -> Document:
    from derive import assembly

    return assembly.document(found.made)


def test_what_returns_at_other_sizes_still_shows_its_equations_and_proof():
    short = resized(toy(), CERTIFICATE)
    found = [inline(b.text) for b in short.blocks if isinstance(b, Heading)]
    assert found[0] == "The layer"
    assert found[-2:] == ["The equations at these sizes", "What was proved"]


def test_symbolic_sizes_have_neither_example_nor_tables_of_taps():
    text = one_line(words(notes(equation("y[i] = sum[u](x[s*i+u]*w[u])"), style=Style())))
    assert "worked example" not in text
    assert "Which taps fit" not in text


# -- kernels with several ways --------------------------------------------------------------------
CHOOSING = '''
def forward(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """x (..., 3, 3), w (2, 2) -> y (..., 2, 2)."""
    x, w, batch = _arrays(x=x, w=w)
    y = _forward_taps(x, w) if x.dtype.char not in "fd" else _y_columns(x, w)
    return y.reshape(*batch, 2, 2)


def _forward_taps(x, w):
    """Any type of number."""
    # y[n,i,j] = sum[u,v](x[n,i+u,j+v] * w[u,v])
    y = np.zeros((len(x), 2, 2), x.dtype)
    return y


def _y_columns(x, w):
    """y: windows as columns,
    then one product.

    More about it.
    """
    return x


def _arrays(**given):
    """No way through the kernel."""
'''


def test_of_a_kernel_that_chooses_the_way_with_the_formulas_is_printed_and_the_others_are_listed():
    d = pipeline.derive(pipeline.layer(spec("conv", {"input": (3, 3), "kernel": (2, 2)})))
    found = notes(d, source=CHOOSING)
    headings = [inline(b.text) for b in found.blocks if isinstance(b, Heading)]
    assert "The function _forward_taps" in headings
    assert "The function forward" not in headings
    rows = table(found, "function")[1:]
    assert rows == [["_y_columns", "y: windows as columns, then one product."]]
    code = [b.code for b in found.blocks if isinstance(b, Listing)]
    assert any(text.startswith("    y = np.zeros") for text in code)
    assert any(text.startswith("def _y_columns") for text in code)
    assert [b.name for b in found.blocks if isinstance(b, Display)].count("code") == 1


def test_the_claim_of_all_ways_says_how_many_there_are():
    d = pipeline.derive(pipeline.layer(spec("conv", {"input": (3, 3), "kernel": (2, 2)})))
    checked = (("ways", "6"), ("entries", "864"))
    held = Certificate((Claim("strategies", ("y", "dx"), checked),))
    assert "All 6 ways through the kernel (y, dx) give the same numbers" in words(notes(d, held))


@pytest.mark.parametrize(
    "layer",
    [
        derive.conv(input=(5, 5), kernel=(3, 3), stride=2, padding=1),
        derive.cross_entropy(input=4),
    ],
)
def test_the_listing_for_a_readers_own_functions_passes_the_right_ones_only(layer):
    derivation = derive.derive(layer)
    kernel = derivation.kernel()
    blocks = own_blocks(trying.example(derivation, kernel), Sheet(derivation))
    (listing,) = (block for block in blocks if isinstance(block, Listing))
    lines = [line for line in listing.code.split("\n") if not line.startswith("from ")]
    right = {"forward": kernel.forward, "backward": kernel.backward}

    def wrong(*given):
        return 2 * mine(*given) if len(derivation.gradients) == 1 else [0] * 2

    def mine(*given):
        found = kernel.backward(*given)
        return found.dx if len(derivation.gradients) == 1 else found

    exec("\n".join(lines), {**right, "my_forward": kernel.forward, "my_backward": mine})
    with pytest.raises(AssertionError):
        exec("\n".join(lines), {**right, "my_forward": kernel.forward, "my_backward": wrong})
