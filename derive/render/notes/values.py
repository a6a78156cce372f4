"""Numbers as mathematics: single ones to six digits, arrays as matrices."""

from __future__ import annotations

import re
from itertools import product
from math import prod
from typing import Any

from ...documents import Fenced, Grid, Math, Numeral, Operator, Row, Scripts
from ..digits import grouped
from ..mathematics.notation import COMMA, MINUS, joined

DIGITS = 5
"""Digits that are kept of a number that is no integer."""
ROUNDING = 1e-12
"""Entries of an array that are smaller than this beside its largest are printed as 0."""


def number(value: float) -> Math:
    """A number: integers as they are, others to a few digits, small ones as a power of ten."""
    text, _, power = f"{abs(value):.{DIGITS}g}".partition("e")
    shown: Math = Numeral(grouped(text))
    if power:
        ten = Scripts(Numeral("10"), sup=integer(int(power)))
        shown = Row((shown, Operator("·"), ten))
    return Row((MINUS, shown)) if value < 0 and float(text or 0) else shown


def integer(value: int) -> Math:
    """An integer, its digits in groups of three."""
    shown = Numeral(grouped(str(abs(value))))
    return Row((MINUS, shown)) if value < 0 else shown


def array(value: Any) -> Math:
    """A number, a row (or a column if that is too wide), a matrix, or several of them."""
    if value.ndim == 0:
        return number(float(value))
    # what rounding leaves of a 0 is no number to read
    value = value * (abs(value) > ROUNDING * abs(value).max(initial=0))
    if value.ndim == 1:
        row = tuple(number(float(v)) for v in value)
        return Grid((row,)) if _room(value) else Grid(tuple((one,) for one in row))
    if value.ndim == 2:
        return Grid(tuple(tuple(number(float(v)) for v in row) for row in value))
    parts = [array(value[place]) for place in product(*map(range, value.shape[:-2]))]
    return Fenced("(", joined(parts, COMMA), ")")


ENTRIES, ROWS, LETTERS = 100, 16, 66
"""Entries and rows of what is printed whole, and letters that stand in one line."""


def fits(value: Any) -> bool:
    """Whether an array can be printed whole."""
    if value.ndim == 1:
        return bool(value.size <= ROWS)
    high = value.ndim < 2 or value.shape[-2] <= ROWS
    return bool(value.size <= ENTRIES and high and _room(value))


def _room(value: Any) -> bool:
    """Whether rows are short enough; a gap between columns counts as two letters."""
    longest = max((len(f"{float(v):.{DIGITS}g}") for v in value.ravel()), default=1)
    columns = (value.shape[-1] if value.ndim else 1) * prod(value.shape[:-2])
    return bool(columns * (longest + 2) <= LETTERS)


_NUMBERS = re.compile(r"(?<!\w)(?<!\d\.)(?:(\d+)\^(-?\d+)|(-?\d+)(?![\w^]|\.\d))(?!\w)")


def in_words(text: str) -> tuple[str | Math, ...]:
    """Words in which powers and integers are mathematics: ``2^-70``, ``16777215``."""
    out: list[str | Math] = []
    end = 0
    text = powers(text.replace("..", " … "))
    for found in _NUMBERS.finditer(text):
        out.append(text[end : found.start()])
        base, power, whole = found.groups()
        if base is not None:
            out.append(Scripts(Numeral(base), sup=integer(int(power))))
        else:
            out.append(integer(int(whole)))
        end = found.end()
    return tuple(piece for piece in (*out, text[end:]) if piece != "")


def powers(text: str) -> str:
    """``1e-10`` as ``10^-10``."""
    return re.sub(r"(?<![\w.])1e(-?)0*(\d+)", r"10^\1\2", text)
