"""im2col: the windows as columns of a matrix, the kernel as a row, their product the outputs."""

from __future__ import annotations

from ....documents import Cell, Figure, Numeral, Shape, Symbol
from ..sheet import Sheet
from .sketch import Part, beside, figure, sign
from .slide import Slide

WIDEST = 27.0


def columns(sheet: Sheet) -> Figure | None:
    """``w · columns = y``; None without weights, with channels, or where it would be too wide."""
    slide = sheet.slide
    if slide is None or not slide.taps.tensor or slide.spreads or not slide.zeros:
        return None
    outs = slide.y.places()
    ats = list(dict.fromkeys(t.at for t in slide.touches))
    whole = slide.x.whole and slide.y.whole
    if not whole or len(ats) + 2 * len(outs) + 3 > WIDEST or len(ats) > 9:
        return None
    weights = tuple(
        Cell(float(k), 0.0, slide.weight(at), slide.taps.number(at)) for k, at in enumerate(ats)
    )
    result = tuple(
        Cell(float(k), 0.0, slide.plain(slide.y.tensor, place)) for k, place in enumerate(outs)
    )
    part = beside(weights, sign("·"), _matrix(slide), sign("="), result, gap=0.4)
    slots = {"taps": len(ats), "outputs": len(outs)}
    caption = sheet.say.say("figures.columns", tensor=Symbol(slide.x.tensor))
    return figure("columns", part, caption, sheet.say.words("figures.columns_alt", slots))


def _matrix(slide: Slide) -> Part:
    number = {place: k for k, place in enumerate(slide.y.places())}
    shapes: list[Shape] = []
    for touch in slide.touches:
        inside = slide.x.holds(touch.x)
        label = slide.plain(slide.x.tensor, touch.x) if inside else Numeral("0")
        kind = "plain" if inside else "padding"
        shapes.append(Cell(float(number[touch.y]), float(touch.tap), label, touch.tap, kind))
    return tuple(shapes)
