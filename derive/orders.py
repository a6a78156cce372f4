"""Which arrays between the layers of a network have their samples innermost in memory.

Such an array keeps its shape (N, ...): only its last axis in memory is that of the samples. A
layer's function may give and take it so (:class:`derive.programs.Call`), one of the entries alone
passes on what it was given; every other layer gives arrays in the usual order. The answers are
numbers of samples: from so many on.
"""

from __future__ import annotations

from collections.abc import Mapping

from .equations import Equation
from .expressions import Reduce, Winner, reads, walk
from .graphs import INPUT, TARGET, Network, Node
from .programs import Program

__all__ = ["innermost", "results"]

Orders = Mapping[str, int]
"""Array → from how many samples on they lie innermost; without those that never do."""


def innermost(network: Network, node: Node, programs: Mapping[str, Program]) -> Orders:
    """The arrays that a layer is given so, as far as programs are known."""
    found = {t.name: _forward(network, at, programs) for t, at in node.reads}
    output = node.equation.output
    if node.name in programs:
        found[output.name] = _forward(network, node.name, programs)
    if not node.is_loss:
        found[output.gradient] = _backward(network, node.name, programs)
    return {name: least for name, least in found.items() if least}


def results(network: Network, programs: Mapping[str, Program]) -> tuple[bool, bool]:
    """Whether ``forward``'s result, and the gradient of x, may lie so."""
    ahead = _forward(network, network.result, programs)
    return bool(ahead), bool(_backward(network, INPUT, programs))


def _forward(network: Network, name: str, programs: Mapping[str, Program]) -> int:
    """What a layer gives; 0 if it never lies so."""
    if name in (INPUT, TARGET) or name not in programs:
        return 0
    node = network.node(name)
    if _entrywise(node.equation):
        given = [_forward(network, at, programs) for at in node.inputs]
        return max(given) if all(given) else 0
    return _from(programs[name], node.equation.output.name)


def _backward(network: Network, name: str, programs: Mapping[str, Program]) -> int:
    """The gradient of what a layer gives: that of the only layer that reads it."""
    readers = network.readers(name)
    if len(readers) != 1 or readers[0][0] not in programs:
        return 0
    node, tensor = network.node(readers[0][0]), readers[0][1]
    if _entrywise(node.equation) and not node.is_loss:
        return _backward(network, node.name, programs)
    return _from(programs[node.name], node.equation.tensor(tensor).gradient)


def _from(program: Program, target: str) -> int:
    """The batch from which on all branches give a target so."""
    calls = [
        (choice.least, call.innermost)
        for choice in program.choices
        for call in choice.calls
        if choice.least and target in call.targets
    ]
    least = 0
    for batch, so in sorted(calls, reverse=True):
        if not so:
            break
        least = batch
    return least


def _entrywise(equation: Equation) -> bool:
    """Whether every entry is made of the same entries of other arrays."""
    statement = equation.forward
    if equation.given or any(isinstance(e, Reduce | Winner) for e in walk(statement.rhs)):
        return False
    return all(read.axes == statement.lhs.axes for read in reads(statement.rhs))
