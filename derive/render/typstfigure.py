"""A figure as Typst draws it by itself: rectangles, lines and labels placed in a box."""

from __future__ import annotations

from collections.abc import Callable

from ..documents import Cell, Edge, Figure, Inline, Label, Shape
from .hues import hue
from .typstmath import formula
from .typstwords import string

LINE = 430.0
UNIT = 22.0
"""Points of a unit of the figure, where the page is wide enough."""
INK, GREY = 'rgb("#333333")', 'rgb("#a8adb5")'
FILL = {"padding": 'rgb("#ececec")'}
WEIGHT = {"faint": "0.4pt", "strong": "1.6pt", "dashed": "0.8pt"}

Sentence = Callable[[tuple[Inline, ...]], str]


def figure(value: Figure, inline: Sentence) -> str:
    """The drawing with its caption; ``inline`` sets the words."""
    unit = min(UNIT, LINE / max(value.width, 1.0))
    shapes = "\n".join(f"  {shape(one, unit, inline)}" for one in value.shapes)
    box = f"box(width: {_pt(value.width * unit)}, height: {_pt(value.height * unit)})"
    return (
        f"#drawing(alt: {string(value.alt)}, caption: [{inline(value.caption)}], {box}[\n"
        f"{shapes}\n])"
    )


def shape(value: Shape, unit: float, inline: Sentence) -> str:
    """One rectangle, line or label."""
    match value:
        case Cell():
            return _cell(value, unit)
        case Edge():
            return _edge(value, unit)
        case Label():
            return _label(value, unit, inline)


def _pt(value: float) -> str:
    return f"{round(value, 2):g}pt"


def _cell(value: Cell, unit: float) -> str:
    tint = None if value.hue is None else f"hue{hue(value.hue)}"
    fill = FILL.get(value.kind, "none") if tint is None else f"{tint}.lighten(82%)"
    ink = GREY if value.kind in ("faint", "padding") else tint or INK
    stroke = "none" if value.kind == "bare" else f"{WEIGHT.get(value.kind, '0.6pt')} + {ink}"
    label = "" if value.label is None else f"${formula(value.label)}$"
    if label and value.kind in ("faint", "padding"):
        label = f"#text(fill: {GREY}.darken(35%), {_quoted(label)})"
    return (
        f"#place(dx: {_pt(value.x * unit)}, dy: {_pt(value.y * unit)}, "
        f"rect(width: {_pt(value.width * unit)}, height: {_pt(value.height * unit)}, "
        f"inset: 0pt, fill: {fill}, stroke: {stroke}, "
        f"align(center + horizon, fitting({_pt(value.width * unit - 2)})[{label}])))"
    )


def _quoted(label: str) -> str:
    return f"[{label}]"


def _edge(value: Edge, unit: float) -> str:
    ink = f"hue{hue(value.hue)}" if value.hue is not None else INK
    ink = GREY if value.kind == "faint" else ink
    dash = ', dash: "dashed"' if value.kind == "dashed" else ""
    stroke = f"(paint: {ink}, thickness: {WEIGHT.get(value.kind, '0.8pt')}{dash})"
    points = ", ".join(f"({_pt(x * unit)}, {_pt(y * unit)})" for x, y in value.points)
    return f"#edge({stroke}, {'true' if value.arrow else 'false'}, {points})"


def _label(value: Label, unit: float, inline: Sentence) -> str:
    return (
        f"#label-at({_pt(value.x * unit)}, {_pt(value.y * unit)}, "
        f"{string(value.anchor)})[{inline(value.text)}]"
    )
