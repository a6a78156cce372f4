"""Lines of a kernel, written as the Python that they become.

A strategy states its program as text, with the numbers of its geometry put in; here the text
is read with ``ast`` into the nodes of :mod:`derive.programs`. So a strategy reads like the code it
writes, and the program can still be checked, counted and printed. Nothing is executed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from textwrap import dedent, indent

from ..programs import (
    Action,
    Array,
    Binary,
    Comment,
    Do,
    If,
    Invoke,
    Item,
    Let,
    Literal,
    Loop,
    Method,
    Name,
    Return,
    Span,
    Tuple,
    Unary,
)

_COMMENT = re.compile(r"^(\s*)# (.*)$", re.MULTILINE)
_OPERATORS: dict[type, str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.MatMult: "@",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.And: "and",
    ast.USub: "-",
    ast.Invert: "~",
}


def snippet(text: str) -> tuple[Action, ...]:
    """The statements of a piece of Python; ``# words`` lines become comments.

    Raises ``ValueError`` for what a kernel cannot hold.
    """
    marked = _COMMENT.sub(lambda m: f"{m[1]}{'# ' + m[2]!r}", dedent(text))
    return _body(ast.parse(marked).body)


def nested(loops: Sequence[tuple[str, str]], body: str, depth: int = 0) -> str:
    """``for u in range(3):`` around ``body`` for every (variable, range), as text at a depth."""
    text = dedent(body).strip("\n")
    for variable, over in reversed(loops):
        text = f"for {variable} in {over}:\n{indent(text, '    ')}"
    return indent(text, "    " * depth)


def listed(values: Iterable[object]) -> str:
    """With commas between them; ``()``, the shape of a single number, if there are none."""
    return ", ".join(map(str, values)) or "()"


def plus(text: str, number: int) -> str:
    """``text + number`` without a zero."""
    if number == 0:
        return text
    return f"{text} + {number}" if number > 0 else f"{text} - {-number}"


def times(number: int, text: str) -> str:
    """``number * text`` without a one."""
    return f"{number} * {text}" if number > 1 else text


def indented(lines: Iterable[str]) -> list[str]:
    """One level deeper."""
    return [f"    {line}" for line in lines]


def expression(text: str) -> Array:
    """One array expression."""
    return _array(ast.parse(text.strip(), mode="eval").body)


def _body(nodes: list[ast.stmt]) -> tuple[Action, ...]:
    return tuple(_action(node) for node in nodes)


def _action(node: ast.stmt) -> Action:
    match node:
        case ast.Expr(ast.Constant(str(words))) if words.startswith("# "):
            return Comment(words[2:])
        case ast.Expr(value):
            return Do(_array(value))
        case ast.Assign([target], value):
            return Let(_array(target), _array(value))
        case ast.AugAssign(target, op, value):
            return Let(_array(target), _array(value), f"{_OPERATORS[type(op)]}=")
        case ast.For(ast.Name(var), over, body, []):
            return Loop(var, _array(over), _body(body))
        case ast.For(ast.Tuple(several) as names, over, body, []):
            var = ast.unparse(names)
            return Loop(var[1:-1] if len(several) > 1 else var, _array(over), _body(body))
        case ast.If():
            return If(_cases(node))
        case ast.Return(value) if value is not None:
            return Return(_array(value))
    raise ValueError(f"a kernel holds no {type(node).__name__}: {ast.unparse(node)}")


def _cases(node: ast.If) -> tuple[tuple[Array | None, tuple[Action, ...]], ...]:
    first = (_array(node.test), _body(node.body))
    match node.orelse:
        case []:
            return (first,)
        case [ast.If() as other]:
            return (first, *_cases(other))
    return (first, (None, _body(node.orelse)))


def _array(node: ast.expr) -> Array:
    match node:
        case ast.Name(id):
            return Name(id)
        case ast.Constant(value):
            return Literal(repr(value).replace("'", '"') if isinstance(value, str) else repr(value))
        case ast.Tuple(items) | ast.List(items):
            return Tuple(tuple(_array(item) for item in items))
        case ast.Subscript(base, index):
            entries = index.elts if isinstance(index, ast.Tuple) else [index]
            return Item(_array(base), tuple(_entry(entry) for entry in entries))
        case ast.Call(fn, args, keywords):
            return _call(fn, args, keywords)
        case ast.Attribute():
            return _attribute(node)
        case ast.BinOp(left, op, right):
            return Binary(_OPERATORS[type(op)], _array(left), _array(right))
        case ast.Compare(left, [op], [right]):
            return Binary(_OPERATORS[type(op)], _array(left), _array(right))
        case ast.BoolOp(ast.And(), [left, right]):
            return Binary("and", _array(left), _array(right))
        case ast.UnaryOp(ast.USub(), ast.Constant(value)):
            return Literal(f"-{value!r}")
        case ast.UnaryOp(op, operand):
            return Unary(_OPERATORS[type(op)], _array(operand))
        case ast.Starred(value):
            return Literal(f"*{ast.unparse(value)}")
    raise ValueError(f"a kernel holds no {type(node).__name__}: {ast.unparse(node)}")


def _attribute(node: ast.Attribute) -> Array:
    """``np.newaxis`` is a literal, ``x.dtype`` an attribute of an array."""
    if _from_numpy(node):
        return Literal(ast.unparse(node))
    return Method(_array(node.value), node.attr, call=False)


def _from_numpy(node: ast.expr) -> bool:
    """Whether it is a dotted name that starts with ``np``."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id == "np"


def _call(fn: ast.expr, args: list[ast.expr], keywords: list[ast.keyword]) -> Array:
    given = tuple(_array(arg) for arg in args)
    named = tuple((k.arg or "**", _array(k.value)) for k in keywords)
    path = ast.unparse(fn)
    if isinstance(fn, ast.Name) or _from_numpy(fn):
        return Invoke(path, given, named)
    if isinstance(fn, ast.Attribute):
        return Method(_array(fn.value), fn.attr, given, named)
    raise ValueError(f"a kernel calls no {path}")


def _entry(node: ast.expr) -> Span | str:
    if isinstance(node, ast.Slice):
        parts = (node.lower, node.upper, node.step)
        return Span(*("" if part is None else ast.unparse(part) for part in parts))
    return ast.unparse(node)
