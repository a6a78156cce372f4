"""A line of bilinear steps as the text of a private function, block by block of tiles.

Steps on the kernel alone come before the loop over blocks and after it, steps on tiles stand in
it. A value over tiles is a matrix (points, tiles · channels); it takes the memory of one that is
read no more. What sums over tiles is added up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

from ..bilinear import Apply, Multiply, Put, Step, Take, reads
from .laying import BUFFERS, Laying
from .patches import Blocks, listed
from .tasks import Task
from .transforms import matrices
from .windowed import Windowed

SUMMED = {"c": "channels", "f": "filters"}
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
    def laying(self) -> Laying:
        """How samples get to their buffers and back."""
        return Laying(self.task, self.blocks, self.arrays, self.name)

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
        made = self.laying.scratch("kernels", (self.blocks.points, width))
        return [
            f"# the kernel at each of {self.blocks.points} points",
            f"taps = {flat}",
            f"kernels = {made}",
            self._transformed(_local("G", False), "taps", "kernels", taps, width),
            f"kernels = kernels.reshape({listed(shape)})",
        ]

    def _buffers(self) -> list[str]:
        """Memory that is kept between calls: samples with channels innermost, and tiles."""
        lines = [line for value in self._laid() for line in self.laying.room(value)]
        for memory, rows, channels in self._memory():
            columns = self.blocks.tiles * self.blocks.samples * channels
            held = self.laying.held(columns)
            cut = f"[:, :{columns}]" if held > columns and self.blocks.samples == 1 else ""
            lines.append(f"{memory} = {self.laying.scratch(memory, (rows, held))}{cut}")
        if self.blocks.samples == 1:
            lines += [f"{value} = {memory}" for value, memory in self._aliases()]
        if "kernel" in self.sides:
            shape = self._kernel_shape()
            lines.append(f"part = {self.laying.scratch('part', shape)}")
            lines.append(f"dkernels = {self.laying.scratch('dkernels', shape)}")
        return lines

    def _kernel_shape(self) -> tuple[int, ...]:
        groups, channels, filters, *_ = self.blocks.form.counts
        return (self.blocks.points, *((groups,) if groups > 1 else ()), channels, filters)

    def _laid(self) -> list[str]:
        """Sides that are laid out with channels innermost."""
        return [v for s in self._inside() for v in (s.made, *reads(s)) if v in BUFFERS]

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
                shape = self.laying.whole(side)
                lines.append(f"{target} = np.empty((N, {listed(shape)}), dtype)")
            elif side == "total":
                places = prod(self.blocks.buffer("narrow")[:-1])
                lines.append(f"{target} = np.zeros({self.blocks.filters}, dtype)")
                lines.append(f"ones = np.ones({places}, dtype)")
        return lines

    # -- the loop -------------------------------------------------------------------------------
    def _loop(self) -> list[str]:
        several, blocks = self.blocks.samples > 1, self.blocks
        head = f"for n in range(0, N, {blocks.samples}):" if several else "for n in range(N):"
        inner = [line for step in self._inside() for line in (*_told(step), *self._step(step))]
        if "narrow" in self.sides:
            inner += self.laying.stored("narrow")
        if blocks.count > 1:
            over = f"range(0, {blocks.axes[0].count}, {blocks.rows})"
            inner = [f"for top in {over}:", *(f"    {line}" for line in inner)]
        lines = [f"size = min({blocks.samples}, N - n)"] if several else []
        lines += [line for v in self._laid() for line in self.laying.loaded(v)]
        lines += self._totalled()
        if several:
            lines += [
                f"{v} = every_{owner}[:, : size * {blocks.tiles * self._size(v)[1]}]"
                for v, owner in self._owners.items()
            ]
        lines += inner
        if "wide" in self.sides:
            lines += self.laying.stored("dwide")
        return [head, *(f"    {line}" for line in lines)]

    def _totalled(self) -> list[str]:
        """Add the upstream gradient up over the places: the bias's."""
        if "total" not in self.sides:
            return []
        used, ones = BUFFERS["dnarrow"], "ones"
        if self.blocks.samples > 1:
            places = prod(self.blocks.lengths("narrow"))
            used, ones = f"{used}[:size]", f"ones[: size * {places}]"
        return [f"{self.sides['total']} += {ones} @ {used}.reshape(-1, {self.blocks.filters})"]

    def _step(self, step: Step) -> list[str]:
        match step:
            case Take(made, of, _, _):
                return [
                    f"placed = {self.laying.view(of)}",
                    f"{made}.reshape(placed.shape)[...] = placed",
                ]
            case Put(made, of, _, _):
                return self._put(made, of)
            case Apply(made, matrix, of, turned):
                return self._apply(_local(matrix, turned), of, made)
            case Multiply(made, left, right, axes):
                return self._multiply(made, left, right, axes)

    def _put(self, made: str, of: str) -> list[str]:
        view, values = f"placed = {self.laying.view(made)}", f"{of}.reshape(placed.shape)"
        if made == "narrow":  # tiles of outputs lie side by side
            return [view, f"placed[...] = {values}"]
        return [view, f"values = {values}", *self.laying.merged()]

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
        first = "n" if self.blocks.count == 1 else "n + top"
        return [
            f"left = {one}.swapaxes(-1, -2)",
            f"right = {two}",
            f"if {first}:",
            "    np.matmul(left, right, out=part)",
            f"    {made} += part",
            "else:",
            f"    np.matmul(left, right, out={made})",
        ]

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
                text = f"{made}.reshape({listed(shape)})"
            elif side in ("narrow", "wide"):
                if shape != self.laying.whole(side):
                    text = f"{target}.reshape({listed(('N', *shape))})"
            elif shape != (self.blocks.filters,):
                text = f"{target}.reshape({listed(shape)})"
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
            f"taps = np.zeros(({taps}, {width}), dtype)",
            "if N:",
            "    " + self._transformed(_local("G", True), flat, "taps", taps, width),
        ]


def _local(letter: str, turned: bool) -> str:
    return f"{letter}_turned" if turned else letter


def _told(step: Step) -> list[str]:
    """What a step does, where its line does not say so."""
    match step:
        case Take(_, "wide", _, _):
            return ["# one row for each entry of a patch, its columns are tiles and channels"]
        case Multiply(_, _, _, axes) if "t" in axes.split("->")[1]:
            return ["# at every point a product that sums over " + SUMMED[axes.split(",")[0][-1]]]
        case Multiply():
            return ["# at every point a product that sums over tiles"]
    return []
