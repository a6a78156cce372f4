"""The notes of a network: the chain rule over its layers, one step in numbers, then each layer.

Layer k computes x_k; the outputs of layers are numbered in the order of evaluation, and x_0 is
the sample. What each layer adds to a gradient is one factor, the derivative of what it
computes by what it reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ...certificates import Certificate
from ...documents import (
    Block,
    Display,
    Document,
    Explorer,
    Fraction,
    Grid,
    Heading,
    Inline,
    Listing,
    Math,
    Numeral,
    Operator,
    Paragraph,
    Row,
    Scripts,
    Symbol,
    Table,
)
from ...graphs import INPUT, TARGET, Network, NetworkDerivation, Node
from ...specs import PLAIN, Style
from ...trials import Trial
from ..mathematics.notation import DEL, EQUALS, PLUS
from ..phrases import Phrases, Slot, phrases
from ..terminal.overview import count_rows
from .counts import connected, multiply_adds, trained
from .deltas import delta_blocks
from .figures.network import network_figure
from .grids import turned
from .layer import notes, resized
from .passes import pass_blocks
from .scene import named
from .sheet import Sheet
from .values import in_words

Certificates = Sequence[tuple[str, Certificate]]

DOT = Operator("·")


def chapters(
    derivation: NetworkDerivation,
    certificates: Certificates,
    chain: Certificate,
    trial: Trial | None = None,
    style: Style = PLAIN,
) -> Document:
    """The notes as a document."""
    network, say = derivation.network, phrases(style.language)
    blocks: list[Block] = [Listing(network.command, "sh")]
    blocks += _chain(network, say)
    blocks += delta_blocks(derivation, style, lambda name: _value(name, network), say)
    blocks += _counts(derivation, say)
    if trial is not None:
        blocks += _step(trial, derivation, style, say)
    blocks += _proof(chain, say)
    blocks += _shared(derivation, style, say)
    proved = dict(certificates)
    told: dict[str, str] = {}
    for node, one in derivation.pairs():
        slots: dict[str, Slot] = {"layer": node.name, "written": node.text}
        blocks.append(Heading(1, say.say("chain.layer", slots)))
        first = told.setdefault(one.equation.text, node.name)
        if first != node.name:  # the same equation at other sizes: only what differs
            blocks.append(Paragraph(say.say("chain.again", first=first)))
        plain, held = replace(style, title=""), proved[node.name]
        if first == node.name or style.full:
            part = notes(one, held, style=plain, chapter=True)
        else:
            part = resized(one, held, plain)
        blocks += [_lower(value, node.name) for value in part.blocks]
    return Document(style.title or network.title, tuple(blocks))


def _lower(block: Block, layer: str) -> Block:
    """A section of a layer's notes is a subsection here, its scene one of several."""
    if isinstance(block, Explorer):
        return Explorer(named(block.scene, layer))
    return replace(block, level=block.level + 1) if isinstance(block, Heading) else block


def _shared(derivation: NetworkDerivation, style: Style, say: Phrases) -> list[Block]:
    """What holds in the sections of all layers, said once before the first."""
    sheets = [Sheet(one, style) for _, one in derivation.pairs()]
    letters = [sheet for sheet in sheets if not sheet.equation.loss]
    out: list[Block] = [Heading(1, say.say("chain.layers"))]
    if letters:
        key = "shared" if letters[0].notation.short else "shared_plain"
        slots: dict[str, Slot] = {"g": letters[0].upstream(), "upstream": letters[0].loss()}
        out.append(Paragraph(say.say(f"chain.{key}", slots)))
    kept = [node.name for node, one in derivation.pairs() if not Sheet(one, style).batch]
    told = list(say.say("setting.batch"))
    if kept:
        batch = next(s.equation.batch for s in sheets if not s.batch)
        but: dict[str, Slot] = {"layers": ", ".join(kept), "batch": Symbol(batch)}
        told += [" ", *say.say("chain.batch_but", but)]
    out.append(Paragraph(tuple(told)))
    if any(s.taps and s.taps.tensor and not turned(s) for s in sheets):
        out.append(Paragraph(say.say("chain.correlation")))
    if style.index_base:
        out.append(Paragraph(say.say("setting.base", base=style.index_base)))
    if sources := _sources(sheet.derivation.layer.source for sheet in sheets):
        out.append(Paragraph(say.say("chain.sources", sources=sources)))
    return out


def _sources(found: Iterable[str]) -> str:
    """Every book once, with all its places: ``A, B (2016), eq. 9.6, section 9.2; C``."""
    books: dict[str, list[str]] = {}
    for source in dict.fromkeys(filter(None, found)):
        book, year, place = source.partition("), ")
        books.setdefault(book + year.removesuffix(", "), []).append(place)
    return "; ".join(", ".join(filter(None, (book, *places))) for book, places in books.items())


# -- the chain rule --------------------------------------------------------------------------
def _chain(network: Network, say: Phrases) -> list[Block]:
    table = tuple(_row(node, network) for node in network.nodes)
    head = tuple(say.say(f"chain.{key}") for key in ("computes", "as", "reads", "shape", "factor"))
    out: list[Block] = [
        Heading(1, say.say("chain.heading")),
        Paragraph(say.say("chain.intro", sample=_value(INPUT, network))),
        Table(head, table),
        Paragraph(say.say("chain.rule")),
    ]
    drawn = network_figure(network, say, lambda name: _value(name, network), _by)
    out[3:3] = [drawn] if drawn is not None else []
    if rows := tuple(_arriving(name, network) for name in _names(network)):
        out.append(Display(rows, name="chain"))
    if products := [_product(node, network) for node in network.nodes if node.parameters]:
        straight = all(len(network.readers(name)) < 2 for name in _names(network))
        out.append(Paragraph(say.say("chain.products" if straight else "chain.branches")))
        out.append(Display(tuple(products), name="products"))
    return out


def _row(node: Node, network: Network) -> tuple[tuple[Inline, ...], ...]:
    read = [source for _, source in node.reads]
    factors = [_by(_value(node.name, network), _value(s, network)) for s in read if s != TARGET]
    size = "×".join(map(str, node.shape)) or "1"
    return (
        (_value(node.name, network),),
        (node.text,),
        _listed([_value(source, network) for source in read]),
        (size,),
        _listed(factors),
    )


def _listed(items: Sequence[Math]) -> tuple[Inline, ...]:
    out: list[Inline] = []
    for item in items:
        out += [", ", item] if out else [item]
    return tuple(out)


def _value(name: str, network: Network) -> Math:
    """``x_2``: the output of a node; L for a loss."""
    if name == TARGET:
        return Symbol(TARGET)
    if network.loss is not None and name == network.loss.name:
        return Symbol("L")
    number = 0 if name == INPUT else 1 + [node.name for node in network.nodes].index(name)
    return Scripts(Symbol("x"), Numeral(str(number)))


def _by(top: Math, bottom: Math) -> Math:
    return Fraction(Row((DEL, top)), Row((DEL, bottom)))


def _names(network: Network) -> list[str]:
    """The nodes whose gradient comes from others, the last first, then x; not what L reads."""
    loss = network.loss.name if network.loss else ""
    inner = [node.name for node in reversed(network.nodes) if network.readers(node.name)]
    names = [*inner, INPUT]
    return [n for n in names if {reader for reader, _ in network.readers(n)} != {loss}]


def _arriving(name: str, network: Network) -> tuple[Math, tuple[Math, ...]]:
    """∂L/∂x_k = ∂L/∂x_j · ∂x_j/∂x_k, added up over all layers j that read x_k."""
    here = _value(name, network)
    pieces: list[Math] = []
    for reader in dict.fromkeys(reader for reader, _ in network.readers(name)):
        value = _value(reader, network)
        slope = _by(value, here)
        one = slope if value == Symbol("L") else Row((_by(Symbol("L"), value), DOT, slope))
        pieces.append(Row((PLUS if pieces else EQUALS, one)))
    return _by(Symbol("L"), here), tuple(pieces)


def _product(node: Node, network: Network) -> tuple[Math, tuple[Math, ...]]:
    """∂L/∂w_k as the product of one factor a layer, from the loss back to the parameter."""
    parameter = _parameter(node.parameters[0][0], network)
    factors = [_by(_value(node.name, network), parameter)]
    name = node.name
    while len(readers := network.readers(name)) == 1:
        factors.insert(0, _by(_value(readers[0][0], network), _value(name, network)))
        name = readers[0][0]
    if _value(name, network) != Symbol("L"):
        factors.insert(0, _by(Symbol("L"), _value(name, network)))
    pieces = [Row((DOT if k else EQUALS, factor)) for k, factor in enumerate(factors)]
    return _by(Symbol("L"), parameter), tuple(pieces)


def _parameter(name: str, network: Network) -> Math:
    """``w_3`` for the w of the third layer."""
    node, _, tensor = name.partition(".")
    number = 1 + [n.name for n in network.nodes].index(node)
    return Scripts(Symbol(tensor), Numeral(str(number)))


# -- numbers ---------------------------------------------------------------------------------
def _counts(derivation: NetworkDerivation, say: Phrases) -> list[Block]:
    """Parameters, multiply-adds and receptive fields, and what sharing weights saves."""
    head, *rows = [tuple((cell,) for cell in row) for row in count_rows(derivation)]
    out: list[Block] = [Heading(1, say.say("network.counts")), Table(head, tuple(rows))]
    out.append(Paragraph(say.say("network.connected")))
    network = derivation.network
    most = max(network.nodes, key=lambda node: connected(node) if trained(node) else 0)
    if trained(most) and multiply_adds(most):
        slots: dict[str, Slot] = {
            "layer": most.name,
            "trained": trained(most),
            "full": connected(most),
        }
        out.append(Paragraph(say.say("chain.sharing", slots)))
    return out


def _step(trial: Trial, derivation: NetworkDerivation, style: Style, say: Phrases) -> list[Block]:
    """θ ← θ − η·∂L/∂θ, once."""
    network = derivation.network
    rule = Row((Symbol("eta"), DOT, _by(Symbol("L"), Symbol("theta"))))
    arrow, minus = Operator("←"), Operator("−")
    slots: dict[str, Slot] = {"rate": f"{trial.rate:g}", "eta": Symbol("eta")}
    out: list[Block] = [Heading(1, say.say("chain.step"))]
    given = tuple(
        (letter, (Row((EQUALS, _grid(value))),))
        for letter, value in (
            *((_value(name, network), value) for name, value in trial.given),
            *((_parameter(name, network), value) for name, value in trial.before),
        )
    )
    out += [Paragraph(say.say("chain.given")), Display(given)]
    out += pass_blocks(trial, derivation, style, lambda name: _value(name, network), say)
    step = (Symbol("theta"), (Row((arrow, Symbol("theta"))), Row((minus, rule))))
    out += [Paragraph(say.say("chain.update", slots)), Display((step,))]
    rows = []
    for name, before in trial.before:
        gradient, after = dict(trial.gradients)[name], dict(trial.after)[name]
        moved = Row((minus, Numeral(f"{trial.rate:g}"), DOT, _grid(gradient)))
        pieces = (Row((arrow, _grid(before))), moved, Row((EQUALS, _grid(after))))
        rows.append((_parameter(name, network), pieces))
    out.append(Display(tuple(rows), name="step"))
    first, second = (f"{loss:.4g}" for loss in trial.losses)
    out.append(Paragraph(say.say("chain.losses", {"before": first, "after": second})))
    return out


def _grid(value: Any) -> Math:
    """A number, a row or a matrix, to four digits."""
    rows = [value.ravel()] if value.ndim < 2 else value.reshape(-1, value.shape[-1])
    if value.size == 1:
        return _number(value.ravel()[0])
    return Grid(tuple(tuple(_number(entry) for entry in row) for row in rows))


def _number(value: Any) -> Math:
    text = Numeral(f"{abs(float(value)):.4g}")
    return Row((Operator("−"), text)) if float(value) < 0 else text


def _proof(chain: Certificate, say: Phrases) -> list[Block]:
    out: list[Block] = [Heading(1, say.say("chain.proof"))]
    for claim in chain.claims:
        slots: dict[str, Slot] = {name: in_words(value) for name, value in claim.checked}
        out.append(Paragraph(say.say("network.chain_claim", slots)))
    out.append(Paragraph(say.say("chain.proof_layers")))
    return out
