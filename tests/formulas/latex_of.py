r"""A reader of the little LaTeX that notes are written in: ``\frac{\partial L}{\partial x_{0,1}}``.

What it gives is a tree of mathematics again, as one would type it from paper. Grouping in the
source does not matter to the reader of formulas, only what stands beside, below and above.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from reader import Unreadable

from derive.documents import (
    Big,
    Cases,
    Fenced,
    Fraction,
    Grid,
    Math,
    Numeral,
    Operator,
    Row,
    Scripts,
    Symbol,
    Upright,
)

_TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|\d+(?:\.\d+)?|\S")
_SIGNS = {
    "-": "−",
    "\\cdot": "·",
    "\\partial": "∂",
    "\\le": "≤",
    "\\ge": "≥",
    "\\ne": "≠",
    "\\mid": "∣",
    "\\in": "∈",
    "\\star": "⋆",
    "\\ast": "∗",
    "\\top": "⊤",
    "\\cdots": "⋯",
    "\\times": "×",
}
_GREEK = ("alpha", "beta", "gamma", "delta", "epsilon", "mu", "pi", "sigma", "eta", "theta")
_WORDS = ("max", "min", "exp", "log", "tanh")
_CLOSED = {
    "(": ("(", ")"),
    "[": ("[", "]"),
    "\\lvert": ("|", "\\rvert"),
    "\\lfloor": ("⌊", "\\rfloor"),
    "\\lceil": ("⌈", "\\rceil"),
}
_PRINTED = {"\\rvert": "|", "\\rfloor": "⌋", "\\rceil": "⌉"}
_SPACES = {"\\,", "\\quad", "\\;", "\\!", "\\ ", "\\displaystyle"}


def read(source: str, known: Callable[[str], bool]) -> Math:
    """The formula; ``known`` says which names with a small letter are one name: ``O_h``."""
    return _Source(_TOKEN.findall(source), known).row(())


class _Source:
    def __init__(self, tokens: list[str], known: Callable[[str], bool]) -> None:
        self.tokens, self.at, self.known = tokens, 0, known

    def next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def row(self, stops: tuple[str, ...]) -> Row:
        """Everything up to a stop, which stays."""
        items: list[Math] = []
        while self.at < len(self.tokens) and self.peek() not in stops:
            token = self.next()
            if token in _SPACES:
                continue
            if token == "\\color":
                self.group()
            elif token in ("_", "^"):
                items.append(self.scripts(items.pop(), token))
            elif token == "'":
                items.append(_primed(items.pop()))
            else:
                items.append(self.item(token))
        return Row(tuple(items))

    def group(self) -> Row:
        if self.next() != "{":
            raise Unreadable("a group has to start here")
        found = self.row(("}",))
        self.next()
        return found

    def word(self) -> str:
        """The letters of ``{...}``."""
        self.next()
        out = ""
        while (token := self.next()) != "}":
            out += token
        return out

    def scripts(self, base: Math, kind: str) -> Math:
        script = self.group() if self.peek() == "{" else Row((self.item(self.next()),))
        if kind == "^":
            if script == Row((Operator("*"),)) and isinstance(base, Symbol):
                return Symbol(f"{base.name}*")
            if isinstance(base, Scripts):
                return Scripts(base.base, base.sub, script)
            return Scripts(base, sup=script)
        if isinstance(base, Big):
            return Big(base.text, self.lines(script), Row(()))
        small = "".join(getattr(i, "name", "") or getattr(i, "text", "") for i in script.items)
        for name in (f"{getattr(base, 'name', '')}_{small}", f"{getattr(base, 'name', '')}{small}"):
            if isinstance(base, Symbol) and self.known(name):
                return Symbol(name)
        return Scripts(base, script)

    def lines(self, script: Row) -> tuple[Math, ...]:
        match script.items:
            case (Cases(rows),):
                return tuple(first for first, _ in rows)
        return (script,)

    def item(self, token: str) -> Math:
        if token[0].isdigit():
            return Numeral(token)
        if token.isalpha():
            return Symbol(token)
        if token in _CLOSED:
            left, stop = _CLOSED[token]
            body = self.row((stop,))
            self.next()
            return Fenced(left, body, _PRINTED.get(stop, stop))
        if token == "{":
            self.at -= 1
            return self.group()
        return self.command(token)

    def command(self, token: str) -> Math:
        name = token.removeprefix("\\")
        if token in _SIGNS:
            return Operator(_SIGNS[token])
        if name in _GREEK:
            return Symbol(name)
        if token == "\\frac":
            return Fraction(self.group(), self.group())
        if token == "\\sqrt":
            return Fenced("√", self.group(), "")
        if token == "\\sum" or (name in ("max", "min") and self.peek() == "_"):
            return Big("∑" if token == "\\sum" else name, (), Row(()))
        if token == "\\operatorname*":
            return Big(self.word(), (), Row(()))
        if name in _WORDS:
            return Upright(name)
        if token in ("\\mathrm", "\\text"):
            return Upright(self.word())
        if token == "\\mathit":
            return Symbol(self.word())
        if token == "\\mathrel":
            self.group(), self.next()
            return Operator("+=")
        if token == "\\substack":
            return self.stacked()
        if token == "\\left":
            return self.grown()
        if token == "\\begin":
            return self.environment(self.word())
        if token.startswith("\\"):
            raise Unreadable(f"no command {token}")
        return Operator(token)

    def stacked(self) -> Math:
        self.next()
        lines = [self.row(("\\\\", "}"))]
        while self.next() == "\\\\":
            lines.append(self.row(("\\\\", "}")))
        return Cases(tuple((line, Row(())) for line in lines))

    def grown(self) -> Math:
        left = self.next()
        body = self.row(("\\right",))
        self.next(), self.next()
        return Fenced(_CLOSED[left][0], body, {"(": ")", "[": "]", "\\lvert": "|"}[left])

    def environment(self, name: str) -> Math:
        rows: list[list[Math]] = [[]]
        stop = ""
        while stop != "\\end":
            rows[-1].append(self.row(("&", "\\\\", "\\end")))
            stop = self.next()
            if stop == "\\\\":
                rows.append([])
        self.word()
        if name == "cases":
            return Cases(tuple((value, _test(test)) for value, test in rows))
        return Grid(tuple(map(tuple, rows)))


def _test(test: Math) -> Math:
    """A condition without the word ``if`` in front of it."""
    match test:
        case Row((Upright("if"), *rest)):
            return Row(tuple(rest))
    return test


def _primed(base: Math) -> Math:
    if not isinstance(base, Symbol):
        raise Unreadable("a prime belongs to a name")
    return Symbol(f"{base.name}'")
