"""The pictures show what naive loops find, cell by cell."""

from __future__ import annotations

import shutil
import subprocess
import xml.etree.ElementTree as ET
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from examples import conv, equation, named, softmax, transposed

import derive
from derive.documents import Cell, Document, Edge, Figure, Label, Paragraph
from derive.render.html.svg import svg
from derive.render.notes.chapters import _by, _value
from derive.render.notes.figures.columns import columns
from derive.render.notes.figures.connections import connections
from derive.render.notes.figures.dilute import dilute
from derive.render.notes.figures.network import network_figure
from derive.render.notes.figures.placed import (
    form_figures,
    forward_figures,
    gradient_figures,
    matrix_figures,
)
from derive.render.notes.figures.reach import reach
from derive.render.notes.figures.sharing import sharing
from derive.render.notes.figures.windows import windows
from derive.render.notes.figures.winners import winners
from derive.render.notes.sheet import Sheet
from derive.render.phrases import phrases
from derive.render.terminal.text import inline, line
from derive.render.tex.page import tex
from derive.trials import Example


def cells(figure: Figure, letter: str = "") -> list[Cell]:
    """The cells, or those whose label starts with a letter."""
    found = [s for s in figure.shapes if isinstance(s, Cell)]
    return [c for c in found if not letter or (c.label and line(c.label).startswith(letter))]


def labels(figure: Figure, **wanted: object) -> list[str]:
    """The labels of cells with these properties, in the order drawn."""
    kept = [c for c in cells(figure) if all(getattr(c, k) == v for k, v in wanted.items())]
    return [line(c.label) for c in kept if c.label]


def in_hue(found: list[Cell]) -> list[tuple[str, int]]:
    return [(line(c.label), c.hue) for c in found if c.label and c.hue is not None]


# -- windows -----------------------------------------------------------------------------------
def test_each_position_of_the_window_colours_exactly_the_entries_it_reads():
    figure = windows(Sheet(conv(input=(3, 3), kernel=(2, 2))))
    expected = [(f"x[{i + u},{j + v}]", 2 * u + v) for i, j, u, v in product(range(2), repeat=4)]
    assert in_hue(cells(figure, "x")) == expected
    assert in_hue(cells(figure, "w")) == [
        ("w[0,0]", 0),
        ("w[0,1]", 1),
        ("w[1,0]", 2),
        ("w[1,1]", 3),
    ]
    assert labels(figure, kind="strong") == ["y[0,0]", "y[0,1]", "y[1,0]", "y[1,1]"]


def test_numbered_entries_count_from_one_if_asked():
    from derive.specs import Style

    figure = windows(Sheet(conv(input=(3, 3), kernel=(2, 2)), Style(index_base=1)))
    assert labels(figure, kind="strong")[0] == "y[1,1]"


def test_a_padded_strided_window_draws_the_padding_that_is_read():
    figure = windows(Sheet(conv(input=(5, 5), kernel=(3, 3), stride=2, padding=1)))
    padding = [c for c in cells(figure) if c.kind == "padding"]
    assert len(padding) == 3 * (7 * 7 - 5 * 5)  # three positions are drawn
    # the corners' windows: 5 of 9 taps lie outside, the one at the edge has 3 there
    assert [c.hue for c in padding if c.hue is not None] == [0, 1, 2, 3, 6, 0, 1, 2, 2, 5, 6, 7, 8]


def test_rows_that_no_window_reads_are_pale():
    figure = windows(Sheet(conv(input=(4, 5), kernel=(2, 2), stride=2)))
    assert set(labels(figure, kind="faint")) == {f"x[{a},4]" for a in range(4)}


def test_a_dilated_window_has_gaps():
    figure = windows(Sheet(conv(input=(5, 5), kernel=(2, 2), dilation=3)))
    first = [c for c in cells(figure, "x") if c.hue is not None][:4]
    assert in_hue(first) == [("x[0,0]", 0), ("x[0,3]", 1), ("x[3,0]", 2), ("x[3,3]", 3)]


def test_a_transposed_convolution_spreads_an_entry_of_x_over_y():
    figure = windows(Sheet(transposed()))  # y[2*i + u] += x[i]*w[u]
    assert labels(figure, kind="strong") == ["x[0]", "x[1]", "x[2]"]
    expected = [(f"y[{2 * i + u}]", u) for i in range(3) for u in range(3)]
    assert in_hue(cells(figure, "y")) == expected


def test_padding_under_a_maximum_holds_no_zero():
    figure = windows(Sheet(named("max_pool", input=(4, 4), kernel=2, stride=2, padding=1)))
    assert all(c.label is None for c in cells(figure) if c.kind == "padding")
    assert "do not take part" in inline(figure.caption)


@pytest.mark.parametrize(
    "d",
    [softmax(), named("dense", input=(4,), units=3), conv(input=(64, 64), kernel=(3, 3))],
    ids=["softmax", "dense", "large"],
)
def test_where_nothing_slides_or_all_is_too_large_there_is_no_picture(d):
    sheet = Sheet(d)
    found = [*forward_figures(sheet), *matrix_figures(sheet)]
    assert [*found, *(f for g in d.gradients for f in gradient_figures(g, sheet))] == []


# -- gradients ---------------------------------------------------------------------------------
def reached(size: int, kernel: int, stride: int, pad: int, at: tuple[int, int]):
    """The g's whose window reads x at ``at``, with the tap between, by going through windows."""
    out = (size + 2 * pad - kernel) // stride + 1
    found = {}
    for i, j, u, v in product(range(out), range(out), range(kernel), range(kernel)):
        if (stride * i + u - pad, stride * j + v - pad) == at:
            found[f"g[{i},{j}]"] = kernel * u + v
    return found


@pytest.mark.parametrize("shape", [(3, 2, 1, 0), (5, 3, 2, 1), (4, 3, 1, 0), (6, 3, 2, 0)])
def test_gather_colours_the_upstream_entries_by_the_tap_that_joins_them(shape):
    size, kernel, stride, pad = shape
    d = conv(input=(size, size), kernel=(kernel, kernel), stride=stride, padding=pad)
    figure = reach(d.gradient("x"), Sheet(d))
    (at,) = [c for c in labels(figure, kind="strong") if c.startswith("x")]
    place = tuple(int(k) for k in at[2:-1].split(","))
    assert dict(in_hue(cells(figure, "g"))) == reached(size, kernel, stride, pad, place)


def test_the_kernel_is_met_rotated_by_180_degrees():
    d = conv(input=(4, 4), kernel=(3, 3))
    names = [line(c.label) for c in cells(reach(d.gradient("x"), Sheet(d)), "w")]
    forward, met = names[:9], names[9:]
    assert forward == [f"w[{u},{v}]" for u in range(3) for v in range(3)]
    figure = reach(d.gradient("x"), Sheet(d))
    later = sorted(cells(figure, "w")[9:], key=lambda c: (c.y, c.x))
    assert [line(c.label) for c in later] == forward[::-1]
    assert sorted(met) == sorted(forward)


def test_a_flipped_kernel_is_met_straight():
    d = conv(input=(3, 3), kernel=(2, 2), flip=True)
    figure = reach(d.gradient("x"), Sheet(d))
    met = sorted(cells(figure, "w")[4:], key=lambda c: (c.y, c.x))
    assert [line(c.label) for c in met] == ["w[0,0]", "w[0,1]", "w[1,0]", "w[1,1]"]
    assert "rotated by 180°" not in inline(figure.caption)


def test_a_tap_touches_its_entries_and_each_is_joined_by_its_output():
    d = conv(input=(3, 3), kernel=(2, 2))
    figure = sharing(d.gradient("w"), Sheet(d))
    pairs = [inline(s.text) for s in figure.shapes if isinstance(s, Label)]
    held = [p for p in pairs if p[0] in "xg"]
    expected = [
        name
        for u, v in product(range(2), repeat=2)
        for i, j in product(range(2), repeat=2)
        for name in (f"x[{i + u},{j + v}]", f"g[{i},{j}]")
    ]
    assert held == expected


def test_a_spread_gradient_has_zeros_between_and_around():
    d = conv(input=(6, 6), kernel=(3, 3), stride=2)
    figure = dilute(d.gradient("x"), Sheet(d))
    assert labels(figure, hue=None).count("g[0,0]") == 1
    spread = [c for c in cells(figure) if c.x < 8 and c.hue is None]
    assert sum(c.kind == "padding" for c in spread) == 8 * 8 - 3 * 3
    assert len([c for c in cells(figure, "x") if c.kind == "plain"]) == 25
    assert "read by no window" in inline(figure.caption)


def test_a_convolution_without_stride_needs_no_spread():
    d = conv(input=(3, 3), kernel=(2, 2))
    assert dilute(d.gradient("x"), Sheet(d)) is None


# -- matrices and graphs -----------------------------------------------------------------------
def test_four_shared_parameters_stand_against_36_connections():
    figure = connections(Sheet(conv(input=(3, 3), kernel=(2, 2))))
    edges = [s for s in figure.shapes if isinstance(s, Edge)]
    assert [sum(e.hue == k for e in edges) for k in range(4)] == [4, 4, 4, 4]
    assert sum(e.hue is None for e in edges) == 36
    assert "4 shared" not in inline(figure.caption)
    assert "(4 parameters on 16 connections)" in inline(figure.caption)
    assert "36 connections" in inline(figure.caption)


def test_every_window_is_a_column():
    figure = columns(Sheet(conv(input=(3, 3), kernel=(2, 2))))
    found = sorted(cells(figure, "x"), key=lambda c: (c.x, c.y))
    expected = [f"x[{i + u},{j + v}]" for i, j, u, v in product(range(2), repeat=4)]
    assert [line(c.label) for c in found] == expected
    assert [c.hue for c in found] == [0, 1, 2, 3] * 4


# -- winners -----------------------------------------------------------------------------------
@pytest.mark.parametrize("ties", ["first", "split"])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pad"), [(5, 3, 2, 0), (5, 3, 2, 1), (4, 2, 1, 0)]
)
def test_the_winners_are_those_of_a_naive_loop(size, kernel, stride, pad, ties):
    d = named("max_pool", input=(size, size), kernel=kernel, stride=stride, padding=pad, ties=ties)
    found = cells(winners(d.gradient("x"), Sheet(d)))
    outs = ((size + 2 * pad - kernel) // stride + 1) ** 2
    count = size * size
    x = [int(line(c.label)) for c in found[:count]]
    y = [int(line(c.label)) for c in found[count : count + outs]]
    dx = [sum(map(Fraction, line(c.label).split("+"))) for c in found[-count:]]
    top, back = pooled(x, size, kernel, stride, pad, ties)
    assert y == top
    assert dx == back
    assert [c.kind == "strong" for c in found[:count]] == [value > 0 for value in back]


def pooled(x, size, kernel, stride, pad, ties):
    """y, and the gradient of x for g = 1, 2, 3, …."""
    out = (size + 2 * pad - kernel) // stride + 1
    top, back = [], [Fraction(0)] * (size * size)
    for i, j in product(range(out), repeat=2):
        places = [
            (stride * i + u - pad) * size + stride * j + v - pad
            for u, v in product(range(kernel), repeat=2)
            if 0 <= stride * i + u - pad < size and 0 <= stride * j + v - pad < size
        ]
        best = max(x[p] for p in places)
        top.append(best)
        winning = [p for p in places if x[p] == best]
        for p in winning if ties == "split" else winning[:1]:
            back[p] += Fraction(len(top), len(winning) if ties == "split" else 1)
    return top, back


def test_the_example_has_a_tie_and_an_entry_that_wins_twice():
    d = named("max_pool", input=(5, 5), kernel=3, stride=2)
    figure = winners(d.gradient("x"), Sheet(d))
    assert any("+" in name for name in labels(figure))
    assert "first in row-major order" in inline(figure.caption)


def test_the_winners_are_drawn_with_the_numbers_of_the_worked_example():
    d = named("max_pool", input=(2, 5, 5), kernel=3, stride=2)
    x = np.arange(50.0).reshape(2, 5, 5) % 7
    g = np.array([[[-1.0, 2], [3, -4]], [[0, 0], [0, 0]]])
    example = Example((("x", x),), g, x[:, ::2, ::2], ())
    found = cells(winners(d.gradient("x"), Sheet(d, example=example)))
    top, _ = pooled(list(x[0].ravel()), 5, 3, 2, 0, "first")
    assert [line(c.label) for c in found[:25]] == [f"{n:g}" for n in x[0].ravel()]
    assert [line(c.label) for c in found[25:33]] == [*(f"{n:g}" for n in top), "−1", "2", "3", "−4"]
    assert sum(added(line(c.label)) for c in found[33:]) == g.sum()


def added(text):
    return sum(map(Fraction, text.replace(" ", "").replace("−", "+-").strip("+").split("+")))


def test_an_average_has_no_winners():
    d = named("avg_pool", input=(4, 4), kernel=2)
    assert winners(d.gradient("x"), Sheet(d)) is None


# -- networks ----------------------------------------------------------------------------------
def drawn(text: str, shape: tuple[int, ...]) -> tuple[Figure, object]:
    network = derive.network(text, input=shape)
    return network_figure(network, phrases(), lambda n: _value(n, network), _by), network


RESIDUAL = "conv 1x1 filters=2 as a > conv 3x3 filters=2 padding=1 > add a > flatten > dense 3"


def test_a_network_shows_every_layer_once_and_every_factor_once():
    figure, network = drawn(RESIDUAL, (2, 4, 4))
    words = [inline(s.text) for s in figure.shapes if isinstance(s, Label)]
    assert [w for w in words if w in {n.text for n in network.nodes}] == [
        n.text for n in network.nodes
    ]
    slopes = sorted(w for w in words if w.startswith("∂"))
    assert slopes == sorted(
        f"∂x[{b}]/∂x[{a}]" for a, b in [(0, 1), (1, 2), (2, 3), (1, 3), (3, 4), (4, 5)]
    )
    assert "2×4×4, 36 to train" in words
    assert len(cells(figure)) == 1 + len(network.nodes)


def test_a_way_around_layers_is_an_arc_of_its_own():
    figure, _ = drawn(RESIDUAL, (2, 4, 4))
    arcs = [s for s in figure.shapes if isinstance(s, Edge) and len(s.points) == 4]
    assert len(arcs) == 2  # what is handed on, and the factor back
    assert [s.hue is None for s in arcs] == [True, False]


# -- printers ----------------------------------------------------------------------------------
def gallery() -> list[Figure]:
    """One of each, in one and two axes."""
    every: list[Figure] = []
    for d in (
        conv(input=(3, 3), kernel=(2, 2)),
        conv(input=(2, 5, 5), kernel=(3, 3), stride=2, padding=1, filters=2),
        conv(input=(6,), kernel=(3,), stride=2),
        named("max_pool", input=(5, 5), kernel=3, stride=2, ties="split"),
        named("conv_transpose", input=(3, 3), kernel=(3, 3), stride=2, padding=1),
        equation("y[i] = min[u](x[i+u])", (("x", (4,)), ("y", (3,)))),
    ):
        sheet = Sheet(d)
        every += [*forward_figures(sheet), *matrix_figures(sheet)]
        every += [
            f for g in d.gradients for f in [*gradient_figures(g, sheet), *form_figures(g, sheet)]
        ]
    return [*every, drawn(RESIDUAL, (2, 4, 4))[0]]


def test_every_picture_has_a_caption_and_an_alternative_and_stays_in_its_frame():
    for figure in gallery():
        assert figure.alt
        assert figure.caption
        for shape in figure.shapes:
            if isinstance(shape, Cell):
                assert -1e-9 <= shape.x <= figure.width - shape.width + 1e-9
                assert -1e-9 <= shape.y <= figure.height - shape.height + 1e-9


def test_cells_never_cover_each_other():
    for figure in gallery():
        taken = [(c.x, c.y, c.x + c.width, c.y + c.height) for c in cells(figure)]
        for k, (a, b, c, d) in enumerate(taken):
            for e, f, g, h in taken[k + 1 :]:
                inside = min(c, g) - max(a, e) > 1e-6 and min(d, h) - max(b, f) > 1e-6
                assert not inside, figure.name


def test_svg_is_xml_with_a_description():
    for figure in gallery():
        root = ET.fromstring(svg(figure))
        space = "{http://www.w3.org/2000/svg}"
        assert root.get("role") == "img"
        assert root.find(f"{space}title").text == figure.alt
        assert len(root.findall(f"{space}rect")) == len(cells(figure))
        hues = [r for r in root.findall(f"{space}rect") if "hue-" in r.get("class")]
        assert len(hues) == sum(c.hue is not None for c in cells(figure))


def test_words_cannot_become_markup():
    figure = Figure("f", 1, 1, (Label(0, 0, ("<script>&",)),), (), "<b>&")
    assert "<script>" not in svg(figure)
    assert "<b>" not in svg(figure)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX on this machine")
def test_tex_sets_every_picture_within_the_line(tmp_path):
    blocks = [b for figure in gallery() for b in (Paragraph((figure.name,)), figure)]
    (tmp_path / "f.tex").write_text(tex(Document("", tuple(blocks))), encoding="utf-8")
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "f.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=120)
    log = (tmp_path / "f.log").read_text(encoding="latin-1")
    assert done.returncode == 0, log[-2000:]
    assert "Overfull" not in log
