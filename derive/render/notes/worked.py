"""Displays of single entries: every product in a column of its own kernel tap.

Lines follow the outer summed indices, columns the innermost one, so that the window can be seen
moving from entry to entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from math import prod

from ...documents import Display, Fraction, Grid, Hued, Math, Numeral, Operator, Row, Upright
from ...equations import Statement
from ...expressions import Expr, Reduce, reads
from ..mathematics.notation import COMMA, EQUALS, MINUS, PLUS
from ..mathematics.terms import terms
from .entries import Frame, Part, Product, at, entry, positions
from .sheet import Sheet

COLUMNS = 5
PRODUCTS, PRODUCTS_FULL = 250, 20_000
LIMIT = 6
"""Products shown of an entry that is only a sample."""

Line = tuple[Math, tuple[Math, ...]]


def weight(value: Statement, frame: Frame) -> int:
    """How many products all entries have at most."""
    each = sum(
        prod(frame.extents[i] for i in term.over) if isinstance(term, Reduce) else 1
        for _, term in terms(value.rhs)
    )
    return each * prod(frame.ranges(value.lhs).values())


def all_fit(value: Statement, sheet: Sheet, frame: Frame) -> bool:
    """Whether every entry is written out."""
    count = prod(frame.ranges(value.lhs).values())
    most = PRODUCTS_FULL if sheet.style.full else PRODUCTS
    return (sheet.style.full or count <= 36) and weight(value, frame) <= most


def by_tap(value: Statement, sheet: Sheet) -> bool:
    """Whether the products of an entry belong to one kernel tap each."""
    taps = sheet.taps
    sums = [term for _, term in terms(value.rhs) if isinstance(term, Reduce)]
    return taps is not None and any(set(taps.names) <= set(term.over) for term in sums)


def samples(value: Statement, frame: Frame) -> tuple[tuple[int, ...], ...]:
    """A corner, an edge and an inner position."""
    sizes = tuple(frame.ranges(value.lhs).values())
    inner = tuple(n // 2 for n in sizes)
    corner = (0,) * len(sizes)
    edge = (*corner[:-1], *inner[-1:])
    return tuple(dict.fromkeys((corner, edge, inner)))


def display(value: Statement, sheet: Sheet, frame: Frame) -> Display:
    """Every entry, or three of them where there are too many."""
    lines: list[Line] = []
    if all_fit(value, sheet, frame):
        if stacked := _in_lines(value, sheet, frame):
            return stacked
        for position in positions(value, frame):
            lines += lines_of(value, position, sheet, frame)
        return Display(tuple(lines), columns=True)
    for position in samples(value, frame):
        lines.append(short(value, position, sheet, frame))
    return Display(tuple(lines))


FEW = 5
"""Products of an entry that stand in one line, whatever taps they belong to."""


def _in_lines(value: Statement, sheet: Sheet, frame: Frame) -> Display | None:
    """One line an entry, where entries are short but their taps many, or extrema of windows."""
    every = [entry(value, position, frame) for position in positions(value, frame)]
    wide = any(prod(frame.extents[i] for i in part.over) > COLUMNS for e in every for part in e)
    few = all(sum(len(part.products) for part in e) <= FEW for e in every)
    windows = all(len(e) == 1 and e[0].op in ("max", "min") for e in every)
    if not windows and not (wide and few):
        return None
    lines: list[Line] = []
    for position, parts in zip(positions(value, frame), every, strict=True):
        if windows:
            left = sheet.number(at(value.lhs, position))
            lines.append((left, (Row((EQUALS, _window(parts[0], sheet, frame))),)))
        else:
            lines.append(short(value, position, sheet, frame))
    return Display(tuple(lines))


def _window(part: Part, sheet: Sheet, frame: Frame) -> Math:
    """``max( … )`` with the entries of the window where they lie."""
    cells = {one.place: _hued(one, part, sheet) for one in part.products}
    sizes = tuple(frame.extents[i] for i in part.over)
    return Row((Upright(part.op), window_grid(cells, sizes)))


def window_grid(cells: Mapping[tuple[int, ...], Math], sizes: tuple[int, ...]) -> Math:
    """What a window holds, its last axis across; places that do not count stay empty."""
    empty: Math = Row(())
    lines = [
        tuple(cells.get((*lead, k), empty) for k in range(sizes[-1]))
        for lead in product(*map(range, sizes[:-1]))
    ]
    return Grid(tuple(lines), "(", ")")


def short(
    value: Statement, position: tuple[int, ...], sheet: Sheet, frame: Frame, limit: int = LIMIT
) -> Line:
    """One entry as one line, dots in the place of products beyond the limit."""
    pieces: list[Math] = []
    for part in entry(value, position, frame, limit):
        found = [m for _, m in _pieces(part, sheet, frame, first=not pieces)]
        if not pieces and found:
            found[0] = _related(found[0])
        pieces += found
    left = sheet.number(at(value.lhs, position))
    return left, tuple(pieces) or (Row((EQUALS, Numeral("0"))),)


def lines_of(
    value: Statement, position: tuple[int, ...], sheet: Sheet, frame: Frame
) -> Iterable[Line]:
    """One entry in lines and columns."""
    lines: list[tuple[object, dict[int, Math]]] = []
    for part in entry(value, position, frame):
        for place, piece in _pieces(part, sheet, frame, first=not lines):
            row, column = _cell(place, frame, part.over)
            if row is None and lines:  # a lone term goes behind the last line
                cells = lines[-1][1]
                cells[max(cells) + 1] = piece
            elif lines and lines[-1][0] == row and column not in lines[-1][1]:
                lines[-1][1][column] = piece
            else:
                lines.append((row, {column: piece}))
    left = sheet.number(at(value.lhs, position))
    if not lines:
        return [(left, (Row((EQUALS, Numeral("0"))),))]
    return [
        (left if n == 0 else Row(()), _spread(cells, relation=n == 0))
        for n, (_, cells) in enumerate(lines)
    ]


def _cell(
    place: tuple[int, ...], frame: Frame, over: tuple[str, ...]
) -> tuple[tuple[int, ...] | None, int]:
    """Line and column of a product: one line if all taps fit, else innermost index across."""
    if not place:
        return None, 0
    if prod(frame.extents[i] for i in over) <= COLUMNS:
        flat = 0
        for name, at_ in zip(over, place, strict=True):
            flat = flat * frame.extents[name] + at_
        return (), flat
    return (*place[:-1], place[-1] // COLUMNS), place[-1] % COLUMNS


def _spread(cells: dict[int, Math], *, relation: bool) -> tuple[Math, ...]:
    row = [cells.get(k, Row(())) for k in range(max(cells) + 1)]
    if not relation:
        return tuple(row)
    return (_related(row[0]), *row[1:])


def _related(piece: Math) -> Math:
    """The first piece of a line, which starts with ``=``."""
    starts = isinstance(piece, Row) and piece.items[:1] == (EQUALS,)
    return piece if starts else _beside(EQUALS, piece)


def _beside(sign: Math, body: Math) -> Math:
    return Row((sign, *body.items)) if isinstance(body, Row) else Row((sign, body))


def _pieces(
    part: Part, sheet: Sheet, frame: Frame, *, first: bool
) -> list[tuple[tuple[int, ...], Math]]:
    """The products of one part with their signs and what stands around them."""
    before: list[Math] = [MINUS] if part.sign < 0 else [] if first else [PLUS]
    shut: tuple[Math, ...] = ()
    between = MINUS if part.sign < 0 else PLUS
    if part.op in ("max", "min"):
        before, shut, between = [*before, Upright(part.op), Operator("(")], (Operator(")"),), COMMA
    elif part.op == "mean":
        count = prod(frame.extents[i] for i in part.over)
        share = Fraction(Numeral("1"), Numeral(str(count)))
        before, shut, between = [*before, share, Operator("(")], (Operator(")"),), PLUS
    out: list[tuple[tuple[int, ...], Math]] = []
    last = len(part.products) - 1
    for number, found in enumerate(part.products):
        body = _hued(found, part, sheet)
        items: list[Math] = [*before] if number == 0 else [between]
        if part.more and number == last:
            items += [Operator("⋯"), between]
        items += [body, *(shut if number == last else ())]
        out.append((found.place, Row(tuple(items))))
    return out


def _hued(found: Product, part: Part, sheet: Sheet) -> Math:
    """The product; where no kernel shows the tap's hue, the product itself does."""
    body = sheet.number(found.body)
    taps = sheet.taps
    if taps is None or (taps.tensor and _holds(found.body, taps.tensor)):
        return body
    where = dict(zip(part.over, found.place, strict=True))
    if taps.tensor or not all(name in where for name in taps.names):
        return body
    return Hued(taps.number(tuple(where[name] for name in taps.names)), body)


def _holds(expr: Expr, tensor: str) -> bool:
    return bool(reads(expr, tensor))
