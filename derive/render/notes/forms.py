"""The textbook form of a gradient in words: what it is, and why it is no simpler."""

from __future__ import annotations

from ...affine import Affine
from ...derivations import AxisForm, Form, Gradient
from ...documents import Block, Display, Inline, Items, Math, Paragraph, Symbol, Table
from ...equations import Statement
from ...expressions import Read, Reduce, reads
from ..mathematics.formulas import expression
from ..mathematics.notation import COMMA, affine, from_text, joined
from ..phrases import Slot
from .entries import Frame
from .figures.placed import form_figures
from .grids import form_grids, turned
from .sheet import Sheet

_KINDS = ("full_convolution", "correlation", "convolution", "sum", "product", "none")


def form_of(gradient: Gradient, sheet: Sheet) -> Form | None:
    """The form with numbers where there are any, else in symbols."""
    here = sheet.at_sizes(gradient)
    return here.form if here is not None else gradient.form


def form_blocks(gradient: Gradient, sheet: Sheet) -> list[Block]:
    """The sentence about the form, its table, its reasons and its picture."""
    form = form_of(gradient, sheet)
    if form is None or (form.kind == "none" and not form.reasons):
        return []
    out: list[Block] = [Paragraph(form_sentence(gradient, form, sheet))]
    if form.kind == "full_convolution" and (why := _why(gradient, form, sheet)):
        out.append(Paragraph(why))
    told = _plain(form) and not any(axis.reversed for axis in form.axes)
    if form.axes and not told and form.kind != "full_convolution":
        out.append(_table(form, sheet))
    if form.reasons:
        out.append(Items(tuple(reason(key, slots, form, sheet) for key, slots in form.reasons)))
    here = sheet.at_sizes(gradient)
    if drawn := form_figures(gradient, sheet):
        return [*out, *drawn]
    if sheet.frame is not None and here is not None:
        out += _picture(here, form, sheet, sheet.frame)
    return out


def form_sentence(
    gradient: Gradient, form: Form, sheet: Sheet, *, brief: bool = False
) -> tuple[Inline, ...]:
    """What the form is called; ``brief`` for where no table follows."""
    kind = form.kind if form.kind in _KINDS else "unknown"
    if kind == "correlation":
        kind = _correlation(form, sheet)
    if brief and f"form.{kind}_brief" in sheet.say:
        kind += "_brief"
    if kind in ("sum", "product"):
        kind += _count(sheet.one(gradient.gather), form)
    slots: dict[str, Slot] = {
        "gradient": expression(Read(gradient.gather.lhs.tensor, ()), sheet.notation),
        "source": _letter(form.source, sheet),
        "kernel": _letter(form.kernel, sheet),
        "kind": form.kind,
        "pads": _pads(form, sheet) if form.axes else "",
        "padded": sheet.say.say("form.padded") if _has_padding(form) else "",
        "steps": _steps(form, sheet),
        "around": sheet.say.say(f"form.around_{'spread' if _has_zeros(form) else 'padded'}"),
    }
    return sheet.say.say(f"form.{kind}", slots)


def _count(gather: Statement, form: Form) -> str:
    """Whether an entry is a sum, one entry of the source in its own place, or a moved one."""
    match gather.rhs:
        case Reduce(over=over) if over:
            return "_summed"
        case Read(axes=axes) | Reduce(body=Read(axes=axes)) if axes != gather.lhs.axes:
            return "_moved" if form.kind == "sum" else "_single"
    return "_single"


def _correlation(form: Form, sheet: Sheet) -> str:
    """Which sentence about a correlation is true of this one."""
    if any(axis.reversed for axis in form.axes):
        return "correlation_reversed"
    if _plain(form):
        return "correlation_plain"
    if form.kernel != sheet.notation.upstream:
        return "correlation_turned" if turned(sheet) else "correlation"
    moved = (n for axis in form.axes for n in (axis.stride, axis.dilation))
    return "correlation_swapped" if any(n.number != 1 for n in moved) else "correlation"


def _has_zeros(form: Form) -> bool:
    """Whether zeros stand between the entries of the source."""
    return any(axis.spread.number != 1 for axis in form.axes)


def _has_padding(form: Form) -> bool:
    every = (n for axis in form.axes for n in (axis.low, axis.high))
    return any(n is None or n.number != 0 for n in every)


def _steps(form: Form, sheet: Sheet) -> tuple[Inline, ...]:
    """``, moving in steps of 2``; nothing where the kernel moves by one."""
    strides = tuple(dict.fromkeys(axis.stride for axis in form.axes))
    if all(n.number == 1 for n in strides):
        return ()
    return sheet.say.say("form.steps", stride=joined([affine(n) for n in strides], COMMA))


def _pads(form: Form, sheet: Sheet) -> tuple[Inline, ...]:
    """``1 on every side``, or one number an axis."""
    lows = tuple(dict.fromkeys(axis.low for axis in form.axes))
    if len(lows) == 1:
        return sheet.say.say("form.pads_same", pad=affine(lows[0]))
    every = joined([affine(axis.low) for axis in form.axes], COMMA)
    return sheet.say.say("form.pads_axes", pad=every)


def _letter(name: str, sheet: Sheet) -> Math:
    return expression(Read(name, ()), sheet.notation) if name else Symbol("")


def _plain(form: Form) -> bool:
    """No stride, no dilation, no zeros, no padding."""
    return all(
        axis.stride.number == 1
        and axis.dilation.number == 1
        and axis.spread.number == 1
        and axis.low.number == 0
        and (axis.high is None or axis.high.number == 0)
        for axis in form.axes
    )


def _why(gradient: Gradient, form: Form, sheet: Sheet) -> tuple[Inline, ...]:
    """Why the kernel is rotated: which output an entry's tap comes from."""
    gather = sheet.one(gradient.gather)
    source, kernel = reads(gather.rhs, form.source), reads(gather.rhs, form.kernel)
    if len(source) != 1 or len(kernel) != 1 or not gradient.scatter_steps:
        return ()
    scatter = sheet.one(gradient.scatters[0]).lhs
    outputs = reads(sheet.one(gradient.scatters[0]).rhs, form.source)
    return sheet.say.say(
        "form.full_why",
        source=_letter(form.source, sheet),
        position=_letter_read(outputs[0] if outputs else source[0], sheet),
        entry=_letter_read(Read(gradient.of, scatter.axes), sheet),
        place=_letter_read(Read(gradient.of, gather.lhs.axes), sheet),
        tap=_letter_read(kernel[0], sheet),
        output=_letter_read(source[0], sheet),
    )


def _letter_read(read: Read, sheet: Sheet) -> Math:
    return expression(read, sheet.notation)


def reason(
    key: str, slots: tuple[tuple[str, str], ...], form: Form, sheet: Sheet
) -> tuple[Inline, ...]:
    """Why a simpler textbook form does not hold."""
    given: dict[str, Inline] = {name: from_text(text) for name, text in slots}
    given |= {"source": _letter(form.source, sheet), "kernel": _letter(form.kernel, sheet)}
    given["reason"] = key
    return sheet.say.first((f"reasons.{key}", "reasons.unknown"), given)


def _table(form: Form, sheet: Sheet) -> Table:
    """One row an axis: steps, zeros between, padding, dilation, direction."""
    say, letters = sheet.say, {"source": _letter(form.source, sheet)}
    letters["kernel"] = _letter(form.kernel, sheet)
    names = ["axis", "stride", "spread", "low", "high", "dilation", "flipped"]
    if any(axis.reversed for axis in form.axes):
        names.append("reversed")
    head = tuple(say.say(f"table.{name}", letters) for name in names)
    return Table(head, tuple(_axis_row(axis, sheet)[: len(names)] for axis in form.axes))


def _axis_row(axis: AxisForm, sheet: Sheet) -> tuple[tuple[Inline, ...], ...]:
    high = axis.high if axis.high is not None else Affine.of("?")
    numbers = (axis.stride, axis.spread - 1, axis.low, high, axis.dilation)
    answers = tuple(
        sheet.say.say("table.yes" if yes else "table.no") for yes in (axis.flipped, axis.reversed)
    )
    return ((Symbol(axis.out),), *((affine(n),) for n in numbers), *answers)


def _picture(here: Gradient, form: Form, sheet: Sheet, frame: Frame) -> list[Block]:
    found = form_grids(here, form, sheet, frame)
    if found is None:
        return []
    key = "grid" if _has_zeros(form) or _has_padding(form) else "grid_plain"
    return [Paragraph(sheet.say.say(f"form.{key}")), Display((found,), name=f"form_{here.of}")]
