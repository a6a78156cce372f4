"""A document as LaTeX: amsmath, booktabs, listings and colours, nothing a small TeX lacks.

Lines that would run over the margin are broken here, at the places the document allows, by an
estimate of their width; TeX itself would only overflow. All words are escaped; the source is
the same for the same document.
"""

from __future__ import annotations

from ...documents import (
    Beside,
    Block,
    Display,
    Document,
    Explorer,
    Figure,
    Grid,
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
from ..hues import HUES
from ..layout.breaks import split
from ..templates import template
from .mathematics import formula, in_line, width
from .tikz import tikz
from .words import code, escape

LINE = 430.0
"""The width of a displayed line in points, a little less than the page's."""


def tex(document: Document) -> str:
    """The whole LaTeX source of a document."""
    return template("notes.tex.j2").render(
        title=escape(document.title),
        hues=HUES,
        contents=_long(document),
        blocks=_attached(document.blocks),
    )


CONTENTS = 45
"""Headings from which a table of contents helps."""


def _long(document: Document) -> bool:
    return sum(isinstance(block, Heading) for block in document.blocks) >= CONTENTS


def _attached(blocks: tuple[Block, ...]) -> list[str]:
    """The blocks as paragraphs; a display belongs to the paragraph in front of it."""
    out: list[str] = []
    before: Block | None = None
    for value in blocks:
        if isinstance(value, Explorer):
            continue  # paper answers no pointer
        if isinstance(value, Display | Beside | Items | Table) and isinstance(before, Paragraph):
            out[-1] += "\n" + block(value)
        else:
            out.append(block(value))
        before = value
    return out


def block(value: Block) -> str:
    """One block."""
    match value:
        case Heading(level, text):
            return f"\\room\n\\{'sub' * (level - 1)}section{{{_heading(text)}}}"
        case Paragraph(text):
            return inline(text)
        case Display(rows=((left, pieces),), name="code") if extent(value) < LINE:
            # the formula that the code under it computes, in line with the code
            return f"\\compute{{{formula(left)}{''.join(map(formula, pieces))}}}"
        case Display():
            return _columns(value) if value.columns else _display(value)
        case Items(items):
            body = "\n".join(f"\\item {inline(item)}" for item in items)
            return f"\\begin{{itemize}}\n{body}\n\\end{{itemize}}"
        case Table():
            return _table(value)
        case Listing(text, language):
            return code(text, language)
        case Steps(steps):
            return "\n\n".join(_step(k, *step) for k, step in enumerate(steps, 1))
        case Figure():
            return _figure(value)
        case Beside(left, right):
            return _beside(left, right)
    raise TypeError(f"no LaTeX for {type(value).__name__}")


def inline(text: tuple[Inline, ...]) -> str:
    """A sentence with its formulas."""
    return "".join(escape(p) if isinstance(p, str) else f"${in_line(p)}$" for p in text)


def _step(number: int, why: Paragraph, after: Display) -> str:
    """One step of a derivation, with its number."""
    return f"\\step{{{number}}}{inline(why.text)}\n{block(after)}"


GAP = 26.0
"""Room in points around the rule between two displays side by side."""


def _beside(left: Display, right: Display) -> str:
    """Two displays in one line if both fit, else one below the other."""
    wide = [6 + 1.05 * extent(one) for one in (left, right)]  # an estimate needs some room
    if sum(wide) + GAP > LINE:
        return f"{block(left)}\n{block(right)}"
    spare = (LINE + 20.0 - GAP - sum(wide)) / 2  # displays are as wide as the page's text
    halves = [
        f"\\begin{{minipage}}{{{size + spare:.0f}pt}}\n{block(one)}\n\\end{{minipage}}"
        for one, size in zip((left, right), wide, strict=True)
    ]
    return "\\beside" + "".join(f"{{%\n{half}}}" for half in halves)


def extent(value: Display) -> float:
    """How wide a display would be if no line of it were broken."""
    sides = [width(left) for left, _ in value.rows]
    rights = [sum(width(piece) for piece in pieces) for _, pieces in value.rows]
    return max(sides) + max(rights)


def _heading(text: tuple[Inline, ...]) -> str:
    """A heading; bookmarks get its words only, as hyperref asks."""
    return "".join(
        escape(p) if isinstance(p, str) else f"\\texorpdfstring{{${formula(p)}$}}{{}}" for p in text
    )


def _display(value: Display) -> str:
    """Lines aligned at the relation, broken between pieces where they get too long."""
    lines: list[str] = []
    for left, pieces in value.rows:
        lines += _broken(left, pieces)
    body = " \\\\\n".join(lines)
    return f"\\begin{{align*}}\n{body}\n\\end{{align*}}"


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
    return [f"{formula(left)} &{first}", *(f"&\\qquad {{}}{line}" for line in more)]


def _columns(value: Display) -> str:
    """Every piece in a column of its own; an empty one leaves its place free."""
    count = max(len(pieces) for _, pieces in value.rows)
    widest = [
        max((width(pieces[k]) for _, pieces in value.rows if k < len(pieces)), default=0.0)
        for k in range(count)
    ]
    if sum(widest) + max(width(left) for left, _ in value.rows) > LINE:
        return _display(Display(tuple(_joined(value)), value.name))
    lines = []
    for left, pieces in value.rows:
        cells = " && ".join(formula(piece) for piece in pieces)
        lines.append(f"{formula(left)} &{cells}".rstrip(" &") if cells else f"{formula(left)} &")
    body = " \\\\\n".join(lines)
    return f"\\begin{{alignat*}}{{{count}}}\n{body}\n\\end{{alignat*}}"


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


def _figure(value: Figure) -> str:
    """A drawing with its caption, kept on one page and where it stands."""
    return (
        f"\\loose\\begin{{center}}\\begin{{minipage}}{{\\linewidth}}\\centering\n{tikz(value)}\n"
        f"\\par\\vspace{{5pt}}\\begin{{minipage}}{{.9\\linewidth}}\\small\\centering\n"
        f"{inline(value.caption)}\n\\end{{minipage}}\\end{{minipage}}\\end{{center}}\\keep"
    )


def _table(value: Table) -> str:
    head = " & ".join(inline(cell) for cell in value.header)
    columns = _column_kinds(value)
    between = " \\\\\n"
    if "p{" in columns or _has_grids(value):  # rows of several lines are set apart
        between = " \\\\ \\addlinespace\n"
    rows = between.join(" & ".join(inline(cell) for cell in row) for row in value.rows)
    # eight columns fit a page only when set closer
    close = "\\small\\setlength{\\tabcolsep}{4pt}\n" if len(value.header) > 7 else ""
    return (
        f"\\begin{{center}}\n{close}"
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head} \\\\\n\\midrule\n"
        f"{rows} \\\\\n\\bottomrule\n\\end{{tabular}}\n\\end{{center}}"
    )


def _has_grids(value: Table) -> bool:
    return any(isinstance(piece, Grid) for row in value.rows for cell in row for piece in cell)


PAGE = 450.0
"""The width of a table in points, a little less than the page's."""


def _column_kinds(value: Table) -> str:
    """A column of long words is set as paragraphs in the room that others leave."""
    columns = list(zip(value.header, *value.rows, strict=True))
    wordy = [max(map(_letters, column[1:]), default=0) > 40 for column in columns]
    taken = sum(
        12 + max(map(_cell_width, column))
        for column, long in zip(columns, wordy, strict=True)
        if not long
    )
    room = (PAGE - taken) / max(1, sum(wordy)) - 12
    kind = f">{{\\raggedright\\arraybackslash}}p{{{max(140.0, min(260.0, room)):.0f}pt}}"
    return "".join(kind if long else "l" for long in wordy)


def _letters(cell: tuple[Inline, ...]) -> int:
    return sum(len(piece) for piece in cell if isinstance(piece, str))


def _cell_width(cell: tuple[Inline, ...]) -> float:
    """About how wide a cell is in points."""
    return 4.9 * _letters(cell) + sum(width(p) for p in cell if not isinstance(p, str))
