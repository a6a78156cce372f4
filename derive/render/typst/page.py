"""A document as Typst, which sets a PDF where there is no TeX: no packages, no fonts to install."""

from __future__ import annotations

from ...documents import (
    Beside,
    Block,
    Display,
    Document,
    Explorer,
    Figure,
    Heading,
    Inline,
    Items,
    Listing,
    Paragraph,
    Steps,
    Table,
)
from ..hues import HUES
from ..layout import lines as layout
from ..templates import template
from .figures import figure
from .mathematics import formula, in_line
from .words import code, escape, string

TOGETHER = 8
"""Lines of a display that are kept on one page."""


def typst(document: Document) -> str:
    """The whole Typst source of a document."""
    return template("notes.typ.j2").render(
        title=escape(document.title),
        name=string(document.title),
        hues=HUES,
        contents=layout.is_long(document),
        blocks=_attached(document.blocks),
    )


def _attached(blocks: tuple[Block, ...]) -> list[str]:
    """The blocks; a paragraph stays on the page of the display that follows it."""
    shown = [value for value in blocks if not isinstance(value, Explorer)]
    out: list[str] = []
    for value, after in zip(shown, [*shown, None][1:], strict=True):
        leads = isinstance(value, Paragraph) and isinstance(after, Display | Beside | Items | Table)
        out.append(f"#lead[{block(value)}]" if leads else block(value))
    return out


def block(value: Block) -> str:
    """One block; empty for what only a page on a screen can show."""
    match value:
        case Heading(level, text):
            return f"#heading(level: {level})[{inline(text)}]"
        case Paragraph(text):
            return inline(text)
        case Display(rows=((left, pieces),), name="code") if layout.extent(value) < layout.LINE:
            # the formula that the code under it computes, in line with the code
            return f"#compute[$display({' '.join(map(formula, (left, *pieces)))})$]"
        case Display():
            return display(value)
        case Items(items):
            return f"#list({', '.join(f'[{inline(item)}]' for item in items)})"
        case Table():
            return _table(value)
        case Listing(text, language):
            return code(text, language)
        case Steps(steps):
            return "\n\n".join(_step(k, *step) for k, step in enumerate(steps, 1))
        case Beside(left, right):
            return _beside(left, right)
        case Figure():
            return figure(value, inline)
    raise TypeError(f"no Typst for {type(value).__name__}")


def inline(text: tuple[Inline, ...]) -> str:
    """A sentence with its formulas."""
    return "".join(escape(p) if isinstance(p, str) else f"${in_line(p)}$" for p in text)


def display(value: Display) -> str:
    """Lines aligned at the relation, with ``columns`` every piece in a column of its own."""
    between = " & & " if layout.in_columns(value) else " "
    rows = []
    for line in layout.lines(value):
        pieces = between.join(formula(piece) for piece in line.pieces)
        indent = 'wide "" ' if line.goes_on else ""  # a sign behind "" joins, it does not negate
        rows.append(f"{formula(line.left)} & {indent}{pieces}".strip().rstrip(" &") or "&")
    whole = "$ " + " \\\n".join(rows) + " $"
    return whole if len(rows) <= TOGETHER else f"#long[{whole}]"


def _step(number: int, why: Paragraph, after: Display) -> str:
    """One step of a derivation, with its number."""
    return f"#step({number})[{inline(why.text)}]\n{display(after)}"


def _beside(left: Display, right: Display) -> str:
    """Two displays in one line if both fit, else one below the other."""
    one, other = display(left), display(right)
    widths = layout.beside(left, right)
    if widths is None:
        return f"{one}\n{other}"
    return f"#beside({widths[0]:.0f}pt, {widths[1]:.0f}pt)[{one}][{other}]"


def _table(value: Table) -> str:
    rows = ",\n".join(f"  {_cells(row)}" for row in value.rows)
    kinds = ", ".join("auto" if wide is None else f"{wide:.0f}pt" for wide in layout.columns(value))
    gap = 8 if layout.is_tight(value) else 12
    air = 6 if layout.is_airy(value) else 3.2
    return (
        f"#ruled(columns: ({kinds},), gap: {gap}pt, air: {air}pt)(\n"
        f"  table.header({_cells(value.header)}),\n{rows},\n)"
    )


def _cells(row: tuple[tuple[Inline, ...], ...]) -> str:
    return ", ".join(f"[{inline(cell)}]" for cell in row)
