"""Places where a formula that is too long for its line may be broken: between factors."""

from __future__ import annotations

from dataclasses import replace

from ...documents import Big, Fenced, Fraction, Math, Numeral, Operator, Row
from ..tex.mathematics import width

_TIMES = (Operator("\u2062"), Operator("·"))
_SIGNS = (Operator("+"), Operator("−"))


def split(piece: Math, room: float) -> list[Math]:
    """The piece itself if it fits, else its factors; a new line repeats the sign ``·``."""
    if width(piece) <= room:
        return [piece]
    out: list[list[Math]] = [[]]
    for item in _flat(piece, room):
        if item in _TIMES and out[-1]:
            out.append([Operator("·")])
        elif item in _SIGNS and out[-1] and out[-1][-1] != Operator("="):
            out.append([item])
        else:
            out[-1].append(item)
    return [Row(tuple(items)) for items in out]


def _flat(math: Math, room: float) -> list[Math]:
    """The items of a product, those under a sum sign and over a fraction bar included."""
    match math:
        case Row(items):
            return [part for item in items for part in _flat(item, room)]
        case Big(body=body) if width(body) > room / 2:
            return [replace(math, body=Row(())), *_flat(body, room)]
        case Fenced("(", body, ")") if width(math) > room * 0.8:
            return [Operator("("), *_flat(body, room), Operator(")")]
        case Fraction(Row(items) as top, bottom) if width(top) > room / 2:
            if not any(item in _SIGNS for item in items):
                return [Fraction(Numeral("1"), bottom), _TIMES[0], *_flat(top, room)]
    return [math]
