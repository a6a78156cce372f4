"""The order in which a network's kernel computes: maxima before what never falls.

    max(f(x₁), f(x₂), …) = f(max(x₁, x₂, …))    where f never falls (:mod:`derive.monotone`)

So a layer like relu in front of a max pool is computed behind it, on as many entries as the pool
gives, with the same result and the same gradients. The notes keep the order that was written.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from .affine import Affine
from .equations import ZERO_OUTSIDE, Equation, Layer
from .expressions import Read, Reduce, reads
from .graphs import Network, Node
from .monotone import rises

__all__ = ["arranged"]


def arranged(network: Network) -> Network:
    """The network as its kernel computes it; the very same if nothing is gained."""
    for k, node in enumerate(network.nodes):
        if (pool := _behind(network, node)) is not None:
            return arranged(replace(network, nodes=_exchanged(network, k, pool)))
    return network


def _behind(network: Network, node: Node) -> Node | None:
    """The maximum that alone reads a layer of one never falling function, if it makes less."""
    readers = network.readers(node.name)
    if len(readers) != 1 or node.name == network.result or not _function(node.equation):
        return None
    pool = network.node(readers[0][0])
    read = pool.equation.data[0].sizes() if len(pool.inputs) == 1 else ()
    fits = read == node.shape and node.equation.data[0].sizes() == node.shape
    less = len(pool.shape) == len(node.shape) and prod(pool.shape) < prod(node.shape)
    return pool if fits and less and _maximum(pool.equation) else None


def _function(equation: Equation) -> bool:
    """y[i] = f(x[i]), where f never falls."""
    statement, (tensor, *others) = equation.forward, equation.tensors
    same = {read.axes for read in reads(statement.rhs)} == {statement.lhs.axes}
    plain = not (equation.given or others or tensor.integer)
    plain = plain and all(len(axis) == 1 for axis in statement.lhs.axes)
    return plain and same and rises(statement.rhs)


def _maximum(equation: Equation) -> bool:
    """y[i] = max[u](x[...]), or min, where reads outside of x do not count."""
    match equation.forward.rhs:
        case Reduce("max" | "min", _, Read()):
            counts = [t for t in equation.tensors if t.outside == ZERO_OUTSIDE]
            return not (equation.given or counts)
    return False


def _exchanged(network: Network, first: int, pool: Node) -> tuple[Node, ...]:
    """All nodes with the pool before the function; who read the pool reads the function."""
    node = network.nodes[first]
    behind = replace(node, layer=_resized(node.layer, pool.shape), inputs=(pool.name,))
    out = []
    for other in network.nodes:
        if other.name == pool.name:
            out += [replace(pool, inputs=node.inputs), behind]
        elif other.name != node.name:
            inputs = [node.name if name == pool.name else name for name in other.inputs]
            out.append(replace(other, inputs=tuple(inputs)))
    return tuple(out)


def _resized(layer: Layer, shape: tuple[int, ...]) -> Layer:
    """A layer of one function of every entry, at other sizes."""
    equation = layer.equation.at_sizes()
    sizes = tuple(map(Affine.of, shape))
    letters = equation.output_indices[1:]
    made = replace(
        equation,
        tensors=tuple(replace(tensor, shape=sizes) for tensor in equation.tensors),
        output=replace(equation.output, shape=sizes),
        extents=(equation.extents[0], *zip(letters, sizes, strict=True)),
        values=(),
    )
    return replace(layer, equations=(made,))
