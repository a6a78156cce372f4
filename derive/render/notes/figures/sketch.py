"""Parts of a drawing, put side by side and one below the other.

A part is a tuple of shapes around any origin; only the finished figure starts at (0, 0).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

from ....documents import Cell, Edge, Figure, Inline, Label, Math, Operator, Shape
from ...layout.measure import extent

TYPE = 0.4
"""The height of type, in units."""
LINE = 0.62
"""The height of a line of words."""

Part = tuple[Shape, ...]
Place = tuple[int, ...]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def box(part: Part) -> Box:
    """What a part covers."""
    boxes = [_box(shape) for shape in part] or [(0.0, 0.0, 0.0, 0.0)]
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _box(shape: Shape) -> Box:
    match shape:
        case Cell(x, y, width=width, height=height):
            return x, y, x + width, y + height
        case Edge(points):
            xs, ys = zip(*points, strict=True)
            return min(xs), min(ys), max(xs), max(ys)
    wide = extent(shape.text, TYPE)
    left = {"left": 0.0, "right": wide}.get(shape.anchor, wide / 2)
    top = {"top": 0.0, "bottom": LINE}.get(shape.anchor, LINE / 2)
    return shape.x - left, shape.y - top, shape.x - left + wide, shape.y - top + LINE


def size(part: Part) -> tuple[float, float]:
    """Width and height."""
    left, top, right, bottom = box(part)
    return right - left, bottom - top


def moved(part: Part, dx: float, dy: float) -> Part:
    """The part at another place."""
    return tuple(_moved(shape, dx, dy) for shape in part)


def _moved(shape: Shape, dx: float, dy: float) -> Shape:
    if isinstance(shape, Edge):
        return replace(shape, points=tuple((x + dx, y + dy) for x, y in shape.points))
    return replace(shape, x=shape.x + dx, y=shape.y + dy)


def beside(*parts: Part, gap: float = 0.45, top: bool = False) -> Part:
    """Parts from left to right, centred on one line (or with their upper edges on it)."""
    out: list[Shape] = []
    at = 0.0
    for part in (p for p in parts if p):
        left, high, right, low = box(part)
        out += moved(part, at - left, -high if top else -(high + low) / 2)
        at += right - left + gap
    return tuple(out)


def below(*parts: Part, gap: float = 0.5, left: bool = False) -> Part:
    """Parts from top to bottom, centred (or with their left edges on one line)."""
    out: list[Shape] = []
    at = 0.0
    for part in (p for p in parts if p):
        start, high, end, low = box(part)
        out += moved(part, -start if left else -(start + end) / 2, at - high)
        at += low - high + gap
    return tuple(out)


def rows_of(parts: Sequence[Part], widest: float, gap: float = 1.0, between: float = 0.7) -> Part:
    """Parts in rows, as many in each as there is room for, the rows as equal as can be."""
    wide = max(size(part)[0] for part in parts)
    most = max(1, int((widest + gap) / (wide + gap)))
    count = -(-len(parts) // most)
    each = -(-len(parts) // count)
    rows = [parts[k : k + each] for k in range(0, len(parts), each)]
    return below(*(beside(*row, gap=gap) for row in rows), gap=between, left=True)


def lowest(parts: Sequence[Part], line: float = 19.0) -> Part:
    """The part that is lowest in print, where a wider one than ``line`` is scaled down."""

    def height(part: Part) -> float:
        wide, high = size(part)
        return high * min(1.0, line / wide)

    return min(parts, key=height)


def words(*text: Inline) -> Part:
    """Words by themselves."""
    return (Label(0.0, 0.0, text),)


def sign(text: str) -> Part:
    """A sign between two parts."""
    return words(Operator(text))


def titled(part: Part, *text: Inline) -> Part:
    """A part with words over it."""
    left, top, right, _ = box(part)
    return (*part, Label((left + right) / 2, top - 0.15, text, "bottom"))


def arrow(*, down: bool = False, length: float = 0.9) -> Part:
    """An arrow to the right, or down."""
    return (Edge(((0.0, 0.0), (0.0, length) if down else (length, 0.0)), arrow=True),)


def grid(
    shape: Place,
    label: Callable[[Place], Math | None],
    hue: Callable[[Place], int | None] = lambda _: None,
    kind: Callable[[Place], str] = lambda _: "plain",
    start: Place | None = None,
) -> Part:
    """Cells for all places of one or two axes; ``start`` is the first place (0 if not given)."""
    start = start or (0,) * len(shape)
    ranges = [range(low, low + n) for low, n in zip(start, shape, strict=True)]
    return tuple(
        Cell(float(p[-1]), float(p[0] if len(p) == 2 else 0), label(p), hue(p), kind(p))
        for p in product(*ranges)
    )


def figure(name: str, part: Part, caption: tuple[Inline, ...], alt: str) -> Figure:
    """The finished drawing, moved to the origin."""
    left, top, right, bottom = box(part)
    shapes = moved(part, -left, -top)
    return Figure(name, right - left, bottom - top, shapes, caption, alt)
