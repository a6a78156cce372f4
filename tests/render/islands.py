"""Reads a page back: its elements as a tree, and its formulas as tokens of text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "input", "link", "wbr"}


@dataclass
class Node:
    """An element of a page with its children, words among them."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node | str] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        """Its classes."""
        return self.attributes.get("class", "").split()

    @property
    def elements(self) -> list[Node]:
        """Its children without words."""
        return [child for child in self.children if isinstance(child, Node)]

    @property
    def text(self) -> str:
        """All words in it."""
        return "".join(c if isinstance(c, str) else c.text for c in self.children)

    def walk(self) -> Iterator[Node]:
        """Itself and everything in it, in order."""
        yield self
        for child in self.elements:
            yield from child.walk()

    def all(self, tag: str = "", kind: str = "") -> list[Node]:
        """The elements of a tag and a class, in the order of the page."""
        return [
            node
            for node in self.walk()
            if (not tag or node.tag == tag) and (not kind or kind in node.classes)
        ]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("root")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Node(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        last = self.open.pop()
        assert last.tag == tag, f"<{last.tag}> is ended by </{tag}>"

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read(page: str) -> Node:
    """The page as a tree; AssertionError if its tags do not match."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == [reader.root], f"left open: {[node.tag for node in reader.open[1:]]}"
    return reader.root


# -- formulas as tokens ------------------------------------------------------------------------
def tokens(node: Node) -> list[str]:
    """A formula in reading order: scripts in ``_( )`` and ``^( )``, fractions in ``frac( )( )``."""
    parts = [tokens(child) for child in node.elements]
    match node.tag:
        case "mi" | "mn" | "mo" | "mtext":
            return [node.text.replace("\u00a0", " ").strip()]
        case "msub" | "munder":
            return [*parts[0], *within("_", parts[1])]
        case "msup" | "mover":
            return [*parts[0], *within("^", parts[1])]
        case "msubsup" | "munderover":
            return [*parts[0], *within("_", parts[1]), *within("^", parts[2])]
        case "mfrac":
            return ["frac", *within("", parts[0]), *within("", parts[1])]
        case "msqrt":
            return within("sqrt", [token for part in parts for token in part])
        case "mtable":
            return _table(node)
        case "mspace":
            return []
    return [token for part in parts for token in part]


def within(name: str, inside: list[str]) -> list[str]:
    """``name( … )`` as tokens."""
    return [f"{name}(", *inside, ")"]


_FENCES = {"square": "[]", "round": "()", "bars": "||", "bare": "  "}


def _table(node: Node) -> list[str]:
    rows = [[tokens(cell) for cell in row.elements] for row in node.elements]
    joined = [
        [token for n, cell in enumerate(row) for token in ([";"] * (n > 0) + cell)] for row in rows
    ]
    body = [token for n, row in enumerate(joined) for token in ([";;"] * (n > 0) + row)]
    fence = next((_FENCES[kind] for kind in node.classes if kind in _FENCES), "")
    if not fence.strip():
        return body
    return [fence[0], *body, fence[1]]


def displayed(page: Node) -> list[list[str]]:
    """Every displayed line of the page that is not empty, as tokens."""
    found = []
    for formula in page.all("div", "formula"):
        lines = formula.all("div", "line")
        if not lines:
            (table,) = formula.all("mtable", "columns")
            lines = table.elements
        found += [[t for part in line.elements for t in tokens(part)] for line in lines]
    return [line for line in found if line]
