"""The text of equations: what may stand in it, and where each thing stands.

Everything that could hurt the reader (size, depth, foreign characters, huge literals, words of
Python) is refused here, before or right after ``ast.parse``; nothing is ever evaluated. Every
error carries the line and a caret.
"""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass
from fractions import Fraction

from ..errors import EquationError

MAX_CHARACTERS = 4096
MAX_NODES = 2000
MAX_DEPTH = 100
MAX_LITERAL = 10**6
MAX_EXPONENT = 64

EXAMPLE = "an equation looks like y[i] = sum[u](x[i+u]*w[u])"

_ALLOWED = re.compile(r"[A-Za-z0-9_ .,;=<>!()\[\]+\-*/]*", re.ASCII)
_NUMBER = re.compile(r"(?<![\w.])(?:\d+\.?\d*|\.\d+)(?:[eE]([+-]?\d+))?", re.ASCII)
_WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*", re.ASCII)
_MEANT = {
    "^": "powers are written **",
    "−": "write - for minus",
    "–": "write - for minus",
    "·": "write * for a product",
    "×": "write * for a product",
    "÷": "write / for a quotient",
    "≤": "write <=",
    "≥": "write >=",
    "≠": "write !=",
    "∑": "write sum[...](...)",
    "Σ": "write sum[...](...)",
    ":": "ranges are not written: a subscript names an index, as in x[i]",
    "{": "subscripts stand in [ ], arguments in ( )",
    "}": "subscripts stand in [ ], arguments in ( )",
}
_DECIMAL = "numbers are decimal, and a product needs its *"
_INSTEAD = {
    "if": "write where(condition, value, value otherwise)",
    "else": "write where(condition, value, value otherwise)",
    "and": "write where(a < b, where(b < c, 1, 0), 0)",
    "or": "write where(a < b, 1, where(b < c, 1, 0))",
    "not": "write where(condition, 0, 1)",
    "True": "write 1",
    "False": "write 0",
    "lambda": "write lam",
}
_PAIRS = {")": "(", "]": "["}


@dataclass(frozen=True)
class Source:
    """The lines of a text, without comments and indentation."""

    lines: tuple[str, ...]

    def at(self, line: int, column: int, width: int, what: str, remedy: str = "") -> EquationError:
        """An error at a place; lines count from 0."""
        text = "".join(c if c.isprintable() else "?" for c in self.lines[line])
        return EquationError(what, text, column, width, remedy)

    def error(self, node: ast.AST, what: str, remedy: str = "") -> EquationError:
        """An error whose carets stand under ``node``."""
        assert isinstance(node, ast.expr | ast.stmt)  # only these know their place
        line = node.lineno - 1
        end = node.end_col_offset if node.end_lineno == node.lineno else len(self.lines[line])
        return self.at(line, node.col_offset, (end or 0) - node.col_offset, what, remedy)

    def segment(self, node: ast.expr | ast.stmt) -> str:
        """The text of a node on one line."""
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        if first == last:
            return self.lines[first][node.col_offset : node.end_col_offset]
        middle = self.lines[first + 1 : last]
        ends = self.lines[first][node.col_offset :], self.lines[last][: node.end_col_offset]
        return " ".join([ends[0], *middle, ends[1]])


def read_source(text: str) -> tuple[Source, list[ast.Assign]]:
    """The text as assignments; EquationError if it is no list of equations."""
    if not isinstance(text, str):
        raise EquationError(f"an equation is text, not {type(text).__name__}", remedy=EXAMPLE)
    if len(text) > MAX_CHARACTERS:
        raise EquationError(
            f"the text has {len(text)} characters, at most {MAX_CHARACTERS} are read",
            remedy="write a network as several layers (--network)",
        )
    lines = re.split(r"\r\n?|\n", text.replace("\t", " "))
    source = Source(tuple(line.partition("#")[0].strip(" ") for line in lines))
    _check_characters(source)
    _check_numbers(source)
    _check_words(source)
    _check_brackets(source)
    tree = _tree(source)
    _check_size(source, tree)
    return source, [_assignment(source, node) for node in tree.body]


def _check_characters(source: Source) -> None:
    for number, line in enumerate(source.lines):
        end = _ALLOWED.match(line).end()  # type: ignore[union-attr]  # matches the empty string
        if end < len(line):
            what = f"{line[end]!r} is no character of an equation"
            remedy = _MEANT.get(line[end], "letters, digits, _ and . , ; = < > ! ( ) [ ] + - * /")
            raise source.at(number, end, 1, what, remedy)


def _check_numbers(source: Source) -> None:
    for number, line in enumerate(source.lines):
        for found in _NUMBER.finditer(line):
            start, end = found.span()
            tail = re.match(r"\w*", line[end:]).end()  # type: ignore[union-attr]  # matches the empty string
            if tail:
                what = f"{line[start : end + tail]} is no number"
                raise source.at(number, start, end - start + tail, what, _DECIMAL)
            if len(found[0]) > MAX_EXPONENT or abs(int(found[1] or 0)) > MAX_EXPONENT:
                what = f"{found[0]} has too many digits"
                remedy = f"numbers have at most {MAX_EXPONENT} digits"
                raise source.at(number, start, end - start, what, remedy)
            if Fraction(found[0]) > MAX_LITERAL:
                what = f"{found[0]} is too large a number"
                remedy = f"numbers go up to {MAX_LITERAL}; make it a tensor without axes instead"
                raise source.at(number, start, end - start, what, remedy)


def _check_words(source: Source) -> None:
    for number, line in enumerate(source.lines):
        for found in _WORD.finditer(line):
            if keyword.iskeyword(found[0]):
                raise source.at(
                    number,
                    found.start(),
                    len(found[0]),
                    f"{found[0]} is a word of Python and can name nothing",
                    _INSTEAD.get(found[0], "choose another name"),
                )


def _check_brackets(source: Source) -> None:
    opened: list[tuple[int, int, str]] = []
    for number, line in enumerate(source.lines):
        for column, character in enumerate(line):
            if character in "([":
                opened.append((number, column, character))
                if len(opened) > MAX_DEPTH:
                    raise _too_deep(source, number, column)
            elif character in _PAIRS:
                if not opened or opened[-1][2] != _PAIRS[character]:
                    raise _unmatched(source, number, column, opened)
                opened.pop()
                if character == "]" and line[:column].rstrip().endswith("["):
                    what = "there is nothing in the brackets"
                    raise source.at(number, column, 1, what, "a tensor without axes has none")
    if opened:
        number, column, character = opened[-1]
        closing = next(c for c, o in _PAIRS.items() if o == character)
        what = f"this {character} is never closed"
        raise source.at(number, column, 1, what, f"write its {closing} where it ends")


def _unmatched(
    source: Source, line: int, column: int, opened: list[tuple[int, int, str]]
) -> EquationError:
    character = source.lines[line][column]
    if not opened:
        return source.at(line, column, 1, f"this {character} closes nothing", "leave it out")
    before, at, opening = opened[-1]
    where = f"column {at + 1}" + (f" of line {before + 1}" if before != line else "")
    what = f"this {character} cannot close the {opening} in {where}"
    closing = next(c for c, o in _PAIRS.items() if o == opening)
    return source.at(line, column, 1, what, f"write {closing} first")


def _too_deep(source: Source, line: int, column: int) -> EquationError:
    what = f"nested more than {MAX_DEPTH} deep"
    return source.at(line, column, 1, what, "write it as several equations")


def _tree(source: Source) -> ast.Module:
    try:
        return ast.parse("\n".join(source.lines))
    except SyntaxError as error:
        line = min(max((error.lineno or 1) - 1, 0), len(source.lines) - 1)
        column = min(max((error.offset or 1) - 1, 0), len(source.lines[line]))
        raise source.at(line, column, 1, "this cannot be read", EXAMPLE) from None
    except (ValueError, RecursionError, MemoryError):
        what = f"the text is nested too deep: at most {MAX_DEPTH} levels are read"
        raise EquationError(what, remedy="write it as several equations") from None


def _check_size(source: Source, tree: ast.Module) -> None:
    waiting: list[tuple[ast.AST, int]] = [(tree, 0)]
    count = 0
    while waiting:
        node, depth = waiting.pop()
        if isinstance(node, ast.expr):
            count += 1
            if depth > MAX_DEPTH:
                raise _too_deep(source, node.lineno - 1, node.col_offset)
        waiting.extend((child, depth + 1) for child in ast.iter_child_nodes(node))
    if count > MAX_NODES:
        raise EquationError(
            f"the text has {count} terms, at most {MAX_NODES} are read",
            remedy="write it as several layers (--network)",
        )
    if not tree.body:
        raise EquationError("there is no equation in the text", remedy=EXAMPLE)


def _assignment(source: Source, node: ast.stmt) -> ast.Assign:
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        return node
    if isinstance(node, ast.AugAssign):
        raise source.error(node, "an equation has = and nothing before it", EXAMPLE)
    if isinstance(node, ast.Assign):
        raise source.error(
            node.targets[1], "one = an equation", "write one equation a line, or separate with ;"
        )
    raise source.error(node, "this is no equation: it has no =", EXAMPLE)
