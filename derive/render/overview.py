"""What the command line prints about a network: shapes, what each layer adds, counts, proof."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from ..certificates import Certificate
from ..derivations import Derivation
from ..graphs import INPUT, NetworkDerivation, Node
from .counts import connected, multiply_adds, trained
from .phrases import Slot, phrases
from .reach import Field, fields
from .sheet import Sheet
from .summary import Page, styled
from .text import ascii_only, inline

Certificates = Sequence[tuple[str, Certificate]]

_BOLD, _DIM = "\033[1m", "\033[2m"


def overview(
    derivation: NetworkDerivation,
    layers: Certificates = (),
    chain: Certificate | None = None,
    files: Iterable[str] = (),
    *,
    unicode: bool = True,
    colour: bool = False,
    width: int = 80,
) -> str:
    """The summary of a network as text that ends with a newline."""
    network, say = derivation.network, phrases().words
    lines: list[tuple[str, str]] = [(_BOLD, network.title), (_DIM, "─" * len(network.title))]
    lines += _section("layers", _table(shape_rows(derivation)))
    for node, one in derivation.pairs():
        lines += [("", ""), (_BOLD, _heading(node, derivation)), *_formulas(one, width)]
    lines += _section("counts", _table(count_rows(derivation)))
    lines += [("", ""), *_wrapped(say("network.connected"), width)]
    if chain is not None:
        lines += _section("proved", _table(_proof_rows(layers)))
        for claim in chain.claims:
            slots: dict[str, Slot] = dict(claim.checked)
            lines += [("", ""), *_wrapped(say("network.chain_claim", slots), width)]
    if listed := list(files):
        lines += _section("files", listed)
    text = "\n".join(styled(lines) if colour else (line for _, line in lines)) + "\n"
    return text if unicode else ascii_only(text)


def _heading(node: Node, derivation: NetworkDerivation) -> str:
    """The layer, and where its upstream gradient comes from."""
    sources = derivation.network.readers(node.name)
    say, named = phrases().words, {"layer": node.name, "written": node.text}
    if node.is_loss:
        return say("network.heading_loss", named)
    if not sources:
        return say("network.heading_last", named)
    told = [f"{name}, ∂L/∂{tensor}" for name, tensor in sources]
    return say("network.heading", named, source=" + ".join(told))


def _formulas(derivation: Derivation, width: int) -> list[tuple[str, str]]:
    page = Page(Sheet(derivation), width)
    sheet = page.sheet
    for value in (sheet.here or sheet.equation).statements:
        page.formula(value)
    for gradient in (*page.needed(), *derivation.gradients):
        page.both(sheet.at_sizes(gradient) or gradient)
        page.form(gradient)
    return page.lines


def shape_rows(derivation: NetworkDerivation) -> list[tuple[str, ...]]:
    """Layer, as written, what it gives, its parameters."""
    network, say = derivation.network, phrases().words
    head = tuple(say(f"network.{key}") for key in ("layer", "written", "gives", "parameters"))
    rows = [(INPUT, "", _size(network.shape(INPUT)), "")]
    for node in network.nodes:
        sizes = [f"{tensor.name} {_size(tensor.sizes())}" for _, tensor in node.parameters]
        rows.append((node.name, node.text, _size(node.shape), ", ".join(sizes)))
    return [head, *rows]


def count_rows(derivation: NetworkDerivation) -> list[tuple[str, ...]]:
    """Layer, numbers to train, the same fully connected, multiply-adds, receptive field."""
    network, say = derivation.network, phrases().words
    keys = ("layer", "trained", "full", "multiply_adds", "field", "jump")
    seen = fields(derivation)
    rows = [_counted(node, derivation, seen[node.name]) for node in network.nodes]
    total = (
        say("network.total"),
        str(network.size),
        "",
        str(sum(multiply_adds(node) for node in network.nodes)),
        "",
        "",
    )
    return [tuple(say(f"network.{key}") for key in keys), *rows, total]


def _counted(node: Node, derivation: NetworkDerivation, seen: tuple[Field, ...]) -> tuple[str, ...]:
    size = "x".join(str(field.size) for field in seen)
    jumps = "x".join(str(field.jump) for field in seen if field.jump)
    full = "" if node.is_loss else str(connected(node))
    return (node.name, str(trained(node)), full, str(multiply_adds(node)), size, jumps)


def _proof_rows(layers: Certificates) -> list[tuple[str, ...]]:
    return [(name, ", ".join(claim.kind for claim in held.claims)) for name, held in layers]


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or phrases().words("table.scalar")


def _section(key: str, rows: list[str]) -> list[tuple[str, str]]:
    title = inline(phrases().say(f"network.{key}"))
    return [("", ""), (_BOLD, title), *(("", f"  {row}") for row in rows)]


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    wide = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, wide, strict=True)).rstrip()
        for row in rows
    ]


def _wrapped(text: str, width: int) -> list[tuple[str, str]]:
    return [("", f"  {line}") for line in textwrap.wrap(text, width - 2)]
