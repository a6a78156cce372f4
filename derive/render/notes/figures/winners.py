"""Winners in numbers: extrema of windows, and the gradient that goes back to them alone.

The numbers are those of the worked example. Where there is none, they are small and always the
same, chosen so that windows which overlap share a winner and one window has a tie. Winners and
gradient are evaluated from the derived statement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

from ....derivations import Gradient
from ....documents import Edge, Figure, Math, Numeral, Row, Shape, Symbol
from ....equations import Statement
from ....expressions import Read, Winner, reads, walk
from ...mathematics.formulas import expression
from ...mathematics.notation import MINUS, PLUS
from ..sheet import Sheet
from ..values import number
from .sketch import Part, arrow, below, beside, figure, grid, lowest, titled
from .slide import Place, Plane, Slide, names_of, products

LARGEST, OUTPUTS = 6, 9
FRAMES = 4
"""Windows up to which all of them are framed."""
TRIALS = 400

Numbers = dict[Place, int]
Shares = dict[Place, list[tuple[Place, Fraction]]]
"""Entry of x → the windows that it wins, with its part of each."""


def winners(gradient: Gradient, sheet: Sheet) -> Figure | None:
    """The four grids x, y, g and ∂L/∂x; None where nothing is won, or there is too much."""
    slide, here = sheet.slide, sheet.at_sizes(gradient)
    if slide is None or here is None or gradient.of != slide.x.tensor or slide.spreads:
        return None
    gather = sheet.one(here.gather)
    won = [e for e in walk(gather.rhs) if isinstance(e, Winner)]
    if not won or max(slide.x.shape) > LARGEST or len(slide.y.places()) > OUTPUTS:
        return None
    offers = bids(slide, gather, sheet)
    upstream = {at: k for k, at in enumerate(slide.y.places(), 1)}
    if (worked := sheet.example) is None or worked.upstream is None:
        numbers, shares = example(slide, offers)
    else:
        numbers = _cut(worked.value(slide.x.tensor), slide.x)
        upstream, shares = _cut(worked.upstream, slide.y), shares_of(offers, numbers)
    say, op = sheet.say, won[0].op
    key = "winners" if worked is None else "winners_worked"
    caption = say.say(f"figures.{key}", kind=say.words(f"figures.winners_{op}"))
    if any(tied(slide, place, numbers, shares) for place in slide.y.places()):
        caption += say.say(f"figures.winners_{sheet.equation.ties}")
    drawn = _drawn(slide, numbers, upstream, shares, sheet)
    return figure(f"winners_{gradient.of}", drawn, caption, say.words("figures.winners_alt"))


def _cut(array: Any, drawn: Plane) -> Numbers:
    """The entries of an array that are drawn; every other subscript is 0."""

    def at(place: Place) -> Place:
        whole = dict(zip(drawn.axes, place, strict=True))
        return tuple(whole.get(k, 0) for k in range(array.ndim))

    return {place: int(array[at(place)]) for place in drawn.places()}


@dataclass(frozen=True)
class Bid:
    """What entry ``x`` may win of output ``y``: it is tap ``tap`` of the places ``window``."""

    x: Place
    y: Place
    tap: Place
    window: tuple[tuple[Place, Place], ...]
    op: str
    ties: str

    def part(self, numbers: Numbers) -> Fraction:
        """The value of the winner's bracket at these numbers."""
        values = [numbers[x] for _, x in self.window]
        top = max(values) if self.op == "max" else min(values)
        best = [tap for tap, x in self.window if numbers[x] == top]
        if self.ties == "split":
            return Fraction(self.tap in best, len(best))
        return Fraction(self.tap == best[0])


def bids(slide: Slide, gather: Statement, sheet: Sheet) -> list[Bid]:
    """All products of the gather form."""
    names, frame = names_of(gather.lhs, slide.x.axes), sheet.frame
    upstream = sheet.equation.tensor(slide.y.tensor).gradient
    out: list[Bid] = []
    if frame is None:
        return out
    for at in slide.x.places():
        for _, body in products(gather, at, names, frame, {*names, *slide.taps.names}):
            (winner,) = (e for e in walk(body) if isinstance(e, Winner))
            y = slide.y.of(reads(body, upstream)[0])
            tap = tuple(a.number or 0 for a in winner.at)
            window = _window(winner, slide, frame.extents)
            out.append(Bid(at, y, tap, window, winner.op, winner.ties))
    return out


def _window(
    winner: Winner, slide: Slide, extents: Mapping[str, int]
) -> tuple[tuple[Place, Place], ...]:
    """The taps that count, in row-major order, each with the entry of x that it reads."""
    (read,) = reads(winner.body, slide.x.tensor)
    out = []
    for tap in product(*(range(extents[name.rstrip("*")]) for name in winner.over)):
        values = dict(zip(winner.over, tap, strict=True))
        x = tuple(int(read.axes[k][0].evaluate(values)) for k in slide.x.axes)
        if slide.x.holds(x):
            out.append((tap, x))
    return tuple(out)


def example(slide: Slide, offers: list[Bid]) -> tuple[Numbers, Shares]:
    """Numbers for x and who wins: the first trial with one tie and, if it can be, an overlap."""
    overlaps = len({bid.x for bid in offers}) < len(offers)
    best: list[tuple[int, Numbers, Shares]] = []
    for trial in range(TRIALS):
        numbers = _numbers(slide, trial)
        shares = shares_of(offers, numbers)
        ties = sum(tied(slide, place, numbers, shares) for place in slide.y.places())
        twice = any(len(windows) > 1 for windows in shares.values())
        score = (ties == 1) + (twice or not overlaps)
        if not best or score > best[0][0]:
            best = [(score, numbers, shares)]
        if score == 2:
            break
    return best[0][1:]


def _numbers(slide: Slide, trial: int) -> Numbers:
    """Digits that look thrown but are the same every time."""
    state, out = 7 + 13 * trial, {}
    for place in slide.x.places():
        state = (state * 1103515245 + 12345) % 2**31
        out[place] = (state >> 16) % 10
    return out


def shares_of(offers: list[Bid], numbers: Numbers) -> Shares:
    """Which windows every entry of x wins."""
    out: Shares = {}
    for bid in offers:
        if part := bid.part(numbers):
            out.setdefault(bid.x, []).append((bid.y, part))
    return out


def tied(slide: Slide, place: Place, numbers: Numbers, shares: Shares) -> bool:
    """Whether the winner of a window is not the only entry with its value."""
    inside = [t.x for t in slide.touches if t.y == place and slide.x.holds(t.x)]
    top = next(x for x, windows in shares.items() if any(y == place for y, _ in windows))
    return sum(numbers[x] == numbers[top] for x in inside) > 1


# -- the drawing -------------------------------------------------------------------------------
def _drawn(slide: Slide, numbers: Numbers, upstream: Numbers, shares: Shares, sheet: Sheet) -> Part:
    """Forward above, backward below, or side by side where that is lower."""
    outs = {place: k for k, place in enumerate(slide.y.places())}
    tops = {y: numbers[x] for x, windows in shares.items() for y, _ in windows}
    hues = {x: outs[windows[0][0]] for x, windows in shares.items()}

    def marked(at: Place) -> str:
        return "strong" if at in shares else "plain"

    x = grid(slide.x.shape, lambda at: number(numbers[at]), hues.get, marked)
    if len(outs) <= FRAMES:
        x += _frames(slide, outs)
    y = grid(slide.y.shape, lambda at: number(tops[at]), outs.get)
    g = grid(slide.y.shape, lambda at: number(upstream[at]), outs.get)
    dx = grid(slide.x.shape, lambda at: _sum(shares.get(at, []), upstream), hues.get, marked)
    tensors = (slide.x.tensor, slide.y.tensor)
    names = [*(Symbol(t) for t in tensors), *(_gradient(t, slide, sheet) for t in tensors)]
    forward = beside(titled(x, names[0]), arrow(), titled(y, names[1]))
    back = beside(titled(g, names[3]), arrow(), titled(dx, names[2]))
    return lowest([below(forward, back, gap=0.8), beside(forward, back, gap=1.6)], 23.0)


def _gradient(tensor: str, slide: Slide, sheet: Sheet) -> Math:
    return expression(Read(sheet.equation.tensor(tensor).gradient, ()), slide.notation)


def _sum(windows: list[tuple[Place, Fraction]], upstream: Numbers) -> Math:
    """``1+3``: what one entry gets from the windows that it wins; 0 if it wins none."""
    items: list[Math] = []
    for y, part in sorted(windows):
        value = part * upstream[y]
        sign = [MINUS] if value < 0 else [PLUS] if items else []
        items += [*sign, Numeral(str(abs(value)))]
    return Row(tuple(items)) if items else Numeral("0")


def _frames(slide: Slide, outs: Mapping[Place, int]) -> Part:
    """A coloured frame around every window, each a little smaller than the one before."""
    shapes: list[Shape] = []
    for place, count in outs.items():
        under = [t.x for t in slide.touches if t.y == place]
        rows, columns = [p[0] if len(p) == 2 else 0 for p in under], [p[-1] for p in under]
        inset = 0.06 + 0.05 * count
        top, bottom = min(rows) + inset, max(rows) + 1 - inset
        left, right = min(columns) + inset, max(columns) + 1 - inset
        corners = ((left, top), (right, top), (right, bottom), (left, bottom), (left, top))
        shapes.append(Edge(corners, hue=count))
    return tuple(shapes)
