"""What a layer costs and how it connects: counts, receptive field, sharing, as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from ...documents import Block, Heading, Inline, Paragraph, Symbol
from ...equations import Equation
from ...expressions import reads
from ...graphs import INPUT, TARGET, Node
from ..phrases import Slot
from .counts import connected, multiply_adds, trained
from .depends import depends
from .reach import Field, windows
from .sheet import Sheet


def fact_blocks(sheet: Sheet) -> list[Block]:
    """The facts as a section; nothing where there are none."""
    found = [Paragraph(sentence) for sentence in facts(sheet)]
    return [Heading(1, sheet.say.say("headings.facts")), *found] if found else []


def facts(sheet: Sheet) -> Iterator[tuple[Inline, ...]]:
    """Numbers to train, multiply-adds, receptive field, connections; none of unknown sizes."""
    if sheet.here is None:
        return
    say, node, seen = sheet.say.say, _node(sheet), windows(sheet.derivation)
    if number := trained(node):
        slots: dict[str, Slot] = {"trained": number, "full": connected(node)}
        yield say("facts.trained_loss" if node.is_loss else "facts.trained", slots)
    elif not node.is_loss:
        yield say("facts.untrained")
    if number := multiply_adds(node):
        yield say("facts.multiply_adds", number=number)
    if sheet.here.data:
        tensors = {"tensor": Symbol(sheet.here.data[0].name)}
        tensors["output"] = Symbol(sheet.here.output.name)
        if seen:
            sizes = "×".join(str(field.size) for field in seen)
            jumps = "×".join(str(field.jump) for field in seen if field.jump)
            yield say("facts.field", tensors, size=sizes, jump=jumps)
        elif (count := depends(sheet.here, sheet.here.data[0].name)) is not None:
            total = prod(sheet.here.data[0].sizes())
            every = "all" if count == total else "one" if count == 1 else "some"
            every = "only" if total == 1 else every
            yield say(f"facts.depends_{every}", tensors, count=count, total=total)
        if key := _connections(node, seen):
            yield say(f"facts.{key}", tensors)


def _node(sheet: Sheet) -> Node:
    """The layer as the only one of a network; what a loss compares with is no input."""
    layer = sheet.derivation.layer
    first, *others = layer.equation.data or (None,)
    rest = TARGET if layer.equation.loss else INPUT
    return Node(layer.name, layer, ((INPUT,) if first else ()) + (rest,) * len(others))


def _connections(node: Node, seen: tuple[Field, ...]) -> str:
    """Local, shared, both, or everything with everything; empty where none is to be said."""
    shapes = node.equation.data[0].sizes()
    local = any(field.jump and field.size < shapes[field.axis] for field in seen)
    shared = _shares(node.equation)
    if local or shared:
        return "local_shared" if local and shared else "local" if local else "shared"
    weights = [prod(tensor.sizes()) for _, tensor in node.parameters]
    return "full" if not node.is_loss and connected(node) in weights else ""


def _shares(equation: Equation) -> bool:
    """Whether the same entry of a parameter is read for several entries of what is computed."""
    for value in equation.statements:
        own = [n for n in value.lhs.names if n != equation.batch]
        for parameter in equation.parameters:
            for read in reads(value.rhs, parameter.name):
                if any((equation.extent(n).number or 1) > 1 for n in own if n not in read.names):
                    return True
    return False
