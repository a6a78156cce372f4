"""The kernel's two passes: each formula, and under it the lines of code that compute it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from ...documents import Block, Display, Heading, Inline, Listing, Paragraph, Symbol
from ...equations import Statement
from ..kernel import broken
from ..language import equation_text
from ..phrases import Slot
from .sheet import Sheet


def kernel_blocks(source: str, sheet: Sheet) -> list[Block]:
    """The functions forward and backward in pieces; nothing where there is no kernel."""
    if not source:
        return []
    say = sheet.say.say
    out: list[Block] = [Heading(1, say("headings.kernel")), Paragraph(say("kernel.intro"))]
    known = _statements(sheet)
    for name, rows in passes(source):
        out += _pieces(name, rows, known, sheet)
    return out + _homework(sheet)


def passes(source: str) -> list[tuple[str, list[str]]]:
    """(name, lines) of the public functions of a kernel."""
    rows = source.splitlines()
    functions = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    shown = (f for f in functions if not f.name.startswith("_"))
    return [(f.name, rows[f.lineno - 1 : f.end_lineno]) for f in shown]


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


def _pieces(
    name: str, rows: list[str], known: Mapping[str, Statement], sheet: Sheet
) -> Iterator[Block]:
    """The head of a function, then a formula and its lines, one after the other."""
    slots: dict[str, Slot] = {"name": name}
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
