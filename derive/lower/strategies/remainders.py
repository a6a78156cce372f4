"""The gradient of a strided convolution, gathered, with the taps along a row as one long sum.

    dx[n, c, s·q + a] = Σ_e Σ_f w[f, c, a + p − s·e] · dy[n, f, q + e]

Entries of x with the same remainder a meet the same taps, at the same distances e from q. Along
the last axis dy is copied once for every e, zeros where it ends, one copy below the other: all
filters and these taps are summed by one matrix product, whose result is exactly the entries with
that remainder. Along the first axis e only moves the start of the places; those products are
added up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from ...machines import Cost, Machine
from ...programs import Function
from ..snippets import listed, nested, snippet
from ..tasks import Routine, Task
from ..tiles import THIN
from ..windowed import Window, Windowed

NAME = "remainders"
EXACT = True

SHORT = 96
"""Places that a slice should have at least where there are as many."""

NONE = Window("", 1, 1)
"""In front of a single axis."""

ROW, COLUMN = "u, high, top", "begin, wide, copy"
"""What is known of the taps of a remainder along the first axis, and along the last."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """The wide side of Φ with one or two windows, a stride, and taps for every remainder."""
    for target in task.forms:
        form = task.form(target, "wide")
        if form is None or not form.plain or form.bias or form.counts[0] > 1:
            continue
        windows = form.windows
        strided = any(w.stride > 1 for w in windows) and len(windows) <= 2
        if strided and all(w.dilation == 1 and w.taps >= w.stride for w in windows):
            yield (target,)


@dataclass(frozen=True)
class Axis:
    """Which taps meet the entries of each remainder, and where in dy."""

    window: Window

    @property
    def length(self) -> int:
        """Entries of the first remainder; the others have as many, or one less."""
        return -(-self.window.size // self.window.stride)

    def taps(self, a: int) -> range:
        """The taps that meet a remainder, the last one first."""
        w = self.window
        return range((a - w.offset) % w.stride, w.taps, w.stride)[::-1]

    def shift(self, a: int) -> int:
        """How far behind q the entry of dy lies that the first of these taps meets."""
        return (a - self.window.offset - self.taps(a)[0]) // self.window.stride

    @property
    def most(self) -> int:
        """The taps of a remainder at most."""
        return -(-self.window.taps // self.window.stride)

    @property
    def shifts(self) -> range:
        """Of all taps of all remainders."""
        every = range(self.window.stride)
        first = min(self.shift(a) for a in every)
        return range(first, max(self.shift(a) + len(self.taps(a)) for a in every))

    @property
    def low(self) -> int:
        """Entries that are read in front of dy."""
        return max(0, -self.shifts[0])

    @property
    def padded(self) -> int:
        """The length of dy with the entries around it."""
        return self.low + max(self.window.outputs, self.length + self.shifts[-1])


@dataclass(frozen=True)
class Layout:
    """``thick`` rows of the kernel times ``long`` places are one product."""

    form: Windowed
    first: Axis
    last: Axis
    thick: int
    long: int

    @classmethod
    def of(cls, form: Windowed, machine: Machine) -> Layout:
        """The largest products that BLAS computes without packing, if there are any."""
        first, last = (Axis(window) for window in (NONE, *form.windows)[-2:])
        channels, places = form.counts[1], first.length * last.length
        most = machine.sliced // (form.counts[2] * last.most)
        fits = [
            (m, s)
            for m in _divisors(channels)
            for s in _divisors(places)
            if m >= min(channels, THIN) and s >= min(places, SHORT) and m * s <= most
        ]
        return cls(form, first, last, *max(fits, key=prod, default=(channels, places)))

    @property
    def places(self) -> int:
        """Entries of dx with the first remainder."""
        return self.first.length * self.last.length

    @property
    def size(self) -> int:
        """The same in all channels."""
        return self.form.counts[1] * self.places

    @property
    def slices(self) -> tuple[int, int]:
        """How many times as many rows and places there are in all."""
        return self.form.counts[1] // self.thick, self.places // self.long

    @property
    def moved(self) -> tuple[int, int, int, int]:
        """Shape of the copies of dy: shifts, filters, rows, places of a row."""
        return len(self.last.shifts), self.form.counts[2], self.first.padded, self.last.length


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """For every remainder, and its taps along the first axis, one product that is cut up."""
    form = task.found(targets[0], "wide")
    layout = Layout.of(form, task.machine)
    first, last = layout.first.window, layout.last.window
    _, channels, filters, taps, _ = form.counts
    often = batch * first.taps * prod(layout.slices)
    depths = [filters * len(layout.last.taps(b)) for b in range(last.stride)]
    copied, entries = prod(layout.moved), layout.size * first.stride * last.stride
    added = layout.size * last.stride * (first.taps - first.stride)
    kernel = taps * channels * filters
    return Cost(
        tuple((often, layout.thick, layout.long, depth) for depth in depths),
        moved=batch * (2 * copied + entries + 3 * added) + 2 * kernel,
        runs=batch * (copied + entries) / layout.last.length + kernel / 16,
        calls=batch * (7 * first.stride * last.stride + layout.moved[0]) + 9,
        scratch=copied + layout.first.most * layout.size + kernel,
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_dx_remainders(dy, w)``."""
    form, target = task.found(targets[0], "wide"), targets[0]
    layout, dy = Layout.of(form, task.machine), form.narrow
    _, channels, filters, _, _ = form.counts
    name, axes = task.function(target, NAME), (layout.first, layout.last)
    made = layout.first.most * layout.size
    loops = [(k, axis.window.stride) for k, axis in zip("ab", axes, strict=True)]
    body = [
        f"N, dtype = len({dy}), {dy}.dtype",
        f"slopes = {dy}.reshape(N, {filters}, {listed([a.window.outputs for a in axes])})",
        *_kernels(layout),
        f'moved = _scratch("{name[1:]}_moved", ({listed(layout.moved)}), dtype)',
        f'products = _scratch("{name[1:]}", ({made},), dtype)',
        f"{target} = np.empty((N, {channels}, {listed([a.window.size for a in axes])}), dtype)",
        *_tables(layout),
        "for n in range(N):",
        *(f"    {line}" for line in _moves(layout)),
        nested([(k, f"range({s})") for k, s in loops if s > 1], _steps(layout, target), 1),
        f"return {target}.reshape(N, {listed(task.shape(target))})",
    ]
    doc = (
        f"{target}: for every remainder of the stride the entries that far apart, as products with "
        f"copies of {dy} moved along its last axis.",
    )
    given = ("len", "_scratch", "_windows")
    function = Function(name, (dy, form.kernel), snippet("\n".join(body)), doc, "", given)
    return Routine(targets, function)


def _kernels(layout: Layout) -> list[str]:
    """The taps in the order in which they meet dy: those of a remainder next to each other."""
    form, last = layout.form, layout.last
    _, channels, filters, _, _ = form.counts
    rows, columns = layout.first.window.taps, last.window.taps
    lines = [
        f"taps = {form.kernel_as('u', 'c', 'f')}"
        f".reshape({listed([rows, columns, channels, filters])})",
        "# along the last axis those of a remainder side by side, the last one first",
        f"kernels = np.empty(({listed([rows, channels, columns, filters])}), dtype)",
    ]
    begin = 0
    for b in range(last.window.stride):
        found = last.taps(b)
        taps = f"taps[:, {found[0]}::-{last.window.stride}]"
        span = f"{begin} : {begin + len(found)}"
        lines.append(f"kernels[:, :, {span}] = {taps}.transpose(0, 2, 1, 3)")
        begin += len(found)
    return lines


def _tables(layout: Layout) -> list[str]:
    """For each remainder the place of its last tap, how many there are, where dy meets that."""
    first, last, begin = layout.first, layout.last, 0
    rows: list[tuple[int, ...]] = []
    columns: list[tuple[int, ...]] = []
    for a in range(first.window.stride):
        rows.append((first.taps(a)[0], len(first.taps(a)), first.shift(a) + first.low))
    for b in range(last.window.stride):
        columns.append((begin, len(last.taps(b)), last.shift(b) - last.shifts[0]))
        begin += len(last.taps(b))
    lines = ["# for every remainder its first tap here, how many there are, where in dy they start"]
    for name, own, found in (("rows", ROW, rows), ("columns", COLUMN, columns)):
        lines.append(f"{name} = {listed(found)}" if len(found) > 1 else f"{own} = {found[0]}")
    return lines


def _moves(layout: Layout) -> list[str]:
    """Copies of dy, each one place further along the last axis; around them all stays zero."""
    first, last = layout.first, layout.last
    outputs, lines = last.window.outputs, []
    rows = f"{first.low} : {first.low + first.window.outputs}"
    for k, shift in enumerate(last.shifts):
        start, stop = max(0, -shift), min(last.length, outputs - shift)
        if start < stop:
            into, of = f"{start} : {stop}", f"{start + shift} : {stop + shift}"
            lines.append(f"moved[{k}, :, {rows}, {into}] = slopes[n, :, :, {of}]")
    return lines


def _steps(layout: Layout, target: str) -> str:
    """The entries with one remainder along each axis."""
    _, channels, filters, _, _ = layout.form.counts
    thick, long, size = layout.thick, layout.long, layout.size
    _, _, rows, columns = layout.moved
    whole, line = layout.slices, rows * columns
    lines, spans = [], []
    for letter, axis, table, own in (
        ("a", layout.first, "rows", ROW),
        ("b", layout.last, "columns", COLUMN),
    ):
        stride = axis.window.stride
        lines += [f"{own} = {table}[{letter}]"] * (stride > 1)
        spans.append(f"{letter}::{stride}" if stride > 1 else ":")
    chosen = f"kernels[u::-{layout.first.window.stride}, :, begin : begin + wide]"
    start = f"{filters * line} * copy + {columns} * top"
    lines += [
        f"depth = {filters} * wide",
        f"left = {chosen}.reshape(high, 1, {whole[0]}, {thick}, depth)",
        f"right = _windows(moved, (high, {whole[1]}, 1, depth, {long}), "
        f"({columns}, {long}, 0, {line}, 1), {start})",
        f"made = products[: high * {size}].reshape(high, {size})",
        f"cut = made.reshape(high, {whole[0]}, {thick}, {whole[1]}, {long})",
        "np.matmul(left, right, out=cut.transpose(0, 3, 1, 2, 4))",
    ]
    if layout.first.most > 1:
        lines += ["for e in range(1, high):", "    made[0] += made[e]"]
    laid = f"made[0].reshape({channels}, {layout.first.length}, {columns})"
    lines += [
        f"into = {target}[n, :, {listed(spans)}]",
        f"into[...] = {laid}[:, : into.shape[1], : into.shape[2]]",
    ]
    return "\n".join(lines)


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]
