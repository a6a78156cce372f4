"""Local connections with shared weights, beside the full connection of the same entries."""

from __future__ import annotations

from ....documents import Cell, Edge, Figure, Shape
from ..sheet import Sheet
from .sketch import Part, beside, figure
from .slide import Place, Slide

INPUTS, OUTPUTS = 12, 9
APART, STEP = 5.0, 1.25
"""How far the two columns of nodes, and the nodes of one column, are apart."""

Joined = dict[tuple[Place, Place], int | None]
"""Pairs of an input and an output, with the tap between them."""


def connections(sheet: Sheet) -> Figure | None:
    """Two graphs of nodes; None without weights, with channels, or with too many entries."""
    slide = sheet.slide
    if slide is None or not slide.taps.tensor or not (slide.x.whole and slide.y.whole):
        return None
    ins, outs = slide.x.places(), slide.y.places()
    if len(ins) > INPUTS or len(outs) > OUTPUTS:
        return None
    joined: Joined = {
        (t.x, t.y): t.tap for t in slide.touches if slide.x.holds(t.x) and slide.y.holds(t.y)
    }
    whole: Joined = {(x, y): None for x in ins for y in outs}
    part = beside(_graph(slide, joined), _graph(slide, whole), gap=2.5)
    counts = {
        "inputs": len(ins),
        "outputs": len(outs),
        "shared": len(set(joined.values())),
        "edges": len(joined),
        "full": len(whole),
    }
    caption = sheet.say.say("figures.connections", counts)
    return figure("connections", part, caption, sheet.say.words("figures.connections_alt", counts))


def _graph(slide: Slide, edges: Joined) -> Part:
    ins, outs = slide.x.places(), slide.y.places()
    left, right = _column(len(ins), len(outs)), _column(len(outs), len(ins))
    starts, ends = dict(zip(ins, left, strict=True)), dict(zip(outs, right, strict=True))
    shapes: list[Shape] = []
    for (x, y), tap in edges.items():
        points = ((1.0, starts[x] + 0.5), (1.0 + APART, ends[y] + 0.5))
        shapes.append(Edge(points, hue=tap, kind="faint" if tap is None else "plain"))
    for places, rows, at, name in (
        (ins, left, 0.0, slide.x.tensor),
        (outs, right, 1.0 + APART, slide.y.tensor),
    ):
        for place, row in zip(places, rows, strict=True):
            shapes.append(Cell(at, row, slide.plain(name, place)))
    return tuple(shapes)


def _column(count: int, other: int) -> list[float]:
    """The upper edges of the nodes of a column, centred beside the other."""
    start = STEP * max(0, other - count) / 2
    return [start + STEP * k for k in range(count)]
