"""Array programs as Python text, in the shape that ``ruff format`` would give them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..programs import (
    Action,
    Array,
    Binary,
    Comment,
    For,
    Invoke,
    Item,
    Let,
    Literal,
    Method,
    Name,
    Return,
    Span,
    Tuple,
    Unary,
)

WIDTH = 100
STRENGTH = {
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
    "@": 7,
    "%": 7,
    "**": 9,
}
SIGN = 8


def lines(
    actions: Sequence[Action], comment: Callable[[Comment], Sequence[str]], depth: int = 1
) -> list[str]:
    """The statements as lines; ``comment`` gives the words of a comment."""
    pad = "    " * depth
    out: list[str] = []
    for action in actions:
        match action:
            case Comment():
                out += [f"{pad}# {line}" for line in comment(action)]
            case Let(target, value, op):
                head = f"{pad}{_left(target)} {op} "
                if isinstance(value, Tuple):
                    out.append(head + _left(value))
                else:
                    out += _wrapped(head, value, depth)
            case For(var, extent, body):
                out += [f"{pad}for {var} in range({extent}):", *lines(body, comment, depth + 1)]
            case Return(Tuple() as results) if len(f"{pad}return {_left(results)}") <= WIDTH:
                out.append(f"{pad}return {_left(results)}")
            case Return(value):
                out += _wrapped(f"{pad}return ", value, depth)
    return out


def _left(target: Array) -> str:
    return ", ".join(text(i) for i in target.items) if isinstance(target, Tuple) else text(target)


def text(array: Array, around: int = 0) -> str:
    """An array expression; parentheses where ``around`` binds at least as tightly."""
    match array:
        case Name(id):
            return id
        case Literal(value):
            return f"({value})" if " " in value and around else value
        case Item(base, entries):
            return f"{text(base, 10)}[{', '.join(_entry(e) for e in entries)}]"
        case Invoke(fn, args, named):
            return f"{fn}({_arguments(args, named)})"
        case Method(base, name, args, named, call):
            tail = f"({_arguments(args, named)})" if call else ""
            return f"{text(base, 10)}.{name}{tail}"
        case Binary(op, left, right):
            own = STRENGTH[op]
            # ** groups to the right and compares are not chained: guard the other side
            sides = (own + 1, own) if op == "**" else (own, own + 1)
            if op in ("==", "!=", "<", "<=", ">", ">="):
                sides = (own + 1, own + 1)
            body = f"{text(left, sides[0])} {op} {text(right, sides[1])}"
            if op == "**" and _simple(left) and _simple(right):
                body = body.replace(" ** ", "**")
            return f"({body})" if own < around else body
        case Unary(op, operand):
            body = f"{op}{text(operand, SIGN)}"
            return f"({body})" if around > SIGN else body
        case Tuple(items):
            inner = ", ".join(text(i) for i in items)
            return f"({inner},)" if len(items) == 1 else f"({inner})"
    raise TypeError(f"nothing prints {type(array).__name__}")


def _simple(array: Array) -> bool:
    return isinstance(array, Name | Literal) or (
        isinstance(array, Method) and not array.call and _simple(array.base)
    )


def _entry(entry: Span | str) -> str:
    if isinstance(entry, str):
        return entry
    parts = (entry.start, entry.stop, entry.step)
    wide = any(part and not part.isidentifier() and not part.isdigit() for part in parts)
    wide = wide and not (parts[0] == parts[1] == "" and parts[2] == "-1")
    body = _joined(entry.start, entry.stop, wide)
    return _joined(body, entry.step, wide) if entry.step else body


def _joined(one: str, two: str, wide: bool) -> str:
    if not wide:
        return f"{one}:{two}"
    return f"{one} : {two}".strip()


def _arguments(args: Sequence[Array], named: Sequence[tuple[str, Array]]) -> str:
    return ", ".join([*(text(a) for a in args), *(f"{k}={text(v)}" for k, v in named)])


def _wrapped(head: str, value: Array, depth: int) -> list[str]:
    """One line if it fits; else the last call's arguments on lines of their own."""
    line = head + text(value)
    if len(line) <= WIDTH:
        return [line]
    pad = "    " * depth
    if isinstance(value, Invoke) or (isinstance(value, Method) and value.call):
        opening = value.fn if isinstance(value, Invoke) else f"{text(value.base, 10)}.{value.name}"
        arguments = _arguments(value.args, value.named)
        if len(head) + len(opening) < WIDTH:
            if len(pad) + 4 + len(arguments) <= WIDTH:
                return [f"{head}{opening}(", f"{pad}    {arguments}", f"{pad})"]
            each = [text(a) for a in value.args] + [f"{k}={text(v)}" for k, v in value.named]
            return [f"{head}{opening}(", *(f"{pad}    {one}," for one in each), f"{pad})"]
    body = [text(value)]
    if len(pad) + 4 + len(body[0]) > WIDTH:
        body = _operands(value)
    return [f"{head}(", *(f"{pad}    {line}" for line in body), f"{pad})"]


def _operands(value: Array) -> list[str]:
    """The operands of a chain such as ``a * b * c``, one a line, each after its operator."""
    if not isinstance(value, Binary) or STRENGTH[value.op] < STRENGTH["+"] or value.op == "**":
        return [text(value)]
    own, left = STRENGTH[value.op], value.left
    chained = isinstance(left, Binary) and STRENGTH[left.op] == own
    before = _operands(left) if chained else [text(left, own)]
    return [*before, f"{value.op} {text(value.right, own + 1)}"]
