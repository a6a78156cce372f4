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
    """``forward`` and ``backward`` of one layer as every kernel has them.

    Gradients may come from two functions, one of them for the data alone. Arrays are handed over
    as copies: inside a network they are intermediate ones, which a layer may overwrite.
    """

    def __init__(self, node: Node, derivation: Derivation, module: ModuleType) -> None:
        self.equation = derivation.equation.at_sizes()
        self.ahead = getattr(module, f"_{node.name}_forward")
        wanted = [g.of for g in derivation.gradients]
        data = [name for name in wanted if self.equation.tensor(name).batched]
        apart = getattr(module, "_".join((f"_{node.name}_backward", *data)), None)
        groups = [[n for n in wanted if n not in data], data] if apart else [wanted]
        functions = [getattr(module, f"_{node.name}_backward"), apart]
        self.back = [
            (function, [self.equation.tensor(name).gradient for name in group])
            for function, group in zip(functions, groups, strict=False)
        ]

    def forward(self, *arrays: Array) -> Array:
        given, batch = flat(self.equation, arrays)
        value, *_ = self._forward(given)
        return self._shaped(value, self.equation.output.name, batch)

    def backward(self, *arrays: Array) -> SimpleNamespace:
        output = self.equation.output
        upstream = () if self.equation.loss else (output.gradient,)
        given, batch = flat(self.equation, arrays, upstream)
        value, *kept = self._forward(given)
        asked = {name for function, _ in self.back for name in _parameters(function)}
        names = [s.lhs.tensor for s in self.equation.given if s.lhs.tensor in asked]
        names += sorted(asked - {*given, *names, output.name})
        values = {**given, output.name: value, **dict(zip(names, kept, strict=True))}
        made: dict[str, Array] = {}
        for function, fields in self.back:
            found = function(*(copied(values[name]) for name in _parameters(function)))
            results = found if len(fields) > 1 else (found,)
            made |= {
                field: self._shaped(np.asarray(r), field[1:], batch)
                for field, r in zip(fields, results, strict=True)
            }
        return SimpleNamespace(**made)

    def _forward(self, given: Mapping[str, Array]) -> tuple[Any, ...]:
        every = {**given, "keep": True}
        found = self.ahead(*(copied(every[name]) for name in _parameters(self.ahead)))
        return found if isinstance(found, tuple) else (found,)

    def _shaped(self, array: Array, name: str, batch: tuple[int, ...]) -> Array:
        return shaped(self.equation, array, name, batch)


def copied(value: Any) -> Any:
    """An array of its own."""
    return np.array(value) if isinstance(value, np.ndarray) else value


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
