"""The section of one gradient: its steps, its two forms, its name, its entries."""

from __future__ import annotations

from ...derivations import COMPACTING, Gradient
from ...documents import Beside, Block, Display, Heading, Items, Numeral, Paragraph, Row, Symbol
from ...equations import Statement
from ...expressions import ZERO, reads
from ..mathematics.formulas import expression
from ..mathematics.notation import EQUALS, Taps
from ..phrases import Slot
from . import worked
from .figures.placed import gradient_figures
from .forms import form_blocks
from .grids import turned
from .meetings import cropped, fitting_blocks, meeting_blocks
from .reach import windows
from .remarks import sums_to_one
from .sheet import Sheet
from .steps import steps

SMALL = 6
"""Axes up to this long: the steps are shown with numbers, and every entry is written out."""


def gradient_blocks(gradient: Gradient, sheet: Sheet) -> list[Block]:
    """One gradient: its steps, its two forms, its name and its entries."""
    say, tensor = sheet.say.say, Symbol(gradient.of)
    lhs = sheet.one(gradient.gather).lhs
    goal = expression(lhs, sheet.notation)
    slots: dict[str, Slot] = {"goal": goal, "tensor": tensor}
    out: list[Block] = [
        Heading(1, say("headings.gradient", tensor=tensor)),
        Paragraph(say("gradient.goal" if lhs.axes else "gradient.goal_one", slots)),
    ]
    if gradient.gather.rhs == ZERO and not any(s.rule in COMPACTING for s in gradient.steps):
        return [*out, Paragraph(say("gradient.zero", tensor=tensor))]
    here = sheet.at_sizes(gradient)
    small = here is not None and _small(sheet)
    shown = here if small and here is not None else gradient
    out += steps(shown, sheet, here=small)
    out += _results(gradient, here, sheet)
    out += _distribution(gradient, sheet)
    out += _two_ways(gradient, sheet)
    out += gradient_figures(gradient, sheet)
    given = gradient in sheet.derivation.gradients
    if here is not None and given:
        out += _entry_by_entry(gradient, here, sheet)
    if form := form_blocks(gradient, sheet):
        out += [Heading(2, say("headings.form")), *form]
    if here is not None and given:
        out += _gradient_entries(here, sheet)
    return out


def _small(sheet: Sheet) -> bool:
    frame = sheet.frame
    return frame is not None and all(n <= SMALL for shape in frame.shapes.values() for n in shape)


def _results(gradient: Gradient, here: Gradient | None, sheet: Sheet) -> list[Block]:
    """The final form, in symbols and with the numbers put in."""
    if here is None:
        return []
    general, fixed = sheet.row(gradient.gather), sheet.row(here.gather, here=True)
    if general == fixed:
        return []
    pair = Beside(Display((general,), name=f"gather_{gradient.of}"), Display((fixed,)))
    return [Paragraph(sheet.say.say("gradient.result")), pair]


def _distribution(gradient: Gradient, sheet: Sheet) -> list[Block]:
    """The gradient where the entries of a target add up to 1."""
    found = sums_to_one(gradient, sheet.equation)
    if found is None:
        return []
    total = Row((expression(found[0], sheet.notation), EQUALS, Numeral("1")))
    row = sheet.row(found[1])
    return [Paragraph(sheet.say.say("gradient.distribution", total=total)), Display((row,))]


def _two_ways(gradient: Gradient, sheet: Sheet) -> list[Block]:
    """Scatter and gather side by side, and why they are equal."""
    if not gradient.scatter_steps:
        return []
    say = sheet.say.say
    slots: dict[str, Slot] = {
        "tensor": Symbol(gradient.of),
        "count": len(gradient.scatter_steps),
    }
    several = "_several" if len(gradient.scatter_steps) > 1 else ""
    scatters = tuple(sheet.row(scatter) for scatter in gradient.scatters)
    taps = sheet.taps
    key = "equal_plain"
    if taps is not None and taps.tensor and all(_slides(s, taps) for s in gradient.scatters):
        key = "equal_turned" if turned(sheet) else "equal"
    return [
        Heading(2, say("headings.two_ways")),
        Paragraph(say("two_ways.intro", slots)),
        Items((say(f"two_ways.scatter{several}", slots), say("two_ways.gather", slots))),
        Beside(
            Display(scatters, name=f"scatter_{gradient.of}"),
            Display((sheet.row(gradient.gather),)),
        ),
        Paragraph(say(f"two_ways.{key}", slots)),
    ]


def _spread(gradient: Gradient, sheet: Sheet) -> list[Block]:
    """Of windows without a kernel: whether going back is copying every entry over its window."""
    taps, batched = sheet.taps, sheet.equation.tensor(gradient.of).batched
    if taps is None or taps.tensor or not batched or not (seen := windows(sheet.derivation)):
        return []
    overlap = any(field.jump and field.size > field.jump for field in seen)
    slots: dict[str, Slot] = {"g": sheet.upstream(), "tensor": Symbol(gradient.of)}
    return [Paragraph(sheet.say.say(f"two_ways.{'overlap' if overlap else 'apart'}", slots))]


def _entry_by_entry(gradient: Gradient, here: Gradient, sheet: Sheet) -> list[Block]:
    """Which outputs one entry takes part in; which taps fit, and what falls on the padding."""
    out = _spread(gradient, sheet)
    if met := meeting_blocks(here, sheet):
        out += [Heading(2, sheet.say.say("headings.meetings")), *met]
    if sheet.equation.tensor(gradient.of).batched:
        out += fitting_blocks(here, sheet)
        if lost := cropped(gradient, sheet):
            out.append(Paragraph(lost))
    return out


def _slides(scatter: Statement, taps: Taps) -> bool:
    """Whether a scatter sends products of kernel taps to the entries of their window."""
    return set(taps.names) <= set(scatter.lhs.names) and bool(reads(scatter.rhs, taps.tensor))


def _gradient_entries(here: Gradient, sheet: Sheet) -> list[Block]:
    value = sheet.one(here.gather)
    blocks = entry_blocks(value, sheet, "gradient")
    if not blocks:
        return []
    frame = sheet.frame
    every = frame is not None and worked.all_fit(value, sheet, frame)
    head = "headings.entries" if every else "headings.some_entries"
    out: list[Block] = [Heading(2, sheet.say.say(head))]
    if sheet.taps is not None and here.of == sheet.taps.tensor:
        out.append(Paragraph(sheet.say.say("gradient.weights", tensor=Symbol(here.of))))
    return out + blocks


def entry_blocks(value: Statement, sheet: Sheet, table: str) -> list[Block]:
    """Entries of a statement with their sentence; none if their ranges are not known."""
    frame = sheet.frame
    if frame is None or not frame.covers(value) or not value.lhs.axes:
        return []
    display = worked.display(value, sheet, frame)
    if not worked.all_fit(value, sheet, frame):
        key = "some"
    else:
        weights = sheet.taps is not None and sheet.taps.tensor
        tapped = "entries" if weights else "window_entries"
        key = tapped if worked.by_tap(value, sheet) else "plain_entries"
    return [Paragraph(sheet.say.say(f"{table}.{key}")), display]
