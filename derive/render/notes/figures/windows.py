"""The window on its way over the input: what each output is made from.

Where the equation sends entries instead of reading them, the picture runs the other way: one
entry of the input, and the window of the output that it is spread over.
"""

from __future__ import annotations

from ....documents import Figure, Math, Numeral, Symbol
from ..sheet import Sheet
from .sketch import Part, arrow, below, beside, figure, grid, lowest, rows_of, size, titled
from .slide import LARGEST, Place, Plane, Slide

WIDEST = 28.0
EVERY = 4
"""Windows up to which all of them are drawn; else the first, the next and the last."""


def windows(sheet: Sheet) -> Figure | None:
    """Some positions of the window, each tap in its hue; None if it would be too large."""
    slide = sheet.slide
    if slide is None or max(slide.frame[1]) > LARGEST:
        return None
    base = slide.x if slide.spreads else slide.y
    frames = [[_frame(slide, place, down) for place in stops(base)] for down in (False, True)]
    whole = lowest([_beside(_kernel(slide), parts) for parts in frames])
    say, kind = sheet.say, "spread" if slide.spreads else "windows"
    slots = {
        "tensor": Symbol(slide.x.tensor),
        "output": Symbol(slide.y.tensor),
        "kernel": Symbol(slide.taps.tensor or "w"),
    }
    weights = "" if slide.taps.tensor else "_plain"
    caption = say.say(f"figures.{kind}{weights}", slots)
    if padded(slide):
        cut = "cut" if slide.spreads else "zeros" if slide.zeros else "skipped"
        caption += say.say(f"figures.{cut}")
    if not (slide.x.whole and slide.y.whole):
        caption += say.say("figures.slice")
    shapes = {"size": _by(slide.x.shape), "window": _by(slide.taps.sizes)}
    shapes["output"] = _by(slide.y.shape)
    return figure(kind, whole, caption, say.words(f"figures.{kind}_alt", shapes))


def _by(shape: Place) -> str:
    return "×".join(map(str, shape))


def stops(plane: Plane) -> list[Place]:
    """All positions if they are few, else the first, its neighbour and the last."""
    every = plane.places()
    if len(every) <= EVERY:
        return every
    return list(dict.fromkeys((every[0], every[1], every[-1])))


def padded(slide: Slide) -> bool:
    """Whether a window reaches beyond the tensor that it lies on."""
    if slide.spreads:
        return any(not slide.y.holds(t.y) for t in slide.touches)
    return any(not slide.x.holds(t.x) for t in slide.touches)


def _kernel(slide: Slide) -> Part:
    """The kernel by itself, every tap in its hue."""
    if not slide.taps.tensor:
        return ()
    part = grid(slide.taps.sizes, slide.weight, slide.taps.number)
    return titled(part, Symbol(slide.taps.tensor))


def _beside(kernel: Part, frames: list[Part]) -> Part:
    room = WIDEST - (size(kernel)[0] + 1 if kernel else 0)
    return beside(kernel, rows_of(frames, room), gap=1.0)


def _frame(slide: Slide, place: Place, down: bool) -> Part:
    """The input under one position of the window, and the output that comes of it."""
    parts = (over(slide, place), _single(slide, place))
    first, second = reversed(parts) if slide.spreads else parts
    if down or len(place) == 1:
        return below(first, arrow(down=True, length=0.7), second, gap=0.15)
    return beside(first, arrow(), second, gap=0.2)


def over(slide: Slide, place: Place, tensor: str = "") -> Part:
    """The tensor under the window, its padding dashed, the taps of one window in their hues.

    With ``tensor`` its entries have another name, that of its gradient say.
    """
    plane = slide.y if slide.spreads else slide.x
    name = tensor or plane.tensor
    start, shape = slide.frame
    here = [t for t in slide.touches if (t.x if slide.spreads else t.y) == place]
    hues = {(t.y if slide.spreads else t.x): t.tap for t in here}

    def label(at: Place) -> Math | None:
        if plane.holds(at):
            return slide.plain(name, at)
        return Numeral("0") if slide.zeros and at in hues else None

    def kind(at: Place) -> str:
        if not plane.holds(at):
            return "padding"
        return "faint" if not slide.spreads and at in slide.unread else "plain"

    return grid(shape, label, hues.get, kind, start)


def _single(slide: Slide, place: Place) -> Part:
    """The other tensor, with the one entry of this window marked."""
    plane = slide.x if slide.spreads else slide.y
    return grid(
        plane.shape,
        lambda at: slide.plain(plane.tensor, at),
        kind=lambda at: "strong" if at == place else "plain",
    )
