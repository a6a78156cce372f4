"""A line of bilinear steps as the text of a private function, block by block of tiles.

Steps on the kernel alone come before the loop over blocks and after it, steps on tiles stand in
it. A value over tiles is a matrix (points, tiles · channels); it takes the memory of one that is
read no more. What sums over tiles is added up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod

from ..bilinear import Apply, Multiply, Put, Step, Take, reads
from ..machines import FLOAT
from .patches import SETS, Blocks
from .tasks import Task
from .transforms import matrices
from .windowed import Windowed

LINE = 16
"""Numbers that move a channel to another set of the cache."""
LEAST = 48
"""Columns of a slice that are worth a product of their own."""


@dataclass(frozen=True)
class Writer:
    """``sides``: side of Φ → the target that is made of it; ``source``: what reads the kernel.

    The kernel side's own form names the kernel's gradient where others name the kernel.
    """

    task: Task
    blocks: Blocks
    steps: tuple[Step, ...]
    sides: Mapping[str, str]
    source: Windowed
    name: str

    @cached_property
    def arrays(self) -> dict[str, str]:
        """Value → the array that it is in the kernel: ``dnarrow`` → ``dy``."""
        form = self.blocks.form
        if "narrow" in self.sides:
            return {"wide": form.wide, "kernel": form.kernel, "narrow": self.sides["narrow"]}
        made = {f"d{side}": target for side, target in self.sides.items()}
        given = {"wide": form.wide, "kernel": self.source.kernel, "dnarrow": form.narrow}
        return {**given, **made}

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """What the function reads."""
        used = {name for step in self.steps for name in reads(step)}
        order = ("dnarrow", "wide", "kernel")
        names = [self.arrays[v] for v in order if v in used]
        form = self.blocks.form
        return (*names, form.bias) if form.bias and "narrow" in self.sides else tuple(names)

    def body(self) -> list[str]:
        """The lines of the function."""
        lead = self.parameters[0]
        return [
            f"N, dtype = len({lead}), {lead}.dtype",
            *self._matrices(),
            *self._kernels(),
            *self._buffers(),
            *self._results(),
            *self._loop(),
            *self._finish(),
        ]

    # -- which steps stand where ----------------------------------------------------------------
    @cached_property
    def tiled(self) -> frozenset[str]:
        """Values with an axis of tiles."""
        found: set[str] = set()
        for step in self.steps:
            match step:
                case Take(made, _, _, _):
                    found.add(made)
                case Multiply(made, _, _, axes) if "t" in axes.split("->")[1]:
                    found.add(made)
                case Apply(made, _, of, _) if of in found:
                    found.add(made)
        return frozenset(found)

    def _inside(self) -> list[Step]:
        """Steps of the loop: what they make or read has an axis of tiles."""
        return [s for s in self.steps if {s.made, *reads(s)} & self.tiled]

    # -- before the loop ------------------------------------------------------------------------
    def _matrices(self) -> list[str]:
        """The transforms in the arrays' own dtype."""
        used = {(s.matrix, s.turned): None for s in self.steps if isinstance(s, Apply)}
        return [
            f"{_local(letter, turned)} = {matrices(self.blocks, letter)}"
            + ('.T.astype(dtype, order="C")' if turned else ".astype(dtype)")
            for letter, turned in used
        ]

    def _kernels(self) -> list[str]:
        """The kernel at the points, the summed axis first."""
        found = [s for s in self.steps if isinstance(s, Apply) and s.of == "kernel"]
        if not found:
            return []
        groups, channels, filters, taps, _ = self.blocks.form.counts
        read = next(s for s in self.steps if isinstance(s, Multiply) and s.right == "kernels")
        order = "cf" if read.axes.split(",")[0].endswith("c") else "fc"
        sizes = {"c": channels, "f": filters}
        shape = (self.blocks.points, *((groups,) if groups > 1 else ()), *(sizes[k] for k in order))
        flat = self.source.kernel_as("u", f"g{order}")
        width = groups * channels * filters
        made = self._scratch("kernels", (self.blocks.points, width))
        return [
            f"# the kernel at each of {self.blocks.points} points",
            f"taps = {flat}",
            f"kernels = {made}",
            self._transformed(_local("G", False), "taps", "kernels", taps, width),
            f"kernels = kernels.reshape({_told(shape)})",
        ]

    def _buffers(self) -> list[str]:
        """Memory that is kept between calls: samples with channels innermost, and tiles."""
        lines = [line for value in self._laid() for line in self._room(value)]
        for memory, rows, channels in self._memory():
            columns = self.blocks.tiles * self.blocks.samples * channels
            # rows that lie a power of two apart would meet in the same sets of the cache
            held = columns + (0 if FLOAT * columns % SETS else LINE)
            cut = f"[:, :{columns}]" if held > columns and self.blocks.samples == 1 else ""
            lines.append(f"{memory} = {self._scratch(memory, (rows, held))}{cut}")
        if self.blocks.samples == 1:
            lines += [f"{value} = {memory}" for value, memory in self._aliases()]
        if "kernel" in self.sides:
            shape = self._kernel_shape()
            lines.append(f"part = {self._scratch('part', shape)}")
            lines.append(f"dkernels = np.zeros(({_told(shape)}), dtype)")
        return lines

    def _room(self, value: str) -> list[str]:
        """The buffer of a side, and one for a copy of its array if channels lie badly there."""
        side, own = value.removeprefix("d"), _laid(value)
        shape = self.blocks.buffer(side, block=value == "narrow")
        lines = [f"{own} = {self._scratch(own, shape)}"]
        if value in ("wide", "dnarrow") and self.blocks.aligned(side):
            channels, *places = self._whole(side)
            lead = shape[: -1 - len(places)]
            apart = (*lead, channels, prod(places) + LINE)
            lines.append("# channels a power of two apart would push each other out of the cache")
            lines.append(f"{own}_apart = {self._scratch(f'{own}_apart', apart)}")
        return lines

    def _scratch(self, own: str, shape: Sequence[int]) -> str:
        return f'_scratch("{self.name[1:]}_{own}", ({_told(shape)}), dtype)'

    def _kernel_shape(self) -> tuple[int, ...]:
        groups, channels, filters, *_ = self.blocks.form.counts
        return (self.blocks.points, *((groups,) if groups > 1 else ()), channels, filters)

    def _laid(self) -> list[str]:
        """Sides that are laid out with channels innermost."""
        return [v for s in self._inside() for v in (s.made, *reads(s)) if v in _SAMPLES]

    @cached_property
    def _owners(self) -> dict[str, str]:
        """Value over tiles → the value whose memory it takes."""
        steps = self._inside()
        last = {v: k for k, step in enumerate(steps) for v in reads(step)}
        owners: dict[str, str] = {}
        for k, step in enumerate(steps):
            if step.made not in self.tiled:
                continue
            busy = {owners[v] for v in owners if last.get(v, k) >= k}
            free = [
                o
                for o in dict.fromkeys(owners.values())
                if o not in busy and self._size(o) == self._size(step.made)
            ]
            owners[step.made] = free[0] if free else step.made
        return owners

    def _size(self, value: str) -> tuple[int, int]:
        """Rows and channels of a value over tiles."""
        plain = value.removeprefix("d")
        rows = self.blocks.outputs if plain == "ends" else self.blocks.points
        wide = plain in ("patches", "points")
        return rows, self.blocks.channels if wide else self.blocks.filters

    def _memory(self) -> list[tuple[str, int, int]]:
        several = self.blocks.samples > 1
        return [
            (f"every_{v}" if several else v, *self._size(v))
            for v in dict.fromkeys(self._owners.values())
        ]

    def _aliases(self) -> list[tuple[str, str]]:
        return [(v, owner) for v, owner in self._owners.items() if v != owner]

    def _results(self) -> list[str]:
        lines = []
        for side, target in self.sides.items():
            if side in ("narrow", "wide"):
                shape = self._whole(side)
                lines.append(f"{target} = np.empty((N, {_told(shape)}), dtype)")
            elif side == "total":
                places = prod(self.blocks.buffer("narrow")[:-1])
                lines.append(f"{target} = np.zeros({self.blocks.filters}, dtype)")
                lines.append(f"ones = np.ones({places}, dtype)")
        return lines

    def _whole(self, side: str) -> tuple[int, ...]:
        """A side as (channels, places)."""
        form = self.blocks.form
        if side == "wide":
            return (self.blocks.channels, *(w.size for w in form.windows))
        return (self.blocks.filters, *(w.outputs for w in form.windows))

    # -- the loop -------------------------------------------------------------------------------
    def _loop(self) -> list[str]:
        several, blocks = self.blocks.samples > 1, self.blocks
        head = f"for n in range(0, N, {blocks.samples}):" if several else "for n in range(N):"
        inner = [line for step in self._inside() for line in self._step(step)]
        if "narrow" in self.sides:
            inner += self._stored("narrow")
        if blocks.count > 1:
            over = f"range(0, {blocks.axes[0].count}, {blocks.rows})"
            inner = [f"for top in {over}:", *(f"    {line}" for line in inner)]
        lines = [f"size = min({blocks.samples}, N - n)"] if several else []
        lines += [line for v in self._laid() for line in self._loaded(v)]
        if several:
            lines += [
                f"{v} = every_{owner}[:, : size * {blocks.tiles * self._size(v)[1]}]"
                for v, owner in self._owners.items()
            ]
        lines += inner
        if "wide" in self.sides:
            lines += self._stored("dwide")
        return [head, *(f"    {line}" for line in lines)]

    def _loaded(self, value: str) -> list[str]:
        """A sample's entries in the middle of the zeros around them."""
        if value == "dwide":
            first = self.blocks.axes[0].window.start
            last = first + self._below()
            return [f"grown[{first or ''}:{last}] = 0"] if last > first else []
        if value == "narrow":
            return []
        array, side = self.arrays[value], value.removeprefix("d")
        into = f"{_laid(value)}[{self._spans(side)}]"
        if self.blocks.aligned(side):
            lines = self._apart(into, array, value)
        else:
            lines = [f"{into} = {self._turned(self._sample(array, side))}"]
        if side == "narrow" and "total" in self.sides:
            used, ones = _laid(value), "ones"
            if self.blocks.samples > 1:
                places = prod(self.blocks.lengths("narrow"))
                used, ones = f"{used}[:size]", f"ones[: size * {places}]"
            flat = f"{used}.reshape(-1, {self.blocks.filters})"
            lines.append(f"{self.sides['total']} += {ones} @ {flat}")
        return lines

    def _spans(self, side: str) -> str:
        """Where in its buffer a sample lies."""
        several = [":size"] if self.blocks.samples > 1 else []
        windows = self.blocks.form.windows
        if side == "narrow":
            return ", ".join([*several, *(f":{w.outputs}" for w in windows)])
        return ", ".join([*several, *(f"{w.low} : {w.low + w.size}" for w in windows)])

    def _apart(self, into: str, array: str, value: str) -> list[str]:
        """The same by way of a copy in which no two channels start in the same cache set."""
        shape = self._whole(value.removeprefix("d"))
        places = prod(shape[1:])
        several = self.blocks.samples > 1
        lead = ":size, " if several else ""
        given = f"{array}[n : n + size]" if several else f"{array}[n]"
        sample = self._turned(f"apart.reshape({_told((*self._lead(), *shape))})")
        return [
            f"apart = {_laid(value)}_apart[{lead}:, :{places}]",
            f"apart[...] = {given}.reshape(apart.shape)",
            f"{into} = {sample}",
        ]

    def _lead(self) -> list[str]:
        return ["size"] if self.blocks.samples > 1 else []

    def _sample(self, array: str, side: str) -> str:
        """The samples of a block as (channels, places)."""
        shape = self._whole(side)
        given = f"{array}[n : n + size]" if self.blocks.samples > 1 else f"{array}[n]"
        if self._is(array, shape):
            return given
        return f"{given}.reshape({_told((*self._lead(), *shape))})"

    def _turned(self, sample: str) -> str:
        """Channels last."""
        k = len(self.blocks.axes) + 1
        axes = (0, *range(2, k + 1), 1) if self.blocks.samples > 1 else (*range(1, k), 0)
        return f"{sample}.transpose({_told(axes)})"

    def _is(self, array: str, shape: tuple[int, ...]) -> bool:
        """Whether a sample of an array has that shape as it is."""
        if array in self.sides.values():
            return True
        return self.task.tensor(array).sizes() == shape

    def _stored(self, value: str) -> list[str]:
        """From channels last into the result."""
        side = value.removeprefix("d")
        target, spans = self.arrays[value], self._spans(side)
        several = self.blocks.samples > 1
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
        turned = f"{_laid(value)}[{spans}].transpose({_told(axes)})"
        return [*lines, f"{into}{'[...]' if into == 'rows' else ''} = {turned}"]

    def _step(self, step: Step) -> list[str]:
        match step:
            case Take(made, of, _, _):
                view = self.blocks.view(_laid(of), of.removeprefix("d"))
                return [f"placed = {view}", f"{made}.reshape(placed.shape)[...] = placed"]
            case Put(made, of, _, _):
                return self._put(made, of)
            case Apply(made, matrix, of, turned):
                return self._apply(_local(matrix, turned), of, made)
            case Multiply(made, left, right, axes):
                return self._multiply(made, left, right, axes)

    def _put(self, made: str, of: str) -> list[str]:
        side = made.removeprefix("d")
        view = f"placed = {self.blocks.view(_laid(made), side, block=made == 'narrow')}"
        values = f"{of}.reshape(placed.shape)"
        if side == "narrow":
            return [view, f"placed[...] = {values}"]
        return [view, f"values = {values}", *self._merged()]

    def _below(self) -> int:
        """Rows that a block's last tiles share with the first ones of the next block."""
        axis = self.blocks.axes[0]
        return axis.phases * (axis.size - axis.outputs) if self.blocks.count > 1 else 0

    def _merged(self) -> list[str]:
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
        sample = [":"] if self.blocks.samples > 1 else []
        parts = [*entries, *sample, *tiles]
        while parts[-1] == ":":
            parts.pop()
        return _told(parts)

    def _apply(self, matrix: str, of: str, made: str) -> list[str]:
        rows, channels = self._size(made)
        columns = self.blocks.tiles * channels
        several = self.blocks.samples > 1
        lines = [
            self._transformed(
                matrix, of, made, max(rows, self._size(of)[0]), columns, several=several
            )
        ]
        if made == "ends" and (bias := self.blocks.form.bias):
            filters = self.blocks.filters
            whole = self.task.tensor(bias).sizes() == (filters,)
            flat = bias if whole else f"{bias}.reshape({filters})"
            lines.append(f"ends.reshape({rows}, -1, {filters})[...] += {flat}")
        return lines

    def _transformed(
        self, matrix: str, of: str, made: str, depth: int, columns: int, *, several: bool = False
    ) -> str:
        """``made = matrix · of``, in slices that BLAS does not pack if the columns allow it.

        ``columns`` is how many there are, or with ``several`` a number that divides them.
        """
        most = self.task.machine.sliced // (self.blocks.points * depth)
        fits = [s for s in range(16, min(most, columns) + 1, 16) if columns % s == 0]
        whole = columns <= most and not several
        if whole or not fits or fits[-1] < LEAST:
            return f"np.matmul({matrix}, {of}, out={made})"
        return f"_transform({matrix}, {of}, {made}, {fits[-1]})"

    def _multiply(self, made: str, left: str, right: str, axes: str) -> list[str]:
        first, second, result = axes.replace("->", ",").split(",")
        one, two = self._stack(left, first), self._stack(right, second)
        if result.endswith("t"):
            raise ValueError(f"{made} has its tiles last")
        if "t" in result:
            return [f"np.matmul({one}, {two}, out={self._stack(made, result)})"]
        swapped = f"{one}.swapaxes(-1, -2)"
        return [f"np.matmul({swapped}, {two}, out=part)", f"{made} += part"]

    def _stack(self, value: str, axes: str) -> str:
        """A value as a stack of matrices, one for each point and group."""
        if "t" not in axes:
            return value
        groups, channels, filters, *_ = self.blocks.form.counts
        last = channels if axes.endswith("c") else filters
        points = self.blocks.points
        if groups == 1:
            return f"{value}.reshape({points}, -1, {last})"
        return f"{value}.reshape({points}, -1, {groups}, {last}).swapaxes(1, 2)"

    # -- after the loop -------------------------------------------------------------------------
    def _finish(self) -> list[str]:
        lines, shown = [], []
        for side, target in self.sides.items():
            shape = self.task.shape(target)
            text = target
            if side == "kernel":
                lines += self._taps()
                made = self.blocks.form.kernel_from("taps", "ugcf")
                text = f"{made}.reshape({_told(shape)})"
            elif side in ("narrow", "wide"):
                if shape != self._whole(side):
                    text = f"{target}.reshape({_told(('N', *shape))})"
            elif shape != (self.blocks.filters,):
                text = f"{target}.reshape({_told(shape)})"
            if text != target:
                lines.append(f"{target} = {text}")
            shown.append(target)
        return [*lines, f"return {', '.join(shown)}"]

    def _taps(self) -> list[str]:
        """The kernel's gradient from that of its values at the points."""
        groups, channels, filters, taps, _ = self.blocks.form.counts
        points, width = self.blocks.points, groups * channels * filters
        flat = f"dkernels.reshape({points}, {width})"
        return [
            f"taps = np.empty(({taps}, {width}), dtype)",
            self._transformed(_local("G", True), flat, "taps", taps, width),
        ]


_SAMPLES = ("wide", "dwide", "narrow", "dnarrow")


def _laid(value: str) -> str:
    """The buffer of a side."""
    return {"wide": "padded", "dwide": "grown", "narrow": "laid", "dnarrow": "slopes"}[value]


def _local(letter: str, turned: bool) -> str:
    return f"{letter}_turned" if turned else letter


def _told(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))
