"""The notes: a derivation as a document, from the forward equation to what was proved.

Formulas, entries and reasons are all read off the recorded derivation; the words between them
are phrases. Nothing here knows a layer.
"""

from __future__ import annotations

import ast

from ..certificates import Certificate
from ..derivations import Derivation, Gradient
from ..documents import (
    Beside,
    Block,
    Display,
    Document,
    Heading,
    Items,
    Listing,
    Math,
    Numeral,
    Paragraph,
    Row,
    Steps,
    Symbol,
)
from ..equations import Statement
from ..expressions import ZERO, Reduce, reads, walk
from ..specs import PLAIN, Style
from . import worked
from .facts import fact_blocks
from .figures.placed import forward_figures, gradient_figures, matrix_figures
from .forms import form_blocks
from .formulas import expression
from .grids import forward_grids, turned
from .matrix import matrix_blocks
from .notation import COMMA, EQUALS, Taps, joined
from .phrases import Slot
from .proof import omitted, sentences
from .remarks import sums_to_one
from .setting import setting
from .sheet import Sheet
from .steps import steps

SMALL = 6
"""Axes up to this long: the steps are shown with numbers, and every entry is written out."""


def notes(
    derivation: Derivation,
    certificate: Certificate | None = None,
    source: str = "",
    style: Style = PLAIN,
) -> Document:
    """The notes of a derivation; ``source`` is the kernel's text, empty if there is none."""
    sheet = Sheet(derivation, style)
    blocks: list[Block] = []
    if derivation.layer.command:
        blocks.append(Listing(derivation.layer.command, "sh"))
    blocks += setting(sheet)
    blocks += forward(sheet)
    blocks += fact_blocks(sheet)
    blocks += _reverse(sheet)
    for gradient in (*derivation.inner, *derivation.gradients):
        blocks += gradient_blocks(gradient, sheet)
    blocks += matrix_blocks(sheet)
    blocks += matrix_figures(sheet)
    if source:
        say = sheet.say.say
        blocks += [Heading(1, say("headings.kernel")), Paragraph(say("kernel.intro"))]
        blocks.append(Listing(passes(source)))
    blocks += _proof(certificate, sheet)
    return Document(style.title or derivation.layer.title, tuple(blocks))


def forward(sheet: Sheet) -> list[Block]:
    """The forward equations, in symbols, in numbers and written out."""
    say, equation = sheet.say.say, sheet.equation
    out: list[Block] = [Heading(1, say("headings.forward"))]
    if equation.given:
        out.append(Paragraph(say("forward.intermediate", count=len(equation.statements))))
    rows = tuple(sheet.row(statement) for statement in equation.statements)
    general = Display(rows, name="forward")
    fixed = rows
    if sheet.here is not None:
        fixed = tuple(sheet.row(statement, here=True) for statement in sheet.here.statements)
    if fixed != rows:
        out += [Paragraph(say("forward.beside")), Beside(general, Display(fixed))]
    else:
        out.append(general)
    if any(isinstance(e, Reduce) and e.op in ("max", "min") for e in _nodes(sheet)):
        out.append(Paragraph(say(f"forward.ties_{equation.ties}")))
    if sheet.here is None or sheet.frame is None:
        return out
    out += _resolved(sheet)
    out += forward_figures(sheet)
    here = sheet.one(sheet.here.forward)
    if sheet.derivation.resolved is not None:
        here = sheet.one(sheet.derivation.resolved.gather)
    if picture := forward_grids(sheet, sheet.frame):
        out += [Paragraph(say("forward.grid")), Display((picture,), name="picture")]
    return out + _entries(here, sheet, "forward")


def _nodes(sheet: Sheet) -> list[object]:
    return [node for s in sheet.equation.statements for node in walk(s.rhs)]


def _resolved(sheet: Sheet) -> list[Block]:
    """How the deltas of the forward equation itself are solved, and its two forms."""
    resolved = sheet.derivation.resolved
    if resolved is None:
        return []
    say, output = sheet.say.say, Symbol(sheet.equation.output.name)
    key = "intro" if sheet.notation.kronecker else "intro_bracket"
    out: list[Block] = [Heading(2, say("headings.resolved")), Paragraph(say(f"resolved.{key}"))]
    out += steps(resolved, sheet, here=True)
    if resolved.scatter_steps:
        out.append(Paragraph(say("resolved.scatter", output=output)))
        rows = tuple(sheet.row(scatter, here=True) for scatter in resolved.scatters)
        out.append(Display(rows, name="scatter_forward"))
    return out


def _reverse(sheet: Sheet) -> list[Block]:
    """What reverse mode is, for a layer of several equations."""
    derivation = sheet.derivation
    if not derivation.inner:
        return []
    tensors = (Symbol(gradient.of) for gradient in derivation.inner)
    out: list[Block] = [Heading(1, sheet.say.say("headings.reverse"))]
    return [*out, Paragraph(sheet.say.say("reverse.intro", tensors=joined(tensors, COMMA)))]


def passes(source: str) -> str:
    """The functions forward and backward of a kernel, without the module around them."""
    rows = source.splitlines()
    functions = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    shown = (f for f in functions if not f.name.startswith("_"))
    return "\n\n\n".join("\n".join(rows[f.lineno - 1 : f.end_lineno]) for f in shown) + "\n"


def _entries(value: Statement, sheet: Sheet, table: str) -> list[Block]:
    """Entries of a statement with their sentence; none if their ranges are not known."""
    frame = sheet.frame
    if frame is None or not frame.covers(value) or not value.lhs.axes:
        return []
    display = worked.display(value, sheet, frame)
    if not worked.all_fit(value, sheet, frame):
        key = "some"
    else:
        weights = sheet.taps is not None and sheet.taps.tensor
        tapped = "entries" if weights else "window_entries"
        key = tapped if worked.by_tap(value, sheet) else "plain_entries"
    return [Paragraph(sheet.say.say(f"{table}.{key}")), display]


def gradient_blocks(gradient: Gradient, sheet: Sheet) -> list[Block]:
    """One gradient: its steps, its two forms, its name and its entries."""
    say, tensor = sheet.say.say, Symbol(gradient.of)
    lhs = sheet.one(gradient.gather).lhs
    goal = expression(lhs, sheet.notation)
    slots: dict[str, Slot] = {"goal": goal, "tensor": tensor}
    out: list[Block] = [
        Heading(1, say("headings.gradient", tensor=tensor)),
        Paragraph(say("gradient.goal" if lhs.axes else "gradient.goal_one", slots)),
    ]
    if gradient.gather.rhs == ZERO and not any(s.rule == "cancel" for s in gradient.steps):
        return [*out, Paragraph(say("gradient.zero", tensor=tensor))]
    here = sheet.at_sizes(gradient)
    small = here is not None and _small(sheet)
    shown = here if small and here is not None else gradient
    out += steps(shown, sheet, here=small)
    out += _results(gradient, here, sheet)
    out += _distribution(gradient, sheet)
    out += _two_ways(gradient, sheet)
    out += gradient_figures(gradient, sheet)
    if form := form_blocks(gradient, sheet):
        out += [Heading(2, say("headings.form")), *form]
    if here is not None and gradient in sheet.derivation.gradients:
        out += _gradient_entries(here, sheet)
    return out


def _small(sheet: Sheet) -> bool:
    frame = sheet.frame
    return frame is not None and all(n <= SMALL for shape in frame.shapes.values() for n in shape)


def _results(gradient: Gradient, here: Gradient | None, sheet: Sheet) -> list[Block]:
    """The final form, in symbols and with the numbers put in."""
    if here is None:
        return []
    general, fixed = sheet.row(gradient.gather), sheet.row(here.gather, here=True)
    if general == fixed:
        return []
    pair = Beside(Display((general,), name=f"gather_{gradient.of}"), Display((fixed,)))
    return [Paragraph(sheet.say.say("gradient.result")), pair]


def _distribution(gradient: Gradient, sheet: Sheet) -> list[Block]:
    """The gradient where the entries of a target add up to 1."""
    found = sums_to_one(gradient, sheet.equation)
    if found is None:
        return []
    total = Row((expression(found[0], sheet.notation), EQUALS, Numeral("1")))
    row = sheet.row(found[1])
    return [Paragraph(sheet.say.say("gradient.distribution", total=total)), Display((row,))]


def _two_ways(gradient: Gradient, sheet: Sheet) -> list[Block]:
    """Scatter and gather side by side, and why they are equal."""
    if not gradient.scatter_steps:
        return []
    say = sheet.say.say
    slots: dict[str, Slot] = {
        "tensor": Symbol(gradient.of),
        "count": len(gradient.scatter_steps),
    }
    several = "_several" if len(gradient.scatter_steps) > 1 else ""
    scatters = tuple(sheet.row(scatter) for scatter in gradient.scatters)
    taps = sheet.taps
    key = "equal_plain"
    if taps is not None and taps.tensor and all(_slides(s, taps) for s in gradient.scatters):
        key = "equal_turned" if turned(sheet) else "equal"
    return [
        Heading(2, say("headings.two_ways")),
        Paragraph(say("two_ways.intro", slots)),
        Items((say(f"two_ways.scatter{several}", slots), say("two_ways.gather", slots))),
        Beside(
            Display(scatters, name=f"scatter_{gradient.of}"),
            Display((sheet.row(gradient.gather),)),
        ),
        Paragraph(say(f"two_ways.{key}", slots)),
    ]


def _slides(scatter: Statement, taps: Taps) -> bool:
    """Whether a scatter sends products of kernel taps to the entries of their window."""
    return set(taps.names) <= set(scatter.lhs.names) and bool(reads(scatter.rhs, taps.tensor))


def _gradient_entries(here: Gradient, sheet: Sheet) -> list[Block]:
    value = sheet.one(here.gather)
    blocks = _entries(value, sheet, "gradient")
    if not blocks:
        return []
    frame = sheet.frame
    every = frame is not None and worked.all_fit(value, sheet, frame)
    head = "headings.entries" if every else "headings.some_entries"
    out: list[Block] = [Heading(2, sheet.say.say(head))]
    if sheet.taps is not None and here.of == sheet.taps.tensor:
        out.append(Paragraph(sheet.say.say("gradient.weights", tensor=Symbol(here.of))))
    return out + blocks


def _proof(certificate: Certificate | None, sheet: Sheet) -> list[Block]:
    say = sheet.say.say
    out: list[Block] = [Heading(1, say("headings.certificate"))]
    if certificate is None or not certificate.claims:
        out.append(Paragraph(say("certificate.none")))
    else:
        out.append(Paragraph(say("certificate.intro")))
        out.append(Items(tuple(sentences(certificate, sheet))))
    if certificate is not None and certificate.omitted:
        out.append(Paragraph(say("certificate.omitted")))
        out.append(Items(tuple(omitted(o, sheet) for o in certificate.omitted)))
    return out


def displays(document: Document) -> list[Display]:
    """Every display of a document, those of steps and pairs included."""
    out: list[Display] = []
    for block in document.blocks:
        match block:
            case Display():
                out.append(block)
            case Beside(left, right):
                out += [left, right]
            case Steps(steps):
                out += [after for _, after in steps]
    return out


def equations(document: Document) -> tuple[tuple[Math, tuple[Math, ...]], ...]:
    """Every displayed line of a document, which all formats must show alike."""
    rows = [row for display in displays(document) for row in display.rows]
    return tuple(row for row in rows if row != (Row(()), ()))
