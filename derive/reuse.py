"""Which arrays inside a network may be overwritten: those that nobody reads afterwards.

y over x    x comes from one layer and goes to one, and neither's backward pass reads it
dx over dy  dy was made for this layer's backward pass alone
dx over x   x comes from one layer, whose backward pass does not read it, and goes to one
"""

from __future__ import annotations

from collections.abc import Mapping

from .expressions import Reduce, Winner, walk
from .graphs import INPUT, TARGET, Network, Node
from .programs import Program


def spare(network: Network, node: Node, programs: Mapping[str, Program]) -> tuple[str, ...]:
    """The tensors that a layer's functions may write over, given every layer's program.

    Only layers without sums and extrema are asked: another's result has no room in its input.
    """
    statements = node.equation.statements
    if any(isinstance(one, Reduce | Winner) for s in statements for one in walk(s.rhs)):
        return ()
    found = [t.name for t, at in node.reads if _unread(network, node, t.name, at, programs)]
    given = network.loss is None and node is network.nodes[-1]  # its dy is the caller's
    if not given and not network.apart(node) and not node.is_loss:
        found.append(node.equation.output.gradient)
    return tuple(found)


def final(network: Network, node: Node, programs: Mapping[str, Program]) -> tuple[str, ...]:
    """The data that nobody reads after a layer's backward pass."""
    return tuple(
        tensor.name
        for tensor, source in node.reads
        if _own(network, source)
        and network.node(source).equation.output.name not in _read_backward(programs[source])
    )


def _own(network: Network, source: str) -> bool:
    """Whether an array is a layer's output that one layer alone reads."""
    inner = source not in (INPUT, TARGET, network.result)
    return inner and len(network.readers(source)) == 1


def _unread(
    network: Network, node: Node, tensor: str, source: str, programs: Mapping[str, Program]
) -> bool:
    """Whether this layer's forward pass is the only one that reads what a layer gives."""
    if not _own(network, source):
        return False
    output = network.node(source).equation.output.name
    return tensor not in _read_backward(programs[node.name]) and output not in _read_backward(
        programs[source]
    )


def _read_backward(program: Program) -> set[str]:
    """What the functions of the backward pass are given."""
    public = [f for f in program.functions if f.name.startswith("backward")]
    return {name for function in public for name in function.parameters}
