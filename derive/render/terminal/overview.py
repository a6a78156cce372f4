"""What the command line prints about a network: shapes, what each layer adds, counts, proof."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...certificates import Certificate
from ...documents import Inline
from ...graphs import INPUT, NetworkDerivation, Node
from ...specs import PLAIN, Style
from ..digits import grouped
from ..notes.counts import connected, multiply_adds, trained
from ..notes.reach import Field, fields
from ..notes.sheet import Sheet
from ..notes.values import powers
from ..phrases import Slot, phrases
from .page import INDENT, Page
from .rails import rails
from .summary import every_gradient, tick, written

Certificates = Sequence[tuple[str, Certificate]]


def overview(
    derivation: NetworkDerivation,
    layers: Certificates = (),
    chain: Certificate | None = None,
    files: Iterable[str] = (),
    *,
    unicode: bool = True,
    colours: int = 0,
    width: int = 80,
    style: Style = PLAIN,
) -> str:
    """The summary of a network as text that ends with a newline."""
    page = Page(phrases(style.language), width, unicode=unicode)
    page.title(style.title or derivation.network.title)
    page.section("network.layers")
    page.table(shape_rows(derivation), rails=chain_rails(derivation))
    for node, one in derivation.pairs():
        page.put()
        sheet = Sheet(one, style)
        page.words(_heading(node, derivation, sheet), "", paint="bold")
        _formulas(page, sheet)
    page.section("network.counts")
    page.table(count_rows(derivation))
    page.put()
    page.words(page.say.say("network.connected"), INDENT)
    if chain is not None:
        _proof(page, layers, chain)
    written(page, tuple(files), "network.files")
    return page.text(colours)


def _proof(page: Page, layers: Certificates, chain: Certificate) -> None:
    """The kinds of claims of every layer, and what was checked of the whole."""
    page.section("network.proved")
    broad = max(page.size(name) for name, _ in layers) if layers else 0
    for name, held in layers:
        kinds = ", ".join(claim.kind for claim in held.claims)
        page.words((kinds,), INDENT * 2, first=tick() + f"{name:<{broad}}  ")
    for claim in chain.claims:
        slots: dict[str, Slot] = {name: powers(value) for name, value in claim.checked}
        page.words(page.say.say("network.chain_claim", slots), INDENT * 2, first=tick())


def _heading(node: Node, derivation: NetworkDerivation, sheet: Sheet) -> tuple[Inline, ...]:
    """The layer, and where its upstream gradient comes from."""
    sources = derivation.network.readers(node.name)
    say = sheet.say.say
    named: dict[str, Slot] = {"layer": node.name, "written": node.text, "g": sheet.upstream()}
    if node.is_loss:
        return say("network.heading_loss", named)
    if not sources:
        short = "" if sheet.notation.short else "_plain"
        return say(f"network.heading_last{short}", named)
    told = [f"{name}, ∂L/∂{tensor}" for name, tensor in sources]
    return say("network.heading", named, source=" + ".join(told))


def _formulas(page: Page, sheet: Sheet) -> None:
    for value in (sheet.here or sheet.equation).statements:
        page.formula(value, sheet)
    every_gradient(page, sheet)


def chain_rails(derivation: NetworkDerivation) -> list[str]:
    """What stands in front of the rows of ``shape_rows``: how the layers read each other."""
    network = derivation.network
    rows = {INPUT: 0} | {node.name: k for k, node in enumerate(network.nodes, 1)}
    edges = [
        (rows[source], rows[node.name])
        for node in network.nodes
        for _, source in node.reads
        if source in rows
    ]
    drawn = rails(len(rows), edges)
    return [" " * len(drawn[0]), *drawn]


def shape_rows(derivation: NetworkDerivation) -> list[tuple[str, ...]]:
    """Layer, as written, what it gives, its parameters and how many numbers they are."""
    network, say = derivation.network, phrases().words
    keys = ("layer", "written", "gives", "parameters", "trained")
    rows = [(INPUT, "", _size(network.shape(INPUT)), "", "")]
    for node in network.nodes:
        sizes = [f"{tensor.name} {_size(tensor.sizes())}" for _, tensor in node.parameters]
        count = _count(trained(node)) if node.parameters else ""
        rows.append((node.name, node.text, _size(node.shape), ", ".join(sizes), count))
    return [tuple(say(f"network.{key}") for key in keys), *rows]


def count_rows(derivation: NetworkDerivation) -> list[tuple[str, ...]]:
    """Layer, numbers to train, the same fully connected, multiply-adds, receptive field."""
    network, say = derivation.network, phrases().words
    keys = ("layer", "trained", "full", "multiply_adds", "field", "jump")
    seen = fields(derivation)
    rows = [_counted(node, derivation, seen[node.name]) for node in network.nodes]
    total = (
        say("network.total"),
        _count(network.size),
        "",
        _count(sum(multiply_adds(node) for node in network.nodes)),
        "",
        "",
    )
    return [tuple(say(f"network.{key}") for key in keys), *rows, total]


def _counted(node: Node, derivation: NetworkDerivation, seen: tuple[Field, ...]) -> tuple[str, ...]:
    size = "×".join(str(field.size) for field in seen)
    jumps = "×".join(str(field.jump) for field in seen if field.jump)
    full = "" if node.is_loss else _count(connected(node))
    return (node.name, _count(trained(node)), full, _count(multiply_adds(node)), size, jumps)


def _count(number: int) -> str:
    return grouped(str(number))


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or phrases().words("table.scalar")
