"""A document as a Jupyter notebook (nbformat 4.5) that runs the kernel and checks its gradients.

The notes come as Markdown with LaTeX between dollars, figures as SVG inside of it. Then follow
the kernel's own source, so that the notebook can be copied anywhere, numbers to run it on, and
the difference quotients that its gradients are compared with. Ids are counted, nothing was
executed, there is no date: the same document gives the same bytes.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..documents import (
    Beside,
    Block,
    Display,
    Document,
    Figure,
    Heading,
    Inline,
    Items,
    Listing,
    Math,
    Paragraph,
    Row,
    Steps,
    Table,
)
from .html.svg import svg
from .hues import HUES
from .layout.breaks import split
from .phrases import phrases
from .templates import template
from .tex.mathematics import formula, in_line, width

LINE = 620.0
"""The width of a displayed line in points; a notebook scrolls where one is longer."""


@dataclass(frozen=True)
class Given:
    """A tensor that the kernel is given: ``classes`` is 0 for real numbers."""

    name: str
    shape: tuple[int, ...]
    classes: int = 0


@dataclass(frozen=True)
class Runnable:
    """What the code cells run: a layer's kernel, or a network's.

    ``given`` are the tensors of a layer, the sample and the target of a network; ``trained``
    says whether a network has parameters.
    """

    source: str
    given: tuple[Given, ...]
    loss: bool
    network: bool = False
    trained: bool = False


Cell = tuple[str, str]
"""(``markdown`` or ``code``, its text)"""


def notebook(document: Document, runnable: Runnable | None) -> str:
    """The notebook's JSON; without a kernel there are no cells to run."""
    cells = [("markdown", f"# {escape(document.title)}"), *_notes(document.blocks)]
    if runnable is not None:
        cells += _code(runnable)
    body = {
        "cells": [_cell(number, *cell) for number, cell in enumerate(cells)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(body, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _cell(number: int, kind: str, text: str) -> dict[str, Any]:
    code: dict[str, Any] = {"execution_count": None, "outputs": []} if kind == "code" else {}
    lines = text.strip("\n").splitlines(keepends=True)
    return {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": lines, **code}


def _notes(blocks: tuple[Block, ...]) -> Iterator[Cell]:
    """One cell a section."""
    texts: list[str] = []
    for value in blocks:
        if isinstance(value, Heading) and texts:
            yield "markdown", "\n\n".join(texts)
            texts = []
        texts += [text] if (text := block(value)) else []
    if texts:
        yield "markdown", "\n\n".join(texts)


# -- code ------------------------------------------------------------------------------------
def _code(runnable: Runnable) -> Iterator[Cell]:
    """The kernel, then each part of the template with the phrase that says what it is."""
    say = phrases()
    head = [say.words(f"notebook.{key}") for key in ("gradient", "entries", "difference")]
    lines = [f'"{one.name}": {_numbers(one, ())},' for one in runnable.given]
    slots: dict[str, Any] = {
        "loss": runnable.loss,
        "trained": runnable.trained,
        "heads": repr(f"{head[0]:<12}{head[1]:>8}{head[2]:>12}"),
        "tensors": lines,
    }
    if runnable.network:
        x, *t = runnable.given
        slots |= {"sample": _numbers(x, (4,)), "target": _numbers(t[0], (4,)) if t else "None"}
    kind = "network" if runnable.network else "layer"
    opening = [escape(say.words(f"notebook.{key}")) for key in ("heading", "kernel")]
    yield "markdown", f"## {opening[0]}\n\n{opening[1]}"
    yield "code", runnable.source
    parts = re.split(r"^# %% (\w+)\n", template(f"notebook/{kind}.py.j2").render(slots), flags=re.M)
    for key, code in zip(parts[1::2], parts[2::2], strict=True):
        yield "markdown", escape(say.words(f"notebook.{key}"))
        yield "code", code


def _numbers(one: Given, batch: tuple[int, ...]) -> str:
    shape = (*batch, *one.shape)
    if one.classes:
        return f"np.array(random.integers(0, {one.classes}, {shape}))"
    return f"real({shape})"


# -- Markdown --------------------------------------------------------------------------------
def block(value: Block) -> str:
    """One block; empty for what only a page on a screen can show."""
    match value:
        case Heading(level, text):
            return f"{'#' * (level + 1)} {inline(text)}"
        case Paragraph(text):
            return inline(text)
        case Display():
            return _display(value)
        case Beside(left, right):
            return f"{_display(left)}\n\n{_display(right)}"
        case Items(items):
            return "\n".join(f"- {inline(item)}" for item in items)
        case Table():
            return _table(value)
        case Listing(text, language):
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
            return f"{fence}{language}\n{text.rstrip()}\n{fence}"
        case Steps(steps):
            pairs = (
                (f"**{k}.** {inline(why.text)}", _display(after))
                for k, (why, after) in enumerate(steps, 1)
            )
            return "\n\n".join(text for pair in pairs for text in pair)
        case Figure():
            return _figure(value)
    return ""


def escape(text: str) -> str:
    """Words as Markdown shows them, letter by letter."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = re.sub(r"([\\`*_\[\]|~$#])", r"\\\1", " ".join(safe.splitlines()))
    return re.sub(r"^(\s*)([-+]|\d+[.)])(\s)", r"\1\\\2\3", safe)


def inline(text: tuple[Inline, ...]) -> str:
    """A sentence with its formulas."""
    return "".join(escape(p) if isinstance(p, str) else f"${_safe(in_line(p))}$" for p in text)


def math(value: Math) -> str:
    """A formula as MathJax and KaTeX read it, whichever the notebook is shown with."""
    return _safe(formula(value))


def _safe(text: str) -> str:
    """No colour by name, nothing that Markdown or HTML would take for its own."""
    text = re.sub(r"\\color\{tap(\d+)\}", lambda tap: f"\\color{{#{HUES[int(tap[1])]}}}", text)
    return text.replace("<", r"\lt ").replace(">", r"\gt ").replace("|", r"\vert ")


def _display(value: Display) -> str:
    """Lines aligned at the relation, broken between pieces where they get too long."""
    lines: list[str] = []
    for left, pieces in value.rows:
        room, used, parts = LINE - width(left), 0.0, [f"{math(left)} &"]
        for piece in (part for whole in pieces for part in split(whole, room)):
            if piece == Row(()):
                continue
            if used and used + width(piece) > room:
                lines.append(" ".join(parts))
                used, parts = 20.0, ["&\\qquad {}"]
            parts.append(math(piece))
            used += width(piece)
        lines.append(" ".join(parts))
    body = " \\\\\n".join(lines)
    return f"$$\n\\begin{{aligned}}\n{body}\n\\end{{aligned}}\n$$"


def _table(value: Table) -> str:
    rows: Iterable[tuple[tuple[Inline, ...], ...]] = (value.header, *value.rows)
    head, *body = ("| " + " | ".join(inline(cell) for cell in row) + " |" for row in rows)
    return "\n".join([head, "|" + " --- |" * len(value.header), *body])


def _figure(value: Figure) -> str:
    """The drawing on white, because a picture does not see the colours of the page."""
    paper = '</title>\n<rect x="-9" y="-9" width="110%" height="110%" fill="#ffffff"/>'
    drawn = base64.b64encode(svg(value).replace("</title>", paper, 1).encode()).decode()
    return f"![{escape(value.alt)}](data:image/svg+xml;base64,{drawn})\n\n*{inline(value.caption)}*"
