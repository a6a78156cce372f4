"""A document: prose and mathematics as a small tree, before any format is chosen.

A builder makes one from a derivation; TeX, the terminal and every later format are printers
of it, so all formats say the same. Mathematics is a tree too (never TeX text), because the
formats set it differently.
"""

from __future__ import annotations

from dataclasses import dataclass

from .scenes import Scene


class Math:
    """Base of mathematical nodes."""


@dataclass(frozen=True)
class Symbol(Math):
    """A variable or tensor name: ``x``, ``\u03b2`` (``beta``), ``dy``; set in italics."""

    name: str


@dataclass(frozen=True)
class Numeral(Math):
    """A number, as text."""

    text: str


@dataclass(frozen=True)
class Operator(Math):
    """An operator or relation as its Unicode character: ``+ − · = ≤ < ∣ ∂ ⊤``."""

    text: str


@dataclass(frozen=True)
class Upright(Math):
    """An upright word: ``tanh``, ``rot180``, ``max``."""

    text: str


@dataclass(frozen=True)
class Row(Math):
    """Nodes side by side."""

    items: tuple[Math, ...]


@dataclass(frozen=True)
class Scripts(Math):
    """A base with a subscript and/or a superscript."""

    base: Math
    sub: Math | None = None
    sup: Math | None = None


@dataclass(frozen=True)
class Fraction(Math):
    """A fraction."""

    top: Math
    bottom: Math


@dataclass(frozen=True)
class Big(Math):
    """A big operator (``∑``, ``max``) with what stands under (several lines) and over it."""

    text: str
    under: tuple[Math, ...]
    body: Math
    over: Math | None = None


@dataclass(frozen=True)
class Fenced(Math):
    """A node between delimiters that grow: ``( )``, ``[ ]``, ``⌊ ⌋``."""

    left: str
    body: Math
    right: str


@dataclass(frozen=True)
class Grid(Math):
    """A matrix; ``left`` and ``right`` are its delimiters, empty for none."""

    rows: tuple[tuple[Math, ...], ...]
    left: str = "["
    right: str = "]"


@dataclass(frozen=True)
class Cases(Math):
    """Alternatives: (value, condition) pairs."""

    rows: tuple[tuple[Math, Math], ...]


@dataclass(frozen=True)
class Hued(Math):
    """A node in the hue of a kernel tap; ``hue`` numbers the taps in row-major order."""

    hue: int
    body: Math


Inline = str | Math
"""A piece of a sentence: words, or mathematics set in the line."""


@dataclass(frozen=True)
class Heading:
    """A section (level 1) or subsection (level 2) title."""

    level: int
    text: tuple[Inline, ...]


@dataclass(frozen=True)
class Paragraph:
    """Words and inline mathematics."""

    text: tuple[Inline, ...]


@dataclass(frozen=True)
class Display:
    """Displayed lines, aligned at the relation: (left, relation-and-right) pairs.

    A right side that is a tuple of several nodes may be broken between them; with ``columns``
    every node stands in a column of its own (an empty ``Row`` leaves its place free).
    """

    rows: tuple[tuple[Math, tuple[Math, ...]], ...]
    name: str = ""
    columns: bool = False


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    items: tuple[tuple[Inline, ...], ...]


@dataclass(frozen=True)
class Table:
    """A table of inline cells."""

    header: tuple[tuple[Inline, ...], ...]
    rows: tuple[tuple[tuple[Inline, ...], ...], ...]


@dataclass(frozen=True)
class Listing:
    """Source code."""

    code: str
    language: str = "python"


@dataclass(frozen=True)
class Steps:
    """A chain of rewrites: why each is allowed, and what is there after it.

    A printer that can move shows one at a time, any other sets them one below the other.
    """

    steps: tuple[tuple[Paragraph, Display], ...]


@dataclass(frozen=True)
class Beside:
    """The same in symbols and in numbers: side by side where both fit, else one below the other."""

    left: Display
    right: Display


@dataclass(frozen=True)
class Cell:
    """A rectangle of a figure, one unit wide and high unless said otherwise.

    ``x`` and ``y`` are its upper left corner, x to the right and y downwards. ``kind`` is
    ``"plain"``, ``"padding"`` (grey: an entry that is not there), ``"faint"``, ``"strong"`` (a
    thick border) or ``"bare"`` (no border); ``hue`` tints it in the hue of a kernel tap.
    """

    x: float
    y: float
    label: Math | None = None
    hue: int | None = None
    kind: str = "plain"
    width: float = 1.0
    height: float = 1.0


@dataclass(frozen=True)
class Edge:
    """A line through points; ``kind`` is ``"plain"``, ``"faint"``, ``"strong"`` or ``"dashed"``."""

    points: tuple[tuple[float, float], ...]
    arrow: bool = False
    hue: int | None = None
    kind: str = "plain"


@dataclass(frozen=True)
class Label:
    """Words or mathematics at a point; ``anchor`` says which side of it stands there.

    It is ``"center"``, ``"left"`` (the text goes on to the right), ``"right"``, ``"top"`` or
    ``"bottom"``.
    """

    x: float
    y: float
    text: tuple[Inline, ...]
    anchor: str = "center"


Shape = Cell | Edge | Label


@dataclass(frozen=True)
class Figure:
    """A drawing of ``width`` × ``height`` units; ``alt`` says in words what there is to see."""

    name: str
    width: float
    height: float
    shapes: tuple[Shape, ...]
    caption: tuple[Inline, ...]
    alt: str


@dataclass(frozen=True)
class Explorer:
    """A scene to point at, on pages that can answer; elsewhere nothing is printed."""

    scene: Scene


Block = Heading | Paragraph | Display | Items | Table | Listing | Steps | Beside | Figure | Explorer


@dataclass(frozen=True)
class Document:
    """A titled sequence of blocks."""

    title: str
    blocks: tuple[Block, ...]
