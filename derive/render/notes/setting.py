"""The first section: what the layer is, how large its tensors are, what stands outside."""

from __future__ import annotations

from collections.abc import Iterator

from ...affine import Affine
from ...documents import (
    Block,
    Fenced,
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
from ...equations import NO_OUTSIDE, Equation, Statement, Tensor
from ...expressions import Read, Reduce, reads, walk
from ..mathematics.notation import COMMA, EQUALS, MINUS, PLUS, TIMES, affine, joined
from ..phrases import Slot
from .grids import turned
from .sheet import Sheet

Cells = tuple[tuple[Inline, ...], ...]


def setting(sheet: Sheet) -> list[Block]:
    """What a reader has to know before the first formula."""
    say, equation = sheet.say, sheet.equation
    out: list[Block] = [Heading(1, say.say("headings.setting")), _table(sheet)]
    out += [Paragraph(sentence) for sentence in _sizes(sheet)]
    out += [Paragraph(s) for s in _outside(sheet)]
    out += [Paragraph(sentence) for sentence in _told(sheet)]
    if (axis := _composed(equation)) is not None:
        out.append(Paragraph(say.say("setting.composed", axis=axis)))
    if not equation.sized:
        out.append(Paragraph(say.say("setting.symbolic")))
    return out if sheet.chapter else [*out, *_last(sheet)]


def _told(sheet: Sheet) -> Iterator[tuple[Inline, ...]]:
    """How the kernel lies, what comes back, what a batch is; a chapter says what is its own."""
    say, equation, notation = sheet.say, sheet.equation, sheet.notation
    turns, solved = turned(sheet), sheet.derivation.resolved is not None
    kernel = sheet.taps is not None and sheet.taps.tensor and not solved
    if kernel and (turns or not sheet.chapter):
        yield say.say(f"setting.{'convolution' if turns else 'correlation'}")
    output = Symbol(equation.output.name)
    slots: dict[str, Slot] = {"output": output, "upstream": sheet.loss(), "g": sheet.upstream()}
    own_letter = notation.short and notation.shown == equation.output.gradient
    if equation.loss:
        yield say.say("setting.upstream_loss", slots)
    elif own_letter or not sheet.chapter:
        yield say.say("setting.upstream" if notation.short else "setting.upstream_plain", slots)
    if not sheet.batch:
        yield say.say("setting.batch_kept", batch=Symbol(equation.batch))
    elif not sheet.chapter:
        yield say.say("setting.batch")


def _last(sheet: Sheet) -> list[Block]:
    """What numbered entries count from, and where the equation is from."""
    out: list[Block] = []
    if base := sheet.style.index_base:
        out.append(Paragraph(sheet.say.say("setting.base", base=base)))
    if source := sheet.derivation.layer.source:
        out.append(Paragraph(sheet.say.say("setting.source", source=source)))
    return out


def _composed(equation: Equation) -> Math | None:
    """The first axis that several indices make up: ``(g,c)``."""
    for statement in equation.statements:
        for read in (statement.lhs, *reads(statement.rhs)):
            for axis in read.axes:
                if len(axis) > 1:
                    return Fenced("(", joined([affine(part) for part in axis], COMMA), ")")
    return None


def _table(sheet: Sheet) -> Table:
    """Every tensor and index: symbol, meaning, size in symbols, size in numbers."""
    say, equation, here = sheet.say, sheet.equation, sheet.here
    names = ("symbol", "meaning", "size", *(("numbers",) if here else ()))
    rows: list[Cells] = []
    for tensor in (*equation.tensors, *equation.inner, equation.output):
        cells = (_symbol(tensor.name), meaning(tensor, sheet))
        shown = [tensor, *([here.tensor(tensor.name)] if here else [])]
        rows.append((*cells, *((shape(t, sheet),) for t in shown)))
    for index in equation.indices:
        if index not in sheet.batch:
            extents = [equation.extent(index), *([here.extent(index)] if here else [])]
            cells = (_symbol(index), _meaning(index, "index", sheet))
            rows.append((*cells, *((_range(index, extent),) for extent in extents)))
    return Table(tuple(say.say(f"table.{name}") for name in names), tuple(rows))


def _symbol(name: str) -> tuple[Inline, ...]:
    return (Symbol(name),)


def meaning(tensor: Tensor, sheet: Sheet) -> tuple[Inline, ...]:
    """What a tensor is: in the layer's words, else by its role."""
    inner = tensor.name in {t.name for t in sheet.equation.inner}
    return _meaning(tensor.name, "intermediate" if inner else tensor.role, sheet)


def _meaning(name: str, role: str, sheet: Sheet) -> tuple[Inline, ...]:
    words = dict(sheet.derivation.layer.meanings).get(name)
    return (words,) if words else sheet.say.say(f"role.{role}")


def _range(index: str, extent: Affine) -> Math:
    return Row((Numeral("0"), Operator("≤"), Symbol(index), Operator("<"), affine(extent)))


def shape(tensor: Tensor, sheet: Sheet) -> Inline:
    """``C × H × W``; a tensor without axes is one number."""
    if not tensor.shape:
        return sheet.say.words("table.scalar")
    sides = [affine(extent) for extent in tensor.shape]
    return joined(sides, Operator("×"))


def _outside(sheet: Sheet) -> Iterator[tuple[Inline, ...]]:
    """What a read outside gives, for every tensor that is read with a moving subscript."""
    here = sheet.here if sheet.here is not None else sheet.equation
    for tensor in (*here.tensors, *here.inner):
        found = [r for s in here.statements for r in reads(s.rhs, tensor.name)]
        moving = any(part.bare is None and part.number is None for r in found for part in _parts(r))
        if moving:
            leaves = any(_leaves(read, tensor, here) for read in found)
            kind = tensor.outside if leaves and tensor.outside != NO_OUTSIDE else "inside"
            yield sheet.say.say(f"setting.{kind}", tensor=Symbol(tensor.name))


def _parts(read: Read) -> Iterator[Affine]:
    for axis in read.axes:
        yield from axis


def _leaves(read: Read, tensor: Tensor, equation: Equation) -> bool:
    """Whether a subscript can fall outside; with unknown sizes one has to assume so."""
    offset = len(read.axes) - len(tensor.shape)
    for axis, extent in zip(read.axes[offset:], tensor.shape, strict=True):
        if len(axis) > 1 or axis[0].bare:
            continue
        low = high = 0
        for monomial, coefficient in axis[0].terms:
            reach = equation.extent(monomial[0]).number if _is_index(monomial, equation) else 1
            if not axis[0].is_whole or reach is None or len(monomial) > 1:
                return True
            ends = (0, coefficient * (reach - 1)) if monomial else (coefficient, coefficient)
            low, high = low + min(ends), high + max(ends)
        if extent.number is None or low < 0 or high >= extent.number:
            return True
    return False


def _is_index(monomial: tuple[str, ...], equation: Equation) -> bool:
    return bool(monomial) and monomial[0] in dict(equation.extents)


# -- the size of the output -------------------------------------------------------------------
def _sizes(sheet: Sheet) -> Iterator[tuple[Inline, ...]]:
    """A sentence for every size."""
    for value, index, left, pieces in output_sizes(sheet):
        slots = {"index": Symbol(index), "formula": Row((left, *pieces))}
        slots["tensor"] = Symbol(value.lhs.tensor)
        key = "size" if value is sheet.equation.forward else "size_inner"
        yield sheet.say.say(f"setting.{key}", slots)


def output_sizes(sheet: Sheet) -> Iterator[tuple[Statement, str, Math, tuple[Math, ...]]]:
    """For each index of a statement: O = ⌊(H + 2p − d(K − 1) − 1)/s⌋ + 1, with the numbers."""
    here, equation = sheet.here, sheet.equation
    if here is None:
        return
    for one, fixed in zip(equation.statements, here.statements, strict=True):
        for index in one.lhs.names:
            symbols, values = _window(one, index, equation), _window(fixed, index, here)
            if symbols is None or values is None:
                continue
            size = here.extent(index).number
            if size is None or _predicted(values) != size:
                continue  # padded by different amounts, or cut by other rules
            parts = (_count(symbols, symbols), _count(values, symbols), Numeral(str(size)))
            pieces = tuple(Row((EQUALS, part)) for part in parts)
            yield one, index, affine(equation.extent(index)), pieces


Window = tuple[Affine, Affine, Affine, Affine, Affine]
"""Input size, padding in front, dilation, taps, stride of one axis."""


def _window(statement: Statement, index: str, equation: Equation) -> Window | None:
    """The window that an output index moves, if one single tap index shares its subscript."""
    summed = {i for e in walk(statement.rhs) if isinstance(e, Reduce) for i in e.over}
    for tensor in (*equation.data, *equation.inner):
        for read in reads(statement.rhs, tensor.name):
            offset = len(read.axes) - len(tensor.shape)
            for axis, extent in zip(read.axes[offset:], tensor.shape, strict=True):
                taps = [n for n in axis[0].names if n in summed]
                if len(axis) == 1 and axis[0].is_whole and index in axis[0].names:
                    return _read_off(axis[0], index, taps, extent, equation)
    return None


def _read_off(
    part: Affine, index: str, taps: list[str], extent: Affine, equation: Equation
) -> Window | None:
    if len(taps) != 1:
        return None
    stride, dilation = part.coefficient(index), part.coefficient(taps[0])
    rest, count = part - stride * index - dilation * taps[0], equation.extent(taps[0])
    if all(c < 0 for _, c in dilation.terms):  # read backwards: the window starts at its last tap
        rest, dilation = rest + dilation * (count - 1), -dilation
    return extent, -rest, dilation, count, stride


def _predicted(window: Window) -> int | None:
    numbers = [value.number for value in window]
    if any(n is None for n in numbers):
        return None
    size, pad, dilation, taps, stride = (n or 0 for n in numbers)
    return (size + 2 * pad - dilation * (taps - 1) - 1) // stride + 1


def _count(window: Window, like: Window) -> Math:
    """The formula; neutral numbers are left out, as they are in the symbols ``like``."""
    size, pad, dilation, taps, stride = window
    items: list[Math] = [affine(size)]
    if like[1].number != 0:
        items += [PLUS, _times(Numeral("2"), pad)]
    dilated, stepped = like[2].number != 1, like[4].number != 1
    if dilated:
        reach = Fenced("(", Row((affine(taps), MINUS, Numeral("1"))), ")")
        items += [MINUS, affine(dilation), TIMES, reach, MINUS, Numeral("1")]
    else:
        items += [MINUS, affine(taps)]
    one = (PLUS, Numeral("1"))
    if not stepped:
        return Row((*items, *one))
    return Row((Fenced("⌊", Fraction(Row(tuple(items)), affine(stride)), "⌋"), *one))


def _times(left: Math, right: Affine) -> Math:
    sign = TIMES if right.number is None else Operator("·")
    return Row((left, sign, affine(right)))
