"""Lines of a terminal: sentences wrapped between words, formulas at + and −, tables reflowed.

Everything is laid out in Unicode and measured in the spelling that is printed, so that lines
keep to the width in ASCII too.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ...documents import Inline, Math, Row
from ...equations import Statement
from ...expressions import Reduce
from ..mathematics.formulas import statement
from ..mathematics.notation import condition
from ..notes.sheet import Sheet
from ..phrases import Phrases, Slot
from .ansi import escaped
from .painted import Painted, together
from .text import ascii_only, painted

INDENT = "  "
NARROWEST = 20


class Page:
    """Collects lines of at most ``width`` characters."""

    def __init__(self, say: Phrases, width: int = 80, *, unicode: bool = True) -> None:
        self.say, self.width, self.unicode = say, max(width, NARROWEST), unicode
        self.lines: list[Painted] = []

    def text(self, colours: int = 0) -> str:
        """All lines, with as many colours as asked for."""
        lines = (self.spelled(line) for line in self.lines)
        return "".join(f"{escaped(line, colours)}\n" for line in lines)

    def spelled(self, line: Painted) -> Painted:
        """The line as the stream can print it."""
        return line if self.unicode else line.spelled(ascii_only)

    def size(self, line: Painted | str) -> int:
        """How many columns a text takes."""
        text = line if isinstance(line, str) else line.text
        return len(text) if self.unicode else len(ascii_only(text))

    # -- lines ----------------------------------------------------------------------------
    def put(self, line: Painted | str = "", paint: str = "") -> None:
        """A line as it is."""
        self.lines.append((Painted.of(line, paint) if isinstance(line, str) else line).rstrip())

    def title(self, text: str) -> None:
        """The heading of the page."""
        start = len(self.lines)
        self.words((text,), "", paint="bold")
        self.put("─" * max(self.size(line) for line in self.lines[start:]), "dim")

    def section(self, key: str, **slots: Slot) -> None:
        """A blank line and a heading."""
        self.put()
        self.words(self.say.say(key, slots), "", paint="bold")

    def words(
        self,
        text: Iterable[Inline | Painted],
        indent: str,
        *,
        first: Painted | None = None,
        paint: str = "",
    ) -> None:
        """A sentence, wrapped between words (formulas stay whole while they fit)."""
        before = Painted.of(indent)
        row = first or before
        start, fresh = len(row), True
        for word in _words(_joined(text, paint)):
            glue = "" if fresh else " "
            if not fresh and self.size(row) + 1 + self.size(word) > self.width:
                self.put(row)
                row, start, glue = before, len(before), ""
            row = self.cut(row + Painted.of(glue, paint) + word, indent, start)
            fresh = False
        self.put(row)

    def formula(self, value: Statement, sheet: Sheet, label: str = "") -> None:
        """A statement; the conditions of its sum go to a line of their own if need be."""
        one = sheet.one(value)
        left, pieces = statement(one, sheet.fixed)
        rhs = one.rhs
        long = self.size(INDENT + label) + self.size(painted(Row((left, *pieces)))) > self.width
        if long and isinstance(rhs, Reduce) and rhs.where and rhs.over:
            bare = statement(replace(one, rhs=replace(rhs, where=())), sheet.fixed)
            self.pieces(*bare, label)
            tests: list[Inline | Painted] = [f"{self.say.words('summary.where')} "]
            for number, test in enumerate(rhs.where):
                tests += [", "] * bool(number) + [condition(test)]
            self.words(tests, INDENT * 3)
        else:
            self.pieces(left, pieces, label)

    def pieces(self, left: Math, pieces: Sequence[Math], before: str = "") -> None:
        """A formula broken between its pieces."""
        row = Painted.of(INDENT + before) + painted(left)
        hang = " " * min(self.size(row) + 1, self.width // 3)
        for number, piece in enumerate(pieces):
            told = _told(piece)
            if number and self.size(row) + self.size(told) > self.width:
                self.put(row)
                row = Painted.of(hang) + told.lstrip()
            else:
                row = row + told
            row = self.cut(row, hang + INDENT, 0)
        self.put(row)

    def cut(self, row: Painted, hang: str, start: int) -> Painted:
        """What is left of a line that is still too long: it is broken before + or −."""
        while self.size(row) > self.width:
            most = len(row)
            while self.size(row[:most]) > self.width:
                most -= 1
            least = max(start, len(hang) + len(INDENT))
            text = row.text[: most + 1]
            place = _break(text, max(least, self.width // 2)) or _break(text, least)
            if place is None or place > most:
                return row
            self.put(row[:place])
            row, start = Painted.of(hang) + row[place:].lstrip(), 0
        return row

    # -- tables ---------------------------------------------------------------------------
    def table(
        self, rows: Sequence[Sequence[str]], *, heads: bool = True, rails: Sequence[str] = ()
    ) -> None:
        """Cells in columns; the widest wraps where they do not fit, or all stand below the first.

        ``rails`` stand in front of each row and go on beside the lines that it is broken into.
        """
        front = list(rails) or [""] * len(rows)
        wide = [max(self.size(row[k]) for row in rows) for k in range(len(rows[0]))]
        room = self.width - len(INDENT) - self.size(front[0]) - 2 * (len(wide) - 1)
        longest = wide.index(max(wide))
        most = wide[longest]
        wide[longest] = min(most, room - sum(wide) + most)
        words = [word for row in rows for word in row[longest].split()]
        if wide[longest] < max(min(SLIMMEST, most), *map(self.size, words)):
            self._records(rows, front, heads)
            return
        for number, (row, rail) in enumerate(zip(rows, front, strict=True)):
            paint = "dim" if heads and number == 0 else ""
            below = self._under(rail, last=number + 1 == len(rows))
            for k, cells in enumerate(_shelves(row, longest, wide[longest])):
                line = Painted.of(INDENT) + Painted.of(below if k else rail, "dim")
                for place, (cell, columns) in enumerate(zip(cells, wide, strict=True)):
                    named = "bold" if heads and number and not place else paint
                    blanks = " " * (columns - self.size(cell) + 2)
                    line = line + Painted.of(cell, named) + blanks
                self.put(line)

    def _under(self, rail: str, *, last: bool) -> str:
        """What goes on below the rails of a row."""
        return "".join("│" if sign in _GOING_ON and not last else " " for sign in rail)

    def _records(self, rows: Sequence[Sequence[str]], front: Sequence[str], heads: bool) -> None:
        names = rows[0] if heads else [""] * len(rows[0])
        for number, (row, rail) in enumerate(zip(rows, front, strict=True)):
            if heads and not number:
                continue
            self.put(Painted.of(INDENT) + Painted.of(rail, "dim") + Painted.of(row[0], "bold"))
            below = INDENT + self._under(rail, last=number + 1 == len(rows)) + INDENT
            for name, cell in zip(names[1:], row[1:], strict=True):
                if cell:
                    self.words((f"{name}: {cell}" if name else cell,), below)


SLIMMEST = 12
"""Columns that a cell needs before it is wrapped."""
_GOING_ON = "○▼│├┬╮┤┼"
"""Rails that are there in the line below as well."""


def _shelves(row: Sequence[str], place: int, columns: int) -> Iterable[list[str]]:
    """The row in lines: one cell wrapped, the others on the first of them."""
    for number, text in enumerate(textwrap.wrap(row[place], columns) or [""]):
        cells = [""] * len(row) if number else list(row)
        cells[place] = text
        yield cells


def _joined(text: Iterable[Inline | Painted], paint: str) -> Painted:
    """One line in which the blanks of formulas are marked, so that no word ends there."""
    parts: list[Painted] = []
    for piece in text:
        if isinstance(piece, str):
            parts.append(Painted.of(piece, paint))
        else:
            found = piece if isinstance(piece, Painted) else painted(piece)
            whole = tuple(own or paint for own in found.paints)
            parts.append(Painted(found.text.replace(" ", "\0"), whole))
    return together(parts)


def _words(line: Painted) -> Iterable[Painted]:
    for found in re.finditer("[^ ]+", line.text):
        word = line[found.start() : found.end()]
        yield Painted(word.text.replace("\0", " "), word.paints)


def _break(text: str, least: int) -> int | None:
    """Where to end a line: outside of brackets if possible, rather at a sign than at a blank."""
    depth, places = 0, []
    for place, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if place <= least:
            continue
        if letter == " ":
            sign = text[place : place + 3] in (" + ", " − ")
            places.append((-depth, 2 if sign else 0, place))
        elif letter == "·":
            places.append((-depth, 1, place))
        elif letter == "," and place + 1 < len(text):
            places.append((-depth - 9, 0, place + 1))  # the last resort
    return max(places)[-1] if places else None


def _told(piece: Math) -> Painted:
    """A piece with blanks around its leading relation or sign."""
    text = painted(piece)
    found = re.match(r" *(\+=|[=+−]) *", text.text)
    return text if found is None else Painted.of(f" {found[1]} ") + text[found.end() :]
