"""The worked example: small integers through the layer and back, and what checks them."""

from __future__ import annotations

from typing import Any

from ...affine import Affine
from ...documents import (
    Block,
    Display,
    Fraction,
    Heading,
    Inline,
    Math,
    Numeral,
    Operator,
    Paragraph,
    Row,
    Symbol,
    Table,
)
from ...equations import Statement
from ...expressions import Number, Read, Reduce
from ...functions import kinds
from ...trials import Check, Example, Place
from ..mathematics.notation import DEL, EQUALS, MINUS, PLUS
from ..phrases import Slot
from .arithmetic import Arrays, indices, put, spot, value_of
from .entries import Frame, Part, at, entry, positions
from .sheet import Sheet
from .values import array, fits, number
from .worked import window_grid

SPACE = Operator(" ")


def example_blocks(example: Example | None, sheet: Sheet) -> list[Block]:
    """The numbers, two entries worked out, and a difference quotient for every gradient."""
    if example is None:
        return []
    say = sheet.say.say
    g = sheet.upstream()
    out: list[Block] = [Heading(1, say("headings.numbers"))]
    if sheet.equation.loss:
        out.append(Paragraph(say("numbers.intro_loss")))
    else:
        out.append(Paragraph(say("numbers.intro", g=g)))
    out += _given(example, sheet)
    out += _winners(example, sheet)
    out += _worked(example, sheet)
    return out + _checks(example, sheet)


def _named(name: str, sheet: Sheet) -> Math:
    return sheet.number(Read(name, ()))


def _given(example: Example, sheet: Sheet) -> list[Block]:
    """All tensors as matrices; of those that are too large only the shape is known."""
    output, upstream = sheet.equation.output, sheet.equation.output.gradient
    before: list[tuple[Math, Any]] = [(Symbol(name), value) for name, value in example.given]
    if example.upstream is not None:
        before.append((_named(upstream, sheet), example.upstream))
    after: list[tuple[Math, Any]] = [(Symbol(output.name), example.output)]
    behind = [
        (_named(sheet.equation.tensor(of).gradient, sheet), value)
        for of, value in example.gradients
    ]
    if not all(fits(value) for _, value in (*before, *after, *behind)):
        return [Paragraph(sheet.say.say("numbers.large"))]
    gives = Paragraph(sheet.say.say("numbers.gives"))
    back = Paragraph(sheet.say.say("numbers.back"))
    return [_line(before, "given"), gives, _line(after, "output"), back, _line(behind, "slopes")]


def _line(named: list[tuple[Math, Any]], name: str) -> Display:
    """``x = […]   w = […]``, broken between tensors."""
    (left, first), *others = named
    pieces: list[Math] = [Row((EQUALS, array(first)))]
    pieces += [Row((SPACE, one, EQUALS, array(value))) for one, value in others]
    return Display(((left, tuple(pieces)),), name=f"numbers_{name}")


# -- single entries with numbers put in ----------------------------------------------------------
PRODUCTS = 12
"""Products of an entry up to which all are shown with their numbers."""
SHOWN = 5
"""Products that are shown of a longer entry."""


def _worked(example: Example, sheet: Sheet) -> list[Block]:
    """One entry of the output and the checked entry of each gradient, with their numbers."""
    frame, here = sheet.frame, sheet.here
    if frame is None or here is None or here.given:
        return []
    arrays: Arrays = dict(example.given)
    if example.upstream is not None:
        arrays[here.output.gradient] = example.upstream
    resolved = sheet.derivation.resolved
    first = here.forward if resolved is None else resolved.gather
    lines = [worked_entry(first, None, arrays, example.output, sheet)]
    places = {check.of: check.place for check in example.checks}
    results = dict(example.gradients)
    for gradient in sheet.derivation.instance:
        of = gradient.of
        lines.append(worked_entry(gradient.gather, places.get(of), arrays, results[of], sheet))
    rows = tuple(line for line in lines if line is not None)
    if not rows:
        return []
    return [Paragraph(sheet.say.say("numbers.worked")), Display(rows, name="numbers_worked")]


def worked_entry(
    value: Statement, place: Place | None, arrays: Arrays, results: Any, sheet: Sheet
) -> tuple[Math, tuple[Math, ...]] | None:
    """``y_{0,0} = 2·1 + 0·2 = 2``; None where an entry is no plain sum of products.

    What it comes to is what the kernel gave, all its ``results``.
    """
    frame, one = sheet.frame, sheet.one(value)
    if frame is None or not frame.covers(one) or (place is not None and not one.lhs.axes):
        return None
    where = next(iter(positions(one, frame)))
    if place is not None:
        where = indices(one.lhs, place, frame)
    parts = entry(one, where, frame, PRODUCTS)
    if any(part.more for part in parts):
        parts = entry(one, where, frame, SHOWN)
    pieces: list[Math] = []
    for part in parts:
        if part.op not in ("", "sum"):
            return None
        sign = MINUS if part.sign < 0 else PLUS
        for number_, product_ in enumerate(part.products, 1):
            body, minus = put(product_.body, arrays), part.sign < 0
            if value_of(body) is None:
                return None
            if isinstance(body, Number) and body.value < 0:  # a number alone
                body, minus = Number(-body.value), not minus
            dots = (sign, Operator("⋯")) if part.more and number_ == len(part.products) else ()
            before = (MINUS,) if minus else (PLUS,) if pieces else ()
            shown = (*before, sheet.number(body))
            pieces.append(Row((*dots, *shown) if pieces else (EQUALS, *shown)))
    if len(pieces) < 2:
        return None
    result = Row((EQUALS, number(float(results[spot(one.lhs, where, frame)]))))
    return sheet.number(at(one.lhs, where)), (*pieces, result)


# -- maxima --------------------------------------------------------------------------------------
WINDOWS = 16
"""Windows up to which all winners are listed."""


def _winners(example: Example, sheet: Sheet) -> list[Block]:
    """Every window of a maximum or minimum with its numbers, its winner and its ties."""
    frame, here = sheet.frame, sheet.here
    if frame is None or here is None or here.given:
        return []
    one = sheet.one(here.forward)
    if not isinstance(one.rhs, Reduce) or one.rhs.op not in ("max", "min"):
        return []
    rows: list[tuple[tuple[Inline, ...], ...]] = []
    for place in positions(one, frame):
        (part,) = entry(one, place, frame)
        row = _window(part, at(one.lhs, place), example, frame, sheet)
        if row is None or len(rows) == WINDOWS:
            return []
        rows.append(row)
    say = sheet.say.say
    head = tuple(say(f"numbers.{key}") for key in ("window_output", "window", "best", "winner"))
    rule = Paragraph(say(f"numbers.ties_{here.ties}"))
    return [Paragraph(say("numbers.windows")), Table(head, tuple(rows)), rule]


def _window(
    part: Part, lhs: Read, example: Example, frame: Frame, sheet: Sheet
) -> tuple[tuple[Inline, ...], ...] | None:
    arrays = dict(example.given)
    found = [(p, value_of(put(p.body, arrays))) for p in part.products]
    values = [value for _, value in found if value is not None]
    if len(values) != len(found) or not all(isinstance(p.body, Read) for p, _ in found):
        return None
    best = max(values) if part.op == "max" else min(values)
    winners = [sheet.number(p.body) for p, value in found if value == best]
    numbers = {p.place: number(float(value)) for p, value in found if value is not None}
    sizes = tuple(frame.extents[i] for i in part.over)
    said: tuple[Inline, ...] = (winners[0],)
    if len(winners) > 1:
        tied: list[Inline] = []
        for winner in winners:
            tied += [", ", winner] if tied else [winner]
        said = sheet.say.say("numbers.tie", {"first": winners[0], "tied": tuple(tied)})
        if sheet.equation.ties == "split":
            said = tuple(tied)
    return (sheet.number(lhs),), (window_grid(numbers, sizes),), (number(float(best)),), said


# -- difference quotients ------------------------------------------------------------------------
def _checks(example: Example, sheet: Sheet) -> list[Block]:
    if not example.checks:
        return []
    say, loss, theta, step = sheet.say.say, Symbol("L"), Symbol("theta"), Symbol("h")

    def moved(sign: Operator) -> Math:
        return Row((loss, Operator("("), theta, sign, step, Operator(")")))

    ratio = Fraction(
        Row((moved(PLUS), MINUS, moved(MINUS))), Row((Numeral("2"), Operator("\u2062"), step))
    )
    slope = Fraction(Row((DEL, loss)), Row((DEL, theta)))
    display = Display(((slope, (Row((Operator("≈"), ratio)),)),), name="quotient")
    output, g = Symbol(sheet.equation.output.name), sheet.upstream()
    slots: dict[str, Slot] = {"output": output, "g": g}
    key = "check_loss" if sheet.equation.loss else "check"
    out: list[Block] = [Paragraph(say(f"numbers.{key}", slots)), display]
    rows = (checked(check, _at(check.of, check.place, sheet)) for check in example.checks)
    out.append(Table(head(sheet), tuple(rows)))
    exact = [check for check in example.checks if check.exact]
    key = "exact" if len(exact) == len(example.checks) else "some_exact" if exact else "rounded"
    kinks = len(exact) < len(example.checks) and _kinks(sheet)
    out.append(
        Paragraph((*say(f"numbers.{key}"), *((" ", *say("numbers.kinks")) if kinks else ())))
    )
    missing = [of for of, _ in example.gradients if of not in {c.of for c in example.checks}]
    for of in missing:
        out.append(Paragraph(say("numbers.unchecked", tensor=Symbol(of))))
    return out


def _kinks(sheet: Sheet) -> bool:
    """Whether a gradient chooses: a winner, or a case."""
    return any("selecting" in kinds(g.gather.rhs) for g in sheet.derivation.gradients)


def head(sheet: Sheet) -> tuple[tuple[Inline, ...], ...]:
    """The head of a table of difference quotients."""
    names = ("entry", "step", "above", "below", "quotient", "derived")
    return tuple(sheet.say.say(f"numbers.{name}") for name in names)


def checked(check: Check, entry: Math) -> tuple[tuple[Inline, ...], ...]:
    """A row of that table."""
    numbers = (check.step, check.above, check.below, check.quotient, check.derived)
    digits = [number(v) if v == check.step else precise(v) for v in numbers[:3]]
    ends = [number(v) for v in numbers[3:]]
    return ((entry,), *((shown,) for shown in (*digits, *ends)))


def precise(value: float) -> Math:
    """A number to nine digits: the differences of two such are what counts."""
    text = f"{abs(value):.9g}"
    return Row((MINUS, Numeral(text))) if value < 0 else Numeral(text)


def _at(of: str, place: Place, sheet: Sheet) -> Math:
    return sheet.number(Read(of, tuple((Affine.of(k),) for k in place)))
