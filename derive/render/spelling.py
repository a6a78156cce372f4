"""Array expressions as Python text on one line, with the parentheses that they need."""

from __future__ import annotations

from collections.abc import Sequence

from ..programs import Array, Binary, Invoke, Item, Literal, Method, Name, Span, Tuple, Unary

STRENGTH = {
    "and": 0,
    "in": 1,
    "not in": 1,
    "is": 1,
    "==": 1,
    "!=": 1,
    "<": 1,
    "<=": 1,
    ">": 1,
    ">=": 1,
    "|": 2,
    "^": 3,
    "&": 4,
    "+": 6,
    "-": 6,
    "*": 7,
    "/": 7,
    "//": 7,
    "@": 7,
    "%": 7,
    "**": 9,
}
SIGN = 8
TIGHT = 11


def text(array: Array, around: int = 0) -> str:
    """An array expression; parentheses where ``around`` binds at least as tightly."""
    match array:
        case Name(id):
            return id
        case Literal(value):
            bare = value.isdigit() and around == TIGHT  # 2.sum would be no number
            return f"({value})" if (" " in value and around) or bare else value
        case Item(base, entries):
            return f"{text(base, TIGHT)}[{', '.join(entry_text(e) for e in entries)}]"
        case Invoke(fn, args, named):
            return f"{fn}({arguments_text(args, named)})"
        case Method(base, name, args, named, call):
            tail = f"({arguments_text(args, named)})" if call else ""
            return f"{text(base, TIGHT)}.{name}{tail}"
        case Binary(op, left, right):
            own = STRENGTH[op]
            # ** groups to the right and compares are not chained: guard the other side
            sides = (own + 1, own) if op == "**" else (own, own + 1)
            if own == STRENGTH["=="]:
                sides = (own + 1, own + 1)
            body = f"{text(left, sides[0])} {op} {text(right, sides[1])}"
            if op == "**" and _simple(left) and _simple(right):
                body = body.replace(" ** ", "**")
            return f"({body})" if own < around else body
        case Unary(op, operand):
            power = isinstance(operand, Binary) and operand.op == "**"
            body = f"{op}{text(operand, TIGHT if power else SIGN)}"
            return f"({body})" if around > SIGN else body
        case Tuple(items):
            inner = ", ".join(text(i) for i in items)
            return f"({inner},)" if len(items) == 1 else f"({inner})"
    raise TypeError(f"nothing prints {type(array).__name__}")


def _simple(array: Array) -> bool:
    return isinstance(array, Name | Literal) or (
        isinstance(array, Method) and not array.call and _simple(array.base)
    )


def entry_text(entry: Span | str) -> str:
    """An entry of a subscript: spaces around the colon where a bound is more than a name."""
    if isinstance(entry, str):
        return entry
    parts = (entry.start, entry.stop, entry.step)
    short = (part.isidentifier() or part.removeprefix("-").isdigit() for part in parts if part)
    wide = not all(short)
    body = _joined(entry.start, entry.stop, wide)
    return _joined(body, entry.step, wide) if entry.step else body


def _joined(one: str, two: str, wide: bool) -> str:
    if not wide:
        return f"{one}:{two}"
    return f"{one} : {two}".strip()


def arguments_text(args: Sequence[Array], named: Sequence[tuple[str, Array]]) -> str:
    """The arguments of a call, without its brackets."""
    return ", ".join([*(text(a) for a in args), *(f"{k}={text(v)}" for k, v in named)])
