"""The docstring of a network's module: its layers, and how they are computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import wrap

from ..graphs import INPUT, Network, NetworkDerivation, Node
from ..programs import Program
from .kernel import broken, in_bytes
from .python import WIDTH


def docstring(
    derivation: NetworkDerivation, programs: tuple[Program, ...], written: Network, scratch: int
) -> list[str]:
    """Layers with their shapes, how they are computed, and the command."""
    net = derivation.network
    rows = [(n.name, n.text, _size(n.shape), ", ".join(_parameters(n))) for n in net.nodes]
    head = (INPUT, "", _size(net.shape(INPUT)), "")
    table = [head, *rows]
    wide = [max(len(row[k]) for row in table) for k in range(3)]
    out = ["Layers, with the shape that each gives (without the batch) and its parameters:", ""]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, wide, strict=False)]
        out.append(("    " + "  ".join([*cells, row[3]])).rstrip())
    words = (
        f"{net.size} numbers are trained. The gradient of a layer's output is what the layer "
        "behind it returns for its input; where several layers read it, theirs add up. What "
        "backward reads of the forward pass is kept, not computed again."
    )
    out += ["", *wrap(words, WIDTH - 4)]
    if moved := _moved(net, written):
        out += ["", *wrap(moved, WIDTH - 4)]
    out += _strategies(net, programs)
    if scratch:
        kept = (
            f"Scratch (float32) of all layers together is at most {in_bytes(scratch)} a thread, "
            "kept between calls; layers use some of it in turn, none of it grows with the batch."
        )
        out += ["", *wrap(kept, WIDTH - 4)]
    return [*out, "", "Generated and proved by:", "", *broken(net.command, 4)]


def _moved(net: Network, written: Network) -> str:
    """What is computed behind a layer that was written behind it."""
    places = {node.name: k for k, node in enumerate(written.nodes)}
    pairs = [
        (node.name, source)
        for node in net.nodes
        for source in node.inputs
        if places.get(source, -1) > places[node.name]
    ]
    if not pairs:
        return ""
    told = ", ".join(f"{late} behind {early}" for late, early in pairs)
    return (
        f"Computed in another order than written: {told}. A function that never falls gives the "
        "same maximum of fewer entries, and the same gradients."
    )


def _parameters(node: Node) -> list[str]:
    return [f"{t.name} {_size(t.sizes())}" for _, t in node.parameters]


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "()"


def _strategies(network: Network, programs: Iterable[Program]) -> list[str]:
    """Which strategies the layers use; nothing where all is computed tap by tap."""
    named = [node.name for node in network.nodes]
    rows = [
        (name, line)
        for name, program in zip(named, programs, strict=True)
        for line in _lines(program)
    ]
    if not rows:
        return []
    wide = max(map(len, named))
    out = ["", "How layers are computed, from so many samples on (float32, float64):", ""]
    before = ""
    for name, line in rows:
        shown = "" if name == before else name
        out += wrap(
            line,
            WIDTH - 4,
            initial_indent=f"    {shown.ljust(wide)}  ",
            subsequent_indent=" " * (wide + 8),
        )
        before = name
    return out


def _lines(program: Program) -> Iterator[str]:
    """``y: columns, 4 innermost`` for the targets of each direction."""
    directions = dict.fromkeys(choice.direction for choice in program.choices)
    for direction in directions:
        branches = [c for c in program.choices if c.direction == direction and c.least]
        told: dict[str, list[str]] = {}
        for target in dict.fromkeys(t for c in branches for call in c.calls for t in call.targets):
            used = [
                (c.least, call.strategy)
                for c in branches
                for call in c.calls
                if target in call.targets
            ]
            told.setdefault(_ranges(used), []).append(target)
        yield "; ".join(f"{' '.join(targets)}: {ranges}" for ranges, targets in told.items())


def _ranges(used: list[tuple[int, str]]) -> str:
    """``columns, 4 innermost``: a strategy is told where it begins."""
    out = []
    for k, (least, strategy) in enumerate(used):
        if k == 0 or strategy != used[k - 1][1]:
            out.append(f"{least} {strategy}" if k else strategy)
    return ", ".join(out)
