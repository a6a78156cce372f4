"""A kernel at its points: made before the loop over blocks, or some of it at a time.

    kernels = G · kernel along one axis and then the other

A small kernel is transformed whole. Of a larger one some filters are at a time: what is copied and
transformed stays in the cache until the next step reads it, and products at the points stay so
small that BLAS does not pack them. If all points of the kernel would not stay in any cache, they
are nowhere kept: the part that was just made meets all tiles of a block, and is made again for
the next block, which has the more tiles for that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..machines import Machine
from .laying import Laying
from .patches import Blocks
from .snippets import listed
from .windowed import Windowed

LEAST = 48
"""Columns of a slice that are worth a product of their own."""


@dataclass(frozen=True)
class Kernels:
    """``side`` is what products with the kernel make; ``names``: G along both axes, and whole."""

    blocks: Blocks
    source: Windowed
    machine: Machine
    laying: Laying
    side: str
    names: tuple[str, str, str]

    @property
    def part(self) -> int:
        """Filters (or channels, for the wide side) at a time; 0 for all of them."""
        return self.blocks.part(self.side)

    @property
    def sizes(self) -> tuple[int, int]:
        """What products sum over, and what they make."""
        _, channels, filters, *_ = self.blocks.form.counts
        return (channels, filters) if self.side == "narrow" else (filters, channels)

    def before(self) -> list[str]:
        """Lines in front of the loop."""
        if not self.part:
            return self._whole()
        summed, made = self.sizes
        points, part = self.blocks.points, self.part
        outer, taps = self._axes()
        room = (points, made // part, summed * part)
        if self.blocks.repeated(self.side):
            room = (points, 1, summed * part)
        lines = [f"kernels = {self.laying.scratch('kernels', room)}"]
        if outer > 1:
            halves = (outer, taps[1], summed * part)
            lines.append(f"halves = {self.laying.scratch('halves', halves)}")
        if self.blocks.repeated(self.side):
            return lines
        return [
            *lines,
            f"# the kernel at each of {points} points, so much at a time as stays in the cache",
            f"for start in range(0, {made}, {part}):",
            *(f"    {line}" for line in self._made(f"kernels[:, start // {part}]")),
        ]

    def products(self, given: str, made: str) -> list[str]:
        """``made`` = ``given`` · kernels at every point, values over tiles both."""
        summed, outputs = self.sizes
        points, part = self.blocks.points, self.part
        groups = self.blocks.form.counts[0]
        if part and self.blocks.repeated(self.side):
            into = f"{made}.reshape({points}, -1, {outputs})[:, :, start : start + {part}]"
            some = f"kernels.reshape({points}, {summed}, {part})"
            return [
                f"given = {given}.reshape({points}, -1, {summed})",
                f"for start in range(0, {outputs}, {part}):",
                "    # some of the kernel at its points, read while it is in the cache",
                *(f"    {line}" for line in self._made("kernels[:, 0]")),
                f"    np.matmul(given, {some}, out={into})",
            ]
        if part:
            return [
                f"given = {given}.reshape({points}, 1, -1, {summed})",
                f"made = {made}.reshape({points}, -1, {outputs // part}, {part}).swapaxes(1, 2)",
                f"np.matmul(given, kernels.reshape({points}, -1, {summed}, {part}), out=made)",
            ]
        if groups == 1:
            into = f"{made}.reshape({points}, -1, {outputs})"
            return [f"np.matmul({given}.reshape({points}, -1, {summed}), kernels, out={into})"]
        one = f"{given}.reshape({points}, -1, {groups}, {summed}).swapaxes(1, 2)"
        into = f"{made}.reshape({points}, -1, {groups}, {outputs}).swapaxes(1, 2)"
        return [f"np.matmul({one}, kernels, out={into})"]

    def _axes(self) -> tuple[int, tuple[int, int]]:
        """Points along the outer axis, and taps along both; 1 where there is no outer axis."""
        axes, inner = self.blocks.axes, self.blocks.axes[self.blocks.inner]
        if self.blocks.outer is None:
            return 1, (1, inner.window.taps)
        outer = axes[self.blocks.outer]
        return outer.size, (outer.window.taps, inner.window.taps)

    def _made(self, into: str) -> list[str]:
        """Some filters of the kernel to their points."""
        inner = self.blocks.axes[self.blocks.inner].size
        outer, (rows, taps) = self._axes()
        columns = self.sizes[0] * self.part
        opened = self._some()
        if outer == 1:
            return [f"np.matmul({self.names[1]}, {opened}.reshape({taps}, -1), out={into})"]
        return [
            f"taps = {opened}.reshape({rows}, {taps * columns})",
            f"np.matmul({self.names[0]}, taps, out=halves.reshape({outer}, -1))",
            f"np.matmul({self.names[1]}, halves, out={into}.reshape({outer}, {inner}, -1))",
        ]

    def _some(self) -> str:
        """Those filters of the kernel, taps first and what products make last."""
        source = self.source
        label = (source.filters if self.side == "narrow" else source.channels)[0]
        axis = source.kernel_labels.index(label)
        shape = list(source.kernel_shape)
        shape[axis] = self.part
        some = f"{source.kernel}[{':, ' * axis}start : start + {self.part}]"
        sizes = tuple((name, self.part if name == label else n) for name, n in source.sizes)
        part = replace(source, kernel=some, kernel_shape=tuple(shape), sizes=sizes)
        return part.kernel_as("u", "cf" if self.side == "narrow" else "fc")

    def _whole(self) -> list[str]:
        """All of the kernel at once."""
        groups, channels, filters, taps, _ = self.blocks.form.counts
        points, width = self.blocks.points, groups * channels * filters
        order = "cf" if self.side == "narrow" else "fc"
        shape = listed([points, *([groups] if groups > 1 else []), *self.sizes])
        flat = self.source.kernel_as("u", f"g{order}")
        return [
            f"# the kernel at each of {points} points",
            f"taps = np.ascontiguousarray({flat})" if order == "fc" else f"taps = {flat}",
            f"kernels = {self.laying.scratch('kernels', (points, width))}",
            transformed(self.machine, self.names[2], "taps", "kernels", points * taps, width),
            f"kernels = kernels.reshape({shape})",
        ]


def transformed(machine: Machine, matrix: str, of: str, made: str, area: int, columns: int) -> str:
    """``made = matrix · of``, in slices that BLAS does not pack if the columns allow it.

    ``area`` is how many numbers the matrix has.
    """
    most = machine.sliced // area
    fits = [s for s in range(16, min(most, columns) + 1, 16) if columns % s == 0]
    if columns <= most or not fits or fits[-1] < LEAST:
        return f"np.matmul({matrix}, {of}, out={made})"
    return f"_transform({matrix}, {of}, {made}, {fits[-1]})"


@dataclass(frozen=True)
class Slopes:
    """The kernel's gradient: of its values at the points, and from there of its taps.

    ``names`` are the transposed G along both axes, and whole; ``count`` is 0 in the first block.
    """

    blocks: Blocks
    machine: Machine
    laying: Laying
    names: tuple[str, str, str]
    count: str

    @property
    def part(self) -> int:
        """Filters at a time, if the gradient at all points is too large to be kept; or 0."""
        return self.blocks.returned

    @property
    def order(self) -> str:
        """The axes of ``dtaps``."""
        return "ugfc" if self.part else "ugcf"

    @property
    def _shape(self) -> tuple[int, ...]:
        """At the points: for all filters, or for some."""
        groups, channels, filters, *_ = self.blocks.form.counts
        lead = (self.blocks.points, *((groups,) if groups > 1 else ()))
        return (*lead, self.part, channels) if self.part else (*lead, channels, filters)

    def before(self) -> list[str]:
        """Lines in front of the loop."""
        _, channels, filters, taps, _ = self.blocks.form.counts
        lines = [f"dkernels = {self.laying.scratch('dkernels', self._shape)}"]
        if not self.part:
            return [*lines, f"part = {self.laying.scratch('part', self._shape)}"]
        columns, (outer, rows, inner) = channels * self.part, self._axes()
        if outer > 1:
            halves = (outer, inner, columns)
            lines.append(f"dhalves = {self.laying.scratch('dhalves', halves)}")
        flat = (rows, inner * columns) if outer > 1 else (inner, columns)
        return [
            *lines,
            f"part = {self.laying.scratch('part', flat)}",
            f"dtaps = np.zeros(({taps}, {filters}, {channels}), dtype)",
        ]

    def products(self, left: str, right: str) -> list[str]:
        """What a block adds, from values over its tiles."""
        one, two = self._stack(left, 2), self._stack(right, 3)
        if not self.part:
            return [
                f"left = {one}.swapaxes(-1, -2)",
                f"right = {two}",
                f"if {self.count}:",
                "    np.matmul(left, right, out=part)",
                "    dkernels += part",
                "else:",
                "    np.matmul(left, right, out=dkernels)",
            ]
        _, channels, filters, taps, _ = self.blocks.form.counts
        outer, _, _ = self._axes()
        inner = self.blocks.points // outer
        back = [f"np.matmul({self.names[1]}, dkernels.reshape({inner}, -1), out=part)"]
        if outer > 1:
            given = f"dkernels.reshape({outer}, {inner}, -1)"
            back = [
                f"np.matmul({self.names[1]}, {given}, out=dhalves)",
                f"np.matmul({self.names[0]}, dhalves.reshape({outer}, -1), out=part)",
            ]
        some = f"start : start + {self.part}"
        return [
            f"left = {two}.swapaxes(-1, -2)",
            f"right = {one}",
            f"for start in range(0, {filters}, {self.part}):",
            "    # some filters, back to their taps while they are in the cache",
            f"    np.matmul(left[:, {some}], right, out=dkernels)",
            *(f"    {line}" for line in back),
            f"    dtaps[:, {some}] += part.reshape({taps}, {self.part}, {channels})",
        ]

    def after(self) -> list[str]:
        """Lines behind the loop, that make ``dtaps``."""
        groups, channels, filters, taps, _ = self.blocks.form.counts
        points, width = self.blocks.points, groups * channels * filters
        if self.part:
            return []
        flat = f"dkernels.reshape({points}, {width})"
        made = transformed(self.machine, self.names[2], flat, "dtaps", points * taps, width)
        return [f"dtaps = np.zeros(({taps}, {width}), dtype)", "if N:", f"    {made}"]

    def _axes(self) -> tuple[int, int, int]:
        """Points along the outer axis, and taps along both; 1 where there is no outer axis."""
        axes, inner = self.blocks.axes, self.blocks.axes[self.blocks.inner].window.taps
        if self.blocks.outer is None:
            return 1, 1, inner
        outer = axes[self.blocks.outer]
        return outer.size, outer.window.taps, inner

    def _stack(self, value: str, role: int) -> str:
        """A value over tiles as matrices (tiles, channels or filters), by points and groups."""
        groups, last = self.blocks.form.counts[0], self.blocks.form.counts[role - 1]
        points = self.blocks.points
        if groups == 1:
            return f"{value}.reshape({points}, -1, {last})"
        return f"{value}.reshape({points}, -1, {groups}, {last}).swapaxes(1, 2)"
