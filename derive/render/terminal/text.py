"""Mathematics as one line of text: ``∂L/∂x[a,b] = ∑_{u,v: 0 ≤ a−u < 2} g[a−u,b−v]·w[u,v]``.

``line`` prints the document's formulas for a terminal (Unicode, or ASCII where the stream has
nothing else). ``equation_text`` prints a statement in the equation language itself, which is
what docstrings and ``EQUATIONS`` of generated modules hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...documents import (
    Big,
    Cases,
    Fenced,
    Fraction,
    Grid,
    Hued,
    Inline,
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
from .painted import Painted

_SPACED = {"=", "+", "−", "<", "≤", ">", "≥", "≠", "∈", "+=", "∣", "⋆", "→", "↦", "∗"}
_ASCII = {
    "\u202f": "",
    "∂": "d",
    "∑": "sum",
    "−": "-",
    "·": "*",
    "\u2062": "*",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "∣": "|",
    "∈": "in",
    "⋆": "(*)",
    "∗": "(conv)",
    "⌊": "floor(",
    "⌋": ")",
    "√": "sqrt",
    "⊤": "T",
    "×": "x",
    "→": "->",
    "↦": "->",
    "⋯": "...",
    "…": "...",
    "′": "'",
    "–": "-",
    "—": "-",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
    "°": " degrees",
    "½": "1/2",
    "∞": "inf",
    "─": "-",
    "✓": "ok",
    "│": "|",
    "▼": "v",
    "○": "o",
    "●": "*",
    "╮": "+",
    "╯": "+",
    "┬": "+",
    "┴": "+",
    "├": "+",
    "┤": "+",
    "┼": "+",
    "◂": "<",
    "⟨": "<",
    "⟩": ">",
    "ᵀ": "^T",
    "⟦": "[",
    "⟧": "]",
    "∇": "grad",
    "⇔": "<=>",
    "⇒": "=>",
} | {sign: name.rstrip("_") for name, sign in GREEK.items()}


_START, _END = 0xE000, "\uf8ff"
_MARKS = re.compile("[\ue000-\uf8ff]")
"""Characters for private use, which no name has: where a hue starts, and where it ends."""


def ascii_only(text: str) -> str:
    """The text in ASCII; a character without a spelling becomes ``?``."""
    spelled = "".join(_ASCII.get(c, c) for c in text)
    return spelled.encode("ascii", "replace").decode("ascii")


def line(math: Math, *, unicode: bool = True) -> str:
    """The formula on one line."""
    text = _MARKS.sub("", _line(math, tight=False))
    return text if unicode else ascii_only(text)


def painted(math: Math) -> Painted:
    """The formula on one line, kernel taps in their hues."""
    marked, hues = _line(math, tight=False), [""]
    text, paints = "", []
    for sign in marked:
        if sign == _END:
            hues.pop()
        elif _MARKS.match(sign):
            hues.append(f"tap:{ord(sign) - _START}")
        else:
            text += sign
            paints.append(hues[-1])
    return Painted(text, tuple(paints))


def inline(text: Iterable[Inline], *, unicode: bool = True) -> str:
    """A sentence with its formulas."""
    whole = "".join(p if isinstance(p, str) else line(p) for p in text)
    return whole if unicode else ascii_only(whole)


def _line(math: Math, *, tight: bool) -> str:
    """``tight`` leaves out the blanks, as in subscripts."""
    match math:
        case Symbol(name):
            return name_text(name)
        case Numeral(text) | Upright(text):
            return text
        case Operator(text):
            return _operator(text, tight)
        case Row(items):
            return _row(items, tight)
        case Scripts(base, sub, sup):
            return _scripts(base, sub, sup)
        case Fraction(top, bottom):
            above = _line(top, tight=False) if _is_product(top) else _grouped(top)
            return f"{above}/{_grouped(bottom)}"
        case Big():
            return _big(math)
        case Fenced("√", Symbol() | Numeral() as body, _):
            return f"√{_line(body, tight=tight)}"
        case Fenced("√", body, _):
            return f"√({_line(body, tight=tight)})"
        case Fenced(left, body, right):
            return f"{left}{_line(body, tight=tight)}{right}"
        case Hued(number, body):
            return f"{chr(_START + hue(number))}{_line(body, tight=tight)}{_END}"
        case Grid(rows, left, right):
            lines = (", ".join(_line(cell, tight=True) for cell in row) for row in rows)
            return f"{left}{'; '.join(lines)}{right}"
        case Cases(rows):
            return _cases(rows)
    raise TypeError(f"no text for {type(math).__name__}")


def name_text(name: str) -> str:
    """A name with its Greek letter; a prime is a prime."""
    parts = letter(name)
    base = GREEK.get(parts.base, parts.base)
    sub = f"_{parts.sub}" if "_" in name.rstrip("_") else parts.sub
    return base + sub + parts.marks.replace("'", "′")


def _operator(text: str, tight: bool) -> str:
    if text == "\u2062":
        return "·"
    if text == "," and not tight:
        return ", "
    return f" {text} " if text in _SPACED and not tight else text


def _row(items: tuple[Math, ...], tight: bool) -> str:
    out = ""
    for number, item in enumerate(items):
        # a sign in front, or right after a relation, is no binary operator
        alone = number == 0 or items[number - 1] in (Operator("="), Operator("+="))
        if item == Operator("−") and alone:
            out += "−"
        elif item == Operator("\u2062") and number and isinstance(items[number - 1], Numeral):
            following = items[number + 1] if number + 1 < len(items) else None
            out += "" if isinstance(following, Symbol) else "·"
        else:
            out += _line(item, tight=tight)
    return out


def _scripts(base: Math, sub: Math | None, sup: Math | None) -> str:
    out = _line(base, tight=False)
    if sub is not None:
        out += f"[{_line(sub, tight=True)}]"
    if sup is not None:
        raised = _line(sup, tight=True)
        out += f"^{raised}" if raised.isalnum() or raised == "⊤" else f"^({raised})"
    return out


def _grouped(math: Math) -> str:
    """The side of a fraction, in brackets if it is more than one thing."""
    text = _line(math, tight=False)
    return text if _whole(math) else f"({text})"


def _whole(math: Math) -> bool:
    """Whether a formula stays together next to a slash."""
    match math:
        case Hued(_, body):
            return _whole(body)
        case Row((Operator("∂"), _) | (Upright(), Fenced())):
            return True
    return not isinstance(math, Row | Fraction | Big)


def _is_product(math: Math) -> bool:
    """Factors side by side, none a big operator: a·b/c needs no brackets."""
    if not isinstance(math, Row) or len(math.items) % 2 == 0 or len(math.items) < 3:
        return False
    signs = {item.text for item in math.items[1::2] if isinstance(item, Operator)}
    return signs <= {"\u2062", "·"} and bool(signs) and not _ends_big(math)


def _ends_big(math: Math) -> bool:
    return isinstance(math, Big) or (isinstance(math, Row) and any(map(_ends_big, math.items)))


def _big(math: Big) -> str:
    indices = _line(math.under[0], tight=True) if math.under else ""
    conditions = ", ".join(_line(c, tight=False) for c in math.under[1:])
    under = f"{indices}: {conditions}" if conditions else indices
    return f"{math.text}_{{{under}}} {_line(math.body, tight=False)}"


def _cases(rows: tuple[tuple[Math, Math], ...]) -> str:
    shown = []
    for value, test in rows:
        link = " " if isinstance(test, Upright) else " if "
        shown.append(_line(value, tight=False) + link + _line(test, tight=False))
    return "{" + "; ".join(shown) + "}"
