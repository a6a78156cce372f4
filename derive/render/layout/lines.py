"""How displays and tables are fitted to a printed page, the same for every typesetter.

Lines that would run over the margin are broken here, at the places the document allows, by an
estimate of their width; the typesetters themselves would only overflow.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...documents import Display, Document, Grid, Heading, Inline, Math, Row, Table
from ..tex.mathematics import width
from .breaks import split

LINE = 430.0
"""The width of a displayed line in points, a little less than the page's."""
GAP = 26.0
"""Room in points around the rule between two displays side by side."""
INDENT = 20.0
"""How far a line that goes on stands in from the relation."""
PAGE = 450.0
"""The width of a table in points, a little less than the page's."""
CELL = 12.0
"""The room between the words of two cells."""
WORDY = 40
"""A column of longer cells is set as paragraphs."""
CONTENTS = 45
"""Headings from which a table of contents helps."""


@dataclass(frozen=True)
class Line:
    """One printed line: what stands before and behind the relation.

    ``goes_on`` marks a line that continues the one above it.
    """

    left: Math
    pieces: tuple[Math, ...]
    goes_on: bool = False


def lines(value: Display) -> list[Line]:
    """The lines of a display; one in columns that are too wide is broken like any other."""
    if not value.columns:
        return [line for left, pieces in value.rows for line in _broken(left, pieces)]
    if in_columns(value):
        return [Line(left, pieces) for left, pieces in value.rows]
    return [line for left, pieces in _joined(value) for line in _broken(left, pieces)]


def in_columns(value: Display) -> bool:
    """Whether the pieces of a display stand in columns of their own."""
    return value.columns and extent(value) <= LINE


def beside(left: Display, right: Display) -> tuple[float, float] | None:
    """The widths of two displays side by side; None if they do not fit."""
    wide = [6 + 1.05 * extent(one) for one in (left, right)]  # an estimate needs some room
    if sum(wide) + GAP > LINE:
        return None
    spare = (LINE + 20.0 - GAP - sum(wide)) / 2  # displays are as wide as the page's text
    return wide[0] + spare, wide[1] + spare


def extent(value: Display) -> float:
    """How wide a display would be if no line of it were broken."""
    left = max((width(head) for head, _ in value.rows), default=0.0)
    if not value.columns:
        rights = (sum(map(width, pieces)) for _, pieces in value.rows)
        return left + max(rights, default=0.0)
    count = max((len(pieces) for _, pieces in value.rows), default=0)
    columns = ([pieces[k] for _, pieces in value.rows if k < len(pieces)] for k in range(count))
    return left + sum(max(map(width, column)) for column in columns)


def is_long(document: Document) -> bool:
    """Whether a table of contents helps."""
    return sum(isinstance(block, Heading) for block in document.blocks) >= CONTENTS


def columns(value: Table) -> list[float | None]:
    """The width of every column of long words, which shares the room that the others leave.

    None for a column that is as wide as what stands in it.
    """
    every = list(zip(value.header, *value.rows, strict=True))
    wordy = [max(map(_letters, column[1:]), default=0) > WORDY for column in every]
    taken = sum(
        CELL + max(map(_cell_width, column))
        for column, long in zip(every, wordy, strict=True)
        if not long
    )
    room = (PAGE - taken) / max(1, sum(wordy)) - CELL
    return [max(90.0, min(260.0, room)) if long else None for long in wordy]


def is_airy(value: Table) -> bool:
    """Whether rows of several lines have to be set apart."""
    cells = (cell for row in value.rows for cell in row)
    grids = any(isinstance(piece, Grid) for cell in cells for piece in cell)
    return grids or any(columns(value))


def is_tight(value: Table) -> bool:
    """Whether the columns fit a page only when they are set closer."""
    return len(value.header) > 7


def _letters(cell: tuple[Inline, ...]) -> int:
    return sum(len(piece) for piece in cell if isinstance(piece, str))


def _cell_width(cell: tuple[Inline, ...]) -> float:
    """About how wide a cell is in points."""
    return 5.3 * _letters(cell) + sum(width(p) for p in cell if not isinstance(p, str))


def _broken(left: Math, pieces: tuple[Math, ...]) -> list[Line]:
    room = LINE - width(left)
    out: list[list[Math]] = [[]]
    used = 0.0
    for piece in (part for whole in pieces for part in split(whole, room)):
        size = width(piece)
        if out[-1] and used + size > room:
            out.append([])
            used = INDENT
        out[-1].append(piece)
        used += size
    first, *more = map(tuple, out)
    return [Line(left, first), *(Line(Row(()), line, goes_on=True) for line in more)]


def _joined(value: Display) -> list[tuple[Math, tuple[Math, ...]]]:
    """Lines that continue an entry put behind its first line, for breaking anew."""
    rows: list[tuple[Math, tuple[Math, ...]]] = []
    for left, pieces in value.rows:
        kept = tuple(piece for piece in pieces if piece != Row(()))
        if left == Row(()) and rows:
            rows[-1] = (rows[-1][0], rows[-1][1] + kept)
        else:
            rows.append((left, kept))
    return rows
