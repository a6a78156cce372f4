"""The notes: a derivation as a document, from the forward equation to what was proved.

Formulas, entries and reasons are all read off the recorded derivation; the words between them
are phrases. Nothing here knows a layer.
"""

from __future__ import annotations

from ...certificates import Certificate
from ...derivations import Derivation
from ...documents import (
    Beside,
    Block,
    Display,
    Document,
    Heading,
    Items,
    Listing,
    Math,
    Paragraph,
    Row,
    Steps,
    Symbol,
)
from ...expressions import Winner, walk
from ...programs import Choice
from ...specs import PLAIN, Style
from ...trials import Example
from ..mathematics.notation import COMMA, joined
from .facts import fact_blocks
from .figures.placed import forward_figures, matrix_figures
from .gradients import entry_blocks, gradient_blocks
from .grids import forward_grids
from .listing import kernel_blocks
from .matrix import matrix_blocks
from .numbers import example_blocks
from .own import own_blocks
from .proof import omitted, sentences
from .remarks import without_effect
from .scene import explore
from .setting import setting
from .sheet import Sheet
from .slips import slip_blocks
from .steps import steps
from .winograd import winograd_blocks


def notes(
    derivation: Derivation,
    certificate: Certificate | None = None,
    source: str = "",
    style: Style = PLAIN,
    example: Example | None = None,
    *,
    chapter: bool = False,
    choices: tuple[Choice, ...] = (),
) -> Document:
    """The notes of a derivation; ``source`` is the kernel's text, empty if there is none.

    ``example`` has the numbers of the worked example; without it there is none. A ``chapter``
    leaves out what the notes of a network say once for all layers. ``choices`` are the ways
    through the kernel.
    """
    sheet = Sheet(derivation, style, example, chapter)
    blocks: list[Block] = []
    if derivation.layer.command:
        blocks.append(Listing(derivation.layer.command, "sh"))
    blocks += setting(sheet)
    blocks += forward(sheet)
    blocks += explore(sheet)
    blocks += fact_blocks(sheet)
    blocks += _reverse(sheet)
    for gradient in (*derivation.inner, *derivation.gradients):
        blocks += gradient_blocks(gradient, sheet)
        blocks += without_effect(gradient, sheet)
    matrix, figures = matrix_blocks(sheet), matrix_figures(sheet)
    if figures and not matrix:
        matrix = [Heading(1, sheet.say.say("headings.pictures"))]
    blocks += [*matrix, *figures]
    blocks += example_blocks(example, sheet)
    blocks += own_blocks(example, sheet)
    blocks += slip_blocks(example, sheet)
    blocks += kernel_blocks(source, sheet)
    if tooms := next((call.tooms for c in choices for call in c.calls if call.tooms), ()):
        blocks += winograd_blocks(tooms, sheet.say)
    blocks += _proof(certificate, sheet)
    return Document(style.title or derivation.layer.title, tuple(blocks))


def resized(
    derivation: Derivation,
    certificate: Certificate | None = None,
    style: Style = PLAIN,
) -> Document:
    """The chapter of an equation that was worked through before, at other sizes."""
    sheet = Sheet(derivation, style, chapter=True)
    blocks = [*setting(sheet), *explore(sheet), *fact_blocks(sheet), *_instances(sheet)]
    return Document(style.title or derivation.layer.title, (*blocks, *_proof(certificate, sheet)))


def _instances(sheet: Sheet) -> list[Block]:
    """The forward equation and every gradient with the numbers put in."""
    if sheet.here is None:
        return []
    say = sheet.say.say
    rows = [sheet.row(statement, here=True) for statement in sheet.here.statements]
    rows += [sheet.row(g.gather, here=True) for g in sheet.derivation.instance]
    return [Heading(1, say("headings.instances")), Display(tuple(rows), name="instances")]


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
    if any(isinstance(e, Winner) for e in _nodes(sheet)):
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
    return out + entry_blocks(here, sheet, "forward")


def _nodes(sheet: Sheet) -> list[object]:
    """What the gradients are made of."""
    return [node for g in sheet.derivation.gradients for node in walk(g.gather.rhs)]


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


def _proof(certificate: Certificate | None, sheet: Sheet) -> list[Block]:
    say = sheet.say.say
    out: list[Block] = [Heading(1, say("headings.certificate"))]
    if certificate is None or not certificate.claims:
        out.append(Paragraph(say("certificate.none")))
    else:
        if not sheet.chapter:
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
