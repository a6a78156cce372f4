"""The input gradient as a window over a spread g: zeros between, padding around, what is cropped.

Laid out by the form that was recognised and proved in the derivation, where it moves in steps
of one over a source with zeros, padding or cropping.
"""

from __future__ import annotations

from itertools import product

from ....derivations import AxisForm, Form, Gradient
from ....documents import Figure, Math, Numeral
from ....expressions import Read
from ...mathematics.formulas import expression
from ...phrases import Slot
from ..sheet import Sheet
from .sketch import Part, beside, figure, grid, sign, titled
from .slide import Place, Slide

LARGEST = 11


def dilute(gradient: Gradient, sheet: Sheet) -> Figure | None:
    """Spread g ⋆ turned kernel = ∂L/∂x; None unless zeros stand between the entries of g."""
    slide, here = sheet.slide, sheet.at_sizes(gradient)
    if slide is None or here is None or here.form is None or gradient.of != slide.x.tensor:
        return None
    form, upstream = here.form, sheet.equation.tensor(slide.y.tensor).gradient
    rows = [_numbers(axis) for axis in form.axes]
    known = [row for row in rows if row is not None]
    if (form.source, form.kernel) != (upstream, slide.taps.tensor) or len(known) != len(rows):
        return None
    if len(known) != len(slide.x.axes) or all(spread == 1 for spread, *_ in known):
        return None
    laid = Layout(slide, form, known)
    if max(laid.shape) > LARGEST:
        return None
    return _figure(laid, gradient, upstream, sheet)


def _numbers(axis: AxisForm) -> tuple[int, int, int, int] | None:
    """Zeros + 1 between entries, low and high padding, dilation; None if steps are larger."""
    values = [v.number if v is not None else None for v in (axis.spread, axis.low, axis.high)]
    spread, low, high = values
    step = axis.dilation.number
    if spread is None or low is None or high is None or step is None or axis.stride.number != 1:
        return None
    return spread, low, high, step


class Layout:
    """Where the entries of g and of the kernel stand."""

    def __init__(self, slide: Slide, form: Form, known: list[tuple[int, int, int, int]]) -> None:
        self.slide = slide
        self.low = tuple(low for _, low, _, _ in known)
        self.high = tuple(high for _, _, high, _ in known)
        self.spread = tuple(spread for spread, *_ in known)
        counts = slide.y.shape
        self.body = tuple(s * (n - 1) + 1 for s, n in zip(self.spread, counts, strict=True))
        start = (min(0, -low) for low in self.low)
        self.start: Place = tuple(start)
        ends = zip(self.body, self.high, strict=True)
        self.shape: Place = tuple(
            n + max(0, high) - first for (n, high), first in zip(ends, self.start, strict=True)
        )
        self.g = {
            tuple(s * k for s, k in zip(self.spread, place, strict=True)): place
            for place in slide.y.places()
        }
        dilations = tuple(step for *_, step in known)
        turned = tuple(axis.flipped for axis in form.axes)
        self.kernel: dict[Place, Place] = {}
        for at in dict.fromkeys(t.at for t in slide.touches):
            rows = zip(at, slide.taps.sizes, dilations, turned, strict=True)
            self.kernel[tuple(d * (n - 1 - k if t else k) for k, n, d, t in rows)] = at

    def cropped(self, at: Place) -> bool:
        """Whether a cell of the spread g is cut off again."""
        ends = zip(at, self.low, self.body, self.high, strict=True)
        return any(k < -low or k >= n + high for k, low, n, high in ends)

    def pads(self, at: Place) -> bool:
        """Whether a cell stands before the first or behind the last entry of g."""
        return any(not 0 <= k < n for k, n in zip(at, self.body, strict=True))


def _figure(laid: Layout, gradient: Gradient, upstream: str, sheet: Sheet) -> Figure:
    slide, say = laid.slide, sheet.say
    target = sheet.equation.tensor(gradient.of).gradient
    g, dx, w = (
        expression(Read(name, ()), slide.notation) for name in (upstream, target, slide.taps.tensor)
    )
    part = beside(
        titled(_source(laid, upstream), g),
        sign("⋆"),
        titled(_kernel(laid), w),
        sign("="),
        titled(_result(slide), dx),
    )
    cells = _cells(laid)
    slots: dict[str, Slot] = {
        "gradient": dx,
        "g": g,
        "zeros": say.say("figures.dilute_zeros"),
        "pads": say.say("figures.dilute_pads") if any(map(laid.pads, cells)) else "",
        "cropped": say.say("figures.dilute_cropped") if any(map(laid.cropped, cells)) else "",
    }
    caption = say.say("figures.dilute", slots)
    if slide.unread:
        caption += say.say("figures.dilute_unread")
    if not slide.x.whole:
        caption += say.say("figures.slice")
    alt = say.words(
        "figures.dilute_alt",
        size="×".join(map(str, laid.shape)),
        kernel="×".join(map(str, slide.taps.sizes)),
        result="×".join(map(str, slide.x.shape)),
        unread=len(slide.unread),
    )
    return figure(f"dilute_{gradient.of}", part, caption, alt)


def _cells(laid: Layout) -> list[Place]:
    ranges = (range(a, a + n) for a, n in zip(laid.start, laid.shape, strict=True))
    return list(product(*ranges))


def _source(laid: Layout, upstream: str) -> Part:
    def label(at: Place) -> Math:
        return laid.slide.plain(upstream, laid.g[at]) if at in laid.g else Numeral("0")

    def kind(at: Place) -> str:
        if laid.pads(at):
            return "padding"
        return "faint" if laid.cropped(at) or at not in laid.g else "plain"

    return grid(laid.shape, label, kind=kind, start=laid.start)


def _kernel(laid: Layout) -> Part:
    """The kernel as it slides, zeros in the gaps of a dilation."""
    slide = laid.slide
    shape = tuple(1 + max(p[k] for p in laid.kernel) for k in range(len(slide.taps.sizes)))
    return grid(
        shape,
        lambda at: slide.weight(laid.kernel[at]) if at in laid.kernel else Numeral("0"),
        lambda at: slide.taps.number(laid.kernel[at]) if at in laid.kernel else None,
        lambda at: "plain" if at in laid.kernel else "faint",
    )


def _result(slide: Slide) -> Part:
    """The entries of x, those that no window reads pale and with their gradient, 0."""
    return grid(
        slide.x.shape,
        lambda at: Numeral("0") if at in slide.unread else slide.plain(slide.x.tensor, at),
        kind=lambda at: "faint" if at in slide.unread else "plain",
    )
