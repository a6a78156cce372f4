"""Samples with their channels innermost: brought there, cut into patches, and taken back.

A side of Φ lies in a buffer (places, channels) with zeros around its entries, so that all patches
of a block are one view of it; ``n`` counts samples, ``top`` the tiles above a block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from .patches import Blocks
from .snippets import listed
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
        sizes = listed(shape) + ("," if len(shape) == 1 else "")
        return f'_scratch("{self.name[1:]}_{own}", ({sizes}), dtype)'

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
        lines.append(f"{into}{'[...]' if into == 'rows' else ''} = {turned}")
        return lines

    def turned_out(self, value: str, inner: str) -> list[str]:
        """Outputs of every line by a product that writes them in the order of the result.

        Its sides are channels, with tiles on a stack; the last tile of a line may be cut short.
        """
        blocks, several = self.blocks, self.several
        axis, target = blocks.axes[1], self.arrays["narrow"]
        full, rest = divmod(axis.window.outputs, axis.outputs)
        into = f"{target}[n : n + size]" if several else f"{target}[n]"
        count, lines = str(axis.window.outputs), []
        step = blocks.axes[0].outputs
        if blocks.count > 1:
            lines = [f"rows = {target}[n, :, {step} * top : {step} * top + {step * blocks.rows}]"]
            into, count = "rows", "rows.shape[1]"
        else:
            count = str(blocks.axes[0].window.outputs)
        size = "size, " if several else ""
        deep = axis.size + bool(blocks.form.bias)
        given = f"{value}.reshape(-1, {deep}, {size}{axis.count}, {blocks.filters})[:{count}]"
        order = "0, 2, 3, 4, 1" if several else "0, 2, 3, 1"
        back = "2, 0, 3, 1, 4" if several else "1, 2, 0, 3"
        lines.append(f"given = {given}.transpose({order})")
        skip = ":, :, " if several else ":, "
        if full:
            shape = listed([*(["size"] if several else []), blocks.filters, -1, full, axis.outputs])
            cut = f"[..., :{full * axis.outputs}]" if rest else ""
            tiles = f"[{skip}:{full}]" if full < axis.count else ""
            lines += [
                "# channels first again",
                f"tiles = {into}{cut}.reshape({shape})",
                f"np.matmul(given{tiles}, {inner}.T, out=tiles.transpose({back}))",
            ]
        if rest:
            part = f"{into}[..., {full * axis.outputs}:]"
            order = "2, 0, 1, 3" if several else "1, 0, 2"
            lines.append(
                f"np.matmul(given[{skip}{full}], {inner}[:{rest}].T, out={part}.transpose({order}))"
            )
        return lines

    # -- patches --------------------------------------------------------------------------------
    def view(self, value: str) -> str:
        """The tiles of a block, line by line."""
        side = value.removeprefix("d")
        return self.blocks.view(BUFFERS[value], side, block=value == "narrow")
