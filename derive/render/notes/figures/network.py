"""A network from top to bottom: what layers hand on, and the factor each adds on the way back.

A layer that reads something else than the layer before it is joined by a line on the left.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from ....documents import Cell, Edge, Figure, Inline, Label, Math, Shape
from ....graphs import INPUT, TARGET, Network, Node
from ...layout.measure import extent
from ...phrases import Phrases
from .sketch import TYPE, figure

MOST = 14
STEP = 1.95
"""From one layer to the next."""
LANE, WAY = 0.5, 1.6
"""Between the two lines of a way around layers, and between two such ways."""

Words = tuple[Inline, ...]
Value = Callable[[str], Math]
Factor = Callable[[Math, Math], Math]


def network_figure(network: Network, say: Phrases, value: Value, factor: Factor) -> Figure | None:
    """One box a layer; None for a network too deep for a page.

    ``value`` names what a node computes, ``factor`` the derivative of one value by another.
    """
    nodes = network.nodes
    if len(nodes) > MOST:
        return None
    wide = 0.8 + max(extent((node.text,), TYPE) for node in nodes)
    rows = {INPUT: 0.0, **{node.name: STEP * (k + 1) for k, node in enumerate(nodes)}}
    shapes = _layer(0.0, wide, (value(INPUT),), _shape(network.shape(INPUT), say))
    lanes = 0
    before = INPUT
    for node in nodes:
        y = rows[node.name]
        shapes += _layer(y, wide, (node.text,), _about(node, say))
        for source in dict.fromkeys(name for _, name in node.reads):
            slope = factor(value(node.name), value(source)) if source != TARGET else None
            if source == TARGET:
                shapes += _target(y, value(TARGET))
            elif source == before and slope is not None:
                shapes += _straight(y, wide, value(source), slope)
            elif slope is not None:
                lanes += 1
                shapes += _around(rows[source], y, lanes, value(source), slope)
        before = node.name
    layers = ", ".join(node.text for node in nodes)
    alt = say.words("figures.network_alt", count=len(nodes), layers=layers)
    return figure("network", tuple(shapes), say.say("figures.network"), alt)


def _layer(y: float, wide: float, inside: Words, beside: Words) -> list[Shape]:
    """A box with words in it and to the right of it."""
    return [
        Cell(0.0, y, None, width=wide),
        Label(wide / 2, y + 0.5, inside),
        Label(wide + 0.35, y + 0.5, beside, "left"),
    ]


def _about(node: Node, say: Phrases) -> tuple[Inline, ...]:
    trained = sum(prod(tensor.sizes()) for _, tensor in node.parameters)
    shape = _shape(node.shape, say)
    if not trained:
        return shape
    return say.say("figures.parameters", shape=shape, count=trained)


def _shape(shape: tuple[int, ...], say: Phrases) -> tuple[Inline, ...]:
    return ("×".join(map(str, shape)),) if shape else say.say("figures.number")


def _straight(y: float, wide: float, value: Math, slope: Math) -> list[Shape]:
    """Down what the layer reads, up the factor that it adds."""
    left, right = wide / 2 - 0.5, wide / 2 + 0.5
    top, bottom = y - STEP + 1.0, y
    return [
        Edge(((left, top), (left, bottom)), arrow=True),
        Label(left - 0.2, (top + bottom) / 2, (value,), "right"),
        Edge(((right, bottom), (right, top)), arrow=True, hue=1),
        Label(right + 0.2, (top + bottom) / 2, (slope,), "left"),
    ]


def _around(start: float, end: float, lane: int, value: Math, slope: Math) -> list[Shape]:
    """The way of a value around the layers in between, and its factor back."""
    x = -WAY * lane
    out, into, far = start + 0.85, end + 0.15, x - LANE
    back = ((0.0, into + 0.2), (far, into + 0.2), (far, out - 0.2), (0.0, out - 0.2))
    middle = (start + end + 1) / 2
    return [
        Edge(((0.0, out), (x, out), (x, into), (0.0, into)), arrow=True),
        Edge(back, arrow=True, hue=1),
        Label(x + 0.15, middle, (value,), "left"),
        Label(far - 0.15, middle, (slope,), "right"),
    ]


def _target(y: float, value: Math) -> list[Shape]:
    return [
        Edge(((-0.9, y + 0.5), (0.0, y + 0.5)), arrow=True),
        Label(-1.05, y + 0.5, (value,), "right"),
    ]
