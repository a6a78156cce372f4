"""Scatter and gather in one picture: the same pairs from both sides, so the rotation is seen.

Above, one entry of g goes to all entries of x that its window read; below, one entry of x
collects from all entries of g that it reaches, as the derived gather form says.
"""

from __future__ import annotations

from ....affine import Affine
from ....derivations import Gradient
from ....documents import Figure, Math
from ....equations import Statement
from ....expressions import Read, Winner, reads, walk
from ...mathematics.formulas import expression
from ..sheet import Sheet
from .sketch import Part, arrow, below, beside, figure, grid, titled
from .slide import LARGEST, Place, Slide, names_of, products
from .windows import over

Hues = dict[Place, int]


def reach(gradient: Gradient, sheet: Sheet) -> Figure | None:
    """One row for scatter and one for gather; None where nothing slides back."""
    slide, here = sheet.slide, sheet.at_sizes(gradient)
    if slide is None or here is None or slide.spreads or gradient.of != slide.x.tensor:
        return None
    gather = sheet.one(here.gather)
    if not gradient.scatter_steps or max(slide.frame[1]) > LARGEST:
        return None
    upstream = sheet.equation.tensor(slide.y.tensor).gradient
    counts = dict.fromkeys(slide.x.places(), 0)
    for touch in slide.touches:
        if touch.x in counts:
            counts[touch.x] += 1
    at = central(counts)
    met = meeting(gather, slide, at, upstream, sheet)
    laid = {
        place: sum(slide.x.holds(t.x) for t in slide.touches if t.y == place)
        for place in slide.y.places()
    }
    rows = (
        _scatter(slide, central(laid), upstream, sheet),
        _gather(slide, at, met, gather, upstream, sheet),
    )
    say, target = sheet.say, sheet.equation.tensor(slide.x.tensor).gradient
    letters = {"g": _name(upstream, slide), "tensor": _name(target, slide)}
    won = any(isinstance(e, Winner) for e in walk(gather.rhs))
    caption = say.say("figures.reach_won" if won else "figures.reach", letters)
    if slide.taps.tensor and (turn := _turn(slide, gather, upstream)):
        caption += say.say(f"figures.reach_{turn}")
    if not slide.x.whole:
        caption += say.say("figures.slice")
    where = ",".join(str(k + slide.notation.base) for k in at)
    alt = say.words("figures.reach_alt", entry=where, count=len(met))
    return figure(f"reach_{gradient.of}", below(*rows, gap=0.8, left=True), caption, alt)


def meeting(gather: Statement, slide: Slide, at: Place, upstream: str, sheet: Sheet) -> Hues:
    """The entries of g that reach x at ``at``, each with the number of the tap between."""
    names = names_of(gather.lhs, slide.x.axes)
    frame = sheet.frame
    if not names or frame is None:
        return {}
    shown = {*names, *slide.taps.names}
    out: Hues = {}
    for values, body in products(gather, at, names, frame, shown):
        for read in reads(body, upstream)[:1]:
            tap = tuple(values[name] for name in slide.taps.names)
            out[slide.y.of(read)] = slide.taps.number(tap)
    return out


def central(counts: dict[Place, int]) -> Place:
    """The place with the most, of equals the one nearest to the middle."""
    far = tuple(max(p[k] for p in counts) for k in range(len(next(iter(counts)))))

    def key(place: Place) -> tuple[int, int]:
        return -counts[place], sum(abs(2 * k - n) for k, n in zip(place, far, strict=True))

    return min(counts, key=key)


def _name(tensor: str, slide: Slide) -> Math:
    return expression(Read(tensor, ()), slide.notation)


def _scatter(slide: Slide, place: Place, upstream: str, sheet: Sheet) -> Part:
    first = [t for t in slide.touches if t.y == place]
    low = [min(t.x[k] for t in first) for k in range(len(place))]
    laid = {tuple(k - a for k, a in zip(t.x, low, strict=True)): t.at for t in first}
    source = grid(
        slide.y.shape,
        lambda at: slide.plain(upstream, at),
        kind=lambda at: "strong" if at == place else "plain",
    )
    target = over(slide, place)
    return beside(
        _kernel(slide, laid, "forward_kernel", sheet),
        titled(source, _name(upstream, slide)),
        arrow(),
        titled(target, _name(_gradient(slide, sheet), slide)),
        gap=0.6,
    )


def _gradient(slide: Slide, sheet: Sheet) -> str:
    return sheet.equation.tensor(slide.x.tensor).gradient


def _gather(
    slide: Slide, at: Place, hues: Hues, gather: Statement, upstream: str, sheet: Sheet
) -> Part:
    source = grid(
        slide.y.shape,
        lambda p: slide.plain(upstream, p),
        hues.get,
        lambda p: "plain" if p in hues else "faint",
    )
    target = grid(
        slide.x.shape,
        lambda p: slide.plain(slide.x.tensor, p),
        kind=lambda p: "strong" if p == at else "plain",
    )
    met = _met(slide, gather, upstream)
    return beside(
        _kernel(slide, met, "met_kernel", sheet, set(hues.values())),
        titled(source, _name(upstream, slide)),
        arrow(),
        titled(target, _name(_gradient(slide, sheet), slide)),
        gap=0.6,
    )


def steps_of(slide: Slide, gather: Statement, upstream: str) -> list[int]:
    """How far the next tap along each axis is met on the grid of x: ``-d`` in ``(a+p-d*u)/s``."""
    found = reads(gather.rhs, upstream)
    if not found or len(slide.taps.names) != len(slide.y.axes):
        return []
    out = []
    for k, name in zip(slide.y.axes, slide.taps.names, strict=True):
        parts: list[Affine] = [p for p in found[0].axes[k] if name in p.names]
        number = parts[0].numerator.coefficient(name).number if len(parts) == 1 else None
        if not number:
            return []
        out.append(number)
    return out


def _met(slide: Slide, gather: Statement, upstream: str) -> dict[Place, Place]:
    """Where each tap stands as the gather form meets it."""
    steps = steps_of(slide, gather, upstream)
    if not steps:
        return {}
    places: dict[Place, Place] = {}
    for touch in slide.touches[: len({t.tap for t in slide.touches})]:
        raw = (s * u for s, u in zip(steps, touch.at, strict=True))
        low = (min(0, s * (n - 1)) for s, n in zip(steps, slide.taps.sizes, strict=True))
        places[tuple(a - b for a, b in zip(raw, low, strict=True))] = touch.at
    return places


def _turn(slide: Slide, gather: Statement, upstream: str) -> str:
    """Whether the kernel is met turned, or straight because forward turned it already."""
    steps = steps_of(slide, gather, upstream)
    if all(s < 0 for s in steps):
        return "turned" if steps else ""
    return "straight" if all(s > 0 for s in steps) else ""


def _kernel(
    slide: Slide, laid: dict[Place, Place], title: str, sheet: Sheet, used: set[int] | None = None
) -> Part:
    """The taps at the given places, gaps between them pale; taps that are not used too."""
    if not slide.taps.tensor or not laid:
        return ()
    shape = tuple(1 + max(p[k] for p in laid) for k in range(len(slide.taps.sizes)))

    def hue(at: Place) -> int | None:
        tap = slide.taps.number(laid[at]) if at in laid else None
        return tap if used is None or tap in used else None

    part = grid(
        shape,
        lambda at: slide.weight(laid[at]) if at in laid else None,
        hue,
        lambda at: "plain" if hue(at) is not None else "faint",
    )
    return titled(part, *sheet.say.say(f"figures.{title}", kernel=_name(slide.taps.tensor, slide)))
