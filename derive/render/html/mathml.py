"""Mathematics as MathML Core, which browsers set by themselves.

Every node becomes exactly one element, so a display can be taken apart and pointed at. Brackets
of matrices are drawn by the style sheet, so that a page reads well without a maths font.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

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
from ..tex.mathematics import tall

_TIMES = Operator("\u2062")
_EQUALS = Operator("=")
_SIGNS = {"+", "−"}
_OPENING = {"=", "+=", "<", "≤", ">", "≥", "≠", "∈", "(", ",", "←", "↦", "→"}
"""What a sign stands behind when it belongs to the number after it."""
_LETTERS = {"∂", "∞", "⊤", "⋯", "…"}
_TIGHT = {
    "/": '<mo lspace="0" rspace="0">/</mo>',
    "\u2062": "<mo>\u2062</mo>",
}
BLANK = "\u00a0"
"""A blank that browsers keep at the end of words."""
_MATRIX = {"[": "square", "(": "round", "|": "bars", "": "bare"}


def in_line(math: Math) -> str:
    """``<math>`` within a sentence, where a derivative reads better with a slash."""
    match math:
        case Fraction(Row((Operator("∂"), *_)) as top, Row((Operator("∂"), *_)) as bottom):
            return f"<math>{element(top)}{_TIGHT['/']}{element(bottom)}</math>"
        case Row() if len(parts := _chain(_flat(math))) > 2:
            return "<wbr>".join(f"<math>{_inside(part)}</math>" for part in parts)
    return f"<math>{_inside(math)}</math>"


def _flat(math: Math) -> tuple[Math, ...]:
    if not isinstance(math, Row):
        return (math,)
    return tuple(part for item in math.items for part in _flat(item))


def _chain(items: tuple[Math, ...]) -> list[Row]:
    """``a = b = c`` in parts, so that a narrow line can be broken in front of a relation."""
    starts = [n for n, item in enumerate(items) if n and item == _EQUALS]
    ends = zip([0, *starts], [*starts, len(items)], strict=True)
    return [Row(items[start:end]) for start, end in ends]


def piece(math: Math, *, first: bool = True) -> str:
    """``<math>`` for one piece of a displayed line; any but the ``first`` goes on with a sign."""
    return f"<math>{_inside(math, first=first)}</math>"


def columns(rows: tuple[tuple[Math, tuple[Math, ...]], ...]) -> str:
    """``<math display="block">`` with every piece in a column of its own."""
    count = max((len(pieces) for _, pieces in rows), default=0)
    lines = []
    for left, pieces in rows:
        cells = [_cell(left, first=True)]
        cells += [_cell(part, first=n == 0) for n, part in enumerate(pieces)]
        cells += ["<mtd></mtd>"] * (count - len(pieces))
        lines.append(f"<mtr>{''.join(cells)}</mtr>")
    body = "\n".join(lines)
    return f'<math display="block"><mtable class="columns">\n{body}\n</mtable></math>'


def _cell(math: Math, *, first: bool) -> str:
    return f"<mtd>{_inside(math, first=first)}</mtd>"


def element(math: Math, *, small: bool = False) -> str:
    """The formula as one MathML element; a ``small`` one has no room around its operators."""
    match math:
        case Symbol(name):
            return symbol(name)
        case Numeral(text):
            return f"<mn>{escape(text)}</mn>"
        case Operator(text):
            return _operator(text, "", small)
        case Upright(text):
            return _upright(text)
        case Row(items):
            return _row(items, small)
        case Scripts(base, sub, sup):
            return _scripts(element(base), _small(sub), _small(sup))
        case Fraction(top, bottom):
            return f"<mfrac>{element(top)}{element(bottom)}</mfrac>"
        case Big():
            return _big(math)
        case Fenced("√", body, _):
            return f"<msqrt>{_inside(body)}</msqrt>"
        case Fenced(left, body, right):
            return _fenced(left, body, right, small)
        case Hued(number, body):
            return _classed(element(body, small=small), f"hue-{hue(number)}")
        case Grid(rows, left, _):
            return _table((row for row in rows), f"matrix {_MATRIX[left]}")
        case Cases(rows):
            cases = _table(((value, _test(test)) for value, test in rows), "cases")
            return f'<mrow><mo form="prefix" stretchy="true">{{</mo>{cases}</mrow>'
    raise TypeError(f"no MathML for {type(math).__name__}")


def symbol(name: str) -> str:
    """``O_h`` → O with a small h, ``beta`` → β, ``c'`` → c′; longer names slant as one."""
    parts = letter(name)
    base = f"<mi>{GREEK.get(parts.base, escape(parts.base))}</mi>"
    if len(parts.base) > 1 and parts.base not in GREEK:
        base = f'<mi class="name">{escape(parts.base)}</mi>'
    sub = f"<mi>{escape(parts.sub.replace('_', ','))}</mi>" if parts.sub else None
    if parts.sub.isdigit():
        sub = f"<mn>{parts.sub}</mn>"
    if primes := parts.marks.count("'") * "′":  # raised by itself
        base = f"<mrow>{base}<mo>{primes}</mo></mrow>"
    stars = parts.marks.count("*") * "∗"
    return _scripts(base, sub, f"<mo>{stars}</mo>" if stars else None)


def _operator(text: str, form: str, small: bool = False) -> str:
    if text == "/" or (small and text == "\u2062"):
        return _TIGHT[text]
    if text == "\u2062":
        return '<mo rspace="0.17em">\u2062</mo>'
    if text == " ":
        return '<mspace width="1.2em"></mspace>'
    if text in _LETTERS:
        return f"<mi>{text}</mi>"
    if text in "()":
        return f'<mo stretchy="false">{text}</mo>'
    close = ' lspace="0" rspace="0"' if small and text in _SIGNS else ""
    return f"<mo{close or form}>{escape(text)}</mo>"


def _upright(text: str) -> str:
    if not text.isalnum():
        return f"<mtext>{escape(text.replace(' ', BLANK))}</mtext>"
    variant = ' mathvariant="normal"' if len(text) == 1 else ""
    return f"<mi{variant}>{text}</mi>"


def _inside(math: Math, *, first: bool = True) -> str:
    """What stands in ``<math>``, ``<mtd>`` or ``<msqrt>``, which are rows themselves."""
    return "".join(_items(math.items, first)) if isinstance(math, Row) else element(math)


def _row(items: tuple[Math, ...], small: bool) -> str:
    out = _items(items, True, small)
    return out[0] if len(out) == 1 else f"<mrow>{''.join(out)}</mrow>"


def _items(items: tuple[Math, ...], first: bool, small: bool = False) -> list[str]:
    """Items side by side; where browsers guess wrongly whether a sign is binary, it is said."""
    out = []
    for number, item in enumerate(items):
        before = items[number - 1] if number else None
        if isinstance(item, Operator) and item.text in _SIGNS:
            opens = isinstance(before, Operator) and before.text in _OPENING
            form = "" if first or before is not None else ' form="infix"'
            out.append(_operator(item.text, ' form="prefix"' if opens else form, small))
        elif item == _TIMES and isinstance(before, Numeral):
            out.append(_TIGHT["\u2062"])  # 2i needs no space, s i does
        else:
            out.append(element(item, small=small))
    return out


def _classed(made: str, name: str) -> str:
    """The element in a class; one that has a class already is put into a row."""
    tag, end, _ = made.partition(">")
    if " class=" in tag:
        return f'<mrow class="{name}">{made}</mrow>'
    return f'{tag} class="{name}"{end}{made[len(tag) + 1 :]}'


def _small(math: Math | None) -> str | None:
    return None if math is None else element(math, small=True)


def _scripts(base: str, sub: str | None, sup: str | None) -> str:
    if sub is None and sup is None:
        return base
    kind = "msubsup" if sub and sup else "msub" if sub else "msup"
    return f"<{kind}>{base}{sub or ''}{sup or ''}</{kind}>"


def _big(math: Big) -> str:
    word = len(math.text) > 1
    kind = ' lspace="0" rspace="0.17em" movablelimits="true"' if word else ' class="big"'
    sign = f"<mo{kind}>{escape(math.text)}</mo>"
    lines = [element(line, small=True) for line in math.under]
    under = lines[0] if len(lines) == 1 else ""
    if len(lines) > 1:
        stacked = "".join(f"<mtr><mtd>{line}</mtd></mtr>" for line in lines)
        under = f'<mtable class="under">{stacked}</mtable>'
    over = _small(math.over) or ""
    name = f"m{'under' if under else ''}{'over' if over else ''}"
    limits = f"<{name}>{sign}{under}{over}</{name}>" if under or over else sign
    return f"<mrow>{limits}{element(math.body)}</mrow>"


def _fenced(left: str, body: Math, right: str, small: bool) -> str:
    grows = ' stretchy="true"' if tall(body) else ' stretchy="false"'
    opened = f'<mo form="prefix"{grows}>{escape(left)}</mo>' if left else ""
    closed = f'<mo form="postfix"{grows}>{escape(right)}</mo>' if right else ""
    return f"<mrow>{opened}{element(body, small=small)}{closed}</mrow>"


def _test(math: Math) -> Math:
    return math if isinstance(math, Upright) else Row((Upright("if "), math))


def _table(rows: Iterable[tuple[Math, ...]], kind: str) -> str:
    lines = (f"<mtr>{''.join(f'<mtd>{_inside(cell)}</mtd>' for cell in row)}</mtr>" for row in rows)
    return f'<mtable class="{kind}">{"".join(lines)}</mtable>'
