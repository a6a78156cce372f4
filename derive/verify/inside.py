"""One layer inside a network's module, called like a kernel of its own.

Its functions take arrays that are (N, ...) already, and what forward kept; so forward runs first,
and whatever backward asks for by name is handed over.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import numpy as np

from ..derivations import Derivation
from ..equations import Equation
from ..graphs import Node
from .running import Array, Kernel


def inside(node: Node, derivation: Derivation, module: ModuleType) -> Kernel:
    """The functions of one layer of a network, as the kernel that claims are about."""
    equation = derivation.equation
    return Kernel(
        cast(ModuleType, _Layer(node, derivation, module)),
        node.name,
        tuple(t.name for t in equation.tensors),
        tuple((g.of, equation.tensor(g.of).gradient) for g in derivation.gradients),
        equation.loss,
    )


class _Layer:
    """``forward`` and ``backward`` of one layer as every kernel has them."""

    def __init__(self, node: Node, derivation: Derivation, module: ModuleType) -> None:
        self.equation = derivation.equation.at_sizes()
        self.fields = [self.equation.tensor(g.of).gradient for g in derivation.gradients]
        self.ahead = getattr(module, f"_{node.name}_forward")
        self.back = getattr(module, f"_{node.name}_backward")

    def forward(self, *arrays: Array) -> Array:
        given, batch = flat(self.equation, arrays)
        value, *_ = self._forward(given)
        return self._shaped(value, self.equation.output.name, batch)

    def backward(self, *arrays: Array) -> SimpleNamespace:
        output = self.equation.output
        upstream = () if self.equation.loss else (output.gradient,)
        given, batch = flat(self.equation, arrays, upstream)
        value, *kept = self._forward(given)
        asked = _parameters(self.back)
        names = [n for n in asked if n not in given and n != output.name]
        values = {**given, output.name: value, **dict(zip(names, kept, strict=True))}
        found = self.back(*(values[name] for name in asked))
        results = found if len(self.fields) > 1 else (found,)
        named = zip(self.fields, results, strict=True)
        return SimpleNamespace(
            **{field: self._shaped(np.asarray(r), field[1:], batch) for field, r in named}
        )

    def _forward(self, given: Mapping[str, Array]) -> tuple[Any, ...]:
        found = self.ahead(*(given[name] for name in _parameters(self.ahead)))
        return found if isinstance(found, tuple) else (found,)

    def _shaped(self, array: Array, name: str, batch: tuple[int, ...]) -> Array:
        return shaped(self.equation, array, name, batch)


def shaped(equation: Equation, array: Any, name: str, batch: tuple[int, ...]) -> Array:
    """A result with the batch axes that came in; without a name it is the output."""
    name = name or equation.output.name
    lead = batch if _carries(equation, name) else ()
    return np.asarray(array).reshape((*lead, *equation.tensor(name).sizes()))


def _parameters(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def _carries(equation: Equation, name: str) -> bool:
    if name == equation.output.name:
        return len(equation.forward.lhs.axes) > len(equation.output.shape)
    return equation.tensor(name).batched


def flat(
    equation: Equation, arrays: tuple[Array, ...], first: tuple[str, ...] = ()
) -> tuple[dict[str, Array], tuple[int, ...]]:
    """Arrays by name, of one dtype and with one batch axis, and the batch axes they had."""
    names = (*first, *(t.name for t in equation.tensors))
    labels = {t.name for t in equation.tensors if t.integer}
    given = dict(zip(names, map(np.asarray, arrays), strict=True))
    dtype = np.result_type(*(a for n, a in given.items() if n not in labels))
    batch: tuple[int, ...] = ()
    for name, array in given.items():
        own = equation.output.name if name in first else name
        sizes = equation.tensor(own).sizes()
        array = array if name in labels else array.astype(dtype, copy=False)
        if _carries(equation, own):
            batch = array.shape[: array.ndim - len(sizes)]
            array = array.reshape(-1, *sizes)
        given[name] = array
    return given, batch
