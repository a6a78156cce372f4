"""Numbers as mathematics: single ones to six digits, arrays as matrices."""

from __future__ import annotations

import re
from itertools import product
from math import prod
from typing import Any

from ..documents import Fenced, Grid, Math, Numeral, Operator, Row, Scripts
from .notation import COMMA, MINUS, joined

DIGITS = 5
"""Digits that are kept of a number that is no integer."""

THIN = "\u202f"
"""What stands between groups of three digits."""


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


def grouped(text: str) -> str:
    """``16777215`` with thin spaces; up to four digits stay together."""
    whole, dot, rest = text.partition(".")
    if len(whole) > 4:
        whole = f"{int(whole):,}".replace(",", THIN)
    return whole + dot + rest


def array(value: Any) -> Math:
    """A number, a row, a matrix, or the matrices along the leading axes."""
    if value.ndim == 0:
        return number(float(value))
    if value.ndim == 1:
        return Grid((tuple(number(float(v)) for v in value),))
    if value.ndim == 2:
        return Grid(tuple(tuple(number(float(v)) for v in row) for row in value))
    parts = [array(value[place]) for place in product(*map(range, value.shape[:-2]))]
    return Fenced("(", joined(parts, COMMA), ")")


def fits(shape: tuple[int, ...]) -> bool:
    """Whether an array of that shape can be printed whole."""
    columns = shape[-1] if shape else 1
    return columns * prod(shape[:-2]) <= COLUMNS and prod(shape) <= ENTRIES


COLUMNS, ENTRIES = 12, 100

_NUMBERS = re.compile(r"(?<![\w.])(\d+)\^(-?\d+)(?![\w.])|(?<![\w.])(-?\d+)(?![\w.^])")


def in_words(text: str) -> tuple[str | Math, ...]:
    """Words in which powers and integers are mathematics: ``2^-70``, ``16777215``."""
    out: list[str | Math] = []
    end = 0
    for found in _NUMBERS.finditer(text):
        out.append(text[end : found.start()])
        base, power, whole = found.groups()
        if base is not None:
            out.append(Scripts(Numeral(base), sup=integer(int(power))))
        else:
            out.append(integer(int(whole)))
        end = found.end()
    return tuple(piece for piece in (*out, text[end:]) if piece != "")
