"""Mathematics as Typst: every letter, sign and word stands for itself, none is looked up.

Words are strings, signs are characters or escaped, and structure is written as function calls,
so that nothing in a name can be read as a command.
"""

from __future__ import annotations

import re

from ...documents import (
    Big,
    Cases,
    Fenced,
    Fraction,
    Grid,
    Hued,
    Math,
    Numeral,
    Operator,
    Row,
    Scripts,
    Symbol,
    Upright,
)
from ..hues import hue
from ..mathematics.letters import GREEK, letter
from .words import string

_SIGNS = {
    "\u2062": "thin",
    "+=": 'class("relation", "+=")',
    " ": "quad",
    "√": "√",
}
_TIMES = Operator("\u2062")
_WORDS = ("max", "min", "exp", "log", "tanh")


def formula(math: Math) -> str:
    """The formula in Typst's math mode."""
    match math:
        case Symbol(name):
            return symbol(name)
        case Numeral(text):
            plain = re.fullmatch(r"[0-9]+(\.[0-9]+)?", text)
            return text if plain else string(text.replace("-", "−"))
        case Operator(text):
            return _SIGNS.get(text) or _sign(text)
        case Upright(text):
            return f"op({string(text)})" if text in _WORDS else string(text)
        case Row(items):
            return _row(items)
        case Scripts(base, sub, sup):
            return _attached(formula(base), sub, sup)
        case Fraction(top, bottom):
            return f"frac({_argument(top)}, {_argument(bottom)})"
        case Big():
            return _big(math)
        case Fenced("√", body, _):
            return f"sqrt({_argument(body)})"
        case Fenced(left, body, right):
            return _fenced(left, body, right)
        case Hued(number, body):
            return f"tap{hue(number)}({_argument(body)})"
        case Grid(rows, left, _):
            delimiter = string(left) if left else "#none"
            cells = "; ".join(", ".join(map(_argument, row)) for row in rows)
            return f"mat(delim: {delimiter}, {cells})"
        case Cases(rows):
            lines = ", ".join(f"{_argument(a)} & quad {_test(b)}" for a, b in rows)
            return f"cases({lines})"
    raise TypeError(f"no Typst for {type(math).__name__}")


def in_line(math: Math) -> str:
    """The formula within a sentence, where a derivative reads better with a slash."""
    match math:
        case Fraction(Row((Operator("∂"), *_)) as top, Row((Operator("∂"), *_)) as bottom):
            return rf"{formula(top)} \/ {formula(bottom)}"
    return formula(math)


def symbol(name: str) -> str:
    """``O_h`` → ``attach(O, b: h)``, ``beta`` → ``β``, ``dy`` → ``italic("dy")``."""
    parts = letter(name)
    base = GREEK.get(parts.base, parts.base)
    if len(base) > 1 or not base.isalpha():
        base = f"italic({string(base)})"
    slots = []
    if parts.sub:
        short = parts.sub.isascii() and (len(parts.sub) == 1 or parts.sub.isdigit())
        slots.append(f"b: {parts.sub if short else string(parts.sub.replace('_', ','))}")
    if parts.marks:
        slots.append("t: " + " ".join({"'": "′", "*": "∗"}[mark] for mark in parts.marks))
    return _call("attach", base, *slots) if slots else base


def _call(name: str, *arguments: str) -> str:
    return f"{name}({', '.join(arguments)})"


def _sign(text: str) -> str:
    """A sign by its character; ASCII is escaped, so that no two signs make a third."""
    return "".join(f"\\{c}" if c.isascii() and not c.isalnum() else c for c in text)


def _row(items: tuple[Math, ...]) -> str:
    out: list[str] = []
    for number, item in enumerate(items):
        if item == _TIMES and number and isinstance(items[number - 1], Numeral):
            continue  # 2i needs no space, s i does
        out.append(formula(item))
    return " ".join(out)


def _argument(math: Math) -> str:
    """The formula as an argument of a function; an empty one still counts as one."""
    return formula(math) or '""'


def _attached(base: str, sub: Math | None, sup: Math | None) -> str:
    slots = [f"b: {_argument(sub)}"] if sub is not None else []
    slots += [f"t: {_argument(sup)}"] if sup is not None else []
    return _call("attach", base or '""', *slots)


def _test(math: Math) -> str:
    return string(math.text) if isinstance(math, Upright) else f'"if " {formula(math)}'


def _big(math: Big) -> str:
    sign = "∑" if math.text == "∑" else f"op({string(math.text)}, limits: #true)"
    under = " \\ ".join(formula(line) for line in math.under)
    slots = [f"b: {under}"] if under else []
    slots += [f"t: {_argument(math.over)}"] if math.over is not None else []
    head = _call("attach", sign, *slots) if slots else sign
    return f"{head} {formula(math.body)}"


def _fenced(left: str, body: Math, right: str) -> str:
    inside = f"{_sign(left)} {formula(body)} {_sign(right)}".strip()
    return f"lr({inside})"
