"""Weight sharing: all entries of x that one tap touches, and the g that joins each of them."""

from __future__ import annotations

from ....derivations import Gradient
from ....documents import Cell, Figure, Label, Shape
from ....expressions import Read, reads
from ...mathematics.formulas import expression
from ..sheet import Sheet
from .sketch import Part, figure, lowest, rows_of, titled
from .slide import LARGEST, Place, Slide, names_of, products

HIGH = 1.35
"""The height of a cell that holds two factors."""
EVERY = 4
"""Taps up to which all of them are drawn; else the first, the middle one and the last."""


def sharing(gradient: Gradient, sheet: Sheet) -> Figure | None:
    """A grid of x for some taps; None unless the tensor is the kernel of a window."""
    slide, here = sheet.slide, sheet.at_sizes(gradient)
    if slide is None or here is None or gradient.of != slide.taps.tensor:
        return None
    other, upstream = slide.x.tensor, sheet.equation.tensor(slide.y.tensor).gradient
    if slide.spreads or max(slide.x.shape) > LARGEST:
        return None
    gather = sheet.one(here.gather)
    joins = {at: _joins(gather.lhs, slide, at, here, upstream, sheet) for at in _taps(slide)}
    if not all(joins.values()):
        return None
    parts = [_frame(slide, at, pairs, upstream) for at, pairs in joins.items()]
    say = sheet.say
    whole = lowest([rows_of(parts, widest) for widest in (19.0, 24.0)])
    target = sheet.equation.tensor(gradient.of).gradient
    names = {"gradient": target, "tensor": other, "g": upstream}
    slots = {key: expression(Read(name, ()), slide.notation) for key, name in names.items()}
    caption = say.say("figures.sharing", slots)
    if not slide.x.whole:
        caption += say.say("figures.slice")
    first = next(iter(joins))
    alt = say.words(
        "figures.sharing_alt",
        size="×".join(map(str, slide.x.shape)),
        taps=len(joins),
        entry=",".join(str(k + slide.notation.base) for k in first),
        count=len(joins[first]),
    )
    return figure(f"sharing_{gradient.of}", whole, caption, alt)


def _taps(slide: Slide) -> list[Place]:
    every = list(dict.fromkeys(t.at for t in slide.touches))
    if len(every) <= EVERY:
        return every
    return [every[0], every[len(every) // 2], every[-1]]


Pairs = dict[Place, Place]
"""Entry of x → entry of g that the tap multiplies it by."""


def _joins(
    lhs: Read, slide: Slide, at: Place, here: Gradient, upstream: str, sheet: Sheet
) -> Pairs:
    """What the derived gradient of one tap adds up; empty if it is no sum of plain products."""
    axes = tuple(slide.taps.axes)
    names = names_of(lhs, axes)
    if not names or sheet.frame is None:
        return {}
    outer = {n for a in reads(here.gather.rhs, upstream) for n in a.names}
    drawn = {str(a) for k in slide.y.axes for a in _bare(here, upstream, k, sheet)}
    out: Pairs = {}
    for _, body in products(sheet.one(here.gather), at, names, sheet.frame, drawn & outer):
        left, right = reads(body, slide.x.tensor), reads(body, upstream)
        if len(left) != 1 or len(right) != 1:
            return {}
        out[slide.x.of(left[0])] = slide.y.of(right[0])
    return out


def _bare(here: Gradient, upstream: str, axis: int, sheet: Sheet) -> tuple[str, ...]:
    """The names in one axis of the upstream gradient."""
    found = reads(sheet.one(here.gather).rhs, upstream)
    return tuple(n for read in found for part in read.axes[axis] for n in part.names)


def _frame(slide: Slide, at: Place, pairs: Pairs, upstream: str) -> Part:
    """The input under all positions of one tap."""
    out: list[Shape] = []
    for place in slide.x.places():
        x, y = float(place[-1]), HIGH * (place[0] if len(place) == 2 else 0)
        name = slide.plain(slide.x.tensor, place)
        if place not in pairs:
            out.append(Cell(x, y, name, kind="faint", height=HIGH))
            continue
        other = slide.plain(upstream, pairs[place])
        out.append(Cell(x, y, None, slide.taps.number(at), height=HIGH))
        out.append(Label(x + 0.5, y + 0.3 * HIGH, (name,)))
        out.append(Label(x + 0.5, y + 0.7 * HIGH, (other,)))
    return titled(tuple(out), slide.plain(slide.taps.tensor, at))
