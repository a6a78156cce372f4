"""Known mistakes and the numbers that each gives in the worked example."""

from __future__ import annotations

from ...affine import Affine
from ...documents import Block, Heading, Inline, Paragraph, Symbol, Table
from ...equations import Statement
from ...expressions import Read
from ...trials import Example, Slip
from ..mathematics.formulas import expression
from ..phrases import Slot
from ..tex.mathematics import width
from .sheet import Sheet
from .values import number

WIDEST = 90.0
"""The width in points of a formula that stands in the first column."""


def slip_blocks(example: Example | None, sheet: Sheet) -> list[Block]:
    """Known mistakes, each with the first entry that it changes in the example, and how."""
    if example is None or not example.slips:
        return []
    say = sheet.say.say
    head = tuple(say(f"slips.{key}") for key in ("mistake", "entry", "right", "wrong", "share"))
    rows = tuple(_slip(slip, sheet) for slip in example.slips)
    out: list[Block] = [Heading(1, say("headings.slips")), Paragraph(say("slips.intro"))]
    out.append(Table(head, rows))
    if any(slip.batch > 1 for slip in example.slips):
        out.append(Paragraph(say("slips.two_samples")))
    return out


def _slip(slip: Slip, sheet: Sheet) -> tuple[tuple[Inline, ...], ...]:
    role = sheet.equation.tensor(slip.of).role
    slots: dict[str, Slot] = {"kind": slip.kind, "tensor": Symbol(slip.of)}
    kind = slip.kind
    if slip.left is not None:
        one = sheet.one(Statement(Read(slip.of, ()), slip.left)).rhs
        slots["left"] = left = expression(one, sheet.fixed)
        if width(left) > WIDEST:
            kind = f"{kind}_long"
    keys = tuple(f"slips.{key}" for key in (f"{kind}_{role}", kind, slip.kind, "unknown"))
    lhs = Read(sheet.equation.tensor(slip.of).gradient, tuple((Affine.of(k),) for k in slip.place))
    share: dict[str, Slot] = {"count": slip.count, "total": slip.total}
    return (
        sheet.say.first(keys, slots),
        (sheet.number(lhs),),
        (number(slip.right),),
        (number(slip.wrong),),
        sheet.say.say("slips.of", share),
    )
