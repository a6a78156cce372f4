"""Array programs as Python text, in the shape that ``ruff format`` would give them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..programs import (
    Action,
    Array,
    Binary,
    Comment,
    Do,
    For,
    If,
    Invoke,
    Item,
    Let,
    Loop,
    Method,
    Name,
    Return,
    Tuple,
    Unary,
)
from .spelling import STRENGTH, TIGHT, arguments_text, entry_text, text

WIDTH = 100


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
                if isinstance(value, Tuple) and len(head + _left(value)) <= WIDTH:
                    out.append(head + _left(value))
                elif isinstance(value, Tuple):
                    out += _listed(f"{head}(", value.items, depth)
                else:
                    out += _wrapped(head, value, depth)
            case For(var, extent, body):
                out += [f"{pad}for {var} in range({extent}):", *lines(body, comment, depth + 1)]
            case Loop(var, over, body):
                out += _wrapped(f"{pad}for {var} in ", over, depth, ":")
                out += lines(body, comment, depth + 1)
            case If(cases):
                for word, (test, body) in zip(_words(len(cases)), cases, strict=True):
                    head = f"{pad}else:" if test is None else f"{pad}{word} {text(test)}:"
                    out += [head, *lines(body, comment, depth + 1)]
            case Do(value):
                out += _wrapped(pad, value, depth)
            case Return(Tuple() as results) if len(f"{pad}return {_left(results)}") <= WIDTH:
                out.append(f"{pad}return {_left(results)}")
            case Return(Tuple(results)) if len(results) > 1:
                out += _listed(f"{pad}return (", results, depth)
            case Return(value):
                out += _wrapped(f"{pad}return ", value, depth)
    return out


def _words(count: int) -> list[str]:
    return ["if", *["elif"] * (count - 1)]


def _left(target: Array) -> str:
    if isinstance(target, Tuple) and len(target.items) > 1:
        return ", ".join(text(i) for i in target.items)
    return text(target)


def _wrapped(head: str, value: Array, depth: int, tail: str = "") -> list[str]:
    """One line if it fits; else broken in the brackets that are there, else in new ones."""
    line = head + text(value) + tail
    if len(line) <= WIDTH:
        return [line]
    found = _in_brackets(head, value, depth)
    if found is not None and all(len(one) <= WIDTH for one in found):
        return found
    return [f"{head}(", *_block(value, depth + 1), "    " * depth + ")"]


def _in_brackets(head: str, value: Array, depth: int) -> list[str] | None:
    """Broken in its own brackets: those of a call, or of the last or first of two operands."""
    if not isinstance(value, Binary):
        return None if _chained(value) else _broken(head, value, depth)
    chain = _chain(value)
    if len(chain) > 2:
        return None
    (_, left, around), (op, right, tight) = chain
    tail = ""
    for before, leaf, after in (_last(right, tight), _first(left, around)):
        if isinstance(leaf, Item) or _on_a_call(leaf):  # not split for an operator's sake
            found = None
        elif after is None:  # the last leaf: everything else comes before it
            found = _broken(f"{head}{text(left, around)} {op} {before}", leaf, depth)
            tail = ""
        else:
            found = _broken(head, leaf, depth)
            tail = f"{after} {op} {text(right, tight)}"
        if found is not None:
            found[-1] += tail
            if all(len(one) <= WIDTH for one in found):
                return found
    return None


def _last(value: Array, around: int) -> tuple[str, Array, str | None]:
    """(text before it, the last operand that is no bare operation, None)."""
    if isinstance(value, Binary) and STRENGTH[value.op] >= around:
        _, right, tight = _chain(value)[-1]
        before, leaf, _ = _last(right, tight)
        whole = text(value, around)
        return whole[: len(whole) - len(text(right, tight))] + before, leaf, None
    return "", Tuple((value,)) if isinstance(value, Binary) else value, None


def _first(value: Array, around: int) -> tuple[str, Array, str]:
    """("", the first operand that is no bare operation, text after it)."""
    if isinstance(value, Binary) and STRENGTH[value.op] >= around:
        _, left, tight = _chain(value)[0]
        _, leaf, after = _first(left, tight)
        return "", leaf, after + text(value, around)[len(text(left, tight)) :]
    return "", Tuple((value,)) if isinstance(value, Binary) else value, ""


def _broken(head: str, value: Array, depth: int) -> list[str] | None:
    """The last brackets of an operand opened over several lines; None if it has none.

    A Tuple of one stands for an operand in parentheses.
    """
    pad = "    " * depth
    match value:
        case Tuple((inner,)):
            return [f"{head}(", *_block(inner, depth + 1), f"{pad})"]
        case Tuple(items) if items:
            return _opened(f"{head}(", items, (), depth)
        case Item(base, entries):
            opening, listed = (
                f"{head}{text(base, TIGHT)}[",
                ", ".join(entry_text(e) for e in entries),
            )
            if len(opening) <= WIDTH:
                inside = [f"{pad}    {listed}"]
                if len(inside[0]) > WIDTH:
                    inside = [f"{pad}    {entry_text(e)}," for e in entries]
                return [opening, *inside, f"{pad}]"]
            return _with_tail(_broken(head, base, depth), f"[{listed}]")
        case Unary(op, operand) if not isinstance(operand, Binary):
            return _broken(head + op, operand, depth)
        case Invoke(fn, args, named):
            return _opened(f"{head}{fn}(", args, named, depth) if args or named else None
        case Method(base, name, args, named, True):
            opening = f"{head}{text(base, TIGHT)}.{name}("
            if (args or named) and len(opening) <= WIDTH:
                return _opened(opening, args, named, depth)
            inner = Tuple((base,)) if isinstance(base, Binary) else base
            return _with_tail(
                _broken(head, inner, depth), f".{name}({arguments_text(args, named)})"
            )
    return None


def _with_tail(lines: list[str] | None, tail: str) -> list[str] | None:
    return None if lines is None else [*lines[:-1], lines[-1] + tail]


def _opened(
    opening: str, args: Sequence[Array], named: Sequence[tuple[str, Array]], depth: int
) -> list[str]:
    """The arguments of a call on one line of their own, else one a line."""
    pad, together = "    " * depth, arguments_text(args, named)
    if len(pad) + 4 + len(together) <= WIDTH:
        return [opening, f"{pad}    {together}", f"{pad})"]
    out = [opening]
    for key, arg in (*(("", a) for a in args), *((f"{k}=", v) for k, v in named)):
        block = _operand(f"{pad}    {key}", arg, 0, depth + 1, room=1)
        out += [*block[:-1], block[-1] + ","]
    return [*out, f"{pad})"]


def _listed(opening: str, items: Sequence[Array], depth: int) -> list[str]:
    """A tuple that is too long for a line: an item a line."""
    pad = "    " * depth
    out = [opening]
    for item in items:
        block = _operand(f"{pad}    ", item, 0, depth + 1, room=1)
        out += [*block[:-1], block[-1] + ","]
    return [*out, f"{pad})"]


def _block(value: Array, depth: int) -> list[str]:
    """An expression inside brackets: one line, else an operand a line after its operator."""
    pad = "    " * depth
    if len(pad + text(value)) <= WIDTH:
        return [pad + text(value)]
    if not isinstance(value, Binary):
        return _operand(pad, value, 0, depth)
    out: list[str] = []
    for op, operand, around in _chain(value):
        out += _operand(f"{pad}{op} " if op else pad, operand, around, depth)
    return out


def _operand(head: str, value: Array, around: int, depth: int, room: int = 0) -> list[str]:
    """One operand after its operator (or one argument), broken if it is too long."""
    line = head + text(value, around)
    if len(line) + room <= WIDTH:
        return [line]
    if isinstance(value, Binary):
        if STRENGTH[value.op] < around:
            return [f"{head}(", *_block(value, depth + 1), "    " * depth + ")"]
        chain = _chain(value)
        out = _operand(head, chain[0][1], chain[0][2], depth)
        for op, operand, tight in chain[1:]:
            out += _operand("    " * depth + f"{op} ", operand, tight, depth)
        return out
    if _chained(value) and not _fluent(value):
        return _segments(head, value, depth)
    if methods := _fluent(value):
        first = methods[0].base
        base = Tuple((first,)) if isinstance(first, Binary) else first
        whole = head + text(first, TIGHT)
        out = [whole] if len(whole) <= WIDTH else _broken(head, base, depth) or [whole]
        calls = (f".{m.name}({arguments_text(m.args, m.named)})" for m in methods)
        return [*out, *("    " * depth + call for call in calls)]
    return _broken(head, value, depth) or [line]


def _fluent(value: Array) -> list[Method]:
    """Two or more methods called on what ends with a bracket: each gets a line of its own."""
    methods: list[Method] = []
    while isinstance(value, Method) and value.call:
        methods.insert(0, value)
        value = value.base
    if isinstance(value, Name) or (isinstance(value, Method) and isinstance(value.base, Name)):
        methods = methods[1:]  # the first bracket is that of its first method
    return methods if len(methods) > 1 else []


def _chained(value: Array) -> bool:
    """Whether several methods are called one after the other, subscripts between them or not."""
    calls = 0
    while isinstance(value, Item) or (isinstance(value, Method) and value.call):
        calls += isinstance(value, Method)
        value = value.base
    bare = isinstance(value, Name) or (isinstance(value, Method) and isinstance(value.base, Name))
    return calls - bare > 1


def _segments(head: str, value: Array, depth: int) -> list[str]:
    """A chain with subscripts in it: a line for every method, its subscript behind it."""
    parts: list[str] = []
    tail = ""
    while isinstance(value, Item) or (isinstance(value, Method) and value.call):
        if isinstance(value, Item):
            tail = f"[{', '.join(entry_text(e) for e in value.entries)}]{tail}"
        else:
            parts.insert(0, f".{value.name}({arguments_text(value.args, value.named)}){tail}")
            tail = ""
        value = value.base
    first = f"{head}{text(value, TIGHT)}{tail}"
    if not tail and isinstance(value, Name):
        first += parts.pop(0)
    return [first, *("    " * depth + part for part in parts)]


def _on_a_call(value: Array) -> bool:
    """Whether it is a method called on the result of a call."""
    if not isinstance(value, Method) or not value.call:
        return False
    return isinstance(value.base, Invoke) or (isinstance(value.base, Method) and value.base.call)


def _chain(value: Binary) -> list[tuple[str, Array, int]]:
    """The operands of ``a * b * c``, each with the operator before it and what binds it."""
    own, left = STRENGTH[value.op], value.left
    if own == STRENGTH["=="] or value.op == "**":
        return [("", left, own + 1), (value.op, value.right, own + (value.op != "**"))]
    chained = isinstance(left, Binary) and STRENGTH[left.op] == own
    before = _chain(left) if chained and isinstance(left, Binary) else [("", left, own)]
    return [*before, (value.op, value.right, own + 1)]
