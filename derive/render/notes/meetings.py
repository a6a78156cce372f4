"""Which outputs an entry takes part in, and which taps a position allows: the small tables.

Both are read off the gather form: the products of one entry, and the conditions under its sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from ...affine import Affine
from ...derivations import Gradient
from ...documents import Block, Heading, Inline, Math, Operator, Paragraph, Row, Symbol, Table
from ...equations import Statement
from ...expressions import Condition, Divides, Expr, Read, Reduce, Winner, Within, reads, walk
from ..mathematics.notation import COMMA, EQUALS, affine, joined
from ..mathematics.sample import condition_names
from ..mathematics.terms import factors
from ..phrases import Slot
from .entries import Frame, at, entry, holds, positions
from .sheet import Sheet

ROWS = 12
"""Rows of the longest table."""


def meeting_blocks(here: Gradient, sheet: Sheet) -> list[Block]:
    """Every output that one inner entry acts on, with what it is multiplied with there."""
    frame, one = sheet.frame, sheet.one(here.gather)
    if frame is None or not frame.covers(one) or not one.lhs.axes:
        return []
    place = _busiest(one, frame)
    parts = entry(one, place, frame, ROWS + 1)
    products = [p.body for part in parts for p in part.products]
    rows = [_meeting(body, sheet) for body in products]
    known = [row for row in rows if row is not None]
    plain = all(part.op in ("", "sum") and part.sign > 0 for part in parts)
    if not plain or not 2 <= len(known) == len(rows) <= ROWS:
        return []
    here_ = Read(here.of, at(one.lhs, place).axes)
    slots: dict[str, Slot] = {"entry": sheet.number(here_), "count": len(rows)}
    slots["tensor"] = Symbol(here.of)
    role = sheet.equation.tensor(here.of).role
    say = sheet.say.say
    head = (
        say("meetings.output"),
        say(f"meetings.beside_{role}", slots),
        say("meetings.adds", gradient=sheet.number(Read(one.lhs.tensor, here_.axes))),
    )
    return [
        Paragraph(say(f"meetings.intro_{role}", slots)),
        Table(head, tuple(known)),
        Paragraph(say(f"meetings.sum_{role}", slots)),
    ]


PLACES = 100
"""Entries that are looked at for the one that takes part in most outputs."""


def _busiest(one: Statement, frame: Frame) -> tuple[int, ...]:
    """The entry in the middle, or another one that takes part in more outputs."""

    def count(place: tuple[int, ...]) -> int:
        return sum(len(part.products) for part in entry(one, place, frame, ROWS))

    middle = tuple(n // 2 for n in frame.ranges(one.lhs).values())
    others = islice(positions(one, frame), PLACES)
    return middle if count(middle) > 1 else max([middle, *others], key=count)


def _meeting(body: Expr, sheet: Sheet) -> tuple[tuple[Inline, ...], ...] | None:
    """Output, what stands beside g, their product; None unless it is g times one other entry."""
    upstream = sheet.fixed.upstream
    parts = factors(body)
    output = [p for p in parts if isinstance(p, Read) and p.tensor == upstream]
    rest = [p for p in parts if p not in output]
    if len(output) != 1 or len(rest) != 1 or not isinstance(rest[0], Read):
        return None
    made = Read(sheet.equation.output.name, output[0].axes)
    return (sheet.number(made),), (sheet.number(rest[0]),), (sheet.number(body),)


# -- which taps fit ------------------------------------------------------------------------------
def fitting_blocks(here: Gradient, sheet: Sheet) -> list[Block]:
    """For one position along one axis: every tap, and whether its output exists."""
    frame, one = sheet.frame, sheet.one(here.gather)
    if frame is None or not frame.covers(one) or any(isinstance(e, Reduce) for e in _inner(one)):
        return []
    found = list(_cases(one, frame))
    if not found:
        return []
    case = max(found, key=lambda one_: _variety(one_, frame, one))
    return _fitting(here, case, _position(case, frame, one), sheet, frame)


def _inner(one: Statement) -> Iterator[Expr]:
    """What stands below the outer sum."""
    if isinstance(one.rhs, Reduce):
        for node in walk(one.rhs.body):
            if not isinstance(node, Winner):
                yield node


Case = tuple[str, str, tuple[Condition, ...]]


def _cases(one: Statement, frame: Frame) -> Iterator[Case]:
    """(own index, tap, conditions between the two alone), an axis each."""
    if not isinstance(one.rhs, Reduce):
        return
    for tap in one.rhs.over:
        about = tuple(c for c in one.rhs.where if tap in condition_names(c))
        owns = {n for c in about for n in condition_names(c)} - {tap}
        plain = all(isinstance(c, Divides | Within) for c in about)
        if not about or not plain or len(owns) != 1 or frame.extents[tap] > ROWS:
            continue
        if (own := owns.pop()) in frame.ranges(one.lhs):
            yield own, tap, about


def _status(c: Condition, values: dict[str, int]) -> str:
    if holds(c, values):
        return ""
    return "remainder" if isinstance(c, Divides) else "outside"


def _kinds(case: Case, position: int, frame: Frame) -> list[str]:
    own, tap, conditions = case
    found = []
    for u in range(frame.extents[tap]):
        wrong = [s for c in conditions if (s := _status(c, {own: position, tap: u}))]
        found.append("remainder" if "remainder" in wrong else wrong[0] if wrong else "used")
    return found


def _variety(case: Case, frame: Frame, one: Statement) -> int:
    return len(set(_kinds(case, _position(case, frame, one), frame)))


def _position(case: Case, frame: Frame, one: Statement) -> int:
    """The first position at which most different things happen, and most taps are used."""

    def worth(position: int) -> tuple[int, int, int]:
        kinds = _kinds(case, position, frame)
        return len(set(kinds)), kinds.count("used"), -position

    return max(range(min(frame.ranges(one.lhs)[case[0]], PLACES)), key=worth)


@dataclass(frozen=True)
class _Fit:
    """The conditions between one own index and one tap: what has to divide, what to lie within."""

    own: str
    tap: str
    divides: Divides | None
    within: Within | None

    @classmethod
    def of(cls, case: Case) -> _Fit:
        own, tap, conditions = case
        divides = next((c for c in conditions if isinstance(c, Divides)), None)
        return cls(own, tap, divides, next((c for c in conditions if isinstance(c, Within)), None))

    @property
    def value(self) -> Affine:
        """What the stride has to divide."""
        if self.divides is not None:
            return self.divides.value
        return self.within.value if self.within is not None else Affine.of(0)

    @property
    def quotient(self) -> Affine:
        """The output that a tap belongs to."""
        if self.within is not None:
            return self.within.value
        return self.value / self.divides.divisor if self.divides is not None else self.value


def _fitting(here: Gradient, case: Case, position: int, sheet: Sheet, frame: Frame) -> list[Block]:
    """The question at one position, a row a tap, and what follows from it."""
    fit, say = _Fit.of(case), sheet.say.say
    slots = _fit_slots(here, fit, position)
    there = affine(fit.value.substitute({fit.own: Affine.of(position)}))
    head: list[tuple[Inline, ...]] = [(Symbol(fit.tap),), (there,)]
    head += [say("fitting.divisible", slots)] if fit.divides else []
    head += [say("fitting.row", slots)] if fit.within else []
    head.append(say("fitting.used"))
    taps = range(frame.extents[fit.tap])
    rows = tuple(_fit_row(fit, {fit.own: position, fit.tap: u}, sheet) for u in taps)
    key = "intro" if fit.divides else "intro_cropped"
    key += "" if fit.within else "_all"
    return [
        Heading(2, say("headings.fitting")),
        Paragraph(say(f"fitting.{key}", slots)),
        Table(tuple(head), rows),
        *_fit_remarks(here, case, slots, sheet, frame),
    ]


def _fit_slots(here: Gradient, fit: _Fit, position: int) -> dict[str, Slot]:
    put = {fit.own: Affine.of(position)}
    slots: dict[str, Slot] = {
        "index": Symbol(fit.own),
        "tap": Symbol(fit.tap),
        "value": affine(fit.value.substitute(put)),
        "output": affine(fit.quotient.substitute(put)),
        "place": Row((Symbol(fit.own), EQUALS, affine(Affine.of(position)))),
        "tensor": Symbol(here.of),
    }
    if fit.divides is not None:
        slots["stride"] = affine(fit.divides.divisor)
    if fit.within is not None:
        slots["last"] = affine(fit.within.extent - 1)
    return slots


def _fit_remarks(
    here: Gradient, case: Case, slots: dict[str, Slot], sheet: Sheet, frame: Frame
) -> list[Block]:
    """The polyphase form, and the positions that no tap reaches."""
    say = sheet.say.say
    linear = not reads(here.gather.rhs, here.of)
    out: list[Block] = []
    if "stride" in slots and linear:
        out.append(Paragraph(say("fitting.phases", slots)))
    reach = range(min(frame.ranges(sheet.one(here.gather).lhs)[case[0]], PLACES))
    unread = [affine(Affine.of(a)) for a in reach if "used" not in _kinds(case, a, frame)]
    if unread:
        slots = {**slots, "unread": joined(unread[:MANY], COMMA)}
        many = "_many" if len(unread) > MANY else ""
        out.append(Paragraph(say(f"fitting.unread{many}", slots)))
    return out


MANY = 8
"""Positions that are listed one by one."""


def _fit_row(fit: _Fit, values: dict[str, int], sheet: Sheet) -> tuple[tuple[Inline, ...], ...]:
    """Tap, what has to be divided, whether it can be, the output, whether there is one."""
    say = sheet.say.say
    yes, no = say("table.yes"), say("table.no")
    row: list[tuple[Inline, ...]] = [
        (affine(Affine.of(values[fit.tap])),),
        (_whole(fit.value, values),),
    ]
    whole = fit.divides is None or holds(fit.divides, values)
    inside = fit.within is None or (whole and holds(fit.within, values))
    if fit.divides:
        row.append(yes if whole else no)
    if fit.within:
        shown: tuple[Inline, ...] = (_whole(fit.quotient, values),) if whole else ("–",)
        row.append(shown if not whole or inside else (*shown, *say("fitting.outside")))
    row.append(yes if whole and inside else no)
    return tuple(row)


def _whole(value: Affine, values: dict[str, int]) -> Math:
    found = value.evaluate(values)
    return affine(Affine.of(int(found))) if found.denominator == 1 else Operator("–")


# -- what falls on the padding -------------------------------------------------------------------
def cropped(gradient: Gradient, sheet: Sheet) -> tuple[Inline, ...]:
    """A product that the scatter form sends outside of the tensor, where there is one."""
    here = sheet.at_sizes(gradient)
    if here is None or len(here.scatter_steps) != 1:
        return ()
    lhs = sheet.one(here.scatters[0]).lhs
    for axis in lhs.axes:
        part = axis[0]
        low = dict(part.terms).get((), 0) if part.is_whole and len(axis) == 1 else 0
        if part.bare is None and low < 0 and all(c > 0 for names, c in part.terms if names):
            zeros = Row(
                tuple(
                    piece
                    for k, name in enumerate(part.names)
                    for piece in (*((Operator(","),) if k else ()), Symbol(name))
                )
            )
            slots: dict[str, Slot] = {
                "tensor": Symbol(gradient.of),
                "subscript": affine(part),
                "indices": Row((zeros, EQUALS, affine(Affine.of(0)))),
                "value": affine(Affine.of(low)),
            }
            return sheet.say.say("fitting.cropped", slots)
    return ()
