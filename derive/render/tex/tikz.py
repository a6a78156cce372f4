"""A figure as TikZ: core and colours only, scaled to the line.

Tints are light, so that labels keep their contrast on paper without colours.
"""

from __future__ import annotations

from ...documents import Cell, Edge, Figure, Inline, Label
from ..html.svg import ordered
from ..hues import hue
from ..layout.measure import fitted
from .mathematics import in_line
from .words import escape

WIDE, HIGH = 430.0, 600.0
"""The room that a figure may take, in points."""
UNIT = 23.0
"""Points of one unit, in a figure that is no wider than the line."""

_SIZES = (
    (9.0, "\\footnotesize"),
    (8.0, "\\scriptsize"),
    (6.0, "\\tiny"),
)
_ANCHORS = {"left": "west", "right": "east", "top": "north", "bottom": "south"}
_CELLS = {
    "plain": "draw, line width=.4pt",
    "strong": "draw, line width=1.3pt",
    "padding": "draw=black!45, dash pattern=on 2pt off 1.5pt, line width=.4pt",
    "faint": "draw=black!30, line width=.4pt",
    "bare": "",
}
_EDGES = {
    "plain": "line width=.5pt",
    "strong": "line width=1.2pt",
    "faint": "line width=.4pt, black!35",
    "dashed": "line width=.5pt, dashed",
}


def tikz(figure: Figure) -> str:
    r"""``\begin{tikzpicture}…``, at most as wide as the line."""
    unit = min(UNIT, WIDE / max(figure.width, 1.0), HIGH / max(figure.height, 1.0))
    lines = [f"\\begin{{tikzpicture}}[x={_n(unit)}pt,y=-{_n(unit)}pt,>=stealth]"]
    for shape in ordered(figure):
        match shape:
            case Cell():
                lines += _cell(shape, unit)
            case Edge():
                lines.append(_edge(shape))
            case Label(x, y, text, anchor):
                side = f", anchor={_ANCHORS[anchor]}" if anchor in _ANCHORS else ""
                lines.append(_node(text, x, y, _type(unit), side))
    return "\n".join([*lines, "\\end{tikzpicture}"])


def _cell(cell: Cell, unit: float) -> list[str]:
    options = [_CELLS[cell.kind]] if _CELLS[cell.kind] else []
    if cell.hue is not None:
        options.append(f"fill=tap{hue(cell.hue)}!22")
    elif cell.kind == "padding":
        options.append("fill=black!4")
    corners = f"({_n(cell.x)},{_n(cell.y)}) rectangle "
    corners += f"({_n(cell.x + cell.width)},{_n(cell.y + cell.height)})"
    out = [f"\\path[{', '.join(options)}] {corners};"] if options else []
    if cell.label is not None:
        points = _type(unit) * fitted((cell.label,), cell.width, _type(unit) / unit)
        grey = ", text=black!55" if cell.kind in ("padding", "faint") else ""
        middle = (cell.x + cell.width / 2, cell.y + cell.height / 2)
        out.append(_node((cell.label,), *middle, points, grey))
    return out


def _type(unit: float) -> float:
    """The size of type that goes with a unit."""
    return min(9.0, 0.42 * unit)


def _node(text: tuple[Inline, ...], x: float, y: float, points: float, more: str) -> str:
    size = next((name for least, name in _SIZES if points >= least - 0.5), "\\tiny")
    words = "".join(escape(p) if isinstance(p, str) else f"${in_line(p)}$" for p in text)
    return f"\\node[inner sep=0pt, font={size}{more}] at ({_n(x)},{_n(y)}) {{{words}}};"


def _edge(edge: Edge) -> str:
    tint = f", tap{hue(edge.hue)}" if edge.hue is not None else ""
    tip = "->, " if edge.arrow else ""
    path = " -- ".join(f"({_n(x)},{_n(y)})" for x, y in edge.points)
    return f"\\draw[{tip}{_EDGES[edge.kind]}{tint}] {path};"


def _n(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") or "0"
