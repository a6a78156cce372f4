"""The kernel's two passes: each formula, and under it the lines of code that compute it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...documents import Block, Display, Heading, Inline, Listing, Paragraph, Symbol, Table
from ...equations import Statement
from ..kernel import broken
from ..language import equation_text
from ..phrases import Slot
from .sheet import Sheet

SHORT = 25
"""Lines of a fast function that is printed whole."""


def kernel_blocks(source: str, sheet: Sheet) -> list[Block]:
    """The two passes in pieces, and the other ways there are; nothing where there is no kernel."""
    if not source:
        return []
    say, known = sheet.say.say, _statements(sheet)
    shown = {one.name: one for one in passes(source)}
    ways = {one.name: one for public in shown.values() for one in public.ways}
    chooses = bool(ways)
    if chooses:
        shown = {n: one for n, one in ways.items() if one.states(known)} or shown
    key = "intro_ways" if chooses else "intro"
    out: list[Block] = [Heading(1, say("headings.kernel")), Paragraph(say(f"kernel.{key}"))]
    for one in shown.values():
        out += _pieces(one, known, sheet)
    out += _ways([one for name, one in ways.items() if name not in shown], sheet)
    return out + _homework(sheet)


@dataclass(frozen=True)
class Function:
    """A function of a kernel's source; ``ways`` are those among which it chooses."""

    name: str
    rows: list[str]
    told: str = ""
    ways: tuple[Function, ...] = ()

    def states(self, known: Mapping[str, Statement]) -> bool:
        """Whether comments in it are statements of the derivation."""
        number = 0
        while number < len(self.rows):
            number, text = _comment(self.rows, number)
            if text in known:
                return True
        return False


def passes(source: str) -> list[Function]:
    """The public functions of a kernel.

    A way through it is a private function that one of them calls, and that takes what it takes.
    """
    rows = source.splitlines()
    found = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    private = {node.name: node for node in found if node.name.startswith("_")}
    out = []
    for node in found:
        if node.name not in private:
            tests = [one.test for one in ast.walk(node) if isinstance(one, ast.If)]
            asked = {id(call) for test in tests for call in ast.walk(test)}
            called = (c for c in ast.walk(node) if isinstance(c, ast.Call) and id(c) not in asked)
            names = dict.fromkeys(c.func.id for c in called if isinstance(c.func, ast.Name))
            ways = (private[n] for n in names if n in private and _takes(private[n], node))
            out.append(_function(node, rows, tuple(_function(way, rows) for way in ways)))
    return out


def _takes(way: ast.FunctionDef, public: ast.FunctionDef) -> bool:
    own, given = way.args, {one.arg for one in public.args.args}
    return not (own.vararg or own.kwarg) and {one.arg for one in own.args} <= given


def _function(node: ast.FunctionDef, rows: list[str], ways: tuple[Function, ...] = ()) -> Function:
    told = (ast.get_docstring(node) or "").partition("\n\n")[0]
    return Function(node.name, rows[node.lineno - 1 : node.end_lineno], _plain(told), ways)


def _ways(others: list[Function], sheet: Sheet) -> list[Block]:
    """A row for every fast function, and one of them printed, if one is short."""
    if not others:
        return []
    say = sheet.say.say
    head = (say("kernel.way"), say("kernel.way_does"))
    rows = tuple(((one.name,), (one.told,)) for one in others)
    out: list[Block] = [
        Heading(2, say("kernel.ways")),
        Paragraph(say("kernel.ways_intro")),
        Table(head, rows),
    ]
    short = [one for one in others if len(one.rows) <= SHORT]
    if short:
        out.append(Paragraph(say("kernel.fast", {"name": short[0].name})))
        out.append(Listing("\n".join(short[0].rows)))
    return out


def _statements(sheet: Sheet) -> Mapping[str, Statement]:
    """Every statement of the derivation at its sizes, by the text that comments have."""
    derivation = sheet.derivation
    found: list[Statement] = list(sheet.here.statements) if sheet.here is not None else []
    resolved = (derivation.resolved,) if derivation.resolved is not None else ()
    for gradient in (*resolved, *derivation.inner_instance, *derivation.instance):
        found += [gradient.gather, gradient.raw, *gradient.scatters]
        found += [step.after for step in gradient.steps]
    return {_plain(" ".join(broken(equation_text(s), 0))): s for s in found}


def _plain(text: str) -> str:
    return " ".join(text.split())


def _pieces(function: Function, known: Mapping[str, Statement], sheet: Sheet) -> Iterator[Block]:
    """The head of a function, then a formula and its lines, one after the other."""
    rows = function.rows
    slots: dict[str, Slot] = {"name": function.name}
    yield Heading(2, sheet.say.say("kernel.function", slots))
    lines: list[str] = []
    number = 0
    while number < len(rows):
        end, text = _comment(rows, number)
        statement = known.get(text) if text else None
        if statement is None:
            lines += rows[number:end]
        else:
            if lines:
                yield Listing("\n".join(lines))
            yield Display((sheet.row(statement, here=True),), name="code")
            lines = []
        number = end
    if lines:
        yield Listing("\n".join(lines))


def _comment(rows: list[str], number: int) -> tuple[int, str]:
    """Where the comment that starts here ends, and its text; one line if there is none."""
    end, words = number, []
    while end < len(rows) and rows[end].lstrip().startswith("# "):
        words.append(rows[end].lstrip()[2:])
        end += 1
    return (end, _plain(" ".join(words))) if words else (number + 1, "")


def _homework(sheet: Sheet) -> list[Block]:
    """How the kernel's signature maps to the one of course exercises."""
    equation, layer = sheet.equation, sheet.derivation.layer
    if equation.loss:
        return []
    names = [tensor.name for tensor in equation.tensors]
    listed = ", ".join(names) + ("," if len(names) == 1 else "")
    code = (
        f"def {layer.name}_backward(dout, cache):\n"
        f"    {listed} = cache\n"
        f"    return backward(dout, {', '.join(names)})"
    )
    done: tuple[Inline, ...] = ()
    for gradient in sheet.derivation.gradients:
        done += (", ",) * bool(done) + (Symbol(equation.tensor(gradient.of).gradient),)
    slots: dict[str, Slot] = {"gradients": done, "batch": Symbol(equation.batch)}
    key = "homework" if sheet.batch else "homework_batch"
    return [
        Heading(2, sheet.say.say("headings.homework")),
        Paragraph(sheet.say.say(f"kernel.{key}", slots)),
        Listing(code),
    ]
