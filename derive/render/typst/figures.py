"""A figure as Typst draws it by itself: cells, edges and labels placed in a box of fixed size."""

from __future__ import annotations

from collections.abc import Callable

from ...documents import Cell, Edge, Figure, Inline, Label
from ..html.svg import ordered
from ..hues import hue
from ..layout.measure import fitted
from .words import string

WIDE = 430.0
UNIT = 23.0
"""Points of one unit, in a figure that is no wider than the line."""

_CELLS = {
    "plain": "0.4pt",
    "strong": "1.3pt",
    "padding": "(paint: luma(55%), thickness: 0.4pt, dash: (2pt, 1.5pt))",
    "faint": "0.4pt + luma(70%)",
    "bare": "none",
}
_EDGES = {
    "plain": "thickness: 0.5pt",
    "strong": "thickness: 1.2pt",
    "faint": "thickness: 0.4pt",
    "dashed": 'thickness: 0.5pt, dash: "dashed"',
}

Sentence = Callable[[tuple[Inline, ...]], str]


def figure(value: Figure, inline: Sentence) -> str:
    """The drawing with its caption; ``inline`` sets words and formulas."""
    unit = min(UNIT, WIDE / max(value.width, 1.0))
    lines = [
        f"#drawing({_pt(value.width * unit)}, {_pt(value.height * unit)}, "
        f"alt: {string(value.alt)}, caption: [{inline(value.caption)}], {{"
    ]
    for shape in ordered(value):
        match shape:
            case Cell():
                lines.append(_cell(shape, unit, inline))
            case Edge():
                lines.append(_edge(shape, unit))
            case Label(x, y, text, anchor):
                place = f"{_pt(x * unit)}, {_pt(y * unit)}, {string(anchor)}"
                lines.append(f"  label-at({place}, {_pt(_type(unit))})[{inline(text)}]")
    return "\n".join([*lines, "})"])


def _type(unit: float) -> float:
    """The size of type that goes with a unit."""
    return min(9.0, 0.42 * unit)


def _cell(cell: Cell, unit: float, inline: Sentence) -> str:
    fill = "luma(96%)" if cell.kind == "padding" else "none"
    if cell.hue is not None:
        fill = f"hue{hue(cell.hue)}.lighten(78%)"
    box = ", ".join(_pt(n * unit) for n in (cell.x, cell.y, cell.width, cell.height))
    out = f"  cell({box}, {fill}, {_CELLS[cell.kind]})"
    if cell.label is not None:
        size = _type(unit) * fitted((cell.label,), cell.width, _type(unit) / unit)
        grey = ", ink: luma(45%)" if cell.kind in ("padding", "faint") else ""
        middle = (
            f"{_pt((cell.x + cell.width / 2) * unit)}, {_pt((cell.y + cell.height / 2) * unit)}"
        )
        out += f'\n  label-at({middle}, "center", {_pt(size)}{grey})[{inline((cell.label,))}]'
    return out


def _edge(edge: Edge, unit: float) -> str:
    ink = "luma(65%)" if edge.kind == "faint" else "black"
    ink = ink if edge.hue is None else f"hue{hue(edge.hue)}"
    points = ", ".join(f"({_pt(x * unit)}, {_pt(y * unit)})" for x, y in edge.points)
    arrow = "true" if edge.arrow else "false"
    return f"  edge({points}, ink: {ink}, arrow: {arrow}, {_EDGES[edge.kind]})"


def _pt(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") + "pt"
