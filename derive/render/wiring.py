"""How the layers of a network call each other: the lines of forward, loss and gradients.

Forward, every node is a variable of its own name. Backward, ``d_conv1`` is ∂L/∂(the output of
conv1): what the layer behind it returns for its input, or the sum of that over all layers
that read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..graphs import INPUT, TARGET, NetworkDerivation, Node
from ..programs import Function, Program, Return, Tuple
from .python import WIDTH


@dataclass(frozen=True)
class Wiring:
    """A network's derivations with the programs of its layers."""

    derivation: NetworkDerivation
    programs: tuple[Program, ...]

    # -- forward --------------------------------------------------------------------------
    def forward(self, nodes: Sequence[Node], *, keep: bool) -> list[str]:
        """``relu1 = _relu1_forward(conv1)`` for each node."""
        lines = []
        for node in nodes:
            function = self._program(node).functions[0]
            targets = [node.name]
            if handed := _results(function)[1:]:
                targets += [f"{node.name}_{n}" if keep else "_" for n in handed]
            given = [
                f"keep={keep}" if name == "keep" else self._value(node, name)
                for name in function.parameters
            ]
            lines.append(_call(", ".join(targets), f"_{node.name}_forward", given))
        return lines

    def _value(self, node: Node, tensor: str) -> str:
        """The expression for a tensor of a layer where layers are called."""
        if tensor == node.equation.output.name:
            return node.name
        if tensor == node.equation.output.gradient:
            return f"d_{node.name}"
        for data, source in node.reads:
            if data.name == tensor:
                return source + self._reshaped(source, data.sizes())
        if any(t.name == tensor for t in node.equation.parameters):
            return f'arrays["{node.name}.{tensor}"]'
        return f"{node.name}_{tensor}"

    def _reshaped(self, source: str, wanted: tuple[int, ...]) -> str:
        """Axes of length 1 come and go between layers."""
        if self.derivation.network.shape(source) == wanted:
            return ""
        return f".reshape({', '.join(str(n) for n in (-1, *wanted))})"

    # -- backward -------------------------------------------------------------------------
    def backward(self) -> tuple[list[str], list[str]]:
        """Each layer's backward, the last first; gradients that meet are added up.

        What only leads to x stands at the end, under a condition.
        """
        lines: list[str] = []
        last: list[str] = []
        network = self.derivation.network
        for node, derivation in reversed(list(self.derivation.pairs())):
            into = last if network.outside(node.name) else lines
            parts = self._arriving(node.name)
            if len(parts) > 1:
                into.append(f"d_{node.name} = {' + '.join(parts)}")
            wanted, apart = [g.of for g in derivation.gradients], network.apart(node)
            groups = [([n for n in wanted if n not in apart], into), (list(apart), last)]
            functions = [f for f in self._program(node).functions if f.name[0] != "_"][1:]
            for (tensors, to), function in zip([g for g in groups if g[0]], functions, strict=True):
                targets = [self._target(node, name) for name in tensors]
                given = [self._value(node, name) for name in function.parameters]
                to.append(_call(", ".join(targets), f"_{node.name}_{function.name}", given))
                to += self._back_in_shape(node, tensors)
        if len(parts := self._arriving(INPUT)) > 1:
            last.append(f"d_{INPUT} = {' + '.join(parts)}")
        return lines, last

    def _target(self, node: Node, tensor: str) -> str:
        """The variable for ∂L/∂(a tensor of a layer)."""
        for data, source in node.reads:
            if data.name == tensor:
                return self._edge(source, node.name, tensor)
        return f"d_{node.name}_{tensor}"

    def _edge(self, source: str, reader: str, tensor: str) -> str:
        if len(self.derivation.network.readers(source)) == 1:
            return f"d_{source}"
        return f"d_{source}_by_{reader}_{tensor}"

    def _arriving(self, source: str) -> list[str]:
        return [self._edge(source, *edge) for edge in self.derivation.network.readers(source)]

    def _back_in_shape(self, node: Node, wanted: Sequence[str]) -> Iterator[str]:
        for data, source in node.reads:
            shape = self.derivation.network.shape(source)
            if data.name in wanted and source != TARGET and shape != data.sizes():
                name = self._target(node, data.name)
                sizes = ", ".join(str(n) for n in (-1, *shape))
                yield f"{name} = {name}.reshape({sizes})"

    def _program(self, node: Node) -> Program:
        return self.programs[self.derivation.network.nodes.index(node)]


def _results(function: Function) -> list[str]:
    """The names of what a function returns."""
    last = function.body[-1]
    assert isinstance(last, Return)  # every function returns
    items = last.value.items if isinstance(last.value, Tuple) else (last.value,)
    return [getattr(item, "id", "") for item in items]


def _call(target: str, function: str, arguments: Sequence[str]) -> str:
    line = f"{target} = {function}({', '.join(arguments)})"
    if len(line) + 4 <= WIDTH:
        return line
    inner = f"        {', '.join(arguments)}"
    if len(inner) <= WIDTH:
        return f"{target} = {function}(\n{inner}\n    )"
    listed = "".join(f"        {argument},\n" for argument in arguments)
    return f"{target} = {function}(\n{listed}    )"
