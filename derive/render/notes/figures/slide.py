"""What slides over what: every pair of an output and a tap, and the entry of x that it joins.

Read off the forward statement (or, where its deltas had to be solved, off its scatter form).
At most two axes slide in a picture; every other index stands at 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING

from ....affine import Affine
from ....documents import Math
from ....equations import ZERO_OUTSIDE, Statement
from ....expressions import Expr, Read, Reduce, reads, walk
from ...mathematics.formulas import expression
from ...mathematics.notation import Notation, Taps
from ..entries import Frame, entry

if TYPE_CHECKING:  # a sheet holds its slide
    from ..sheet import Sheet

Place = tuple[int, ...]

LARGEST = 9
"""Entries along the longest side of a picture."""


@dataclass(frozen=True)
class Plane:
    """The axes ``axes`` of a tensor, which are drawn, and how far they run."""

    tensor: str
    axes: tuple[int, ...]
    shape: Place
    whole: bool

    def of(self, read: Read) -> Place:
        """Where a read with numbered subscripts stands."""
        return tuple(read.axes[k][0].number or 0 for k in self.axes)

    def holds(self, place: Place) -> bool:
        """Whether there is such an entry."""
        return all(0 <= at < n for at, n in zip(place, self.shape, strict=True))

    def places(self) -> list[Place]:
        """All entries, row-major."""
        return list(product(*map(range, self.shape)))


@dataclass(frozen=True)
class Touch:
    """Output ``y`` and the tap numbered ``tap`` (at ``at`` in the window) join entry ``x``."""

    y: Place
    tap: int
    at: Place
    x: Place


@dataclass(frozen=True)
class Slide:
    """Windows over x; ``spreads`` if entries of x are sent to windows of y instead.

    ``zeros`` says whether a read outside of x gives 0 and takes part.
    """

    x: Plane
    y: Plane
    taps: Taps
    touches: tuple[Touch, ...]
    spreads: bool
    zeros: bool
    notation: Notation
    _names: dict[tuple[str, Place], Math] = field(default_factory=dict, compare=False)

    def plain(self, tensor: str, place: Place) -> Math:
        """An entry's name without its hue, with the drawn axes as subscripts."""
        if (tensor, place) not in self._names:  # most names are wanted many times
            entry = Read(tensor, tuple((Affine.of(k),) for k in place))
            self._names[tensor, place] = expression(entry, self.notation)
        return self._names[tensor, place]

    def weight(self, at: Place) -> Math | None:
        """The name of a tap; None in a window without weights."""
        return self.plain(self.taps.tensor, at) if self.taps.tensor else None

    @cached_property
    def frame(self) -> tuple[Place, Place]:
        """First place and shape of the smallest grid that holds x and all that is read."""
        over = self.y if self.spreads else self.x
        places = [t.y if self.spreads else t.x for t in self.touches]
        low = tuple(min(0, *(p[k] for p in places)) for k in range(len(over.shape)))
        high = tuple(max(n - 1, *(p[k] for p in places)) for k, n in enumerate(over.shape))
        return low, tuple(h - a + 1 for a, h in zip(low, high, strict=True))

    @cached_property
    def unread(self) -> set[Place]:
        """The entries of x that no window reads."""
        return set(self.x.places()) - {t.x for t in self.touches}


def slide_of(sheet: Sheet) -> Slide | None:
    """The picture's geometry; None if nothing slides, or along more than two axes."""
    if sheet.here is None or sheet.frame is None:
        return None
    resolved = sheet.derivation.resolved
    if resolved is not None:
        if len(resolved.scatters) != 1 or not resolved.scatter_steps:
            return None
        return _sent(sheet.one(resolved.scatters[0]), sheet, sheet.frame)
    found = (_read(sheet.one(s), sheet, sheet.frame) for s in sheet.here.statements)
    return next((slide for slide in found if slide is not None), None)


def _read(statement: Statement, sheet: Sheet, frame: Frame) -> Slide | None:
    """Windows that are read: ``x[s*i + d*u - p]``."""
    taps = sheet.taps
    if taps is None or not _binds(statement, taps.names):
        return None
    for read in reads(statement.rhs):
        axes = _moving(read, taps.names)
        if not axes or (taps.tensor and read.tensor == taps.tensor):
            continue
        inner = [n for k in axes for n in read.axes[k][0].names]
        outs = tuple(
            k for k, a in enumerate(statement.lhs.axes) if len(a) == 1 and a[0].bare in inner
        )
        every = {*taps.names, *(str(statement.lhs.axes[k][0].bare) for k in outs)}
        if set(inner) - every or len(outs) != len(axes) or not 1 <= len(axes) <= 2:
            return None
        x, y = plane(read, axes, frame), plane(statement.lhs, outs, frame)
        return _slide(x, y, taps, statement.lhs, read, sheet, spreads=False)
    return None


def _sent(statement: Statement, sheet: Sheet, frame: Frame) -> Slide | None:
    """Entries that are sent: ``y[s*i + d*u - p] += x[i]*w[u]``."""
    lhs = statement.lhs
    moving = [k for k, axis in enumerate(lhs.axes) if len(axis) == 1 and axis[0].bare is None]
    inner = [n for k in moving for n in lhs.axes[k][0].names]
    batched = {t.name for t in sheet.equation.data}
    if not 1 <= len(moving) <= 2:
        return None
    for read in reads(statement.rhs):
        bare = [axis[0].bare if len(axis) == 1 else None for axis in read.axes]
        ins = tuple(k for k, name in enumerate(bare) if name in inner)
        if read.tensor not in batched or len(ins) != len(moving):
            continue
        names = tuple(n for n in inner if n not in bare)
        taps = _taps(names, statement, frame, batched)
        if taps is None or len(names) != len(moving):
            return None
        x, y = plane(read, ins, frame), plane(lhs, tuple(moving), frame)
        return _slide(x, y, taps, lhs, read, sheet, spreads=True)
    return None


def _taps(
    names: tuple[str, ...], statement: Statement, frame: Frame, batched: set[str]
) -> Taps | None:
    sizes = tuple(frame.extents[name] for name in names)
    for read in reads(statement.rhs):
        bare = [axis[0].bare if len(axis) == 1 else None for axis in read.axes]
        if read.tensor not in batched and set(names) <= set(bare):
            return Taps(names, sizes, read.tensor, tuple(bare.index(n) for n in names))
    return None


def _slide(
    x: Plane, y: Plane, taps: Taps, lhs: Read, read: Read, sheet: Sheet, *, spreads: bool
) -> Slide | None:
    """Every touch; None if there are more than any picture shows."""
    outer = [str((read if spreads else lhs).axes[k][0].bare) for k in (x if spreads else y).axes]
    base = x if spreads else y
    if max((*x.shape, *y.shape, *taps.sizes)) > LARGEST + 2:
        return None
    touches = []
    for place in base.places():
        for at in product(*map(range, taps.sizes)):
            values = dict(zip((*outer, *taps.names), (*place, *at), strict=True))
            there = _at(lhs if spreads else read, (y if spreads else x).axes, values)
            pair = (there, place) if spreads else (place, there)
            touches.append(Touch(pair[0], taps.number(at), at, pair[1]))
    zeros = sheet.equation.tensor(x.tensor).outside == ZERO_OUTSIDE and not spreads
    return Slide(x, y, taps, tuple(touches), spreads, zeros, _unhued(sheet))


def _at(read: Read, axes: tuple[int, ...], values: Mapping[str, int]) -> Place:
    return tuple(int(read.axes[k][0].evaluate(values)) for k in axes)


def _unhued(sheet: Sheet) -> Notation:
    """Numbered entries in the colour of the text: their cells carry the hue."""
    return replace(sheet.numbered, taps=None)


def _binds(statement: Statement, names: tuple[str, ...]) -> bool:
    sums = [e for e in walk(statement.rhs) if isinstance(e, Reduce)]
    return any(set(names) <= set(e.over) and not e.where for e in sums)


def _moving(read: Read, names: tuple[str, ...]) -> tuple[int, ...]:
    """The axes of a read along which a window moves."""
    return tuple(
        k
        for k, axis in enumerate(read.axes)
        if len(axis) == 1 and len(set(axis[0].names) & set(names)) == 1
    )


def plane(read: Read, axes: tuple[int, ...], frame: Frame) -> Plane:
    """The drawn axes of the tensor of a read."""
    shape = frame.shapes[read.tensor]
    return Plane(read.tensor, axes, tuple(shape[k] for k in axes), len(axes) == len(shape))


Terms = list[tuple[dict[str, int], Expr]]
"""The values of the summed indices, and the product that belongs to them."""


def products(
    statement: Statement, place: Place, drawn: tuple[str, ...], frame: Frame, shown: set[str]
) -> Terms:
    """The products of one entry in the drawn slice: indices outside of ``shown`` are 0.

    ``place`` says where the indices ``drawn`` of the left side stand.
    """
    known = dict(zip(drawn, place, strict=True))
    position = tuple(known.get(name, 0) for name in frame.ranges(statement.lhs))
    extents = {name: extent if name in shown else 1 for name, extent in frame.extents.items()}
    return [
        (dict(zip(part.over, one.place, strict=True)), one.body)
        for part in entry(statement, position, replace(frame, extents=extents))
        for one in part.products
    ]


def names_of(read: Read, axes: tuple[int, ...]) -> tuple[str, ...]:
    """The bare indices of some axes; empty if one of them is not bare."""
    bare = [read.axes[k][0].bare for k in axes if len(read.axes[k]) == 1]
    found = tuple(name for name in bare if name is not None)
    return found if len(found) == len(axes) else ()
