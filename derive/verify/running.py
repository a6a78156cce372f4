"""Running the generated text, and saying where it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classes import classes
from ..derivations import Derivation
from ..equations import Equation, Tensor
from ..errors import Disproved
from ..expressions import bound_by, walk

Array = NDArray[Any]


@dataclass(frozen=True)
class Kernel:
    """A generated module in memory, called with tensors by name."""

    module: ModuleType
    layer: str
    names: tuple[str, ...]
    gradients: tuple[tuple[str, str], ...]  # (tensor, its field)
    loss: bool = False
    output: tuple[str, tuple[int, ...]] = ("", ())  # its name and unbatched shape

    def forward(self, arrays: Mapping[str, Array]) -> Array:
        """``y``; ``Disproved`` if it does not end with the shape that it should have."""
        found = np.asarray(self._run("forward", [arrays[n] for n in self.names]))
        name, sizes = self.output
        if found.shape[found.ndim - len(sizes) :] != sizes:
            raise Disproved(
                f"{self.layer}: {name} has shape {found.shape}, which does not end with {sizes}"
            )
        return found

    def _run(self, function: str, given: list[Array]) -> Any:
        """A kernel that stops with an exception of its own is disproved as well."""
        try:
            return getattr(self.module, function)(*given)
        except Exception as error:
            raise Disproved(
                f"{self.layer}: {function} stops with {type(error).__name__}: {error}"
            ) from error

    def backward(self, dy: Array, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Tensor → gradient; that of a loss, whose kernel takes no ``dy``, times ``dy``."""
        given = [arrays[n] for n in self.names]
        found = self._run("backward", given if self.loss else [dy, *given])
        gradients = {t: np.asarray(getattr(found, field)) for t, field in self.gradients}
        for tensor, field in self.gradients:
            shape, wanted = gradients[tensor].shape, np.shape(arrays[tensor])
            if shape != wanted:
                raise Disproved(f"{self.layer}: {field} has shape {shape}, not {wanted}")
        return {t: np.asarray(dy * g) for t, g in gradients.items()} if self.loss else gradients


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
        equation.loss,
        (equation.output.name, equation.at_sizes().output.sizes()),
    )


def products(equation: Equation, batch: int) -> int:
    """How many scalar products all statements have together, each computed once."""
    extents = {index: batch if e.number is None else e.number for index, e in equation.extents}
    total = 0
    for statement in equation.statements:
        bound = (index for node in walk(statement.rhs) for index in bound_by(node))
        indices = dict.fromkeys((*statement.lhs.names, *bound))
        total += prod(extents[index] for index in indices)
    return total


def sample(
    equation: Equation, found: Array, generator: np.random.Generator, most: int, least: int
) -> list[tuple[int, ...]]:
    """Positions of outputs: all that the oracle can afford with ``most`` scalar products.

    It works out an entry of an intermediate tensor once, so that all outputs together cost what
    all statements do; where that is too much, an output costs no more than all bound indices.
    """
    inside = (e.number or 2 for i, e in equation.extents if i not in equation.output_indices)
    size = max(least, most // max(1, prod(inside)))
    if found.size <= size or products(equation, samples(equation)) <= most:
        return list(np.ndindex(*found.shape))
    flat = np.sort(generator.choice(found.size, size, replace=False))
    return [tuple(int(k) for k in np.unravel_index(f, found.shape)) for f in flat]


def mixes(equation: Equation) -> bool:
    """Whether samples depend on each other: a mean over the batch, say."""
    bound = {i for s in equation.statements for node in walk(s.rhs) for i in bound_by(node)}
    return equation.batch in bound


SLOW = 200_000_000
"""Scalar products per sample beyond which a single sample is run."""

QUICK = 100_000
MIXED = 5
"""Samples of a layer that mixes them: two numbers are ±1 once normalised, whatever they were."""


def samples(equation: Equation) -> int:
    """How many samples a check runs: two, so that sums over the batch show, if it is quick."""
    if mixes(equation) and products(equation, MIXED) <= QUICK:
        return MIXED
    return 2 if products(equation, 1) <= SLOW else 1


def batch_shape(equation: Equation, tensor: Tensor, batch: int) -> tuple[int, ...]:
    """The shape of a tensor with one batch axis, if it carries the batch."""
    carries = equation.rank(tensor) > len(tensor.shape)
    return ((batch,) if carries else ()) + tensor.sizes()


def drawn(
    equation: Equation,
    batch: int,
    generator: np.random.Generator,
    draw: Callable[[tuple[int, ...]], Array],
) -> dict[str, Array]:
    """An array for every tensor: by ``draw`` from its shape, or valid class indices."""
    arrays: dict[str, Array] = {}
    for tensor in equation.tensors:
        shape = batch_shape(equation, tensor, batch)
        if tensor.integer:
            arrays[tensor.name] = generator.integers(0, classes(equation, tensor), shape)
        else:
            arrays[tensor.name] = draw(shape)
    return arrays


ELSEWHERE = ((0.5, 1.5), (0.05, 0.45), (2.5, 8.0))
"""Where numbers are drawn for y to be defined: roots and logarithms of sums and differences."""


def defined(equation: Equation, kernel: Kernel, batch: int) -> dict[str, Array] | None:
    """A random point at which the kernel finds y defined, or None."""
    generator = np.random.default_rng(0)
    for ends in ELSEWHERE:

        def draw(shape: tuple[int, ...], ends: tuple[float, float] = ends) -> Array:
            return generator.uniform(*ends, shape)

        point = drawn(equation, batch, generator, draw)
        with np.errstate(all="ignore"):
            if np.isfinite(kernel.forward(point)).all():
                return point
    return None


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


def axes(
    equation: Equation,
    kernel: Kernel,
    claim: str,
    point: Mapping[str, Array],
    g: Array,
    results: tuple[Array, Mapping[str, Array]],
) -> None:
    """The same with one batch axis more, which comes in another way: ``results`` are y, gradients.

    Raises ``Disproved`` where anything differs, or has another shape.
    """
    y, gradients = results
    data = {tensor.name for tensor in equation.data}
    wide = {name: array[None] if name in data else array for name, array in point.items()}
    lead = y.ndim > len(equation.output.shape)

    def check(what: str, found: Array, expected: Array) -> None:
        scale = 1e-12 * float(np.abs(expected).max(initial=0, where=np.isfinite(expected)))
        if found.shape == expected.shape and np.allclose(found, expected, 0, scale, True):
            return
        compare(kernel, claim, what, found, expected, lambda one, two: abs(one - two) <= scale)

    check(equation.output.name, kernel.forward(wide), y[None] if lead else y)
    made = kernel.backward(g[None] if lead else g, wide)
    for tensor, field in kernel.gradients:
        check(field, made[tensor], gradients[tensor][None] if tensor in data else gradients[tensor])


def disproved(
    kernel: Kernel, claim: str, what: str, place: tuple[int, ...], found: object, expected: object
) -> Disproved:
    """The message of a false claim: layer, entry, both values."""
    entry = f"{what}[{','.join(map(str, place))}]" if place else what
    return Disproved(
        f"{kernel.layer}: the {claim} claim fails at {entry}: "
        f"the kernel gives {found}, the reference {expected}"
    )
