"""The page that the command line prints: shapes, formulas, two worked entries, what was proved.

Lines keep to the width asked for: formulas are broken at + and −, sentences between words.
Colour is plain ANSI, and only on request.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from dataclasses import replace

from ..certificates import Certificate
from ..derivations import Derivation, Gradient
from ..documents import Inline, Math, Numeral, Row, Symbol
from ..equations import Statement
from ..expressions import Reduce, reads
from . import worked
from .facts import facts
from .forms import form_of, form_sentence, reason
from .formulas import expression, statement
from .notation import EQUALS, condition
from .proof import omitted, sentences
from .remarks import sums_to_one
from .setting import meaning, output_sizes, shape
from .sheet import Sheet
from .text import ascii_only, inline, line

_BOLD, _DIM, _PLAIN = "\033[1m", "\033[2m", "\033[0m"
_INDENT = "  "


def summary(
    derivation: Derivation,
    certificate: Certificate | None = None,
    files: Iterable[str] = (),
    *,
    unicode: bool = True,
    colour: bool = False,
    width: int = 80,
) -> str:
    """The summary as text that ends with a newline."""
    page = Page(Sheet(derivation), width)
    page.title(derivation.layer.title)
    page.shapes()
    page.forward()
    page.gradients()
    page.examples()
    page.facts()
    page.certificate(certificate)
    page.files(tuple(files))
    text = "\n".join(styled(page.lines) if colour else (text for _, text in page.lines)) + "\n"
    return text if unicode else ascii_only(text)


def styled(lines: list[tuple[str, str]]) -> Iterable[str]:
    """Lines in their style, for a terminal that has colour."""
    for style, text in lines:
        yield f"{style}{text}{_PLAIN}" if style and text else text


class Page:
    """Collects (style, line) pairs."""

    def __init__(self, sheet: Sheet, width: int) -> None:
        self.sheet, self.width = sheet, max(width, 20)
        self.lines: list[tuple[str, str]] = []

    # -- sections -------------------------------------------------------------------------
    def title(self, text: str) -> None:
        """The heading of the page."""
        self.lines += [(_BOLD, text), (_DIM, "─" * min(len(text), self.width))]

    def shapes(self) -> None:
        """One line a tensor: its size and what it means."""
        self.section("shapes")
        equation, sheet = self.sheet.here or self.sheet.equation, self.sheet
        rows = [
            (t.name, inline((shape(t, sheet),)), inline(meaning(t, sheet)))
            for t in (*equation.tensors, *equation.inner, equation.output)
        ]
        first, second = (max(len(row[k]) for row in rows) for k in (0, 1))
        for name, size, words in rows:
            self.lines.append(("", f"{_INDENT}{name:<{first}}  {size:<{second}}  {words}"))

    def forward(self) -> None:
        """The forward equations."""
        self.section("forward")
        for value in (self.sheet.here or self.sheet.equation).statements:
            self.formula(value)
        if (resolved := self.sheet.derivation.resolved) is not None:
            self.both(resolved)

    def gradients(self) -> None:
        """Gather and scatter of every gradient, and the name it goes by."""
        loss, upstream = self.sheet.loss(), self.sheet.upstream()
        equation = self.sheet.equation
        key = "gradients_loss" if equation.loss else "gradients"
        self.section(key, g=upstream, upstream=loss, output=Symbol(equation.output.name))
        for gradient in (*self.needed(), *self.sheet.derivation.gradients):
            self.both(self.sheet.at_sizes(gradient) or gradient)
            self.form(gradient)

    def both(self, gradient: Gradient) -> None:
        """The gather form and, where there is one, the scatter form."""
        self.formula(gradient.gather)
        for step in gradient.scatter_steps:
            self.formula(step.after, label=f"{_INDENT}{self.say('summary.scatter')}  ")
        if (found := sums_to_one(gradient, self.sheet.equation)) is not None:
            total = Row((expression(found[0], self.sheet.fixed), EQUALS, Numeral("1")))
            self.words(self.sheet.say.say("gradient.distribution", total=total), _INDENT * 2)
            self.formula(found[1], label=_INDENT)

    def needed(self) -> list[Gradient]:
        """The gradients of intermediate values that those of the tensors are made from."""
        derivation, sheet = self.sheet.derivation, self.sheet
        shown = [sheet.at_sizes(g) or g for g in derivation.gradients]
        used = {r.tensor for g in shown for r in reads(g.gather.rhs)}
        found = []
        for gradient in reversed(derivation.inner):
            here = sheet.at_sizes(gradient) or gradient
            if here.gather.lhs.tensor in used:
                used |= {r.tensor for r in reads(here.gather.rhs)}
                found.append(gradient)
        return found[::-1]

    def form(self, gradient: Gradient) -> None:
        """The textbook form and its reasons; nothing where none is claimed."""
        form = form_of(gradient, self.sheet)
        if form is None or form.kind == "none":
            return
        self.words(form_sentence(gradient, form, self.sheet, brief=True), _INDENT * 2)
        for key, slots in form.reasons:
            self.words(reason(key, slots, form, self.sheet), _INDENT * 2)

    def examples(self) -> None:
        """The first entry of a parameter's gradient and a middle one of the input's."""
        frame = self.sheet.frame
        if frame is None:
            return
        rows: list[tuple[Math, tuple[Math, ...]]] = []
        for gradient in self.chosen():
            value = self.sheet.one(gradient.gather)
            if frame.covers(value) and value.lhs.axes:
                spots = worked.samples(value, frame)
                parameter = gradient.of in {p.name for p in self.sheet.equation.parameters}
                spot = spots[0] if parameter else spots[-1]
                rows.append(worked.short(value, spot, self.sheet, frame))
        if rows:
            self.section("examples")
            for left, pieces in rows:
                self.pieces(left, pieces)

    def facts(self) -> None:
        """The sizes of the output, counts, and how the layer connects."""
        found = list(facts(self.sheet))
        if found:
            self.section("facts")
            for *_, left, pieces in output_sizes(self.sheet):
                self.pieces(left, pieces)
            for text in found:
                self.words(text, _INDENT)

    def chosen(self) -> list[Gradient]:
        """The gradients that an entry is shown of: one parameter's and one input's."""
        parameters = {p.name for p in self.sheet.equation.parameters}
        here = self.sheet.derivation.instance
        of_parameters = [g for g in here if g.of in parameters][:1]
        return of_parameters + [g for g in here if g.of not in parameters][:1]

    def certificate(self, certificate: Certificate | None) -> None:
        """What was proved, one sentence a claim."""
        if self.sheet.here is None:
            self.lines.append(("", ""))
            self.words(self.sheet.say.say("summary.no_kernel"), "")
        if certificate is not None and certificate.claims:
            self.section("certificate")
            for text in sentences(certificate, self.sheet, brief=True):
                self.words(text, _INDENT)
        if certificate is not None and certificate.omitted:
            self.section("omitted")
            for value in certificate.omitted:
                self.words(omitted(value, self.sheet), _INDENT)

    def files(self, files: tuple[str, ...]) -> None:
        """What was written."""
        if files:
            self.section("files")
            self.lines += [("", f"{_INDENT}{name}") for name in files]

    # -- lines ----------------------------------------------------------------------------
    def say(self, key: str) -> str:
        """A phrase without mathematics."""
        return self.sheet.say.words(key)

    def section(self, key: str, **slots: Inline) -> None:
        """A blank line and a heading."""
        self.lines += [("", ""), (_BOLD, inline(self.sheet.say.say(f"summary.{key}", slots)))]

    def words(self, text: tuple[Inline, ...], indent: str) -> None:
        """A sentence, wrapped between words (formulas stay whole)."""
        whole = "".join(p if isinstance(p, str) else line(p).replace(" ", "\0") for p in text)
        for row in textwrap.wrap(
            whole,
            self.width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        ):
            self.lines.append(("", row.replace("\0", " ")))

    def formula(self, value: Statement, label: str = "") -> None:
        """A statement; the conditions of its sum go to a line of their own if need be."""
        one = self.sheet.one(value)
        left, pieces = statement(one, self.sheet.fixed)
        text = label + line(Row((left, *pieces)))
        rhs = one.rhs
        long = len(_INDENT) + len(text) > self.width
        if long and isinstance(rhs, Reduce) and rhs.where and rhs.over:
            bare = statement(replace(one, rhs=replace(rhs, where=())), self.sheet.fixed)
            self.pieces(*bare, label)
            where = ", ".join(line(condition(c)).replace(" ", "\0") for c in rhs.where)
            self.words((f"{self.say('summary.where')} {where}",), _INDENT * 3)
        else:
            self.pieces(left, pieces, label)

    def pieces(self, left: Math, pieces: tuple[Math, ...], before: str = "") -> None:
        """A formula broken between its pieces."""
        row = f"{_INDENT}{before}{line(left)}"
        hang = " " * (len(row) + 1)
        for number, piece in enumerate(pieces):
            text = _told(piece)
            if number and len(row) + len(text) > self.width and row.strip():
                self.lines.append(("", row.rstrip()))
                row = hang[: self.width // 2] + text.lstrip()
            else:
                row += text
            row = self.cut(row, hang[: self.width // 2] + _INDENT)
        self.lines.append(("", row.rstrip()))

    def cut(self, row: str, hang: str) -> str:
        """What is left of a line that is still too long: it is broken before + or −."""
        while len(row) > self.width:
            text, least = row[: self.width + 1], len(hang) + len(_INDENT)
            place = _break(text, max(least, self.width // 2)) or _break(text, least)
            if place is None:
                return row
            self.lines.append(("", row[:place]))
            row = hang + row[place:].lstrip()
        return row


def _break(text: str, least: int) -> int | None:
    """Where to end a line: outside of brackets if possible, rather at a sign than at a blank."""
    depth, places = 0, []
    for place, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == " " and place > least:
            sign = text[place : place + 3] in (" + ", " − ")
            places.append((-depth, 2 if sign else 0, place))
        elif letter == "·" and place > least:
            places.append((-depth, 1, place))
    return max(places)[-1] if places else None


def _told(piece: Math) -> str:
    """A piece with blanks around its leading relation or sign."""
    text = line(piece)
    return re.sub(r"^ *(\+=|[=+−]) *", r" \1 ", text)
