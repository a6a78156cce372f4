"""Transforms one axis after the other: how values over tiles lie, and the products between them.

    points = B · (B · patches) along one axis and then the other

Patches are nowhere laid out. Along the inner axis a product reads the entries of every tile where
they are, line by line, so that lines which tiles share go through it once: (lines, inner points,
columns), the columns being tiles side by side and channels. Along the outer axis a product makes
points of the lines of a tile: (points, tiles, channels). Results go the same way back. Both are
stacks of small products on strided views.

What goes back to patches overlaps: a tile's own entries are written to their places, and what
reaches into the next tile is added there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from ..bilinear import Apply, Multiply, Put, Step, Take, reads
from .patches import Blocks
from .snippets import listed

HALVES = {"points": "lines", "sums": "strips", "dsums": "dstrips", "dpoints": "dlines"}
"""Values at points → what they are after, or before, the transform along the outer axis."""

ROOMS = ("first", "second", "third", "fourth", "fifth")
"""Buffers that values over tiles take turns in."""


@dataclass(frozen=True)
class Nested:
    """The values over tiles of a block."""

    blocks: Blocks

    # -- how a value lies -----------------------------------------------------------------------
    def lead(self, value: str) -> tuple[int, ...]:
        """The axes of a value in front of its columns."""
        blocks = self.blocks
        if value in HALVES:
            return (blocks.points + (value == self.biased),)
        if value == "over":
            return (blocks.phases * blocks.lines("wide"),)
        assert blocks.outer is not None
        outer, inner = blocks.axes[blocks.outer], blocks.axes[blocks.inner]
        if value == "beyond":
            shared = outer.size - outer.outputs
            return (blocks.phases * blocks.along(blocks.outer), shared, inner.size)
        deep = inner.size + (value == self.biased)
        return (blocks.phases * blocks.lines(_side(value)), deep)

    @property
    def biased(self) -> str:
        """The value with a row more, that meets the bias in the last product; or ""."""
        if not self.blocks.form.bias:
            return ""
        return "sums" if self.blocks.outer is None else "strips"

    def columns(self, value: str) -> int:
        """The columns of one sample."""
        tiles = self.blocks.tiles if value in HALVES else self.blocks.across
        channels = self.blocks.channels if _side(value) == "wide" else self.blocks.filters
        inner = self.blocks.axes[self.blocks.inner]
        over = inner.size - inner.outputs if value == "over" else 1
        return over * tiles * channels

    def size(self, value: str) -> int:
        """Numbers that it holds for the samples of a block."""
        return prod(self.lead(value)) * self.columns(value) * self.blocks.samples

    def rooms(self, steps: list[Step]) -> dict[str, str]:
        """Value → the buffer that it has: one whose last value is read no more."""
        moves = list(self.moves(steps))
        last = {v: k for k, (_, read) in enumerate(moves) for v in read}
        rooms: dict[str, str] = {}
        for k, (made, read) in enumerate(moves):
            if made in ("", "dkernels"):
                continue
            busy = {room for v, room in rooms.items() if last.get(v, k) >= k or v in read}
            rooms[made] = next(room for room in ROOMS if room not in busy)
        return rooms

    def moves(self, steps: list[Step]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """What is made of what, one after the other; values of the kernel are among them."""
        two = self.blocks.outer is not None
        for step in steps:
            match step:
                case Multiply():
                    yield step.made, reads(step)
                case Apply("points" | "dsums" as made):
                    if two:
                        yield HALVES[made], ()
                    yield made, (HALVES[made],)
                case Apply("ends", _, of):
                    if two:
                        yield HALVES[of], (of,)
                case Apply("dpatches", _, of):
                    if two:
                        yield HALVES[of], (of,)
                        yield "beyond", (of, HALVES[of])
                    yield "over", (HALVES[of] if two else of, "beyond")
                case Put("narrow", _):
                    yield "", ("strips" if two else "sums",)
                case Take() | Put():
                    pass

    @property
    def turning(self) -> bool:
        """Whether the last product writes outputs in the order of the result itself.

        Four neighbours are a vector; other widths, and outputs that lie apart, are laid out
        channels last first.
        """
        axes = self.blocks.axes
        near = len(axes) == 2 and all(a.window.taps > 1 and a.phases == 1 for a in axes)
        return near and axes[self.blocks.inner].outputs % 4 == 0

    # -- products -------------------------------------------------------------------------------
    def ahead(self, made: str, tiles: str, outer: str, inner: str) -> list[str]:
        """From entries, a view ``tiles``, to points."""
        if self.blocks.outer is None:
            return [f"np.matmul({inner}, {tiles}, out={self.spread(made)})"]
        half = HALVES[made]
        return [
            f"np.matmul({inner}, {tiles}, out={self.spread(half)})",
            f"np.matmul({outer}, {self._neighbours(half)}, out={self._split(made)})",
        ]

    def ends(self, of: str, outer: str) -> list[str]:
        """From points to lines of outputs."""
        if self.blocks.outer is None:
            return []
        half = HALVES[of]
        return [f"np.matmul({outer}, {self._split(of)}, out={self._rows(half)})"]

    def back(self, of: str, outer: str) -> list[str]:
        """From points to lines of inputs, which tiles share along the outer axis."""
        blocks = self.blocks
        if blocks.outer is None:
            return []
        axis, tiles, half = blocks.axes[blocks.outer], self._tiles(), HALVES[of]
        k, own, shared = len(tiles), axis.outputs * tiles[-1], axis.size - axis.outputs
        skip = ":, " * (k - 1)
        line = [*self.lead(half)[1:], self._last(half)]
        apart = [*tiles[:-1], blocks.lines("wide"), *line]
        whole, beyond = (half, "beyond") if k == 1 else ("parts", "rest")  # phases are an axis
        lines = []
        if k > 1:
            lines = [
                f"parts = {half}.reshape({listed(apart)})",
                f"rest = beyond.reshape({listed([*tiles, shared, *line])})",
            ]
        lines += [
            "# a tile's own lines, and those that reach into the next one",
            f"given = {self._split(of)}",
            f"own = {whole}[{skip}:{own}].reshape({listed([*tiles, axis.outputs, *line])})",
            f"np.matmul({outer}[:{axis.outputs}], given, out=own.swapaxes({k}, {k + 1}))",
            f"np.matmul({outer}[{axis.outputs}:], given, out={beyond}.swapaxes({k}, {k + 1}))",
        ]
        if tiles[-1] > 1:
            lines.append(f"own[{skip}1:, :{shared}] += {beyond}[{skip}:-1]")
        if blocks.count > 1 and blocks.outer == 0:
            lines += [f"own[{skip}0, :{shared}] += carried", f"carried[...] = {beyond}[{skip}-1]"]
        return [*lines, f"{whole}[{skip}{own}:] = {beyond}[{skip}-1]"]

    def placed(self, of: str, tiles: str, inner: str) -> list[str]:
        """From lines of inputs to the entries, a view ``tiles``, of which neighbours share some."""
        blocks = self.blocks
        axis = blocks.axes[blocks.inner]
        half = HALVES[of] if blocks.outer is not None else of
        shared = axis.size - axis.outputs
        lead, middle = self._lead(half), self._middle()
        shape = listed([*lead, *middle, shared, self._channels(half)])
        skip = ":, " * (len(lead) + len(middle) - 1)
        lines = [
            "# and of these its own entries, and those that reach into the next one",
            f"tiles, given = {tiles}, {self.spread(half)}",
            f"np.matmul({inner}[:{axis.outputs}], given, out=tiles[{skip}:, :{axis.outputs}])",
            f"rest = over.reshape({shape})",
            f"np.matmul({inner}[{axis.outputs}:], given, out=rest)",
        ]
        if blocks.along(blocks.inner) > 1:
            lines.append(f"tiles[{skip}1:, :{shared}] += rest[{skip}:-1]")
        if blocks.count > 1 and blocks.inner == 0:
            lines += [f"tiles[{skip}0, :{shared}] += carried", f"carried[...] = rest[{skip}-1]"]
        return [*lines, f"tiles[{skip}-1, {axis.outputs}:] = rest[{skip}-1]"]

    @property
    def carried(self) -> tuple[int, ...]:
        """The shape of what a block leaves to the next one."""
        blocks = self.blocks
        if blocks.outer is None:
            axis = blocks.axes[0]
            middle = [int(k) for k in self._middle()[:-1]]
            return (*middle, axis.size - axis.outputs, blocks.channels)
        phases = [blocks.phases] if blocks.phases > 1 else []
        return (*phases, *self.lead("beyond")[1:], self.columns("beyond"))

    # -- views ----------------------------------------------------------------------------------
    def spread(self, value: str) -> str:
        """A value with the points of the inner axis and the channels last."""
        lead, middle = self._lead(value), self._middle()
        points = self.lead(value)[-1]
        shape = [*lead, points, *middle, self._channels(value)]
        k, m = len(lead), len(middle)
        order = [*range(k), *range(k + 1, k + 1 + m), k, k + 1 + m]
        opened = f"{value}.reshape({listed(shape)})"
        if m == 1:
            return f"{opened}.swapaxes({k}, {k + 1})"
        return f"{opened}.transpose({listed(order)})"

    def _lead(self, value: str) -> list[int]:
        """Lines, apart for each of the places where tiles start."""
        blocks = self.blocks
        if blocks.outer is None:
            return []
        return [*([blocks.phases] if blocks.phases > 1 else []), blocks.lines(_side(value))]

    def _middle(self) -> list[int | str]:
        """What lies side by side in a line: samples, places, tiles."""
        blocks = self.blocks
        shape: list[int | str] = ["size"] if blocks.samples > 1 else []
        for k in blocks.beside:
            shape += [blocks.axes[k].phases] if blocks.axes[k].phases > 1 else []
            shape.append(blocks.along(k))
        return shape

    def _channels(self, value: str) -> int:
        return self.blocks.channels if _side(value) == "wide" else self.blocks.filters

    def _tiles(self) -> list[int]:
        """Tiles along the outer axis, from each of the places where they start."""
        assert self.blocks.outer is not None
        phases = [self.blocks.phases] if self.blocks.phases > 1 else []
        return [*phases, self.blocks.along(self.blocks.outer)]

    def _last(self, value: str) -> str:
        """Columns of a value that is not at all points."""
        columns = self.columns(value)
        return str(columns) if self.blocks.samples == 1 else f"size * {columns}"

    def _neighbours(self, value: str) -> str:
        """The lines of each tile: (tiles, inner points, lines of a tile, columns)."""
        blocks = self.blocks
        assert blocks.outer is not None
        axis, points = blocks.axes[blocks.outer], blocks.axes[blocks.inner].size
        own = axis.size if _side(value) == "wide" else axis.outputs
        pitch = self.columns(value) * blocks.samples
        line = points * pitch
        phases = [blocks.lines(_side(value)) * line] if blocks.phases > 1 else []
        steps = [*phases, axis.outputs * line, pitch, line, 1]
        shape = [*self._tiles(), points, own, self._last(value)]
        whole = f"every_{value}" if blocks.samples > 1 else value
        return f"_windows({whole}, ({listed(shape)}), ({listed(steps)}))"

    def _split(self, value: str) -> str:
        """Values at points as (tiles, inner points, outer points, columns)."""
        blocks = self.blocks
        assert blocks.outer is not None
        outer, inner = blocks.axes[blocks.outer].size, blocks.axes[blocks.inner].size
        tiles = self._tiles()
        shape = listed([outer, inner, *tiles, self._last(HALVES[value])])
        order = [*range(2, 2 + len(tiles)), 1, 0, 2 + len(tiles)]
        return f"{value}.reshape({shape}).transpose({listed(order)})"

    def _rows(self, value: str) -> str:
        """Lines of outputs as (tiles, inner points, lines of a tile, columns)."""
        blocks = self.blocks
        assert blocks.outer is not None
        tiles = self._tiles()
        own, points = blocks.axes[blocks.outer].outputs, blocks.axes[blocks.inner].size
        shape = listed([*tiles, own, *self.lead(value)[1:], self._last(value)])
        cut = f"[{':, ' * (len(tiles) + 1)}:{points}]" if value == self.biased else ""
        return f"{value}.reshape({shape}){cut}.swapaxes({len(tiles)}, {len(tiles) + 1})"


def _side(value: str) -> str:
    """The side of Φ whose channels a value has."""
    wide = ("lines", "points", "beyond", "over")
    return "wide" if value in wide or value.removeprefix("d") in wide else "narrow"
