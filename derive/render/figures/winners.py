"""Winners in numbers: extrema of windows, and the gradient that goes back to them alone.

The numbers are small and always the same, chosen so that windows which overlap share a winner
and one window has a tie. Winners and gradient are evaluated from the derived statement.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import product

from ...derivations import Gradient
from ...documents import Edge, Figure, Math, Numeral, Operator, Row, Shape, Symbol
from ...equations import Statement
from ...expressions import Expr, Read, Winner, reads, substitute, walk
from ..formulas import expression
from ..sheet import Sheet
from .sketch import Part, arrow, below, beside, figure, grid, lowest, titled
from .slide import Place, Slide, names_of, products, slide_of

LARGEST, OUTPUTS = 6, 9
FRAMES = 4
"""Windows up to which all of them are framed."""
TRIALS = 400

Numbers = dict[Place, int]
Shares = dict[Place, list[tuple[Place, Fraction]]]
"""Entry of x → the windows that it wins, with its part of each."""


def winners(gradient: Gradient, sheet: Sheet) -> Figure | None:
    """The four grids x, y, g and ∂L/∂x; None where nothing is won, or there is too much."""
    slide, here = slide_of(sheet), sheet.at_sizes(gradient)
    if slide is None or here is None or gradient.of != slide.x.tensor or slide.spreads:
        return None
    gather = sheet.one(here.gather)
    won = [e for e in walk(gather.rhs) if isinstance(e, Winner)]
    if not won or max(slide.x.shape) > LARGEST or len(slide.y.places()) > OUTPUTS:
        return None
    numbers, shares = example(slide, gather, sheet)
    say, op = sheet.say, won[0].op
    caption = say.say("figures.winners", kind=say.words(f"figures.winners_{op}"))
    if any(tied(slide, place, numbers, shares) for place in slide.y.places()):
        caption += say.say(f"figures.winners_{sheet.equation.ties}")
    drawn = _drawn(slide, numbers, shares, sheet)
    return figure(f"winners_{gradient.of}", drawn, caption, say.words("figures.winners_alt"))


def example(slide: Slide, gather: Statement, sheet: Sheet) -> tuple[Numbers, Shares]:
    """Numbers for x and who wins: the first trial with a tie and, if it can be, an overlap."""
    overlaps = len({t.x for t in slide.touches}) < len(slide.touches)
    best: tuple[Numbers, Shares] | None = None
    rank = -1
    for trial in range(TRIALS):
        numbers = _numbers(slide, trial)
        shares = shares_of(slide, gather, numbers, sheet)
        ties = sum(tied(slide, place, numbers, shares) for place in slide.y.places())
        twice = any(len(windows) > 1 for windows in shares.values())
        score = (ties == 1) + (twice or not overlaps)
        if score > rank:
            best, rank = (numbers, shares), score
        if rank == 2:
            break
    assert best is not None  # there is at least one trial
    return best


def _numbers(slide: Slide, trial: int) -> Numbers:
    """Digits that look thrown but are the same every time."""
    state, out = 7 + 13 * trial, {}
    for place in slide.x.places():
        state = (state * 1103515245 + 12345) % 2**31
        out[place] = (state >> 16) % 10
    return out


def tied(slide: Slide, place: Place, numbers: Numbers, shares: Shares) -> bool:
    """Whether the winner of a window is not the only entry with its value."""
    inside = [t.x for t in slide.touches if t.y == place and slide.x.holds(t.x)]
    top = next(x for x, windows in shares.items() if any(y == place for y, _ in windows))
    return sum(numbers[x] == numbers[top] for x in inside) > 1


def shares_of(slide: Slide, gather: Statement, numbers: Numbers, sheet: Sheet) -> Shares:
    """Which windows every entry of x wins, by the gather form itself."""
    names = names_of(gather.lhs, slide.x.axes)
    frame, upstream = sheet.frame, sheet.equation.tensor(slide.y.tensor).gradient
    out: Shares = {}
    if frame is None:
        return out
    for at in slide.x.places():
        for _, body in products(gather, at, names, frame, {*names, *slide.taps.names}):
            part = _share(body, slide, numbers, frame.extents)
            if part:
                out.setdefault(at, []).append((slide.y.of(reads(body, upstream)[0]), part))
    return out


def _share(body: Expr, slide: Slide, numbers: Numbers, extents: Mapping[str, int]) -> Fraction:
    """The value of the winner's bracket at these numbers."""
    (winner,) = (e for e in walk(body) if isinstance(e, Winner))
    values: dict[Place, int] = {}
    for place in product(*(range(extents[name.rstrip("*")]) for name in winner.over)):
        read = substitute(winner.body, dict(zip(winner.over, place, strict=True)))
        there = slide.x.of(reads(read, slide.x.tensor)[0])
        if slide.x.holds(there):
            values[place] = numbers[there]
    top = max(values.values()) if winner.op == "max" else min(values.values())
    best = [place for place, value in values.items() if value == top]
    tap = tuple(a.number or 0 for a in winner.at)
    if winner.ties == "split":
        return Fraction(tap in best, len(best))
    return Fraction(tap == best[0])


# -- the drawing -------------------------------------------------------------------------------
def _drawn(slide: Slide, numbers: Numbers, shares: Shares, sheet: Sheet) -> Part:
    """Forward above, backward below, or side by side where that is lower."""
    outs = {place: k for k, place in enumerate(slide.y.places())}
    tops = {y: numbers[x] for x, windows in shares.items() for y, _ in windows}
    hues = {x: outs[windows[0][0]] for x, windows in shares.items()}

    def marked(at: Place) -> str:
        return "strong" if at in shares else "plain"

    x = grid(slide.x.shape, lambda at: Numeral(str(numbers[at])), hues.get, marked)
    if len(outs) <= FRAMES:
        x += _frames(slide, outs)
    y = grid(slide.y.shape, lambda at: Numeral(str(tops[at])), outs.get)
    g = grid(slide.y.shape, lambda at: Numeral(str(outs[at] + 1)), outs.get)
    dx = grid(slide.x.shape, lambda at: _sum(shares.get(at, []), outs), hues.get, marked)
    tensors = (slide.x.tensor, slide.y.tensor)
    names = [*(Symbol(t) for t in tensors), *(_gradient(t, slide, sheet) for t in tensors)]
    forward = beside(titled(x, names[0]), arrow(), titled(y, names[1]))
    back = beside(titled(g, names[3]), arrow(), titled(dx, names[2]))
    return lowest([below(forward, back, gap=0.8), beside(forward, back, gap=1.6)], 23.0)


def _gradient(tensor: str, slide: Slide, sheet: Sheet) -> Math:
    return expression(Read(sheet.equation.tensor(tensor).gradient, ()), slide.notation)


def _sum(windows: list[tuple[Place, Fraction]], outs: Mapping[Place, int]) -> Math:
    """``1+3``: what one entry gets from the windows that it wins; 0 if it wins none."""
    items: list[Math] = []
    for y, part in sorted(windows):
        value = str(part * (outs[y] + 1))
        items += [Operator("+"), Numeral(value)] if items else [Numeral(value)]
    return Row(tuple(items)) if items else Numeral("0")


def _frames(slide: Slide, outs: Mapping[Place, int]) -> Part:
    """A coloured frame around every window, each a little smaller than the one before."""
    shapes: list[Shape] = []
    for place, number in outs.items():
        under = [t.x for t in slide.touches if t.y == place]
        rows, columns = [p[0] if len(p) == 2 else 0 for p in under], [p[-1] for p in under]
        inset = 0.06 + 0.05 * number
        top, bottom = min(rows) + inset, max(rows) + 1 - inset
        left, right = min(columns) + inset, max(columns) + 1 - inset
        corners = ((left, top), (right, top), (right, bottom), (left, bottom), (left, top))
        shapes.append(Edge(corners, hue=number))
    return tuple(shapes)
