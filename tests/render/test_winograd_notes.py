"""The section on Winograd's kernel, against the textbook case and numbers counted by hand."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from derive.documents import Block, Display, Document, Heading, Paragraph, Table
from derive.render.html.page import html
from derive.render.notes.winograd import winograd_blocks
from derive.render.phrases import phrases
from derive.render.terminal.text import inline, line
from derive.render.tex.page import tex
from derive.render.typst.page import typst
from derive.toom import toom

F43 = (toom(4, 3), toom(4, 3))


def shown(blocks: list[Block]) -> dict[str, list[str]]:
    """Display → its lines as text."""
    return {
        block.name: [" ".join([line(left), *map(line, right)]) for left, right in block.rows]
        for block in blocks
        if isinstance(block, Display)
    }


def test_two_outputs_of_three_taps_are_the_textbooks_four_products() -> None:
    found = shown(winograd_blocks(F43, phrases("en")))
    assert found["winograd_products"] == [
        "m[1]  = (d[0] − d[2])·g[0]",
        "m[2]  = (d[1] + d[2])·(g[0] + g[1] + g[2])/2",
        "m[3]  = (d[2] − d[1])·(g[0] − g[1] + g[2])/2",
        "m[4]  = (d[3] − d[1])·g[2]",
    ]
    assert found["winograd_outputs"] == ["y[0]  = m[1] + m[2] + m[3]", "y[1]  = m[2] − m[3] + m[4]"]


def test_the_lines_by_hand_are_true_of_numbers() -> None:
    found = shown(winograd_blocks(F43, phrases("en")))
    values = {"d": [3, -1, 4, 7], "g": [2, 5, -6], "m": [0] * 5, "y": [0] * 2}

    def done(name: str) -> list[float]:
        for text in found[name]:
            left, right = text.replace("−", "-").replace("·", "*").split("  = ")
            right = re.sub(r"\](?=[a-z])", "]*", right)
            letter, place = left[0], int(left[2])
            assert re.fullmatch(r"[dgmy\[\]()*+/ \d-]+", right)
            values[letter][place] = eval(right, {}, values)
        return list(values["y"])

    direct = done("winograd_direct")
    done("winograd_products")
    assert done("winograd_outputs") == direct == [3 * 2 - 1 * 5 - 4 * 6, -2 + 20 - 42]


def test_counts_of_four_by_four_outputs_and_of_other_shapes() -> None:
    def counts(*axes: tuple[int, int]) -> list[list[str]]:
        blocks = winograd_blocks([toom(*axis) for axis in axes], phrases("en"))
        (table,) = (block for block in blocks if isinstance(block, Table))
        return [[inline(cell) for cell in row] for row in table.rows]

    assert counts((4, 3), (4, 3)) == [["4", "12", "6", "2"], ["4×4", "144", "36", "4"]]
    assert counts((4, 3)) == [["4", "12", "6", "2"]]
    assert counts((4, 3), (2, 5))[-1] == ["4×2", "120", "36", "3.33"]


def test_the_matrices_and_their_points_are_those_of_the_kernel() -> None:
    blocks = winograd_blocks(F43, phrases("en"))
    found = shown(blocks)["winograd_4_3"]
    assert found[0].startswith("A  = [1, 27, 27, 8, 8, 0;")
    assert found[1].startswith("G  = 1/4680")
    told = " ".join(inline(block.text) for block in blocks if isinstance(block, Paragraph))
    assert "0, 2/3, −2/3, 3/2, −3/2, ∞" in told
    assert "All 72 of these numbers" in told  # 4 outputs · 3 taps · 6 inputs


def test_axes_that_differ_show_their_matrices_one_after_the_other() -> None:
    found = shown(winograd_blocks((toom(4, 3), toom(2, 5)), phrases("en")))
    assert {"winograd_4_3", "winograd_2_5"} <= found.keys()


def test_the_gradient_takes_the_steps_in_reverse_order_transposed() -> None:
    found = shown(winograd_blocks(F43, phrases("en")))
    assert found["winograd_steps"][1:5] == [
        "V  = B·D", "U  = G·w", "M[k]  = V[k]·U[k]", "Y  = A·M",
    ]  # fmt: skip
    back = found["winograd_adjoint"]
    assert back[1] == "dM  = A^⊤·dY"
    assert {"dU[k]  = V[k]^⊤·dM[k]", "dV[k]  = dM[k]·U[k]^⊤"} <= set(back)
    assert {"dw  = G^⊤·dU", "dD  = B^⊤·dV"} <= set(back)


@pytest.mark.parametrize("used", [F43, F43[:1], (toom(4, 3), toom(2, 5))])
def test_every_printer_prints_it(used: tuple[object, ...]) -> None:
    document = Document("Kernel", tuple(winograd_blocks(used, phrases("en"))))  # type: ignore[arg-type]
    assert r"\odot" in tex(document)
    assert "⊙" in html(document)
    source = typst(document)
    typst_ = pytest.importorskip("typst")
    assert typst_.compile(source.encode()).startswith(b"%PDF")


def test_headings_stand_one_below_the_other_in_order() -> None:
    levels = [b.level for b in winograd_blocks(F43, phrases("en")) if isinstance(b, Heading)]
    assert levels[0] == 1
    assert all(later <= level + 1 for level, later in pairwise(levels))
