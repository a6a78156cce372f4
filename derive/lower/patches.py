"""Square patches of the two sliding tensors of Φ: where they lie, and how many go at a time.

An axis of outputs is cut into tiles of m; a tile needs the m + r − 1 inputs around it. With
dilation d the outputs d apart make up an axis of their own, and d of those lie between one
another: a patch takes every d-th entry, and tiles start at each of d places.

Patches are cut along their last axis only, line by line of the first one, so that lines which
tiles share are there once: a strided view (lines, samples, tiles, entries along the last axis,
channels) of a buffer that holds the samples with their channels innermost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from ..machines import FLOAT, Machine
from .snippets import listed
from .windowed import Window, Windowed

SETS = 1024
"""Bytes after which, or after a few times which, entries share a set of the first cache."""
FEW, MANY = 32, 96
"""Tiles that a transformed kernel is worth loading for, and making."""
CLOSE, LARGE = 5 << 18, 1 << 24
"""Bytes of a transformed kernel that are read soon after, and those that are not kept."""


@dataclass(frozen=True)
class Axis:
    """A window cut into ``count`` tiles of ``outputs`` at each of ``phases`` places.

    Axes with one tap have tiles of a single output, and no phases.
    """

    window: Window
    outputs: int
    count: int

    @classmethod
    def of(cls, window: Window, outputs: int, among: int = 1) -> Axis:
        """As many tiles as are needed, rounded up to a multiple of ``among``."""
        one = cls(window, outputs, 0)
        count = -(-window.outputs // one.stride)
        return cls(window, outputs, -(-count // among) * among)

    @property
    def phases(self) -> int:
        """Tiles that start between a tile and its next neighbour in the same residue class."""
        return self.window.dilation if self.window.taps > 1 else 1

    @property
    def size(self) -> int:
        """Inputs of a patch."""
        return self.outputs + self.window.taps - 1

    @property
    def stride(self) -> int:
        """Entries from a tile to the next one in the same residue class."""
        return self.outputs * self.phases

    @property
    def wide(self) -> int:
        """Length of the buffer of inputs."""
        w = self.window
        read = w.start + self.phases * (self.outputs * self.count + w.taps - 1)
        return max(w.low + w.size, read)

    @property
    def narrow(self) -> int:
        """Length of the buffer of outputs."""
        return self.stride * self.count


@dataclass(frozen=True)
class Blocks:
    """The tiles of all axes, ``rows`` tiles of the first axis and ``samples`` at a time."""

    form: Windowed
    axes: tuple[Axis, ...]
    samples: int
    rows: int

    @classmethod
    def of(cls, form: Windowed, outputs: tuple[int, ...], machine: Machine) -> Blocks:
        """As many tiles as two arrays of them leave in the cache, but a few at least.

        Where products at the points of as many need no packing, not more than that.
        """
        axes = [Axis.of(w, m) for w, m in zip(form.windows, outputs, strict=True)]
        groups, channels, filters, *_ = form.counts
        points = prod(axis.size for axis in axes)
        numbers = 2 * machine.cache // FLOAT
        most = max(FEW, numbers // (points * groups * max(channels, filters)))
        unpacked = machine.sliced // (channels * filters)
        most = min(most, unpacked) if unpacked >= FEW else most
        if FLOAT * points * channels * filters > LARGE:
            most = max(most, MANY)
        first = axes[0]
        row = first.phases * prod(a.phases * a.count for a in axes[1:])
        blocks = -(-first.count // max(1, most // row))
        rows = -(-first.count // blocks)
        axes[0] = Axis.of(first.window, first.outputs, rows)
        samples = max(1, most // (row * rows)) if rows == axes[0].count else 1
        return cls(form, tuple(axes), samples, rows)

    @property
    def points(self) -> int:
        """Entries of a patch."""
        return prod(axis.size for axis in self.axes)

    @property
    def outputs(self) -> int:
        """Outputs of a tile."""
        return prod(axis.outputs for axis in self.axes)

    @property
    def tiles(self) -> int:
        """Tiles of one sample in a block."""
        count = prod(axis.phases * axis.count for axis in self.axes[1:])
        return self.axes[0].phases * self.rows * count

    def part(self, side: str) -> int:
        """Filters (for the wide side, channels) whose taps are brought to their points at a time.

        So many that they stay in the cache until they are read; 0 for all of them.
        """
        groups, channels, filters, *_ = self.form.counts
        summed, made = (channels, filters) if side == "narrow" else (filters, channels)
        labels = self.form.filters if side == "narrow" else self.form.channels
        composed = len(self.form.kernel_shape) not in (0, len(self.form.kernel_labels))
        column = FLOAT * self.points * summed
        if groups > 1 or composed or len(labels) != 1 or column * made <= CLOSE:
            return 0
        return next((k for k in (64, 32, 16) if made % k == 0 and k * column <= CLOSE), 0)

    def repeated(self, side: str) -> bool:
        """Whether the kernel at its points is too large to be kept: every block makes it again."""
        return self.part(side) > 0 and self._large

    @property
    def returned(self) -> int:
        """Filters whose gradient is brought back from its points at a time; 0 for all of them."""
        part, filters = self.part("narrow"), self.form.counts[2]
        wide = 2 * part  # longer runs are worth more here than the nearer cache
        if not part or not self._large:
            return 0
        return wide if filters % wide == 0 else part

    @property
    def _large(self) -> bool:
        _, channels, filters, *_ = self.form.counts
        return FLOAT * self.points * channels * filters > LARGE

    @property
    def count(self) -> int:
        """Blocks of one sample."""
        return self.axes[0].count // self.rows

    @property
    def channels(self) -> int:
        """Channels of all groups."""
        return self.form.counts[0] * self.form.counts[1]

    @property
    def filters(self) -> int:
        """Filters of all groups."""
        return self.form.counts[0] * self.form.counts[2]

    def aligned(self, side: str) -> bool:
        """Whether channels lie so many bytes apart that they meet in few sets of the cache."""
        size = prod(w.size if side == "wide" else w.outputs for w in self.form.windows)
        return size * FLOAT % SETS == 0

    def lengths(self, side: str, *, block: bool = False) -> tuple[int, ...]:
        """Axes of the buffer of a side; ``block``: only the outputs of one block."""
        if side == "wide":
            return tuple(axis.wide for axis in self.axes)
        found = [axis.narrow for axis in self.axes]
        if block:
            found[0] = self.axes[0].stride * self.rows
        return tuple(found)

    def buffer(self, side: str, *, block: bool = False) -> tuple[int, ...]:
        """Shape of the buffer of a side: samples if there are several, places, channels."""
        lead = (self.samples,) if self.samples > 1 else ()
        last = self.channels if side == "wide" else self.filters
        return (*lead, *self.lengths(side, block=block), last)

    # -- lines ----------------------------------------------------------------------------------
    @property
    def inner(self) -> int:
        """The last axis with a window: patches are cut along it."""
        return max(k for k, axis in enumerate(self.axes) if axis.window.taps > 1)

    @property
    def outer(self) -> int | None:
        """The other axis with a window, if there is one: it is gone along line by line."""
        return next((k for k in range(self.inner) if self.axes[k].window.taps > 1), None)

    def along(self, k: int) -> int:
        """Tiles of a block along an axis, from each of the places where they start."""
        return self.axes[k].count if k else self.rows

    def lines(self, side: str) -> int:
        """Lines of a block along the outer axis, from each of the places where tiles start."""
        if self.outer is None:
            return 1
        axis = self.axes[self.outer]
        shared = axis.size - axis.outputs if side == "wide" else 0
        return axis.outputs * self.along(self.outer) + shared

    @property
    def beside(self) -> tuple[int, ...]:
        """The axes along which tiles lie side by side in a line, the inner one last."""
        plain = (k for k in range(len(self.axes)) if k not in (self.outer, self.inner))
        return (*plain, self.inner)

    @property
    def phases(self) -> int:
        """Places along the outer axis where tiles start between one and its next neighbour."""
        return 1 if self.outer is None else self.axes[self.outer].phases

    @property
    def across(self) -> int:
        """Tiles of one sample in a block that lie side by side: all but those along the lines."""
        own = 1 if self.outer is None else self.phases * self.along(self.outer)
        return self.tiles // own

    def view(self, name: str, side: str, *, block: bool = False) -> str:
        """``_windows(name, shape, steps, start)``: the tiles of a block as Python text.

        Its axes are lines, samples, tiles side by side, a tile's entries, channels.
        """
        sizes = self.buffer(side, block=block)
        strides = [prod(sizes[k + 1 :]) for k in range(len(sizes))]
        along = strides[-1 - len(self.axes) : -1]
        shape: list[int | str] = []
        steps: list[int] = []
        if self.outer is not None:
            if self.phases > 1:
                shape, steps = [self.phases], [along[self.outer]]
            shape.append(self.lines(side))
            steps.append(self.phases * along[self.outer])
        if self.samples > 1:
            shape.append("size")
            steps.append(strides[0])
        for k in self.beside:
            axis = self.axes[k]
            if axis.phases > 1:
                shape.append(axis.phases)
                steps.append(along[k])
            shape.append(self.along(k))
            steps.append(axis.stride * along[k])
        last = self.axes[self.inner]
        shape += [last.size if side == "wide" else last.outputs, sizes[-1]]
        steps += [last.phases * along[self.inner], 1]
        moving = "" if self.count == 1 or block else f"{self.axes[0].stride * along[0]} * top"
        begin = " + ".join(part for part in (self._start(side, along), moving) if part)
        told = f"({listed(shape)}), ({listed(steps)})"
        return f"_windows({name}, {told}{', ' if begin else ''}{begin})"

    def _start(self, side: str, along: Sequence[int]) -> str:
        """Where in the buffer of inputs the first patch starts; "" for its first entry."""
        if side != "wide":
            return ""
        found = sum(a.window.start * s for a, s in zip(self.axes, along, strict=True))
        return str(found) if found else ""
