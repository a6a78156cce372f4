"""A network as a graph: layers by name, what each reads, and a derivation for each.

Shapes flow along the edges; :data:`INPUT` and :data:`TARGET` name what comes from outside.
A network whose node reads something that is not computed before it cannot be made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

from .derivations import Derivation
from .equations import Equation, Layer, Tensor
from .geometry import text as size_text

INPUT, TARGET = "x", "t"
"""What a network is given: the sample, and what a loss compares with."""


@dataclass(frozen=True)
class Draft:
    """A layer as it was written, before any size is known.

    ``kind``      the layer's name, ``conv`` say
    ``settings``  its arguments without ``input``
    ``alias``     the name given to it, if any
    ``other``     the layer named as its second input, if any
    ``source``    the layer named as its first input; the one before it if none is
    ``text``      as written; ``line`` and ``column`` say where in the network's text
    """

    kind: str
    text: str
    settings: tuple[tuple[str, object], ...] = ()
    alias: str = ""
    other: str = ""
    source: str = ""
    line: str = ""
    column: int = 0


@dataclass(frozen=True)
class NetworkSpec:
    """A network as it was written: its layers and the shape of x."""

    text: str
    input: tuple[int, ...]
    drafts: tuple[Draft, ...]
    slug: str
    title: str = ""

    @property
    def arguments(self) -> tuple[str, ...]:
        """The command line's words that give this network again."""
        return ("--network", self.text, "--input", size_text(self.input))


@dataclass(frozen=True)
class Node:
    """One layer of a network.

    ``name``    counted per kind: ``conv1``, ``conv2``
    ``layer``   its equation, with sizes
    ``inputs``  what its data tensors are, in order: other nodes, ``x`` or ``t``
    ``text``    as written
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    text: str = ""

    @property
    def equation(self) -> Equation:
        """The layer's equation with numbers for its sizes."""
        return self.layer.equation.at_sizes()

    @property
    def reads(self) -> tuple[tuple[Tensor, str], ...]:
        """The data tensors of the layer and where each comes from."""
        return tuple(zip(self.equation.data, self.inputs, strict=True))

    @property
    def parameters(self) -> tuple[tuple[str, Tensor], ...]:
        """``conv1.w`` and its tensor, for every parameter of the layer."""
        return tuple((f"{self.name}.{t.name}", t) for t in self.equation.parameters)

    @property
    def shape(self) -> tuple[int, ...]:
        """The unbatched shape of the output."""
        return self.equation.output.sizes()

    @property
    def is_loss(self) -> bool:
        """Whether the output is the loss itself, one number for the whole batch."""
        return self.layer.equation.loss


@dataclass(frozen=True)
class Network:
    """Layers in the order of evaluation; a loss, if there is one, is the last."""

    slug: str
    title: str
    text: str
    command: str
    nodes: tuple[Node, ...]
    name: str = field(default="network", init=False)

    def __post_init__(self) -> None:
        known = {INPUT, TARGET}
        for node in self.nodes:
            if missing := [name for name in node.inputs if name not in known]:
                raise ValueError(f"{node.name} reads {missing}, not computed before it")
            if node.name in known:
                raise ValueError(f"{node.name} is there twice")
            known.add(node.name)
        if any(node.is_loss for node in self.nodes[:-1]):
            raise ValueError("only the last layer can be a loss")

    @property
    def loss(self) -> Node | None:
        """The last node, if it is a loss."""
        return self.nodes[-1] if self.nodes[-1].is_loss else None

    @property
    def body(self) -> tuple[Node, ...]:
        """Everything before the loss: what ``forward`` computes."""
        return self.nodes[:-1] if self.loss else self.nodes

    @property
    def result(self) -> str:
        """The node whose output ``forward`` returns; ``x`` if there is nothing but a loss."""
        return self.body[-1].name if self.body else INPUT

    def node(self, name: str) -> Node:
        """The node of that name."""
        return next(node for node in self.nodes if node.name == name)

    def shape(self, name: str) -> tuple[int, ...]:
        """The unbatched shape of a node's output, of x or of t."""
        if name in (INPUT, TARGET):
            return next(t.sizes() for n in self.nodes for t, source in n.reads if source == name)
        return self.node(name).shape

    def readers(self, name: str) -> tuple[tuple[str, str], ...]:
        """(node, its tensor) of everything that reads the output of a node, or x."""
        return tuple((n.name, t.name) for n in self.nodes for t, at in n.reads if at == name)

    def outside(self, name: str) -> bool:
        """Whether no parameter lies on the way from x (or t) to what a node gives."""
        if name in (INPUT, TARGET):
            return True
        node = self.node(name)
        return not node.parameters and all(map(self.outside, node.inputs))

    def apart(self, node: Node) -> tuple[str, ...]:
        """The data tensors of a layer with parameters whose gradients only lead to x."""
        sources = [(tensor, source) for tensor, source in node.reads if source != TARGET]
        if not node.parameters or not all(self.outside(source) for _, source in sources):
            return ()
        return tuple(tensor.name for tensor, _ in sources)

    @property
    def parameters(self) -> tuple[tuple[str, Tensor], ...]:
        """Every parameter by its full name, in order."""
        return tuple(named for node in self.nodes for named in node.parameters)

    @property
    def size(self) -> int:
        """How many numbers can be trained."""
        return sum(prod(tensor.sizes()) for _, tensor in self.parameters)


@dataclass(frozen=True)
class NetworkDerivation:
    """A network and the derivation of each of its layers, in the order of its nodes.

    The chain rule over layers is nothing but this: ∂L/∂y of a layer is ∂L/∂x of the one behind
    it, and where several layers read the same output, their gradients add up.
    """

    network: Network
    derivations: tuple[Derivation, ...]

    def __post_init__(self) -> None:
        if len(self.derivations) != len(self.network.nodes):
            raise ValueError("every layer of a network needs one derivation")

    @property
    def layer(self) -> Network:
        """What was derived."""
        return self.network

    def pairs(self) -> Iterator[tuple[Node, Derivation]]:
        """Each node with its derivation."""
        return zip(self.network.nodes, self.derivations, strict=True)

    def of(self, name: str) -> Derivation:
        """The derivation of one node; a KeyError names the nodes there are."""
        for node, derivation in self.pairs():
            if node.name == name:
                return derivation
        known = ", ".join(node.name for node in self.network.nodes)
        raise KeyError(f"no layer {name}; there are {known}")
