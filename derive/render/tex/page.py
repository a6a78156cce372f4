"""A document as LaTeX: amsmath, booktabs, listings and colours, nothing a small TeX lacks.

All words are escaped; the source is the same for the same document.
"""

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
from .mathematics import formula, in_line
from .tikz import tikz
from .words import code, escape


def tex(document: Document) -> str:
    """The whole LaTeX source of a document."""
    return template("notes.tex.j2").render(
        title=escape(document.title),
        hues=HUES,
        contents=layout.is_long(document),
        blocks=_attached(document.blocks),
    )


def _attached(blocks: tuple[Block, ...]) -> list[str]:
    """The blocks as paragraphs; a display belongs to the paragraph in front of it."""
    out: list[str] = []
    before: Block | None = None
    shown = [value for value in blocks if not isinstance(value, Explorer)]  # paper answers none
    for value, after in zip(shown, [*shown, None][1:], strict=True):
        if isinstance(value, Display | Beside | Items | Table) and isinstance(before, Paragraph):
            out[-1] += "\n" + block(value)
        elif isinstance(value, Heading) and isinstance(after, Heading | Listing):
            out.append(f"\\room[{ROOM:.0f}pt]\n{_title(value)}")
        else:
            out.append(block(value))
        before = value
    return out


def block(value: Block) -> str:
    """One block."""
    match value:
        case Heading():
            return f"\\room\n{_title(value)}"
        case Paragraph(text):
            return inline(text)
        case Display(rows=((left, pieces),), name="code") if layout.extent(value) < layout.LINE:
            # the formula that the code under it computes, in line with the code
            return f"\\compute{{{formula(left)}{''.join(map(formula, pieces))}}}"
        case Display():
            return _columns(value) if layout.in_columns(value) else _display(value)
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


def _beside(left: Display, right: Display) -> str:
    """Two displays in one line if both fit, else one below the other."""
    widths = layout.beside(left, right)
    if widths is None:
        return f"{block(left)}\n{block(right)}"
    halves = [
        f"\\begin{{minipage}}{{{wide:.0f}pt}}\n{block(one)}\n\\end{{minipage}}"
        for one, wide in zip((left, right), widths, strict=True)
    ]
    return "\\beside" + "".join(f"{{%\n{half}}}" for half in halves)


ROOM = 190.0
"""Room in points that a heading wants below it where another one follows soon."""


def _title(value: Heading) -> str:
    return f"\\{'sub' * (value.level - 1)}section{{{_heading(value.text)}}}"


def _heading(text: tuple[Inline, ...]) -> str:
    """A heading; bookmarks get its words only, as hyperref asks."""
    return "".join(
        escape(p) if isinstance(p, str) else f"\\texorpdfstring{{${formula(p)}$}}{{}}" for p in text
    )


def _display(value: Display) -> str:
    """Lines aligned at the relation, broken between pieces where they get too long."""
    lines: list[str] = []
    for line in layout.lines(value):
        pieces = " ".join(map(formula, line.pieces))
        indent = "&\\qquad {}" if line.goes_on else f"{formula(line.left)} &"
        lines.append(indent + pieces)
    body = " \\\\\n".join(lines)
    return f"\\begin{{align*}}\n{body}\n\\end{{align*}}"


def _columns(value: Display) -> str:
    """Every piece in a column of its own; an empty one leaves its place free."""
    count = max(len(pieces) for _, pieces in value.rows)
    lines = []
    for left, pieces in value.rows:
        cells = " && ".join(formula(piece) for piece in pieces)
        lines.append(f"{formula(left)} &{cells}".rstrip(" &") if cells else f"{formula(left)} &")
    body = " \\\\\n".join(lines)
    return f"\\begin{{alignat*}}{{{count}}}\n{body}\n\\end{{alignat*}}"


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
    if layout.is_airy(value):  # rows of several lines are set apart
        between = " \\\\ \\addlinespace\n"
    rows = between.join(" & ".join(inline(cell) for cell in row) for row in value.rows)
    # eight columns fit a page only when set closer
    close = "\\small\\setlength{\\tabcolsep}{4pt}\n" if layout.is_tight(value) else ""
    return (
        f"\\begin{{center}}\n{close}"
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head} \\\\\n\\midrule\n"
        f"{rows} \\\\\n\\bottomrule\n\\end{{tabular}}\n\\end{{center}}"
    )


def _column_kinds(value: Table) -> str:
    """A column of long words is set as paragraphs in the room that others leave."""
    raggedright = ">{\\raggedright\\arraybackslash}"
    return "".join(
        "l" if wide is None else f"{raggedright}p{{{wide:.0f}pt}}" for wide in layout.columns(value)
    )
