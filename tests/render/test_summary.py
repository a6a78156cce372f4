"""The terminal's page: what it says, and that it keeps to its width in every spelling."""

from __future__ import annotations

from functools import cache
from itertools import product

import pytest
from examples import (
    CERTIFICATE,
    attention,
    batch_norm,
    conv,
    equation,
    named,
    separable,
    softmax,
    strided,
    toy,
    transposed,
)

import derive
from derive import pipeline
from derive.derivations import Derivation
from derive.render.hues import HUES
from derive.render.terminal.ansi import MIDDLE, luminance, neutral
from derive.render.terminal.overview import overview
from derive.render.terminal.rails import rails
from derive.render.terminal.summary import summary

DERIVATIONS = {
    "toy": toy,
    "strided": strided,
    "groups": lambda: conv(
        input=(4, 9, 9),
        kernel=(3, 3),
        filters=8,
        groups=2,
        dilation=2,
        padding=((1, 2), (0, 1)),
    ),
    "large": lambda: conv(input=(64, 224, 224), kernel=(3, 3), filters=64, padding=1, bias=True),
    "line": lambda: conv(input=(28,), kernel=(5,), padding="same"),
    "volume": lambda: conv(input=(4, 4, 4), kernel=(2, 2, 2)),
    "symbolic": lambda: equation("y[i] = sum[u](x[s*i+u]*w[u])"),
    "pool": lambda: named("max_pool", input=(5, 5), kernel=(3, 3), stride=2, padding=1),
    "upsampled": lambda: named("conv_transpose", input=(3, 3), kernel=(3, 3), stride=2),
    "cross_entropy": lambda: named("cross_entropy", input=(4,), target="distribution"),
    "softmax": softmax,
    "batch_norm": batch_norm,
    "attention": attention,
    "separable": separable,
    "transposed": transposed,
}
WIDTHS = (40, 47, 50, 64, 80, 120)
SKIPPING = (
    "conv 3x3 filters=2 padding=1 as a > relu as b > add a > relu > add b > flatten > dense 1"
)


@cache
def skipping() -> derive.graphs.NetworkDerivation:
    from derive import assembly

    return assembly.derive(derive.network(SKIPPING + " > mse", input=(2, 4, 4)))


@pytest.mark.parametrize("name", DERIVATIONS)
def test_no_line_is_longer_than_the_terminal(name: str) -> None:
    for width, unicode in product(WIDTHS, (True, False)):
        text = summary(DERIVATIONS[name](), CERTIFICATE, unicode=unicode, width=width)
        long = [line for line in text.splitlines() if len(line) > width]
        assert not long, (width, unicode)


def test_no_line_of_a_network_is_longer_than_the_terminal() -> None:
    for width, unicode in product(WIDTHS, (True, False)):
        text = overview(skipping(), (("conv1", CERTIFICATE),), unicode=unicode, width=width)
        assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("name", DERIVATIONS)
def test_a_narrow_page_says_what_a_wide_one_says(name: str) -> None:
    """Nothing is cut: but for the picture, blanks and where conditions stand."""

    def letters(width: int) -> list[str]:
        text = summary(DERIVATIONS[name](), CERTIFICATE, width=width)
        head, _, rest = text.partition("Forward\n")
        assert rest, head
        return sorted(c for c in rest if c.isalnum() or c in "∂∑∣≤")

    wide, narrow = letters(120), letters(40)
    extra = len(narrow) - len(wide)
    assert 0 <= extra <= 5 * narrow.count("h")  # "where" may come in
    for letter in set(wide):
        assert narrow.count(letter) >= wide.count(letter)


@pytest.mark.parametrize("name", DERIVATIONS)
def test_there_is_an_ascii_form_without_a_sign_that_has_no_spelling(name: str) -> None:
    plain = summary(DERIVATIONS[name](), CERTIFICATE, unicode=False)
    assert plain.isascii()
    assert "?" not in plain


@pytest.mark.parametrize("colours", [256, 1 << 24])
@pytest.mark.parametrize("name", ["toy", "pool", "softmax"])
def test_colours_change_no_letter_and_every_one_is_reset(name: str, colours: int) -> None:
    import re

    d = DERIVATIONS[name]()
    text = summary(d, CERTIFICATE, colours=colours)
    assert re.sub("\033\\[[0-9;]*m", "", text) == summary(d, CERTIFICATE)
    for line in text.splitlines():
        codes = re.findall("\033\\[([0-9;]*)m", line)
        assert codes[1::2] == ["0"] * (len(codes) // 2)
        assert "0" not in codes[0::2]
    assert ("\033[38;2;" in text) == (colours > 256 and name == "toy") or name != "toy"


def test_letters_are_read_as_well_on_black_as_on_white() -> None:
    for text in HUES:
        rgb = tuple(int(text[k : k + 2], 16) for k in (0, 2, 4))
        light = luminance(neutral((rgb[0], rgb[1], rgb[2])))
        assert (light + 0.05) / 0.05 > 4.4
        assert 1.05 / (light + 0.05) > 4.4
    assert 0.17 < MIDDLE < 0.19


def test_a_tap_has_one_colour_in_picture_kernel_and_formulas() -> None:
    text = summary(toy(), colours=256)
    tile = "\033[1;97;48;5;25m"  # the first hue: 0072B2
    assert text.count(f"{tile} 00 ") == 2  # in x and in w
    assert "\033[38;5;" in text.split("For example")[1]


def test_the_first_tiles_are_those_of_the_kernel() -> None:
    flipped = conv(input=(3, 3), kernel=(2, 2), flip=True)
    tile = "\033[1;97;48;5;25m"
    assert f"{tile} 11 " in summary(flipped, colours=256)  # x[1,1] meets w[0,0]


# -- networks --------------------------------------------------------------------------------
def test_a_chain_goes_straight_down() -> None:
    assert rails(3, [(0, 1), (1, 2)]) == ["○  ", "▼  ", "▼  "]


def test_an_edge_that_skips_layers_goes_around_them() -> None:
    assert rails(4, [(0, 1), (1, 2), (2, 3), (0, 3)]) == ["○─╮  ", "▼ │  ", "▼ │  ", "▼◂╯  "]


def test_edges_that_cross_have_rails_of_their_own() -> None:
    straight = [(k, k + 1) for k in range(5)]
    assert rails(6, [*straight, (1, 3), (2, 5)]) == [
        *("○      ", "▼─╮    ", "▼─┼─╮  ", "▼◂╯ │  ", "▼   │  ", "▼◂──╯  ")
    ]


def test_the_picture_of_a_network_has_its_skips_shapes_and_counts() -> None:
    lines = overview(skipping(), width=120).splitlines()
    rows = lines[lines.index("Layers") + 1 :][:10]
    assert rows[1].startswith("  ○")
    assert rows[2].split()[-4:] == ["2×4×4", "w", "2×2×3×3", "36"]
    assert [row[2:8].strip() for row in rows[2:7]] == ["▼─╮", "▼─┼─╮", "▼◂╯ │", "▼   │", "▼◂──╯"]


# -- the whole page --------------------------------------------------------------------------
def test_the_page_of_3x3_under_2x2() -> None:
    text = summary(toy(), None, ("generated/conv2d_3x3_k2x2/kernel.py",))
    assert text == PAGE


def test_a_file_name_is_never_broken() -> None:
    name = "a/folder name that goes on/" + "x" * 100
    assert f"  {name}\n" in summary(toy(), None, (name,), width=40)


def test_a_layer_proved_on_the_way_has_its_ticks() -> None:
    layer = pipeline.derive(derive.conv(input=(3,), kernel=(2,)))
    assert isinstance(layer, Derivation)
    assert "  ✓ y, dx, dw with symbols" in summary(layer, pipeline.make(layer).certificate)


PAGE = """\
Convolution (cross-correlation) in 2-D
──────────────────────────────────────

Shapes
  x  3×3  input
  w  2×2  kernel
  y  2×2  output

Windows
  x                  w             y
  ┏━━━━┳━━━━┳╍╍╍╍┓   ┌────┬────┐   ┏━━━━┳╍╍╍╍┓
  ┃ 00 ╏ 01 ┃ 02 ╏   │ 00 │ 01 │   ┃ 00 ┃ 01 ╏
  ┠────╂────╂────┨   ├────┼────┤   ┡━━━━╇╍╍╍╍┩
  ┃ 10 ╏ 11 ┃ 12 ╏   │ 10 │ 11 │   │ 10 │ 11 │
  ┡━━━━╇━━━━╇╍╍╍╍┩   └────┴────┘   └────┴────┘
  │ 20 │ 21 │ 22 │
  └────┴────┴────┘
  The window with the heavy outline makes y[0,0], the dashed one y[0,1].

Forward
  y[i,j] = ∑_{u,v} x[i+u,j+v]·w[u,v]

Gradients, with g = ∂L/∂y
  ∂L/∂x[a,b] = ∑_{u,v: 0 ≤ a − u < 2, 0 ≤ b − v < 2} g[a−u,b−v]·w[u,v]
    scatter  ∂L/∂x[i+u,j+v] += g[i,j]·w[u,v]
    ∂L/∂x is the full convolution of g with w: g, padded with zeros (1 on every
    side), under w rotated by 180°.
  ∂L/∂w[u,v] = ∑_{i,j} g[i,j]·x[i+u,j+v]
    ∂L/∂w is the valid cross-correlation of x with g: g slides over x as a
    kernel does, and nothing is turned.

For example
  y[0,0] = x[0,0]·w[0,0] + x[0,1]·w[0,1] + x[1,0]·w[1,0] + x[1,1]·w[1,1]
  ∂L/∂w[0,0] = g[0,0]·x[0,0] + g[0,1]·x[0,1] + g[1,0]·x[1,0] + g[1,1]·x[1,1]
  ∂L/∂x[1,1] = g[1,1]·w[0,0] + g[1,0]·w[0,1] + g[0,1]·w[1,0] + g[0,0]·w[1,1]

Counts and connections
  O_h = H − K_h + 1 = 3 − 2 + 1 = 2
  O_w = W − K_w + 1 = 3 − 2 + 1 = 2
  Numbers to train: 4 (weights of a fully connected layer between the same
  shapes: 36).
  Multiply-adds for one sample: 16.
  Receptive field: one entry of y sees 2×2 of x; jump (how far apart
  neighbouring entries look): 1×1.
  Connections are local: an entry of y depends on its own window of x only.
  Weights are shared: the same ones serve every window.

Written
  generated/conv2d_3x3_k2x2/kernel.py
"""
