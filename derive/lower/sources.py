"""Reads as slices: every integer-affine read of a tensor is a strided slice of it.

With all but one index of a subscript held fixed, ``x[s*i + d*u - p]`` is ``x[start::s]``. Where a
read may leave the tensor, the tensor is copied once into a larger array of zeros (or of
the value that loses every comparison), so that each slice is plain. A read at ``(a - u)/s``
is a read at ``a - u`` of the tensor with s − 1 zeros between its entries.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ..affine import Affine
from ..expressions import Read
from ..programs import Array, Invoke, Item, Let, Literal, Name, Span, Tuple
from .values import FULL, Sizes, Value


@dataclass(frozen=True)
class Axis:
    """One axis of a source: its extent, the zeros between entries, and those around them."""

    extent: int | str
    spread: int = 1
    low: int = 0
    high: int = 0

    @property
    def length(self) -> int | str:
        """How long the axis is in the prepared array."""
        if isinstance(self.extent, str):
            return self.extent
        return self.low + self.spread * (self.extent - 1) + 1 + self.high

    @property
    def plain(self) -> bool:
        """Whether the axis is that of the tensor itself."""
        return self.spread == 1 and self.low == self.high == 0

    def span(self) -> Span:
        """Where the tensor's own entries lie."""
        if self.plain or isinstance(self.extent, str):
            return FULL
        stop = self.low + self.spread * (self.extent - 1) + 1
        return Span(str(self.low), str(stop), str(self.spread) if self.spread > 1 else "")

    def joined(self, other: Axis) -> Axis:
        """Wide enough for both."""
        low, high = max(self.low, other.low), max(self.high, other.high)
        return Axis(self.extent, self.spread, low, high)


@dataclass(frozen=True)
class Source:
    """A tensor as a variable whose axes are wide enough for all reads of it."""

    name: str
    tensor: str
    axes: tuple[Axis, ...]

    @property
    def plain(self) -> bool:
        """Whether the tensor itself serves."""
        return all(axis.plain for axis in self.axes)

    def prepare(self, fill: Array | None) -> tuple[Let, ...]:
        """The lines that make the larger array and put the tensor into it."""
        if self.plain:
            return ()
        shape = Tuple(tuple(Literal(str(axis.length)) for axis in self.axes))
        dtype = Name("dtype")
        empty = (
            Invoke("np.zeros", (shape, dtype))
            if fill is None
            else Invoke("np.full", (shape, fill, dtype))
        )
        inner = Item(Name(self.name), tuple(axis.span() for axis in self.axes))
        return (Let(Name(self.name), empty), Let(inner, Name(self.tensor)))

    def inner(self) -> Array:
        """The tensor's own entries in the larger array."""
        if self.plain:
            return Name(self.name)
        return Item(Name(self.name), tuple(axis.span() for axis in self.axes))

    def slice(self, subscripts: Sequence[Affine], loops: Collection[str], sizes: Sizes) -> Value:
        """The entries at the subscripts, indices in ``loops`` being loop variables.

        Each subscript has at most one index that is not a loop variable, and no two share one.
        """
        entries: list[Span | str] = []
        turned: list[Span | str] = []
        labels: list[str] = []
        for axis, subscript in zip(self.axes, subscripts, strict=True):
            place = subscript * axis.spread
            moving = [n for n in place.names if n not in loops]
            if not moving:
                entries.append(code(place + axis.low))
                continue
            labels.append(moving[0])
            span, backwards = _span(axis, place, moving[0], sizes)
            entries.append(span)
            turned.append(Span("", "", "-1") if backwards else FULL)
        array: Array = Name(self.name)
        if any(entry != FULL for entry in entries):
            array = Item(array, tuple(entries))
        if any(entry != FULL for entry in turned):
            array = Item(array, tuple(turned))
        return Value(array, tuple(labels))


def code(value: Affine) -> str:
    """An index expression as Python text."""
    return str(value).replace("*", " * ")


def _span(axis: Axis, value: Affine, label: str, sizes: Sizes) -> tuple[Span, bool]:
    """The slice that ``label`` runs along, and whether it runs backwards."""
    extent = sizes[label]
    if isinstance(extent, str):
        return FULL, False
    step = value.coefficient(label).number
    assert step is not None  # sizes are numbers when a program is made
    start = value - Affine.of(step) * label + axis.low
    reach = step * (extent - 1)
    if step < 0:
        start, reach = start + reach, -reach
    if start.number == 0 and reach + 1 == axis.length and abs(step) == 1:
        return FULL, step < 0
    stop = code(start + reach + 1)
    return Span(code(start), stop, str(abs(step)) if abs(step) > 1 else ""), step < 0


def parts(read: Read) -> tuple[Affine, ...]:
    """The subscripts of a read with composed axes split into their parts."""
    return tuple(part for axis in read.axes for part in axis)


def indices(read: Read) -> list[str]:
    """The names in a read's subscripts, in their order."""
    return [name for part in parts(read) for name in part.names]
