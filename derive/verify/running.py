"""Running the generated text, and saying where it is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..derivations import Derivation
from ..equations import Equation, Tensor
from ..errors import Disproved

Array = NDArray[Any]


@dataclass(frozen=True)
class Kernel:
    """A generated module in memory, called with tensors by name."""

    module: ModuleType
    layer: str
    names: tuple[str, ...]
    gradients: tuple[tuple[str, str], ...]  # (tensor, its field)

    def forward(self, arrays: Mapping[str, Array]) -> Array:
        """``y``."""
        return np.asarray(self.module.forward(*(arrays[n] for n in self.names)))

    def backward(self, dy: Array, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Tensor → gradient."""
        found = self.module.backward(dy, *(arrays[n] for n in self.names))
        return {tensor: np.asarray(getattr(found, field)) for tensor, field in self.gradients}


def module(source: str, name: str) -> ModuleType:
    """The text as a module. Only text that derive has written itself comes here."""
    made = ModuleType(name)
    exec(compile(source, f"<{name}>", "exec"), made.__dict__)  # our own text, no user's
    return made


def load(source: str, derivation: Derivation) -> Kernel:
    """The kernel of a derivation, ready to run."""
    equation = derivation.equation
    return Kernel(
        module(source, derivation.layer.slug),
        derivation.layer.title or derivation.layer.name,
        tuple(t.name for t in equation.tensors),
        tuple((g.of, equation.tensor(g.of).gradient) for g in derivation.gradients),
    )


SLOW = 200_000_000
"""Scalar products per sample beyond which a single sample is run."""


def samples(equation: Equation) -> int:
    """How many samples a check runs: two, so that sums over the batch show, if it is quick."""
    return 2 if prod(e.number or 1 for _, e in equation.extents) <= SLOW else 1


def batch_shape(equation: Equation, tensor: Tensor, batch: int) -> tuple[int, ...]:
    """The shape of a tensor with one batch axis, if it carries the batch."""
    carries = tensor.batched
    if tensor.name == equation.output.name:
        carries = len(equation.forward.lhs.axes) > len(tensor.shape)
    return ((batch,) if carries else ()) + tensor.sizes()


def compare(
    kernel: Kernel, claim: str, what: str, found: Array, expected: Array, equal: Any
) -> None:
    """Raise ``Disproved`` at the first entry, in row-major order, where the two differ."""
    if found.shape != expected.shape:
        raise Disproved(
            f"{kernel.layer}: the {claim} claim fails: {what} has shape {found.shape}, "
            f"not {expected.shape}"
        )
    for place in np.ndindex(*found.shape):
        if not equal(found[place], expected[place]):
            raise disproved(kernel, claim, what, place, found[place], expected[place])


def disproved(
    kernel: Kernel, claim: str, what: str, place: tuple[int, ...], found: object, expected: object
) -> Disproved:
    """The message of a false claim: layer, entry, both values."""
    entry = f"{what}[{','.join(map(str, place))}]" if place else what
    return Disproved(
        f"{kernel.layer}: the {claim} claim fails at {entry}: "
        f"the kernel gives {found}, the reference {expected}"
    )
