"""A figure as inline SVG: no network, no script, readable without any style sheet.

Lines and words have the colour of the text around them, tints are transparent, so that a dark
page needs no second drawing. A style sheet may set ``--tap-0`` and so on, and finds the classes
``cell``, ``edge``, ``label``, the kinds of cells and edges, and ``hue-0`` and so on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from math import hypot

from ...documents import (
    Big,
    Cell,
    Edge,
    Fenced,
    Figure,
    Fraction,
    Hued,
    Inline,
    Label,
    Math,
    Numeral,
    Operator,
    Row,
    Scripts,
    Symbol,
    Upright,
)
from ..hues import HUES, hue
from ..layout.measure import fitted
from ..mathematics.letters import GREEK, letter

UNIT = 40.0
"""Pixels of one unit of a figure."""
FONT = 15.0
MARGIN = 3.0

_ANCHORS = {"left": "start", "right": "end"}
_KINDS = {"padding": "1", "faint": "0.8", "strong": "2.6", "bare": "0", "plain": "1"}


def svg(figure: Figure) -> str:
    """``<svg role="img">…</svg>`` with its description; the caption is left to the page."""
    width, height = figure.width * UNIT + 2 * MARGIN, figure.height * UNIT + 2 * MARGIN
    name = escape(figure.name, quote=True)
    box = f"{_n(-MARGIN)} {_n(-MARGIN)} {_n(width)} {_n(height)}"
    lines = [
        f'<svg class="figure figure-{name}" role="img" xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="{box}" width="{_n(width)}" height="{_n(height)}" '
        f'style="max-width:100%;height:auto" font-size="{_n(FONT)}" '
        'fill="none" stroke="currentColor">',
        f"<title>{escape(figure.alt)}</title>",
    ]
    words: list[str] = []
    for shape in ordered(figure):
        match shape:
            case Cell():
                lines.append(_cell(shape))
                words += _cell_words(shape)
            case Edge():
                lines += _edge(shape)
            case Label():
                words.append(_words(shape.text, shape.x, shape.y, shape.anchor))
    return "\n".join([*lines, _WORDS, *words, "</g>", "</svg>"])


_WORDS = '<g class="labels" fill="currentColor" stroke="none" text-anchor="middle">'
"""What all words of a figure share; they stand over all shapes."""


def ordered(figure: Figure) -> list[Cell | Edge | Label]:
    """The shapes as they are painted: thick borders after thin ones, words last."""

    def rank(shape: Cell | Edge | Label) -> int:
        if isinstance(shape, Cell):
            return {"padding": 1, "faint": 1, "strong": 3}.get(shape.kind, 2)
        return 0 if isinstance(shape, Edge) else 4

    return sorted(figure.shapes, key=rank)


def _cell(cell: Cell) -> str:
    classes = f"cell {cell.kind}" + (f" hue-{hue(cell.hue)}" if cell.hue is not None else "")
    look = ""
    if cell.hue is not None:
        look = f' fill-opacity="0.22" style="fill:{_tint(cell.hue)}"'
    elif cell.kind == "padding":
        look = ' fill-opacity="0.06" fill="currentColor"'
    if cell.kind == "bare":
        look += ' stroke="none"'
    elif cell.kind in ("padding", "faint"):
        look += ' stroke-opacity="0.45"'
    if cell.kind == "padding":
        look += ' stroke-dasharray="4 3"'
    if (thick := _KINDS.get(cell.kind, "1")) != "1":
        look += f' stroke-width="{thick}"'
    return (
        f'<rect class="{classes}" x="{_n(cell.x * UNIT)}" y="{_n(cell.y * UNIT)}" '
        f'width="{_n(cell.width * UNIT)}" height="{_n(cell.height * UNIT)}"{look}/>'
    )


def _cell_words(cell: Cell) -> list[str]:
    if cell.label is None:
        return []
    middle = (cell.x + cell.width / 2, cell.y + cell.height / 2)
    scale = fitted((cell.label,), cell.width, FONT / UNIT)
    opacity = 0.6 if cell.kind in ("padding", "faint") else 1.0
    return [_words((cell.label,), *middle, "center", scale, opacity)]


def _tint(number: int) -> str:
    return f"var(--tap-{hue(number)}, #{HUES[hue(number)]})"


def _edge(edge: Edge) -> list[str]:
    points = [(x * UNIT, y * UNIT) for x, y in edge.points]
    classes = f"edge {edge.kind}" + (f" hue-{hue(edge.hue)}" if edge.hue is not None else "")
    colour = _tint(edge.hue) if edge.hue is not None else "currentColor"
    tint = f' style="stroke:{colour}"' if edge.hue is not None else ""
    light = ' stroke-opacity="0.35"' if edge.kind == "faint" else ""
    dashes = ' stroke-dasharray="5 4"' if edge.kind == "dashed" else ""
    path = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
    thick = "2.4" if edge.kind == "strong" else "1.3"
    out = [
        f'<polyline class="{classes}" points="{path}" stroke-width="{thick}"{dashes}{light}{tint}/>'
    ]
    if edge.arrow:
        tip = " ".join(f"{_n(x)},{_n(y)}" for x, y in _head(points[-2], points[-1]))
        out.append(
            f'<polygon class="{classes}" points="{tip}" style="fill:{colour}" stroke="none"/>'
        )
    return out


def _head(start: tuple[float, float], end: tuple[float, float]) -> list[tuple[float, float]]:
    """A triangle that ends where the line ends."""
    (a, b), (x, y) = start, end
    size = hypot(x - a, y - b) or 1.0
    u, v = (x - a) / size, (y - b) / size
    back, half = 9.0, 4.0
    low = (x - back * u - half * v, y - back * v + half * u)
    high = (x - back * u + half * v, y - back * v - half * u)
    return [(x, y), low, high]


# -- words -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Run:
    """A piece of text in one style; ``shift`` is how far below the line, in em of the line."""

    text: str
    italic: bool = False
    size: float = 1.0
    shift: float = 0.0
    hue: int | None = None


def _words(
    text: tuple[Inline, ...],
    x: float,
    y: float,
    anchor: str,
    scale: float = 1.0,
    opacity: float = 1.0,
) -> str:
    size = FONT * scale
    drop = {"top": 0.8, "bottom": -0.25}.get(anchor, 0.32) * size
    pieces: list[Run] = []
    for part in text:
        pieces += [Run(part)] if isinstance(part, str) else _runs(part)
    light = f' fill-opacity="{_n(opacity)}"' if opacity < 1 else ""
    smaller = f' font-size="{_n(size)}"' if scale < 1 else ""
    side = f' text-anchor="{_ANCHORS[anchor]}"' if anchor in _ANCHORS else ""
    spans = _spans(_merged(pieces), size)
    kept = ' xml:space="preserve"' if any(" " in run.text for run in pieces) else ""
    place = f'x="{_n(x * UNIT)}" y="{_n(y * UNIT + drop)}"'
    return f'<text class="label" {place}{side}{light}{smaller}{kept}>{spans}</text>'


def _merged(runs: list[Run]) -> list[Run]:
    """Neighbours of one style as one run."""
    out: list[Run] = []
    for run in runs:
        if out and replace(out[-1], text="") == replace(run, text=""):
            out[-1] = replace(run, text=out[-1].text + run.text)
        else:
            out.append(run)
    return out


def _spans(pieces: list[Run], size: float) -> str:
    """The runs as tspans; every one starts on the line where the one before it ended."""
    out, level = "", 0.0
    for run in pieces:
        moved = "" if run.shift == level else f' dy="{_n((run.shift - level) * size)}"'
        level = run.shift
        slant = ' font-style="italic"' if run.italic else ""
        smaller = f' font-size="{_n(size * run.size)}"' if run.size < 1 else ""
        tint = f' style="fill:{_tint(run.hue)}"' if run.hue is not None else ""
        words = escape(run.text)
        attributes = moved + slant + smaller + tint
        out += f"<tspan{attributes}>{words}</tspan>" if attributes else words
    return out


def _runs(math: Math, size: float = 1.0, shift: float = 0.0) -> list[Run]:
    """A formula as pieces of text on one line."""

    def same(*parts: Math) -> list[Run]:
        return [run for part in parts for run in _runs(part, size, shift)]

    match math:
        case Symbol(name):
            return _symbol(name, size, shift)
        case Numeral(text) | Upright(text):
            return [Run(text, False, size, shift)]
        case Operator(text):
            return [Run(_operator(text, size), False, size, shift)]
        case Row(items):
            return same(*items)
        case Scripts(base, sub, sup):
            out = same(base)
            for part, move in ((sub, 0.28), (sup, -0.38)):
                if part is not None:
                    out += _runs(part, size * 0.7, shift + move * size)
            return out
        case Fraction(top, bottom):
            return same(top, Operator("/"), bottom)
        case Fenced(left, body, right):
            return same(Upright(left), body, Upright(right))
        case Big(text, under, body, _):
            below = [run for part in under for run in _runs(part, size * 0.7, shift + 0.28)]
            return [Run(text, False, size, shift), *below, *same(Upright(" "), body)]
        case Hued(number, body):
            return [Run(r.text, r.italic, r.size, r.shift, number) for r in same(body)]
    raise TypeError(f"no SVG text for {type(math).__name__}")


def _symbol(name: str, size: float, shift: float) -> list[Run]:
    parts = letter(name)
    out = [Run(GREEK.get(parts.base, parts.base), True, size, shift)]
    if parts.sub:
        out.append(Run(parts.sub, parts.sub.isalpha(), size * 0.7, shift + 0.28 * size))
    marks = parts.marks.replace("'", "′")
    return [*out, Run(marks, False, size, shift)] if marks else out


def _operator(text: str, size: float) -> str:
    if text == "\u2062":
        return "\u2009"
    tight = size < 1 or text in (",", "/", "∂", "′", "∑", "⊤", "(", ")")
    return text if tight else f" {text} "


def _n(value: float) -> str:
    """A coordinate, short."""
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"
