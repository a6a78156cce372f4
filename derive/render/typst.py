"""A document as Typst, which sets a PDF where there is no TeX: no packages, no fonts to install.

Lines break where those of the LaTeX source do, so both show the same equations.
"""

from __future__ import annotations

from ..documents import (
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
    Math,
    Paragraph,
    Row,
    Steps,
    Table,
)
from .hues import HUES
from .linebreaks import split
from .templates import template
from .texmath import width
from .typstfigure import figure
from .typstmath import formula, in_line
from .typstwords import code, escape, string

LINE = 430.0
"""The width of a displayed line in points, a little less than the page's."""
GAP = 24.0
"""Between two displays that stand side by side."""


def typst(document: Document) -> str:
    """The whole Typst source of a document."""
    return template("notes.typ.j2").render(
        title=escape(document.title),
        name=string(document.title),
        hues=HUES,
        blocks=[text for value in document.blocks if (text := block(value))],
    )


def block(value: Block) -> str:
    """One block; empty for what only a page on a screen can show."""
    match value:
        case Heading(level, text):
            return f"#heading(level: {level})[{inline(text)}]"
        case Paragraph(text):
            return inline(text)
        case Display():
            return display(value)
        case Items(items):
            return f"#list({', '.join(f'[{inline(item)}]' for item in items)})"
        case Table():
            return _table(value)
        case Listing(text, language):
            return code(text, language)
        case Steps(steps):
            return "\n\n".join(f"{block(why)}\n\n{block(after)}" for why, after in steps)
        case Beside(left, right):
            return _beside(left, right)
        case Figure():
            return figure(value, inline)
        case Explorer():
            return ""
    raise TypeError(f"no Typst for {type(value).__name__}")


def inline(text: tuple[Inline, ...]) -> str:
    """A sentence with its formulas."""
    return "".join(escape(p) if isinstance(p, str) else f"${in_line(p)}$" for p in text)


def display(value: Display) -> str:
    """Lines aligned at the relation, broken between pieces where they get too long."""
    body = " \\\n".join(_columns(value) if value.columns else _lines(value))
    return f"$ {body} $"


def _lines(value: Display) -> list[str]:
    return [line for left, pieces in value.rows for line in _broken(left, pieces)]


def _broken(left: Math, pieces: tuple[Math, ...]) -> list[str]:
    room = LINE - width(left)
    lines: list[list[str]] = [[]]
    used = 0.0
    for piece in (part for whole in pieces for part in split(whole, room)):
        size = width(piece)
        if lines[-1] and used + size > room:
            lines.append([])
            used = 20.0
        lines[-1].append(formula(piece))
        used += size
    first, *more = (" ".join(line) for line in lines)
    return [f"{formula(left)} & {first}", *(f'& wide "" {line}' for line in more)]


def _columns(value: Display) -> list[str]:
    """Every piece in a column of its own; an empty one leaves its place free."""
    if columns_width(value) > LINE:
        return _lines(Display(tuple(_joined(value)), value.name))
    lines = []
    for left, pieces in value.rows:
        cells = " & & ".join(formula(piece) for piece in pieces)
        lines.append(f"{formula(left)} & {cells}".rstrip(" &") if cells else f"{formula(left)} &")
    return lines


def columns_width(value: Display) -> float:
    """The width of a display whose pieces stand in columns."""
    count = max((len(pieces) for _, pieces in value.rows), default=0)
    widest = [
        max((width(pieces[k]) for _, pieces in value.rows if k < len(pieces)), default=0.0)
        for k in range(count)
    ]
    return sum(widest) + max((width(left) for left, _ in value.rows), default=0.0)


def _joined(value: Display) -> list[tuple[Math, tuple[Math, ...]]]:
    """Lines that continue an entry put behind its first line, for breaking anew."""
    rows: list[tuple[Math, tuple[Math, ...]]] = []
    for left, pieces in value.rows:
        kept = tuple(piece for piece in pieces if piece != Row(()))
        if left == Row(()) and rows:
            rows[-1] = (rows[-1][0], rows[-1][1] + kept)
        else:
            rows.append((left, kept))
    return rows


def _beside(left: Display, right: Display) -> str:
    wide = sum(_natural(value) for value in (left, right))
    one, other = display(left), display(right)
    if wide + GAP > LINE:
        return f"{one}\n\n{other}"
    return f"#beside[{one}][{other}]"


def _natural(value: Display) -> float:
    """The width of a display whose lines are not broken."""
    if value.columns:
        return columns_width(value)
    left = max(width(head) for head, _ in value.rows)
    return left + max(sum(width(piece) for piece in pieces) for _, pieces in value.rows)


def _table(value: Table) -> str:
    rows = ",\n".join("  " + _cells(row) for row in value.rows)
    kinds = ", ".join(_column_kinds(value))
    close = "8" if len(value.header) > 7 else "12"  # eight columns fit a page only when set closer
    return (
        f"#ruled(columns: ({kinds},), gap: {close}pt)(\n"
        f"  table.header({_cells(value.header)}),\n{rows},\n)"
    )


def _cells(row: tuple[tuple[Inline, ...], ...]) -> str:
    return ", ".join(f"[{inline(cell)}]" for cell in row)


def _column_kinds(value: Table) -> list[str]:
    """A column of long words is set as a paragraph, any other as wide as it is."""
    kinds = []
    for column in zip(*value.rows, strict=True):
        longest = max(sum(len(p) for p in cell if isinstance(p, str)) for cell in column)
        kinds.append("190pt" if longest > 40 else "auto")
    return kinds
