"""Statements in the equation language itself, ASCII only, as a person would type them.

    dx[n,a] = sum[u](w[u] * dy[n,(a - u)/s])  where s | a - u, 0 <= (a - u)/s < O

Conditions have no place in the language, so they follow after ``where`` (or stand inside the
brackets of their own sum if there are several sums).
"""

from __future__ import annotations

from fractions import Fraction

from ..affine import Affine
from ..equations import Statement
from ..expressions import (
    Bracket,
    Call,
    Condition,
    Divides,
    Equal,
    Expr,
    Index,
    Number,
    Partial,
    Read,
    Reduce,
    Winner,
    walk,
)

_BINARY = {
    "add": ("+", 2),
    "sub": ("-", 2),
    "mul": ("*", 3),
    "div": ("/", 3),
    "eq": ("==", 1),
    "ne": ("!=", 1),
    "lt": ("<", 1),
    "le": ("<=", 1),
    "gt": (">", 1),
    "ge": (">=", 1),
}
_NEG, _POW, _ATOM = 4, 5, 6


def equation_text(statement: Statement) -> str:
    """The statement on one line: ``dw[u,v] = sum[n,i,j](x[n,i+u,j+v] * dy[n,i,j])``."""
    relation = "+=" if statement.accumulate else "="
    rhs, trailing = statement.rhs, ""
    held = [e for e in walk(rhs) if isinstance(e, Reduce) and e.where]
    if held == [rhs] and isinstance(rhs, Reduce):
        trailing = "  where " + ", ".join(condition_text(c) for c in rhs.where)
        rhs = Reduce(rhs.op, rhs.over, rhs.body) if rhs.over else rhs.body
    return f"{_text(statement.lhs)[0]} {relation} {_text(rhs)[0]}{trailing}"


def condition_text(condition: Condition) -> str:
    """``2 | a - u``, ``0 <= a - u < O``, ``i == a``."""
    match condition:
        case Divides(divisor, value):
            return f"{divisor} | {value}"
        case Equal(left, right):
            return f"{left} == {right}"
    return f"0 <= {condition.value} < {condition.extent}"


def expression_text(expr: Expr) -> str:
    """The expression in the equation language."""
    return _text(expr)[0]


def _text(expr: Expr) -> tuple[str, int]:
    """The text and how tightly it binds."""
    match expr:
        case Number(value):
            whole = value.denominator == 1
            if decimal := decimal_text(value):
                return decimal, (_ATOM if value >= 0 else _NEG)
            return str(value), (_ATOM if whole and value >= 0 else _NEG if whole else 3)
        case Index(value):
            text = str(value)
            return text, 2 if " " in text else 3 if "*" in text or "/" in text else _ATOM
        case Read(tensor, axes):
            inside = ",".join(_subscript(axis) for axis in axes)
            return (f"{tensor}[{inside}]" if axes else tensor), _ATOM
        case Call(fn, args):
            return _call(fn, args)
        case Reduce(op, over, body, where):
            conditions = ", ".join(condition_text(c) for c in where)
            head = ",".join(over) + (f" where {conditions}" if where else "")
            return f"{op}[{head}]({expression_text(body)})", _ATOM
        case Bracket(conditions):
            return "[" + ", ".join(condition_text(c) for c in conditions) + "]", _ATOM
        case Partial(body, wrt):
            return f"d({expression_text(body)})/d({expression_text(wrt)})", 3
        case Winner():
            return _winner(expr), _ATOM
    raise TypeError(f"no text for {type(expr).__name__}")


def decimal_text(value: Fraction) -> str:
    """``0.00001``; empty for numbers that read better as fractions, such as 1/2 or 1/3."""
    places = next((k for k in range(1, 13) if (value * 10**k).denominator == 1), 0)
    if value.denominator <= 16 or not places:
        return ""
    digits = f"{abs(value.numerator) * 10**places // value.denominator:0{places + 1}d}"
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _subscript(axis: tuple[Affine, ...]) -> str:
    if len(axis) == 1:
        return _index(axis[0])
    return "(" + ",".join(_index(part) for part in axis) + ")"


def _index(value: Affine) -> str:
    """``i+u`` without blanks, ``(a + p - d*u)/s`` with them."""
    text = str(value)
    return text.replace(" ", "") if value.is_whole and len(value.terms) <= 2 else text


def _winner(expr: Winner) -> str:
    """``[(u,v) == argmax[u*,v*](...)]``, with split ties divided by their number."""
    at = ",".join(str(a) for a in expr.at)
    place = f"({at})" if len(expr.at) > 1 else at
    best = f"arg{expr.op}[{','.join(expr.over)}]({expression_text(expr.body)})"
    return f"[{place} == {best}]" if expr.ties == "first" else f"[{place} in {best}]/count({best})"


def _call(fn: str, args: tuple[Expr, ...]) -> tuple[str, int]:
    shown = [_text(arg) for arg in args]
    if fn in _BINARY:
        sign, level = _BINARY[fn]
        left = _within(shown[0], level)
        right = _within(shown[1], level + (fn in ("sub", "div")))
        return f"{left} {sign} {right}", level
    if fn == "neg":
        return f"-{_within(shown[0], _NEG)}", _NEG
    if fn == "pow":
        return f"{_within(shown[0], _ATOM)}**{_within(shown[1], _POW)}", _POW
    if not args:
        return fn, _ATOM
    return f"{fn}({', '.join(text for text, _ in shown)})", _ATOM


def _within(shown: tuple[str, int], level: int) -> str:
    text, mine = shown
    return text if mine >= level else f"({text})"
