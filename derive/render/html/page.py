"""A document as one HTML page: MathML, inline SVG, its own style and script, and no network.

``html(document, language="en") -> str``. All words are escaped here, the templates hold shape
only; the page says the same as every other format, and shows steps one at a time where a
script may run. Without one, and in print, everything stands there in order.
"""

from __future__ import annotations

import re
from collections import Counter
from html import escape

from ...documents import (
    Beside,
    Block,
    Display,
    Document,
    Explorer,
    Figure,
    Fraction,
    Heading,
    Hued,
    Inline,
    Items,
    Listing,
    Math,
    Paragraph,
    Row,
    Scripts,
    Steps,
    Symbol,
    Table,
)
from ..hues import DARK, HUES
from ..phrases import phrases
from ..templates import template
from ..terminal.text import inline as words
from .highlight import highlighted
from .mathml import columns, in_line, piece
from .pasting import pasted
from .svg import svg

SPOKEN = (
    *("copy", "copy_tex", "copy_formula", "copy_code", "copied"),
    *("step", "previous", "next", "all", "single", "slider"),
)
"""The phrases that the page's script needs, which reach it as attributes of the body."""
SLOTS = {name: f"{{{name}}}" for name in ("number", "count")}
"""Slots that the script fills."""


def html(document: Document, language: str = "en") -> str:
    """The page of a document, in the words of a language."""
    page = _Page(document, language)
    blocks = [page.block(value) for value in document.blocks]
    return template("notes.html.j2").render(
        language=escape(language),
        title=escape(document.title),
        contents=page.contents,
        contents_title=page.said("contents"),
        skip=page.said("skip"),
        spoken={key.replace("_", "-"): page.said(key, **SLOTS) for key in SPOKEN},
        hues=list(zip(HUES, DARK, strict=True)),
        explorer=any(isinstance(value, Explorer) for value in document.blocks),
        blocks=blocks,
    )


def inline(text: tuple[Inline, ...]) -> str:
    """A sentence with its formulas; what closes a clause stays on the formula's line."""
    out: list[str] = []
    before: Inline = ""
    for part in text:
        if not isinstance(part, str):
            out.append(in_line(part))
        elif isinstance(before, Math) and (mark := _CLOSING.match(part)):
            front, wbr, last = out[-1].rpartition("<wbr>")
            out[-1] = f'{front}{wbr}<span class="kept">{last}{mark[0]}</span>'
            out.append(escape(part[mark.end() :], quote=False))
        else:
            out.append(escape(part, quote=False))
        before = part
    return "".join(out)


_CLOSING = re.compile(r"[.,:;)?!’”]+")


def island(json: str) -> str:
    """JSON that no text inside of it can end: ``<`` is spelled by its number."""
    return json.replace("<", "\\u003c")


class _Page:
    """The blocks of one page: which ids are taken, how many displays there were."""

    def __init__(self, document: Document, language: str) -> None:
        self.say = phrases(language)
        self.contents: list[tuple[str, str]] = []
        self.section = ""
        self._taken: set[str] = set()
        chains = [value for value in document.blocks if isinstance(value, Steps)]
        self._subjects = Counter(subject(chain) for chain in chains)

    def said(self, key: str, **slots: Inline | int) -> str:
        """A phrase of the page, escaped."""
        return escape(self.say.words(f"page.{key}", slots))

    def block(self, value: Block) -> str:
        """One block."""
        match value:
            case Heading():
                return self._heading(value)
            case Paragraph(text):
                return f"<p>{inline(text)}</p>"
            case Display():
                return self._display(value)
            case Items(items):
                body = "\n".join(f"<li>{inline(item)}</li>" for item in items)
                return f"<ul>\n{body}\n</ul>"
            case Table():
                return _table(value)
            case Listing(code, language):
                return _listing(code, language)
            case Steps():
                return self._steps(value)
            case Beside(left, right):
                pair = f"{self._display(left)}\n{self._display(right)}"
                return f'<div class="beside">\n{pair}\n</div>'
            case Figure():
                return _figure(value)
            case Explorer(scene):
                return self._explorer(scene.data)
        raise TypeError(f"no HTML for {type(value).__name__}")

    def _id(self, wanted: str) -> str:
        """The id, numbered if it is taken."""
        name, number = wanted, 1
        while name in self._taken:
            number += 1
            name = f"{wanted}-{number}"
        self._taken.add(name)
        return name

    def _heading(self, value: Heading) -> str:
        plain = slug(words(value.text))
        if value.level == 1:
            name = self.section = self._id(plain)
            self.contents.append((name, inline(value.text)))
        else:
            name = self._id(f"{self.section}-{plain}")
        tag = f"h{value.level + 1}"
        label = self.said("link", section=words(value.text))
        link = f'<a class="anchor" href="#{name}" aria-label="{label}">#</a>'
        return f'<{tag} id="{name}">{inline(value.text)} {link}</{tag}>'

    def _display(self, value: Display) -> str:
        body = columns(value.rows) if value.columns else _lines(value)
        tex = escape(pasted(value))
        return (
            f'<div class="display" data-tex="{tex}">\n<div class="formula">\n{body}\n</div>\n</div>'
        )

    def _steps(self, value: Steps) -> str:
        about = subject(value)
        if self._subjects[about] > 1 and self.section:
            about = f"{self.section}-{about}"
        name = self._id(f"steps-{about}")
        shown = []
        for number, (why, what) in enumerate(value.steps, start=1):
            step = self._id(f"step-{about}-{number}")
            shown.append(
                f'<li class="step" id="{step}">\n{self.block(why)}\n{self.block(what)}\n</li>'
            )
        body = "\n".join(shown)
        return f'<div class="steps" id="{name}">\n<ol>\n{body}\n</ol>\n</div>'

    def _explorer(self, data: str) -> str:
        name = self._id("explorer")
        return (
            f'<section class="explorer" id="{name}" aria-label="{self.said("explorer")}">\n'
            f'<script type="application/json">{island(data)}</script>\n'
            f"<noscript><p>{self.said('no_script')}</p></noscript>\n</section>"
        )


def slug(text: str) -> str:
    """``The gradient with respect to x`` → ``the-gradient-with-respect-to-x``."""
    return re.sub(r"[^0-9a-z]+", "-", text.lower()).strip("-") or "section"


def subject(chain: Steps) -> str:
    """What a chain of steps derives: ``dx`` if its lines begin with ∂L/∂x, ``y`` if with y."""
    return slug(_name(chain.steps[0][1].rows[0][0])) if chain.steps else "none"


def _name(left: Math) -> str:
    match left:
        case Symbol(name):
            return name
        case Scripts(base, _, _) | Hued(_, base):
            return _name(base)
        case Fraction(_, Row((_, below))):
            return f"d{_name(below)}"
    return words((left,))


def _lines(value: Display) -> str:
    """Lines aligned at the relation; browsers break the right side between its pieces."""
    out = []
    for left, pieces in value.rows:
        if (left, pieces) == (Row(()), ()):
            out.append('<div class="line"></div>')
            continue
        shown = " ".join(piece(part, first=n == 0) for n, part in enumerate(pieces))
        head = piece(left) if left != Row(()) else ""
        out.append(
            f'<div class="line"><span class="left">{head}</span>'
            f'<span class="right">{shown}</span></div>'
        )
    return "\n".join(out)


def _table(value: Table) -> str:
    head = "".join(f'<th scope="col">{inline(cell)}</th>' for cell in value.header)
    rows = "\n".join(
        f"<tr>{''.join(f'<td>{inline(cell)}</td>' for cell in row)}</tr>" for row in value.rows
    )
    return (
        '<div class="table">\n<table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>"
    )


def _listing(code: str, language: str) -> str:
    text = highlighted(code.rstrip("\n"), language)
    return (
        f'<div class="listing">\n<pre><code class="{escape(language)}">{text}</code></pre>\n</div>'
    )


def _figure(value: Figure) -> str:
    return f"<figure>\n{svg(value)}\n<figcaption>{inline(value.caption)}</figcaption>\n</figure>"
