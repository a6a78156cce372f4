"""The page that the command line prints: shapes, windows, formulas, worked entries, the proof."""

from __future__ import annotations

from collections.abc import Iterable

from ...affine import Affine
from ...certificates import Certificate
from ...derivations import Derivation, Gradient
from ...documents import Math, Numeral, Row, Symbol
from ...expressions import Read, reads
from ...specs import PLAIN, Style
from ..mathematics.formulas import expression
from ..mathematics.notation import EQUALS
from ..notes import worked
from ..notes.facts import facts
from ..notes.forms import form_of, form_sentence, reason
from ..notes.proof import omitted, sentences
from ..notes.remarks import sums_to_one
from ..notes.setting import meaning, output_sizes, shape
from ..notes.sheet import Sheet
from .page import INDENT, Page
from .painted import Painted
from .picture import Windows, picture, windows
from .text import inline

Line = tuple[Math, tuple[Math, ...]]


def summary(
    derivation: Derivation,
    certificate: Certificate | None = None,
    files: Iterable[str] = (),
    *,
    unicode: bool = True,
    colours: int = 0,
    width: int = 80,
    style: Style = PLAIN,
) -> str:
    """The summary as text that ends with a newline.

    ``colours`` is how many the terminal has: 0 for none, 256, or 2²⁴.
    """
    sheet = Sheet(derivation, style)
    page = Page(sheet.say, width, unicode=unicode)
    page.title(style.title or derivation.layer.title)
    _shapes(page, sheet)
    found = windows(sheet)
    _windows(page, sheet, found)
    _forward(page, sheet)
    _gradients(page, sheet)
    _examples(page, sheet, found)
    _facts(page, sheet)
    _certificate(page, sheet, certificate)
    written(page, tuple(files), "summary.files")
    return page.text(colours)


def _shapes(page: Page, sheet: Sheet) -> None:
    """One line a tensor: its size and what it means."""
    page.section("summary.shapes")
    equation = sheet.here or sheet.equation
    page.table(
        [
            (t.name, inline((shape(t, sheet),)), inline(meaning(t, sheet)))
            for t in (*equation.tensors, *equation.inner, equation.output)
        ],
        heads=False,
    )


def _windows(page: Page, sheet: Sheet, found: Windows | None) -> None:
    """The picture, and how to read it; nothing where it would not fit."""
    base = sheet.numbered.base
    room = page.width - len(INDENT)
    lines = found and picture(found, room, base=base, unicode=page.unicode)
    if found is None or not lines:
        return
    page.section("terminal.windows")
    for line in lines:
        page.put(Painted.of(INDENT) + line)
    spots = [found.at] + ([] if found.beside is None else [found.beside])
    slots: dict[str, Math] = {
        name: sheet.number(Read(found.output, tuple((part,) for part in map(_fixed, spot))))
        for name, spot in zip(("first", "next"), spots, strict=False)
    }
    slots |= {"source": Symbol(found.source)}
    keys = ["terminal.outlines" if found.beside is not None else "terminal.outline"]
    keys += ["terminal.dots"] * found.padded + ["terminal.slice"] * found.slice
    for key in keys:
        page.words(sheet.say.say(key, slots), INDENT)


def _fixed(number: int) -> Affine:
    return Affine.of(number)


def _forward(page: Page, sheet: Sheet) -> None:
    """The forward equations."""
    page.section("summary.forward")
    for value in (sheet.here or sheet.equation).statements:
        page.formula(value, sheet)
    if (resolved := sheet.derivation.resolved) is not None:
        both(page, sheet, resolved)


def _gradients(page: Page, sheet: Sheet) -> None:
    """Gather and scatter of every gradient, and the name it goes by."""
    equation = sheet.equation
    key = "gradients" if sheet.notation.short else "gradients_plain"
    key = "gradients_loss" if equation.loss else key
    page.section(
        f"summary.{key}",
        g=sheet.upstream(),
        upstream=sheet.loss(),
        output=Symbol(equation.output.name),
    )
    every_gradient(page, sheet)


def every_gradient(page: Page, sheet: Sheet) -> None:
    """The gradients of a layer, those of intermediate values that they are made from first."""
    for gradient in (*_needed(sheet), *sheet.derivation.gradients):
        both(page, sheet, sheet.at_sizes(gradient) or gradient)
        _form(page, sheet, gradient)


def both(page: Page, sheet: Sheet, gradient: Gradient) -> None:
    """The gather form and, where there is one, the scatter form."""
    page.formula(gradient.gather, sheet)
    for step in gradient.scatter_steps:
        page.formula(step.after, sheet, label=f"{INDENT}{sheet.say.words('summary.scatter')}  ")
    if (found := sums_to_one(gradient, sheet.equation)) is not None:
        total = Row((expression(found[0], sheet.fixed), EQUALS, Numeral("1")))
        page.words(sheet.say.say("gradient.distribution", total=total), INDENT * 2)
        page.formula(found[1], sheet, label=INDENT)


def _needed(sheet: Sheet) -> list[Gradient]:
    """The gradients of intermediate values that those of the tensors are made from."""
    shown = [sheet.at_sizes(g) or g for g in sheet.derivation.gradients]
    used = {r.tensor for g in shown for r in reads(g.gather.rhs)}
    found = []
    for gradient in reversed(sheet.derivation.inner):
        here = sheet.at_sizes(gradient) or gradient
        if here.gather.lhs.tensor in used:
            used |= {r.tensor for r in reads(here.gather.rhs)}
            found.append(gradient)
    return found[::-1]


def _form(page: Page, sheet: Sheet, gradient: Gradient) -> None:
    """The textbook form and its reasons; nothing where none is claimed."""
    form = form_of(gradient, sheet)
    if form is None or form.kind == "none":
        return
    page.words(form_sentence(gradient, form, sheet, brief=True), INDENT * 2)
    for key, slots in form.reasons:
        page.words(reason(key, slots, form, sheet), INDENT * 2)


def _examples(page: Page, sheet: Sheet, found: Windows | None) -> None:
    """The entry of the first window, and one of a parameter's and of the input's gradient."""
    frame = sheet.frame
    if frame is None:
        return
    rows: list[Line] = []
    if found is not None:
        position = tuple(0 for _ in frame.ranges(found.statement.lhs))
        rows.append(worked.short(found.statement, position, sheet, frame))
    for gradient in _chosen(sheet):
        value = sheet.one(gradient.gather)
        if frame.covers(value) and value.lhs.axes:
            spots = worked.samples(value, frame)
            parameter = gradient.of in {p.name for p in sheet.equation.parameters}
            spot = spots[0] if parameter else spots[-1]
            rows.append(worked.short(value, spot, sheet, frame))
    if rows:
        page.section("summary.examples")
        for left, pieces in rows:
            page.pieces(left, pieces)


def _chosen(sheet: Sheet) -> list[Gradient]:
    """The gradients that an entry is shown of: one parameter's and one input's."""
    parameters = {p.name for p in sheet.equation.parameters}
    here = sheet.derivation.instance
    of_parameters = [g for g in here if g.of in parameters][:1]
    return of_parameters + [g for g in here if g.of not in parameters][:1]


def _facts(page: Page, sheet: Sheet) -> None:
    """The sizes of the output, counts, and how the layer connects."""
    found = list(facts(sheet))
    if found:
        page.section("summary.facts")
        for *_, left, pieces in output_sizes(sheet):
            page.pieces(left, pieces)
        for text in found:
            page.words(text, INDENT)


def _certificate(page: Page, sheet: Sheet, certificate: Certificate | None) -> None:
    """What was proved, one sentence a claim."""
    if sheet.here is None:
        page.put()
        page.words(sheet.say.say("summary.no_kernel"), "")
    if certificate is not None and certificate.claims:
        page.section("summary.certificate")
        for text in sentences(certificate, sheet, brief=True):
            page.words(text, INDENT * 2, first=tick())
    if certificate is not None and certificate.omitted:
        page.section("summary.omitted")
        for value in certificate.omitted:
            page.words(omitted(value, sheet), INDENT)


def tick() -> Painted:
    """What stands before a claim that holds."""
    return Painted.of(INDENT) + Painted.of("✓", "good") + " "


def written(page: Page, files: tuple[str, ...], key: str) -> None:
    """What was written; the names of files are never broken."""
    if files:
        page.section(key)
        for name in files:
            page.put(f"{INDENT}{name}")
