"""The picture of the windows, cell by cell against windows found by slicing."""

from __future__ import annotations

from itertools import product

import pytest
from examples import conv, equation, named, softmax

from derive.render.notes.sheet import Sheet
from derive.render.terminal.painted import Painted
from derive.render.terminal.picture import Windows, picture, windows

Place = tuple[int, int]


def drawn(lines: list[Painted], column: int, name: str) -> dict[Place, tuple[str, str]]:
    """Row, column of a grid → what stands in the cell and the four lines around it."""
    texts = [line.text for line in lines]
    top = next(k for k, text in enumerate(texts) if text[column : column + 1] == name) + 1
    found: dict[Place, tuple[str, str]] = {}
    for r, row in enumerate(range(top, len(texts) - 1, 2)):
        above, here, below = (
            texts[k].ljust(200) for k in (row, row + 1, min(row + 2, len(texts) - 1))
        )
        for c in range(20):
            left = column + 5 * c
            label = here[left + 1 : left + 5].strip()
            if label != "·" and not label.isdigit():
                break
            found[r, c] = (label, above[left + 2] + here[left + 5] + below[left + 2] + here[left])
    return found


def expected(inside: set[Place], after: set[Place], r: int, c: int) -> list[str]:
    """The lines around a cell: up, right, down, left."""
    out = []
    for other, signs in (
        ((r - 1, c), "━╍"),
        ((r, c + 1), "┃╏"),
        ((r + 1, c), "━╍"),
        ((r, c - 1), "┃╏"),
    ):
        heavy = ((r, c) in inside) != (other in inside)
        dashed = ((r, c) in after) != (other in after)
        out.append(signs[0] if heavy else signs[1] if dashed else "")
    return out


CASES = [
    ((3, 3), (2, 2), 1, 0, 1),
    ((5, 5), (3, 3), 2, 1, 1),
    ((7, 7), (3, 3), 1, 0, 2),
    ((6, 5), (2, 3), 3, 1, 1),
]


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation"), CASES)
def test_every_cell_is_where_slicing_finds_it(
    size: Place, kernel: Place, stride: int, padding: int, dilation: int
) -> None:
    d = conv(input=size, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    found = windows(Sheet(d))
    assert found is not None
    lines = picture(found, 78)
    assert lines is not None
    taps = list(product(*(range(0, dilation * k, dilation) for k in kernel)))
    first, after = set(taps), {(r, c + stride) for r, c in taps}
    cells = drawn(lines, 0, "x")
    last = 1 + max(r for r, _ in cells)
    assert last >= padding + size[0]
    for (r, c), (label, around) in cells.items():
        real = 0 <= r - padding < size[0] and 0 <= c - padding < size[1]
        assert label == (f"{r - padding}{c - padding}" if real else "·")
        for sign, wanted in zip(around, expected(first, after, r, c), strict=True):
            assert sign == wanted if wanted else sign not in "━╍┃╏"
    assert {place for place, (label, _) in cells.items() if label != "·"} == {
        (r + padding, c + padding) for r, c in product(*map(range, size))
    }


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation"), CASES)
def test_the_kernel_and_the_output_stand_beside_it(
    size: Place, kernel: Place, stride: int, padding: int, dilation: int
) -> None:
    d = conv(input=size, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    found = windows(Sheet(d))
    lines = found and picture(found, 78)
    assert lines
    taps = drawn(lines, lines[0].text.index("w"), "w")
    assert {p: t for p, (t, _) in taps.items()} == {
        (r, c): f"{r}{c}" for r, c in product(*map(range, kernel))
    }
    result = [
        (n + 2 * padding - dilation * (k - 1) - 1) // stride + 1
        for n, k in zip(size, kernel, strict=True)
    ]
    outputs = drawn(lines, lines[0].text.index("y"), "y")
    assert {p: t for p, (t, _) in outputs.items()} == {
        (r, c): f"{r}{c}" for r, c in product(*map(range, result))
    }
    assert outputs[0, 0][1].count("━") == 2
    assert outputs[0, 0][1].count("┃") == 2


def seen(**settings: object) -> Windows:
    found = windows(Sheet(conv(**settings)))
    assert found is not None
    return found


def test_a_true_convolution_meets_the_taps_from_the_other_end() -> None:
    assert seen(input=(4, 4), kernel=(2, 2), flip=True).first == {
        (1, 1): 0,
        (1, 0): 1,
        (0, 1): 2,
        (0, 0): 3,
    }


def test_of_channels_groups_and_filters_the_first_are_drawn() -> None:
    found = seen(input=(4, 6, 6), kernel=(2, 3), filters=4, groups=2, stride=(1, 2))
    assert found.first == {(r, c): 3 * r + c for r in range(2) for c in range(3)}
    assert found.next == {(r, c + 2): 3 * r + c for r in range(2) for c in range(3)}
    assert (found.shape, found.taps, found.result, found.slice) == ((6, 6), (2, 3), (5, 2), True)


def test_a_line_of_entries_is_one_row() -> None:
    lines = picture(seen(input=(5,), kernel=(2,)), 78)
    assert lines is not None
    assert [line.text for line in lines] == [
        "x                       w           y",
        "┏━━━┳━━━┳╍╍╍┱───┬───┐   ┌───┬───┐   ┏━━━┳╍╍╍┱───┬───┐",
        "┃ 0 ╏ 1 ┃ 2 ╏ 3 │ 4 │   │ 0 │ 1 │   ┃ 0 ┃ 1 ╏ 2 │ 3 │",
        "┗━━━┻━━━┻╍╍╍┹───┴───┘   └───┴───┘   ┗━━━┻╍╍╍┹───┴───┘",
    ]


def test_entries_are_counted_from_one_on_request() -> None:
    lines = picture(seen(input=(3, 3), kernel=(2, 2)), 78, base=1)
    assert lines is not None
    assert lines[2].text == "┃ 11 ╏ 12 ┃ 13 ╏   │ 11 │ 12 │   ┃ 11 ┃ 12 ╏"


def test_a_pool_is_drawn_without_a_kernel() -> None:
    d = named("max_pool", input=(5, 5), kernel=(3, 3), stride=2, padding=1)
    found = windows(Sheet(d))
    lines = found and picture(found, 78)
    assert lines
    assert lines[0].text.split() == ["x", "y"]
    assert lines[1].text.startswith("┏━━━━━━━━━┳━━━━┳╍╍╍╍━╍╍╍╍┓ ")


def test_of_a_large_input_the_corner_is_drawn() -> None:
    lines = picture(seen(input=(3, 32, 32), kernel=(3, 3), filters=2, stride=2, padding=1), 78)
    assert lines is not None
    assert "…" in lines[2].text
    assert "⋮" in lines[-1].text
    assert len(lines) < 12


def test_what_is_too_wide_stands_below_or_is_left_out() -> None:
    found = seen(input=(5, 5), kernel=(3, 3), stride=2, padding=1)
    narrow, none = picture(found, 38), picture(found, 20)
    assert narrow is not None
    assert [line.text.split() for line in narrow if line.text[:1] in "xwy"] == [["x"], ["w", "y"]]
    assert max(map(len, narrow)) <= 38
    assert none is None
    assert picture(seen(input=(40, 40), kernel=(20, 20)), 78) is None


def test_nothing_is_drawn_where_nothing_slides_or_sizes_are_unknown() -> None:
    assert windows(Sheet(softmax())) is None
    assert windows(Sheet(named("dense", input=(4,), units=3))) is None
    assert windows(Sheet(conv(input=(3, 3, 3), kernel=(2, 2, 2)))) is None
    assert windows(Sheet(equation("y[i] = sum[u](x[s*i+u]*w[u])"))) is None


def test_any_equation_that_slides_is_drawn() -> None:
    text = "z[i] = sum[k](q[3*i+2*k-1]*m[k])"
    found = windows(Sheet(equation(text, (("q", (9,)), ("m", (2,)), ("z", (3,))))))
    assert found is not None
    assert (found.first, found.next) == ({(-1,): 0, (1,): 1}, {(2,): 0, (4,): 1})
    assert found.padded


def test_in_ascii_every_line_has_its_own_sign() -> None:
    lines = picture(seen(input=(3, 3), kernel=(2, 2), padding=1), 78, unicode=False)
    assert lines is not None
    assert all(line.text.isascii() for line in lines)
    assert lines[1].text.startswith("#====#====#~~~~#")
    assert lines[2].text.startswith("# .  : .  # .  : .    .")
