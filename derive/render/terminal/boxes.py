"""Grids of cells in box-drawing characters: every line as heavy as the cells beside it ask for."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from .painted import Painted, together

Place = tuple[int, int]
NONE, LIGHT, HEAVY, DASHED = range(4)

_HORIZONTAL = {True: " ─━╍", False: " -=~"}
_VERTICAL = {True: " │┃╏", False: " |#:"}
_ARMS = {
    "UP": (0,),
    "RIGHT": (1,),
    "DOWN": (2,),
    "LEFT": (3,),
    "HORIZONTAL": (1, 3),
    "VERTICAL": (0, 2),
}


@dataclass(frozen=True)
class Cells:
    """What is drawn: cells from row ``top``, column ``left``, ``high`` rows and ``wide`` columns.

    ``labels``  what stands in a cell; a place that has none is empty
    ``heavy``, ``dashed``  cells with such an outline, where it ends
    ``loose``   cells without lines of their own (padding)
    ``paints``  how the inside of a cell is painted
    ``below``, ``behind``  whether rows or columns are left out at the end
    """

    top: int
    left: int
    high: int
    wide: int
    labels: Mapping[Place, str]
    heavy: frozenset[Place] = frozenset()
    dashed: frozenset[Place] = frozenset()
    loose: frozenset[Place] = frozenset()
    paints: Mapping[Place, str] | None = None
    below: bool = False
    behind: bool = False

    def holds(self, place: Place) -> bool:
        """Whether the place is drawn."""
        row, column = place[0] - self.top, place[1] - self.left
        return 0 <= row < self.high and 0 <= column < self.wide

    @property
    def room(self) -> int:
        """How wide the inside of a cell is."""
        return 2 + max((len(label) for label in self.labels.values()), default=1)


def grid(cells: Cells, *, unicode: bool = True) -> list[Painted]:
    """The lines of a picture, all of one width but for what is left out at the end."""
    out: list[Painted] = []
    columns = range(cells.left, cells.left + cells.wide)
    for row in range(cells.top, cells.top + cells.high + (not cells.below)):
        out.append(_rule(cells, row, unicode))
        if row < cells.top + cells.high:
            pairs = [(_wall(cells, row, c, unicode), _cell(cells, row, c)) for c in columns]
            end = _wall(cells, row, columns.stop, unicode)
            more = (" …" if unicode else " ..") if cells.behind else ""
            out.append(together([*(part for pair in pairs for part in pair), end, more]))
    if cells.below:
        sign = "⋮" if unicode else ":"
        out.append(Painted.of("".join(" " + sign.center(cells.room) for _ in columns)))
    lines = [line.rstrip() for line in out]
    return lines if lines[-1].text else lines[:-1]


def _cell(cells: Cells, row: int, column: int) -> Painted:
    text = cells.labels.get((row, column), "").center(cells.room)
    return Painted.of(text, (cells.paints or {}).get((row, column), ""))


def _rule(cells: Cells, row: int, unicode: bool) -> Painted:
    """The horizontal line above a row, with its junctions."""
    out = ""
    for column in range(cells.left, cells.left + cells.wide + 1):
        arms = (
            _between(cells, (row - 1, column - 1), (row - 1, column)),
            _between(cells, (row - 1, column), (row, column)),
            _between(cells, (row, column - 1), (row, column)),
            _between(cells, (row - 1, column - 1), (row, column - 1)),
        )
        out += junction(arms, unicode=unicode)
        if column < cells.left + cells.wide:
            out += _HORIZONTAL[unicode][arms[1]] * cells.room
    return Painted.of(out)


def _wall(cells: Cells, row: int, column: int, unicode: bool) -> str:
    return _VERTICAL[unicode][_between(cells, (row, column - 1), (row, column))]


def _between(cells: Cells, one: Place, other: Place) -> int:
    """The line between two neighbours."""
    drawn = [place for place in (one, other) if cells.holds(place)]
    if not drawn or _left_out(cells, one, other, drawn):
        return NONE
    if (one in cells.heavy) != (other in cells.heavy):
        return HEAVY
    if (one in cells.dashed) != (other in cells.dashed):
        return DASHED
    return NONE if all(place in cells.loose for place in drawn) else LIGHT


def _left_out(cells: Cells, one: Place, other: Place, drawn: list[Place]) -> bool:
    """Whether the picture ends here though the tensor goes on."""
    if len(drawn) == 2:
        return False
    return (cells.behind and other[1] == cells.left + cells.wide and one[0] == other[0]) or (
        cells.below and other[0] == cells.top + cells.high and one[1] == other[1]
    )


def junction(arms: tuple[int, int, int, int], *, unicode: bool = True) -> str:
    """The character in which lines from above, right, below and left meet."""
    plain = tuple(HEAVY if arm == DASHED else arm for arm in arms)
    if unicode:
        return _junctions()[plain]
    if plain[0] == plain[2] == NONE and plain[1] == plain[3]:
        return _HORIZONTAL[False][arms[1]]
    if plain[1] == plain[3] == NONE and plain[0] == plain[2]:
        return _VERTICAL[False][arms[0]]
    return "#" if HEAVY in plain else "+"


@cache
def _junctions() -> dict[tuple[int, ...], str]:
    """The light and heavy characters of the box-drawing block, by their Unicode names."""
    found: dict[tuple[int, ...], str] = {(0, 0, 0, 0): " "}
    for code in range(0x2500, 0x2580):
        words = unicodedata.name(chr(code)).removeprefix("BOX DRAWINGS ").split()
        if {"DOUBLE", "SINGLE", "DASH", "ARC", "DIAGONAL"} & set(words):
            continue
        found[_weights(" ".join(words))] = chr(code)
    return found


def _weights(name: str) -> tuple[int, ...]:
    """``DOWN HEAVY AND RIGHT UP LIGHT`` and ``HEAVY DOWN AND LIGHT RIGHT`` as four weights."""
    weights, parts = [NONE] * 4, name.split(" AND ")
    known = {"LIGHT": LIGHT, "HEAVY": HEAVY}
    before = NONE
    for part in parts:
        words = part.split()
        own = [known[word] for word in words if word in known]
        before = own[0] if own else before
        for word in words:
            for arm in _ARMS.get(word, ()):
                weights[arm] = before
    return tuple(weights)
