"""How far an index may run in a sum like ``s*i + d*u - p``, and how far such a sum reaches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..affine import Affine
from ..equations import Equation
from ..expressions import Read, reads


@dataclass(frozen=True)
class Window:
    """A subscript that is more than one index: ``position`` on ``axis`` of what ``read`` reads.

    ``size`` is how long that axis is.
    """

    equation: Equation
    read: Read
    axis: int
    position: Affine
    size: Affine

    def indices(self) -> tuple[str, ...]:
        """The indices in the sum; the other names are integers."""
        return tuple(n for n in self.position.names if n in self.equation.indices)

    def needs(self, index: str = "") -> frozenset[str]:
        """Names that have to be known to tell how far ``index`` runs (or the sum reaches)."""
        own = set(self.size.names)
        for name in self.position.names:
            if name != index:
                known = name in self.equation.indices
                own |= set(self.equation.extent(name).names) if known else {name}
        return frozenset(own)

    def reach(self, values: Mapping[str, int], without: str = "") -> tuple[int, int]:
        """The least and the largest value of the sum, one index left out if named."""
        low = high = self.constant(values)
        for index in self.indices():
            if index != without:
                last = self.coefficient(index, values) * (self.run(index, values) - 1)
                low, high = low + min(last, 0), high + max(last, 0)
        return low, high

    def constant(self, values: Mapping[str, int]) -> int:
        """The sum where all indices are 0."""
        zero = self.position.substitute(dict.fromkeys(self.indices(), 0))
        return int(zero.evaluate(values))

    def coefficient(self, index: str, values: Mapping[str, int]) -> int:
        """What an index is multiplied by."""
        return int(self.position.coefficient(index).evaluate(values))

    def moves(self, index: str, values: Mapping[str, int]) -> bool:
        """False if the index is known to be multiplied by 0."""
        factor = self.position.coefficient(index)
        return not (set(factor.names) <= values.keys() and factor.evaluate(values) == 0)

    def run(self, index: str, values: Mapping[str, int]) -> int:
        """How far an index runs."""
        return int(self.equation.extent(index).evaluate(values))


@dataclass(frozen=True)
class Room:
    """Rule 3 at one read, in numbers: ``extent = floor((size + 2*pad - span)/stride) + 1``."""

    window: Window
    size: int
    pad: int
    span: int
    stride: int

    @property
    def extent(self) -> int:
        """How far the index runs; below 1 if nothing fits."""
        return (self.size + 2 * self.pad - self.span) // self.stride + 1


def windows(equation: Equation) -> Iterator[Window]:
    """Every shifted subscript of an equation, in order of appearance."""
    for read in reads(equation.forward.rhs):
        yield from windows_of(equation, read)


def windows_of(equation: Equation, read: Read) -> Iterator[Window]:
    """Every shifted subscript of one read."""
    shape = equation.tensor(read.tensor).shape
    for axis, subscript in enumerate(read.axes[len(read.axes) - len(shape) :]):
        if len(subscript) == 1 and subscript[0].bare not in equation.indices:
            yield Window(equation, read, axis, subscript[0], shape[axis])


def room(window: Window, index: str, values: Mapping[str, int]) -> Room:
    """How far ``index``, which moves the window, may run at this read."""
    stride = window.coefficient(index, values)
    size = int(window.size.evaluate(values))
    low, high = window.reach(values, without=index)
    if stride < 0:  # the same, seen from the other end of the axis
        low, high = size - 1 - high, size - 1 - low
    pad = max(0, -low)
    return Room(window, size, pad, high + pad + 1, abs(stride))
