"""Planes of a few groups, laid out for sheared sums: sizes, and the lines that fill and read them.

``rows`` holds every plane once for each vertical tap, shifted by whole rows; ``sums`` a plane for
each horizontal shift, with zeros around it; ``beside`` planes that are shifted sideways. With a
stride s the columns of a plane lie apart by their remainder modulo s, each remainder a plane of its
own: column s·j + d·v + o is number j + q of remainder r, where d·v + o = s·q + r.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import gcd

from .planes import listed, plus, times
from .windowed import Window, Windowed

GAP = 16
"""Zeros around a plane at least: planes a power of two apart would share cache sets."""


@dataclass
class Lines:
    """A target's share of a function: before all, then for some groups, then for a sample."""

    before: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    inner: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Sheared:
    """A form over two axes, ``block`` groups at a time; buffers are called after ``name``."""

    form: Windowed
    block: int = 1
    name: str = ""

    # -- sizes -----------------------------------------------------------------------------
    @property
    def down(self) -> Window:
        """The axis whose taps are rows of a matrix."""
        return self.form.windows[0]

    @property
    def across(self) -> Window:
        """The axis whose taps are shifts."""
        return self.form.windows[1]

    @property
    def reads(self) -> tuple[tuple[int, int], ...]:
        """For each horizontal tap how far its columns are shifted, and their remainder."""
        w = self.across
        return tuple(divmod(w.dilation * v + w.offset, w.stride) for v in range(w.taps))

    @property
    def phases(self) -> tuple[int, ...]:
        """The remainders that are read."""
        return tuple(sorted({phase for _, phase in self.reads}))

    @property
    def step(self) -> int:
        """From one shift to the next."""
        return gcd(*(b - a for a, b in pairwise(shift for shift, _ in self.reads))) or 1

    @property
    def shifts(self) -> range:
        """How far to the right the sums of each plane are read."""
        return range(self.reads[0][0], self.reads[-1][0] + 1, self.step)

    @property
    def width(self) -> int:
        """Columns of a remainder, at most."""
        return -(-self.across.size // self.across.stride)

    @property
    def longest(self) -> int:
        """The longest shift, to either side."""
        return max(-self.shifts[0], self.shifts[-1])

    @property
    def pitch(self) -> int:
        """Columns of a row, wide or narrow; no shift is longer."""
        return max(self.width, self.across.outputs, self.longest)

    @property
    def length(self) -> int:
        """Numbers of a plane."""
        return self.down.outputs * self.pitch

    @property
    def gap(self) -> int:
        """Zeros before and behind a plane, for what is read outside."""
        return -(-max(1, self.longest) // GAP) * GAP

    @property
    def room(self) -> int:
        """From one plane to the next."""
        return self.length + 2 * self.gap

    @property
    def deep(self) -> int:
        """Channels times remainders times vertical taps."""
        return self.form.counts[1] * len(self.phases) * self.down.taps

    @property
    def tall(self) -> int:
        """Filters times shifts."""
        return self.form.counts[2] * len(self.shifts)

    @property
    def filled(self) -> bool:
        """Whether the outputs fill the rows."""
        return self.pitch == self.across.outputs

    @property
    def whole(self) -> bool:
        """Whether a plane is copied as one run."""
        return self.pitch == self.across.size and self.down.stride == 1

    @property
    def ones(self) -> bool:
        """Whether a row of ones meets the bias: in sums that are not shifted."""
        return bool(self.form.bias) and 0 in self.shifts

    # -- text ------------------------------------------------------------------------------
    @property
    def some(self) -> str:
        """The subscript of the groups of a block, if they are not all."""
        return f"g : g + {self.block}" if self.block < self.form.counts[0] else ""

    def of(self, array: str) -> str:
        """An array's groups of a block."""
        return f"{array}[{self.some}]" if self.some else array

    def planes(self, array: str, *sizes: int) -> str:
        """A sample's planes of the groups of a block."""
        return self.of(f"{array}[n].reshape({self.form.counts[0]}, {listed(sizes)})")

    def shifted(self, further: int = 0) -> str:
        """How far shift number v goes."""
        return plus(times(self.step, "v"), self.shifts[0] + further)

    def edges(self, array: str) -> list[str]:
        """What is read over the end of a row, put to zero: (groups, shifts, filters, i, a)."""
        outputs, pitch, count = self.across.outputs, self.pitch, len(self.shifts)
        left = sum(-shift > pitch - self.width for shift in self.shifts)
        right = sum(shift + outputs <= pitch for shift in self.shifts)
        lines = []
        if left:
            lines += [f"for v in range({left}):", f"    {array}[:, v, ..., {self.shifted()} :] = 0"]
        if right < count:
            span = f"{right}, {count}" if right else str(count)
            stop = self.shifted(outputs - pitch)
            lines += [f"for v in range({span}):", f"    {array}[:, v, ..., : {stop}] = 0"]
        return lines

    # -- lines -----------------------------------------------------------------------------
    def copies(self) -> Lines:
        """The planes of ``wide``, once for every vertical tap."""
        down, across, channels = self.down, self.across, self.form.counts[1]
        deep, stride = self.deep, down.stride
        lead = [self.block, channels, len(self.phases), down.taps]
        shape = listed([*lead, down.outputs, self.pitch])
        tap = times(down.dilation, "u")
        above = f"{stride - 1 - down.offset} - {tap}"
        above = f"({above}) // {stride}" if stride > 1 else above
        first = plus(tap, down.offset)
        first = f"{times(stride, 'low')} + {first}" if down.low else first
        end = down.offset + stride * (down.outputs - 1) + 1
        stop = f"max(0, {plus(tap, end)})" if end < 0 else plus(tap, end)
        step = f" : {stride}" if stride > 1 else ""
        return Lines(
            before=[
                f'rows = _scratch("{self.name}_rows", ({self.block}, {deep + self.ones}, '
                f"{self.length}), dtype)",
                *([f"rows[:, {deep}] = 1"] if self.ones else []),
                f"placed = rows{f'[:, :{deep}]' if self.ones else ''}.reshape({shape})",
            ],
            inner=[
                f"block = {self.planes(self.form.wide, channels, down.size, across.size)}",
                f"for u in range({down.taps}):",
                *([f"    low = max(0, {above})"] if down.low else []),
                f"    seen = block[:, :, {first} : {stop}{step}]",
                *(f"    {line}" for line in self._columns("low" if down.low else "")),
            ],
        )

    def _columns(self, low: str) -> list[str]:
        """Columns into the planes of their remainders."""
        size, stride = self.across.size, self.across.stride
        into = f"{low} : {low} + seen.shape[2]" if low else ": seen.shape[2]"
        lines = []
        for number, phase in enumerate(self.phases):
            count = -(-(size - phase) // stride)
            columns = "" if count == self.pitch else f", :{count}"
            taken = "" if stride == 1 else f"[..., {phase or ''}::{stride}]"
            lines.append(f"placed[:, :, {number}, u, {into}{columns}] = seen{taken}")
        return lines

    def narrow(self, target: str) -> Lines:
        """Products of the kernel with ``rows``, then the sheared sum of their planes."""
        groups, _, filters, _, _ = self.form.counts
        outputs, gap, length, room = self.across.outputs, self.gap, self.length, self.room
        count, tall = len(self.shifts), self.tall
        planes = listed([self.block, count, filters, self.down.outputs, self.pitch])
        view = listed([self.block, filters, count, length])
        steps = listed([tall * room, room, filters * room + self.step, 1])
        into = f"{target}[n, {self.some}]" if self.some else f"{target}[n]"
        result = f"1, {length}" if self.filled else f"{self.down.outputs}, {outputs}"
        lines = Lines(
            before=[
                *self._kernel(),
                f'sums = _scratch("{self.name}_sums", ({self.block}, {tall}, {room}), dtype)',
                f"products = sums[:, :, {gap} : {gap + length}]",
                f"by_row = products.reshape({planes})",
                f"sheared = _windows(sums, ({view}), ({steps}), {gap + self.shifts[0]})",
                f"ones = np.ones((1, {count}), dtype)",
                f"{target} = np.empty((N, {groups}, {filters}, {result}), dtype)",
            ],
            inner=[f"np.matmul({self.of('kernel')}, rows, out=products)"],
        )
        if edges := self.edges("by_row"):
            lines.inner += ["# what a shift would take over the end of a row", *edges]
        if self.filled:
            lines.inner.append(f"np.matmul(ones, sheared, out={into})")
        else:
            sizes = listed([self.block, filters, 1, length])
            lines.before.append(f'full = _scratch("{self.name}_full", ({sizes}), dtype)')
            sizes = listed([self.block, filters, self.down.outputs, self.pitch])
            lines.inner.append("np.matmul(ones, sheared, out=full)")
            lines.inner.append(f"{into} = full.reshape({sizes})[..., :{outputs}]")
        if self.form.bias and not self.ones:
            lines.after.append(f"{target} += {self.form.bias}.reshape({groups}, {filters}, 1, 1)")
        return lines

    def _kernel(self) -> list[str]:
        """The kernel as a matrix (shift, f) by (c, phase, u), the bias beside it."""
        groups, channels, filters, _, _ = self.form.counts
        down, across, count = self.down, self.across, len(self.shifts)
        sizes = listed([groups, filters, channels, down.taps, across.taps])
        taps = f"{self.form.kernel_as('g', 'f', 'c', 'u')}.reshape({sizes})"
        matrix = listed([groups, self.tall, self.deep + self.ones])
        if across.stride == 1 and not self.ones:
            return [f"kernel = {taps}.transpose(0, 4, 1, 2, 3).reshape({matrix})"]
        lines = [
            f'kernel = _scratch("{self.name}_kernel", ({groups}, {count}, {filters}, '
            f"{self.deep + self.ones}), dtype)",
        ]
        inside = f"kernel[..., :{self.deep}]" if self.ones else "kernel"
        if across.stride == 1:
            shape = listed([groups, count, filters, self.deep])
            lines.append(f"{inside} = {taps}.transpose(0, 4, 1, 2, 3).reshape({shape})")
        else:
            shape = listed([groups, count, filters, channels, len(self.phases), down.taps])
            numbers, phases = self._places()
            lines += [
                "# the columns that each tap reads: their shift, their remainder",
                f"apart = {inside}.reshape({shape})",
                f"apart[:, {numbers}, :, :, {phases}] = {taps}.transpose(4, 0, 1, 2, 3)",
            ]
        if self.ones:
            zero = self.shifts.index(0)
            bias = f"{self.form.bias}.reshape({groups}, {filters})"
            lines.append(f"kernel[:, {zero}, :, {self.deep}] = {bias}")
        return [*lines, f"kernel = kernel.reshape({matrix})"]

    def _places(self) -> tuple[str, str]:
        """For each tap the number of its shift, and of its remainder."""
        numbers = [self.shifts.index(shift) for shift, _ in self.reads]
        phases = [self.phases.index(phase) for _, phase in self.reads]
        return f"({listed(numbers)})", f"({listed(phases)})"

    def kernel(self, target: str) -> Lines:
        """Products of ``rows`` with ``narrow``, shifted sideways once for every shift."""
        groups, _, filters, _, _ = self.form.counts
        outputs, gap, length, room = self.across.outputs, self.gap, self.length, self.room
        count = len(self.shifts)
        order = listed([self.deep, self.tall])
        plane = listed([self.block, filters, self.down.outputs, self.pitch])
        framed = listed([self.block, count, filters, self.down.outputs, self.pitch])
        columns = "..." if self.filled else f"..., :{outputs}"
        edges = self.edges("framed")
        return Lines(
            before=[
                f'beside = _scratch("{self.name}_beside", ({self.block}, {count}, {filters}, '
                f"{room}), dtype)",
                f"framed = beside[..., {gap} : {gap + length}].reshape({framed})",
                f"by_place = beside.reshape({self.block}, {self.tall}, {room})",
                f"by_place = by_place[:, :, {gap} : {gap + length}].swapaxes(1, 2)",
                f'part = _scratch("{self.name}_part", ({self.block}, {order}), dtype)',
                f"{target} = np.empty(({groups}, {order}), dtype)",
            ],
            opened=[f"total = np.zeros(({self.block}, {order}), dtype)"],
            inner=[
                f"other = {self.planes(self.form.narrow, filters, self.down.outputs, outputs)}",
                f"for v in range({count}):",
                f"    aside = beside[:, v, :, {self.shifted(gap)} : {self.shifted(gap + length)}]",
                f"    aside.reshape({plane})[{columns}] = other",
                *(["# what went over the end of a row", *edges] if edges else []),
                "np.matmul(rows, by_place, out=part)",
                "total += part",
            ],
            closed=[f"{target}[{self.some or '...'}] = total"],
            after=self._taps(target),
        )

    def _taps(self, target: str) -> list[str]:
        """The products of the taps that there are, as the kernel has them."""
        groups, channels, filters, _, _ = self.form.counts
        if self.across.stride == 1:
            return [f"{target} = {self.form.kernel_from(target, 'gcuf')}"]
        sizes = [groups, channels, len(self.phases), self.down.taps, len(self.shifts), filters]
        numbers, phases = self._places()
        return [
            f"{target} = {target}.reshape({listed(sizes)})[:, :, {phases}, :, {numbers}]",
            f"{target} = {target}.transpose(1, 2, 3, 0, 4)",
            f"{target} = {self.form.kernel_from(target, 'gcuf')}",
        ]
