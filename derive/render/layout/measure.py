"""How wide the words in a figure are, in units of the figure."""

from __future__ import annotations

from ...documents import Inline
from ..tex.mathematics import width

POINTS = 11.0
"""The size of type that widths of formulas are estimated for."""
LETTER = 5.3
SMALLEST = 0.55


def extent(text: tuple[Inline, ...], size: float) -> float:
    """The width of a label whose type is ``size`` units high."""
    points = sum(LETTER * len(p) if isinstance(p, str) else width(p) for p in text)
    return points / POINTS * size


def fitted(text: tuple[Inline, ...], room: float, size: float) -> float:
    """The factor, 1 or smaller, by which a label has to shrink to fit into ``room`` units."""
    wide = extent(text, size)
    return 1.0 if wide <= 0.94 * room else max(SMALLEST, 0.94 * room / wide)
