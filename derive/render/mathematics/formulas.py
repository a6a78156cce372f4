"""Expressions, conditions and statements as mathematics, in the notation of textbooks.

``dy`` is shown as g, ``dx[a,b]`` as ∂L/∂x with subscripts, a delta as Kronecker's δ, the
winner of a maximum as an Iverson bracket. Brackets are put where reading needs them and
nowhere else.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as Rational

from ...affine import Affine
from ...documents import (
    Big,
    Cases,
    Fenced,
    Fraction,
    Hued,
    Math,
    Numeral,
    Operator,
    Row,
    Scripts,
    Symbol,
    Upright,
)
from ...equations import Statement
from ...expressions import (
    ONE,
    ZERO,
    Bracket,
    Call,
    Condition,
    Equal,
    Expr,
    Index,
    Number,
    Partial,
    Read,
    Reduce,
    Winner,
)
from ..language import decimal_text
from .notation import (
    COMMA,
    DEL,
    EQUALS,
    MINUS,
    PLUS,
    TIMES,
    Notation,
    affine,
    condition,
    counted,
    joined,
    subscripts,
)
from .terms import factors, terms

RELATION, SUM, BIG, PRODUCT, RATIO, ATOM = range(6)
"""How tightly a formula holds together; a looser one needs brackets in a tighter place."""

_COMPARE = {"eq": "=", "ne": "≠", "lt": "<", "le": "≤", "gt": ">", "ge": "≥"}
_OPPOSITE = {"eq": "ne", "ne": "eq", "lt": "ge", "ge": "lt", "gt": "le", "le": "gt"}
_WORDS = {"maximum": "max", "minimum": "min", "sign": "sgn"}
_BIG = {"sum": "∑", "max": "max", "min": "min", "mean": "mean"}


def expression(expr: Expr, notation: Notation, around: int = RELATION) -> Math:
    """The expression, in brackets if it holds together less tightly than ``around`` asks."""
    level, shown = _set(expr, notation)
    return Fenced("(", shown, ")") if level < around else shown


def _set(expr: Expr, notation: Notation) -> tuple[int, Math]:
    match expr:
        case Number(value):
            return _number(value)
        case Index(value):
            return (ATOM if len(value.terms) <= 1 and value.is_whole else SUM), affine(value)
        case Read():
            return _read(expr, notation)
        case Call(fn, args):
            return _call(fn, args, notation)
        case Reduce():
            return _reduce(expr, notation)
        case Bracket(conditions):
            return _bracket(conditions, notation)
        case Partial(body, wrt):
            return _partial(body, wrt, notation)
        case Winner():
            return _winner(expr, notation)
    raise TypeError(f"no notation for {type(expr).__name__}")


def _number(value: Rational) -> tuple[int, Math]:
    if value < 0:
        return SUM, Row((MINUS, _number(-value)[1]))
    if value.denominator == 1:
        return ATOM, Numeral(str(value))
    if decimal := decimal_text(value):
        return ATOM, Numeral(decimal)
    return RATIO, Fraction(Numeral(str(value.numerator)), Numeral(str(value.denominator)))


def _read(read: Read, notation: Notation) -> tuple[int, Math]:
    if read.tensor in notation.gradients:
        inner = _entry(Read(notation.gradients[read.tensor], read.axes), notation)
        body: Math = Fraction(Row((DEL, Symbol("L"))), Row((DEL, inner)))
        return RATIO, body
    if read.tensor == notation.upstream:
        return ATOM, _entry(replace(read, tensor=notation.shown), notation)
    return ATOM, _entry(read, notation)


def _entry(read: Read, notation: Notation) -> Math:
    """A tensor with its subscripts, in the hue of its tap if it has one."""
    shown: Math = Symbol(read.tensor)
    if read.axes:
        shown = Scripts(shown, subscripts(read.axes, notation))
    taps = notation.taps
    if taps is None or read.tensor != taps.tensor or not read.axes:
        return shown
    place = [read.axes[axis][0].number for axis in taps.axes]
    known = tuple(n for n in place if n is not None)
    return Hued(taps.number(known), shown) if known and len(known) == len(place) else shown


def _call(fn: str, args: tuple[Expr, ...], notation: Notation) -> tuple[int, Math]:
    match fn, args:
        case (("add" | "sub"), (left, right)):
            sign = PLUS if fn == "add" else MINUS
            tight = SUM if fn == "add" else BIG
            first, second = expression(left, notation, SUM), expression(right, notation, tight)
            return SUM, Row((first, sign, second))
        case "neg", (inner,):
            return SUM, Row((MINUS, expression(inner, notation, BIG)))
        case "mul", _:
            return _product(factors(Call(fn, args)), notation)
        case "div", (top, bottom) if any(_derived(f, notation) for f in factors(top)):
            return _derived_ratio(top, bottom, notation)
        case "div", (Call("div", (top, first)), second):  # (a/b)/c is a/(b·c)
            return _call("div", (top, Call("mul", (first, second))), notation)
        case "div", (top, bottom):
            return RATIO, Fraction(expression(top, notation), expression(bottom, notation))
        case "pow", (base, power):
            return ATOM, _power(base, expression(power, notation), notation)
        case "pi", ():
            return ATOM, Symbol("pi")
        case "sqrt", (inner,):
            return ATOM, Fenced("√", expression(inner, notation), "")
        case "abs", (inner,):
            return ATOM, Fenced("|", expression(inner, notation), "|")
        case "where", _:
            return ATOM, _alternatives(args, notation)
        case _ if fn in _COMPARE:
            return ATOM, Fenced("[", _comparison(fn, args, notation), "]")
    given = joined([expression(a, notation) for a in args], COMMA)
    return ATOM, Row((Upright(_WORDS.get(fn, fn)), Fenced("(", given, ")")))


def _product(parts: list[Expr], notation: Notation) -> tuple[int, Math]:
    """Factors side by side; a sum may stand bare only as the last one."""
    if len(parts) == 1:
        return max(BIG, _set(parts[0], notation)[0]), expression(parts[0], notation, BIG)
    shown = [expression(part, notation, PRODUCT) for part in parts[:-1]]
    last = parts[-1]
    level = min(PRODUCT, max(BIG, _set(last, notation)[0]))
    shown.append(expression(last, notation, BIG))
    digits = any(isinstance(part, Number | Index) for part in parts[1:])
    return level, joined(shown, Operator("·") if digits else TIMES)


def _derived(expr: Expr, notation: Notation) -> bool:
    """Whether an expression is set as a derivative, or a sum of them: tall by itself."""
    match expr:
        case Call("neg", (inner,)) | Reduce(body=inner):
            return any(_derived(factor, notation) for factor in factors(inner))
        case Read(tensor, _):
            return tensor in notation.gradients
    return isinstance(expr, Partial)


def _derived_ratio(top: Expr, bottom: Expr, notation: Notation) -> tuple[int, Math]:
    """A quotient with derivatives in its numerator: they stand behind it, in full size."""
    parts = factors(top)
    before = [f for f in parts if not _derived(f, notation)]
    behind = [f for f in parts if f not in before]
    behind.sort(key=lambda f: isinstance(f, Reduce))
    above = _product(before, notation)[1] if before else Numeral("1")
    level, rest = _product(behind, notation)
    return level, joined([Fraction(above, expression(bottom, notation)), rest], TIMES)


def _power(base: Expr, power: Math, notation: Notation) -> Math:
    if isinstance(base, Read) and base.tensor not in notation.gradients:
        shown = _read(base, notation)[1]
        if isinstance(shown, Scripts):
            return replace(shown, sup=power)
    level, body = _set(base, notation)
    match body, power:
        case Row((Upright() as name, Fenced() as given)), Numeral():  # tanh²(a)
            return Row((Scripts(name, sup=power), given))
    simple = level == ATOM and not isinstance(body, Row | Scripts)
    return Scripts(body if simple else Fenced("(", body, ")"), sup=power)


def _comparison(fn: str, args: tuple[Expr, ...], notation: Notation) -> Math:
    left, right = (expression(arg, notation, SUM) for arg in args)
    return Row((left, Operator(_COMPARE[fn]), right))


def _alternatives(args: tuple[Expr, ...], notation: Notation) -> Math:
    """``where(c, 1, 0)`` is Iverson's bracket [c], any other one a case distinction."""
    test, yes, no = args
    if isinstance(test, Call) and test.fn in _COMPARE:
        shown = _comparison(test.fn, test.args, notation)
    else:
        shown = Row((expression(test, notation, SUM), Operator("≠"), Numeral("0")))
    if (yes, no) == (ZERO, ONE) and isinstance(test, Call) and test.fn in _OPPOSITE:
        return _alternatives((Call(_OPPOSITE[test.fn], test.args), ONE, ZERO), notation)
    if (yes, no) == (ONE, ZERO):
        return Fenced("[", shown, "]")
    rows = ((expression(yes, notation), shown), (expression(no, notation), Upright("otherwise")))
    return Cases(rows)


def _reduce(expr: Reduce, notation: Notation) -> tuple[int, Math]:
    body = expression(expr.body, notation, BIG)
    if not expr.over:
        return PRODUCT, Row((_bracket(expr.where, notation)[1], TIMES, body))
    lines: list[Math] = [joined([Symbol(i) for i in expr.over], COMMA)]
    lines += [condition(c) for c in expr.where]
    if expr.op != "mean" or not all(i in notation.extents for i in expr.over):
        return BIG, Big(_BIG[expr.op], tuple(lines), body)
    count = Affine.of(1)
    for index in expr.over:
        count = count * notation.extents[index]
    share = Fraction(Numeral("1"), affine(count))
    return BIG, Row((share, TIMES, Big("∑", tuple(lines), body)))


def _bracket(conditions: tuple[Condition, ...], notation: Notation) -> tuple[int, Math]:
    """δ for every equation, Iverson's bracket around all other conditions.

    Around equations too where δ is the letter of the upstream gradient.
    """
    deltas: list[Math] = [
        Scripts(Symbol("delta"), joined([affine(c.left), affine(c.right)], COMMA))
        for c in conditions
        if isinstance(c, Equal) and notation.kronecker
    ]
    others = [
        condition(c) for c in conditions if not isinstance(c, Equal) or not notation.kronecker
    ]
    if others:
        deltas.append(Fenced("[", joined(others, COMMA), "]"))
    return (ATOM, deltas[0]) if len(deltas) == 1 else (PRODUCT, joined(deltas, TIMES))


def _partial(body: Expr, wrt: Read, notation: Notation) -> tuple[int, Math]:
    below = Row((DEL, _entry(wrt, notation)))
    if isinstance(body, Read):
        return RATIO, Fraction(Row((DEL, expression(body, notation))), below)
    inner = Fenced("(", expression(body, notation), ")")
    return PRODUCT, Row((Fraction(DEL, below), inner))


def _winner(expr: Winner, notation: Notation) -> tuple[int, Math]:
    """[(u,v) = argmax …]; with shared ties the bracket is divided by the number of maxima."""
    at = [affine(counted(a, notation.base)) for a in expr.at]
    place = at[0] if len(at) == 1 else Fenced("(", joined(at, COMMA), ")")
    under = joined([Symbol(i) for i in expr.over], COMMA)
    best = Big(f"arg{expr.op}", (under,), expression(expr.body, notation, BIG))
    if expr.ties == "first":
        return ATOM, Fenced("[", Row((place, EQUALS, best)), "]")
    chosen = Fenced("[", Row((place, Operator("∈"), best)), "]")
    return RATIO, Fraction(chosen, Fenced("|", best, "|"))


# -- statements -----------------------------------------------------------------------------
def statement(value: Statement, notation: Notation) -> tuple[Math, tuple[Math, ...]]:
    """Left side, and the right side in pieces between which a line may be broken."""
    relation = Operator("+=") if value.accumulate else EQUALS
    pieces: list[Math] = []
    for sign, term in terms(value.rhs):
        shown = expression(term, notation, BIG)
        if not pieces:
            pieces.append(Row((relation, MINUS, shown) if sign < 0 else (relation, shown)))
        else:
            pieces.append(Row((MINUS if sign < 0 else PLUS, shown)))
    return expression(value.lhs, notation), tuple(pieces)
