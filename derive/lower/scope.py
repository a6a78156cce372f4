"""A function under construction: its lines, its variables, the tensors prepared for reading."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

from ..affine import Affine
from ..equations import SKIP_OUTSIDE, Equation, Tensor
from ..expressions import Expr, Read, Subscript
from ..programs import Action, Array, For, Invoke, Let, Name
from .sources import Axis, Source, parts
from .values import BATCH, Size, Sizes, Value

LOSER = {"max": "_lowest", "min": "_highest"}
"""The function of the generated module that gives what loses every comparison."""


Key = tuple[str, str, tuple[int, ...]]
"""A tensor, what lies around it, and how far apart its entries are."""


class Scope:
    """Lines of one function and what its variables hold.

    ``equation`` has numbers for all its sizes; :meth:`begin` adds the ranges of indices that
    only the statement at hand has (the entries of a gradient).
    """

    def __init__(self, equation: Equation) -> None:
        self.equation = equation
        self.actions: list[Action] = []
        self.loops: tuple[str, ...] = ()
        self.known: dict[Expr, Value] = {}
        self.order: tuple[str, ...] = ()
        self.reducer = ""  # the extremum being taken, if any: decides what padding holds
        self._wanted: dict[Key, tuple[Axis, ...]] = {}
        self._sources: dict[Key, Source] = {}
        every = (*equation.tensors, *equation.inner, equation.output)
        self._taken = {name for t in every for name in (t.name, t.gradient)}
        self._taken |= {BATCH, "batch", "dtype", "np", "Gradients", "SHAPES", "EQUATIONS"}
        self._taken |= set(equation.indices)
        self.begin({})

    def begin(self, ranges: Mapping[str, Affine]) -> None:
        """Start a statement whose own indices run over ``ranges``."""
        self.extents = dict(self.equation.extents) | dict(ranges)
        self._taken |= set(ranges)
        sizes = {index: extent.number for index, extent in self.extents.items()}
        self.sizes = Sizes({i: BATCH if n is None else n for i, n in sizes.items()})
        own = set(self.equation.indices)
        self.known = {e: v for e, v in self.known.items() if set(v.labels) <= own}

    def runs(self, name: str) -> bool:
        """Whether the name is an index (the batch's size ``N`` is none)."""
        return name.rstrip("*") in self.extents

    def alias(self, name: str, like: str) -> None:
        """Another index with the range of one that is there."""
        self.extents[name] = self.extents[like.rstrip("*")]
        extent = self.extents[name].number
        self.sizes.add(name, BATCH if extent is None else extent)

    # -- lines ----------------------------------------------------------------------------
    def emit(self, *actions: Action) -> None:
        """Add lines at the current depth."""
        self.actions.extend(actions)

    def assign(self, name: str, array: Array, op: str = "=") -> None:
        """Add ``name op array``."""
        self.emit(Let(Name(name), array, op))

    def name(self, *wanted: str) -> str:
        """The first of the wanted names that is free, else one with a trailing letter."""
        pool = (*wanted, *(f"{wanted[0]}_{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"))
        name = next(name for name in pool if name not in self._taken)
        self._taken.add(name)
        return name

    @contextmanager
    def looped(self, indices: Iterable[str]) -> Iterator[None]:
        """Everything emitted inside runs for each value of the indices."""
        over = tuple(indices)
        outside, known, loops, taken = self.actions, dict(self.known), self.loops, set(self._taken)
        self.actions, self.loops = [], loops + over
        self.known = {expr: value.inside(over) for expr, value in known.items()}
        yield
        body = tuple(self.actions)
        for index in reversed(over):
            extent = self.sizes[index]
            assert isinstance(extent, int)  # nothing loops over the batch
            body = (For(index, extent, body),)
        self.actions, self.known, self.loops, self._taken = outside, known, loops, taken
        self.emit(*body)

    def _tensors(self) -> tuple[Tensor, ...]:
        return (*self.equation.tensors, *self.equation.inner, self.equation.output)

    # -- tensors --------------------------------------------------------------------------
    def want(self, reads: Iterable[tuple[Read, str]]) -> None:
        """Note how wide a tensor must be for these reads; each comes with its reducer."""
        for read, reducer in reads:
            axes = self.axes(read.tensor, read.axes, read.axes)
            key = self._key(read, reducer)
            if (before := self._wanted.get(key)) is not None:
                axes = tuple(a.joined(b) for a, b in zip(before, axes, strict=True))
            self._wanted[key] = axes

    def prepare(self, missing: Collection[str] = ()) -> None:
        """Make, once, every larger copy that the noted reads need, of all but the missing."""
        for key, axes in self._wanted.items():
            if key not in self._sources and key[0] not in missing:
                self._sources[key] = self._prepared(key, axes)

    def _key(self, read: Read, reducer: str) -> Key:
        spreads = tuple(number(part.denominator) for part in parts(read))
        return read.tensor, self._fill(read.tensor, reducer), spreads

    def _fill(self, tensor: str, reducer: str) -> str:
        """What padding holds: nothing counts under an extremum that skips, else zero."""
        if not reducer or tensor not in {t.name for t in self._tensors()}:
            return ""
        return reducer if self.skips(tensor) else ""

    def skips(self, tensor: str) -> bool:
        """Whether a read outside of the tensor does not count."""
        return self.equation.tensor(tensor).outside == SKIP_OUTSIDE

    def _prepared(self, key: Key, axes: tuple[Axis, ...]) -> Source:
        tensor, fill, spreads = key
        source = Source(tensor, tensor, axes)
        if source.plain:
            return source
        word = "spread" if any(spread > 1 for spread in spreads) else "padded"
        source = Source(self.name(f"{tensor}_{word}"), tensor, axes)
        value = Invoke(LOSER[fill], (Name("dtype"),)) if fill else None
        self.emit(*source.prepare(value))
        return source

    def axes(
        self, tensor: str, shape_of: tuple[Subscript, ...], subscripts: tuple[Subscript, ...]
    ) -> tuple[Axis, ...]:
        """How wide each axis must be for these subscripts to stay inside."""
        found = []
        for number_of, (composed, axis) in enumerate(zip(shape_of, subscripts, strict=True)):
            for part, subscript in zip(composed, axis, strict=True):
                extent = self._extent(tensor, number_of, len(shape_of), composed, part)
                found.append(self.wide(extent, subscript))
        return tuple(found)

    def _extent(self, tensor: str, axis: int, rank: int, composed: Subscript, part: Affine) -> Size:
        owner = next((t for t in self._tensors() if t.name == tensor), None) or next(
            t for t in self._tensors() if t.gradient == tensor
        )
        if axis < rank - len(owner.shape):
            return BATCH
        if len(composed) > 1:
            return self.sizes[str(part)]
        return number(owner.shape[axis - (rank - len(owner.shape))])

    def wide(self, extent: Size, subscript: Affine) -> Axis:
        """An axis of that extent, with room for every value of the subscript."""
        if isinstance(extent, str):
            return Axis(extent)
        low, high = self.bounds(subscript.numerator)
        spread = number(subscript.denominator)
        last = spread * (extent - 1)
        return Axis(extent, spread, max(0, -low), max(0, high - last))

    def bounds(self, value: Affine) -> tuple[int, int]:
        """Least and greatest value over all index ranges."""
        low = high = 0
        for monomial, coefficient in value.terms:
            reach = self.sizes.number(monomial[0]) - 1 if monomial else 1
            low += min(0 if monomial else coefficient, coefficient * reach)
            high += max(0 if monomial else coefficient, coefficient * reach)
        return low, high

    def source(self, read: Read) -> Source:
        """The variable that holds the tensor wide enough for this read.

        With a single value put in, (a - u)/s may have become a whole number: then the tensor
        with zeros between its entries serves, not the one that other reads have in common.
        """
        own = tensor, fill, spreads = self._key(read, self.reducer)
        for (name, around, wide), source in sorted(
            self._sources.items(), key=lambda item: item[0] != own
        ):
            if (name, around) != (tensor, fill):
                continue
            apart = all(far % one == 0 for far, one in zip(wide, spreads, strict=True))
            if apart and self._holds(source, read):
                return source
        raise KeyError(f"no source was prepared for {read}")

    def _holds(self, source: Source, read: Read) -> bool:
        """Whether every value of the read's subscripts lies in the prepared array."""
        for axis, part in zip(source.axes, parts(read), strict=True):
            if isinstance(axis.extent, int):
                low, high = self.bounds((part * axis.spread).numerator)
                if low < -axis.low or high > axis.spread * (axis.extent - 1) + axis.high:
                    return False
        return True


def number(value: Affine) -> int:
    """The integer of an index expression that has no names left."""
    found = value.number
    if found is None:
        raise ValueError(f"{value} still holds names; put the sizes in first")
    return found
