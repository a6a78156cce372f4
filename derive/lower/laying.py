"""Samples with their channels innermost: brought there, cut into patches, and taken back.

A side of Φ lies in a buffer (places, channels) with zeros around its entries, so that all patches
of a block are one view of it; ``n`` counts samples, ``top`` the tiles above a block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import prod

from ..machines import FLOAT
from .patches import SETS, Blocks, listed
from .tasks import Task

LINE = 16
"""Numbers that move a channel to another set of the cache."""
BUFFERS = {"wide": "padded", "dwide": "grown", "narrow": "laid", "dnarrow": "slopes"}
"""Value → the buffer that holds some samples of it."""


@dataclass(frozen=True)
class Laying:
    """``arrays``: value → the array that it is in the kernel; ``name``: of the function."""

    task: Task
    blocks: Blocks
    arrays: Mapping[str, str]
    name: str

    @property
    def several(self) -> bool:
        """Whether a block has more than one sample."""
        return self.blocks.samples > 1

    # -- memory ---------------------------------------------------------------------------------
    def scratch(self, own: str, shape: tuple[int, ...]) -> str:
        """Memory that is kept between calls, under a name of this function's own."""
        return f'_scratch("{self.name[1:]}_{own}", ({listed(shape)}), dtype)'

    def held(self, columns: int) -> int:
        """The length of rows of tiles that are not a power of two apart."""
        return columns + (LINE if FLOAT * columns % SETS == 0 else 0)

    def room(self, value: str) -> list[str]:
        """The buffer of a side, and one for a copy of its array if channels lie badly there."""
        side, own = value.removeprefix("d"), BUFFERS[value]
        shape = self.blocks.buffer(side, block=value == "narrow")
        lines = [f"{own} = {self.scratch(own, shape)}"]
        if value in ("wide", "dnarrow") and self.blocks.aligned(side):
            channels, *places = self.whole(side)
            lead = shape[: -1 - len(places)]
            apart = (*lead, channels, prod(places) + LINE)
            lines.append("# channels a power of two apart would push each other out of the cache")
            lines.append(f"{own}_apart = {self.scratch(f'{own}_apart', apart)}")
        return lines

    def whole(self, side: str) -> tuple[int, ...]:
        """A side as (channels, places)."""
        form = self.blocks.form
        if side == "wide":
            return (self.blocks.channels, *(w.size for w in form.windows))
        return (self.blocks.filters, *(w.outputs for w in form.windows))

    # -- from the array and back ----------------------------------------------------------------
    def loaded(self, value: str) -> list[str]:
        """A sample's entries in the middle of the zeros around them."""
        if value == "dwide":
            first = self.blocks.axes[0].window.start
            last = first + self._below()
            return [f"grown[{first or ''}:{last}] = 0"] if last > first else []
        if value == "narrow":
            return []
        array, side = self.arrays[value], value.removeprefix("d")
        into = f"{BUFFERS[value]}[{self._spans(side)}]"
        if self.blocks.aligned(side):
            lines = self._apart(into, array, value)
        else:
            lines = [f"{into} = {self._turned(self._sample(array, side))}"]
        return lines

    def _spans(self, side: str) -> str:
        """Where in its buffer a sample lies."""
        several = [":size"] if self.several else []
        windows = self.blocks.form.windows
        if side == "narrow":
            return ", ".join([*several, *(f":{w.outputs}" for w in windows)])
        return ", ".join([*several, *(f"{w.low} : {w.low + w.size}" for w in windows)])

    def _apart(self, into: str, array: str, value: str) -> list[str]:
        """The same by way of a copy in which no two channels start in the same cache set."""
        shape = self.whole(value.removeprefix("d"))
        places = prod(shape[1:])
        several = self.several
        lead = ":size, " if several else ""
        given = f"{array}[n : n + size]" if several else f"{array}[n]"
        sample = self._turned(f"apart.reshape({listed((*self._lead(), *shape))})")
        return [
            f"apart = {BUFFERS[value]}_apart[{lead}:, :{places}]",
            f"apart[...] = {given}.reshape(apart.shape)",
            f"{into} = {sample}",
        ]

    def _lead(self) -> list[str]:
        return ["size"] if self.several else []

    def _sample(self, array: str, side: str) -> str:
        """The samples of a block as (channels, places)."""
        shape = self.whole(side)
        given = f"{array}[n : n + size]" if self.several else f"{array}[n]"
        if self._is(array, shape):
            return given
        return f"{given}.reshape({listed((*self._lead(), *shape))})"

    def _turned(self, sample: str) -> str:
        """Channels last."""
        k = len(self.blocks.axes) + 1
        axes = (0, *range(2, k + 1), 1) if self.several else (*range(1, k), 0)
        return f"{sample}.transpose({listed(axes)})"

    def _is(self, array: str, shape: tuple[int, ...]) -> bool:
        """Whether a sample of an array has that shape as it is."""
        return self.task.tensor(array).sizes() == shape

    def stored(self, value: str) -> list[str]:
        """From channels last into the result."""
        side = value.removeprefix("d")
        target, spans = self.arrays[value], self._spans(side)
        several = self.several
        k = len(self.blocks.axes) + 1
        axes = (0, k, *range(1, k)) if several else (k - 1, *range(k - 1))
        into = f"{target}[n : n + size]" if several else f"{target}[n]"
        lines = []
        if value == "narrow" and self.blocks.count > 1:
            axis = self.blocks.axes[0]
            step, rows = axis.stride, axis.stride * self.blocks.rows
            lines = [f"rows = {target}[n, :, {step} * top : {step} * top + {rows}]"]
            rest = "".join(f", :{w.outputs}" for w in self.blocks.form.windows[1:])
            spans, into = f": rows.shape[1]{rest}", "rows"
        turned = f"{BUFFERS[value]}[{spans}].transpose({listed(axes)})"
        return [*lines, f"{into}{'[...]' if into == 'rows' else ''} = {turned}"]

    # -- patches --------------------------------------------------------------------------------
    def view(self, value: str) -> str:
        """All patches of a block."""
        side = value.removeprefix("d")
        return self.blocks.view(BUFFERS[value], side, block=value == "narrow")

    def _below(self) -> int:
        """Rows that a block's last tiles share with the first ones of the next block."""
        axis = self.blocks.axes[0]
        return axis.phases * (axis.size - axis.outputs) if self.blocks.count > 1 else 0

    def merged(self) -> list[str]:
        """Add what neighbouring tiles share, then lay every entry down once.

        A tile's last ``size − outputs`` entries are the next one's first; only those of the last
        tile have places of their own.
        """
        axes = self.blocks.axes
        tapped = [k for k, axis in enumerate(axes) if axis.size > axis.outputs]
        lines = ["# what a tile shares with the next one along an axis is added up there"]
        for k in reversed(tapped):
            shared = axes[k].size - axes[k].outputs
            if (axes[k].count if k else self.blocks.rows) > 1:
                into = self._part({k: (f":{shared}", "1:")})
                back = self._part({k: (f"{axes[k].outputs}:", ":-1")})
                lines.append(f"values[{into}] += values[{back}]")
            if k == 0 and self.blocks.count > 1:
                first = self._part({k: (f":{shared}", ":1")})
                lines.append("# and what the block above left, or zeros")
                lines.append(f"values[{first}] += placed[{first}]")
        lines.append("# a tile's own entries, and the rest of the last tiles")
        for own in product((True, False), repeat=len(tapped)):
            ends = zip(tapped, own, strict=True)
            part = self._part(
                {
                    k: (f":{axes[k].outputs}", ":") if mine else (f"{axes[k].outputs}:", "-1:")
                    for k, mine in ends
                }
            )
            lines.append(f"placed[{part}] = values[{part}]")
        return lines

    def _part(self, chosen: Mapping[int, tuple[str, str]]) -> str:
        """A subscript of patches: for some axes which entries of a patch, and which tiles."""
        axes = self.blocks.axes
        entries, tiles = [":"] * len(axes), []
        for k, axis in enumerate(axes):
            if k in chosen:
                entries[k] = chosen[k][0]
            tiles += [":"] if axis.phases > 1 else []
            tiles.append(chosen[k][1] if k in chosen else ":")
        sample = [":"] if self.several else []
        parts = [*entries, *sample, *tiles]
        while parts[-1] == ":":
            parts.pop()
        return listed(parts)
