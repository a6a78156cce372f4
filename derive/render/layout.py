"""How displays and tables are fitted to a printed page, the same for every typesetter.

Lines that would run over the margin are broken here, at the places the document allows, by an
estimate of their width; the typesetters themselves would only overflow.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..documents import Display, Math, Row, Table
from .linebreaks import split
from .texmath import width

LINE = 430.0
"""The width of a displayed line in points, a little less than the page's."""
GAP = 26.0
"""Room in points around the rule between two displays side by side."""
INDENT = 20.0
"""How far a line that goes on stands in from the relation."""


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
    wide = (extent(left), extent(right))
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


def wordy(value: Table) -> list[bool]:
    """Which columns hold long words and are set as paragraphs."""
    return [
        max(sum(len(p) for p in cell if isinstance(p, str)) for cell in column) > 40
        for column in zip(*value.rows, strict=True)
    ]


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
