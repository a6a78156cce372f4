"""The gradient of a strided convolution, gathered: one product for each remainder of the stride.

    dx[n, c, s·q + a] = Σ_f Σ_t w[f, c, r + s·t] · dy[n, f, q + m − t]    with  a + p = s·m + r

Entries of x with the same remainder a are all read by the same taps, every s-th one. So they are
a convolution of dy without a stride, with those taps in reverse. Its windows are not copied: with
zeros around dy, what a tap multiplies is one long run that starts a few numbers later for the
next tap. The products of a remainder are summed, then laid down s entries apart, each once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from ...machines import FLOAT, Cost
from ...programs import Function
from ..snippets import listed, nested, snippet
from ..tasks import Routine, Task
from ..windowed import Window, Windowed

NAME = "phases"
EXACT = True

LETTERS = "abc"
TAPS = ("along_a", "along_b", "along_c")

FILLED = 2
"""Caches that the products of a tile may fill: every tile packs the kernel again."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Targets that are the wide side of Φ with a stride, and taps for every remainder."""
    for target in task.forms:
        form = task.form(target, "wide")
        if form is None or not form.plain or form.bias or form.counts[0] > 1:
            continue
        windows = form.windows
        strided = any(w.stride > 1 for w in windows) and len(windows) <= len(LETTERS)
        if strided and all(w.dilation == 1 and w.taps >= w.stride for w in windows):
            yield (target,)


@dataclass(frozen=True)
class Axis:
    """Where the entries of each remainder lie, and what of dy their taps read."""

    window: Window

    @property
    def length(self) -> int:
        """Entries of the first remainder; the others have as many, or one less."""
        return -(-self.window.size // self.window.stride)

    @property
    def most(self) -> int:
        """The taps of a remainder at most."""
        return -(-self.window.taps // self.window.stride)

    def taps(self, a: int) -> int:
        """How many taps read entries of a remainder."""
        w = self.window
        return len(range((a - w.offset) % w.stride, w.taps, w.stride))

    @property
    def low(self) -> int:
        """Entries that are read in front of dy."""
        w = self.window
        firsts = ((a - w.offset) // w.stride - self.taps(a) + 1 for a in range(w.stride))
        return max(0, -min(firsts))

    @property
    def padded(self) -> int:
        """The length of dy with the entries around it."""
        w = self.window
        reach = (w.stride - 1 - w.offset) // w.stride + self.length
        return self.low + max(w.outputs, reach)  # what follows a row is never used

    def chosen(self, a: str) -> str:
        """The taps of a remainder among the taps in reverse, as Python text."""
        w = self.window
        if w.stride == 1:
            return ":"
        return f"({(w.taps - 1 + w.offset) % w.stride} - {a}) % {w.stride} :: {w.stride}"

    def start(self, a: str, taps: str) -> str:
        """Where in the padded dy the windows of a remainder start, as Python text."""
        w = self.window
        if w.stride == 1:
            return str(self.low - w.offset - w.taps + 1)
        whole, left = divmod(-w.offset, w.stride)
        moved = f"({a} + {left}) // {w.stride}" if left else f"{a} // {w.stride}"
        begin = self.low + whole + 1
        return f"{moved} + {begin} - {taps}" if left else f"{begin} - {taps}"


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """For every tap one product of (C, F) and (F, places), and each remainder's added up."""
    form = task.found(targets[0], "wide")
    _, channels, filters, taps, _ = form.counts
    axes = [Axis(w) for w in form.windows]
    rows = _rows(form, task)
    tiles = batch * -(-axes[0].length // rows)
    places = rows * prod(axis.padded for axis in axes[1:])
    phases = prod(w.stride for w in form.windows)
    runs = prod(axis.length for axis in axes[1:-1]) * (rows if len(axes) > 1 else 1)
    return Cost(
        ((tiles * taps, channels, places, filters),),
        moved=tiles * places * channels * (taps + 3 * phases)
        + 2 * batch * filters * form.counts[4]
        + 3 * taps * channels * filters,  # the kernel is turned
        runs=tiles * runs * phases * channels
        + batch * filters * form.counts[4] / form.windows[-1].outputs,
        calls=7 * tiles * phases + batch + 6,
        scratch=channels * prod(axis.most for axis in axes) * places,
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_dx_phases(dy, w)``."""
    form, target = task.found(targets[0], "wide"), targets[0]
    _, channels, filters, _, _ = form.counts
    axes, rows = [Axis(w) for w in form.windows], _rows(form, task)
    name, dy = task.function(target, NAME), form.narrow
    made = channels * rows * prod(axis.padded for axis in axes[1:])
    inner = ", ".join(f"{a.low} : {a.low + a.window.outputs}" for a in axes)
    taps = listed([*(w.taps for w in form.windows), filters, channels])
    reverse = listed(["::-1"] * len(axes))
    body = [
        f"N, dtype = len({dy}), {dy}.dtype",
        f"turned = np.ascontiguousarray({form.kernel_as('u', 'f', 'c')}).reshape({taps})",
        f"turned = turned[{reverse}]",
        "# a further row, in which the last runs end",
        f'padded = _scratch("{name[1:]}_padded", ({listed([filters, *_sizes(axes)])}), dtype)',
        f"inner = padded[:, {inner}]",
        f'products = _scratch("{name[1:]}", ({prod(a.most for a in axes) * made},), dtype)',
        f'sums = _scratch("{name[1:]}_sums", ({made},), dtype)',
        f"{target} = np.empty((N, {listed([channels, *(w.size for w in form.windows)])}), dtype)",
        "for n in range(N):",
        f"    inner[...] = {dy}[n].reshape(inner.shape)",
        _phases(form, axes, rows, target),
        f"return {target}.reshape(N, {listed(task.shape(target))})",
    ]
    doc = (
        f"{target}: for every remainder of the stride the entries that far apart, a convolution of "
        f"{dy} with every s-th tap in reverse.",
    )
    given = ("len", "_scratch", "_windows")
    function = Function(name, (dy, form.kernel), snippet("\n".join(body)), doc, "", given)
    return Routine(targets, function)


def _sizes(axes: list[Axis]) -> list[int]:
    """One channel of dy with the entries around it, and a further row."""
    return [axes[0].padded + 1, *(axis.padded for axis in axes[1:])]


def _rows(form: Windowed, task: Task) -> int:
    """How many rows of a remainder at a time."""
    axes = [Axis(w) for w in form.windows]
    held = form.counts[1] * prod(a.most for a in axes) * prod(a.padded for a in axes[1:])
    most = max(1, FILLED * task.machine.cache // (FLOAT * held))
    tiles = -(-axes[0].length // most)
    return -(-axes[0].length // tiles)


def _phases(form: Windowed, axes: list[Axis], rows: int, target: str) -> str:
    """Multiply by the taps of a remainder, add up, lay down."""
    channels, filters = form.counts[1:3]
    sizes = _sizes(axes)
    steps = [prod(sizes[k + 1 :]) for k in range(len(sizes))]
    whole = rows >= axes[0].length
    names = TAPS[: len(axes)]
    loops = [] if whole else [("top", f"range(0, {axes[0].length}, {rows})")]
    strides = [axis.window.stride for axis in axes]
    loops += [(a, f"range({s})") for a, s in zip(LETTERS, strides, strict=False) if s > 1]
    known, count = ", ".join(names), " * ".join(names)
    places = "into.shape[1]" + (f" * {steps[0]}" if steps[0] > 1 else "")
    within = "".join(f", :into.shape[{k}]" for k in range(2, len(axes) + 1))
    shape = listed([channels, "into.shape[1]", *sizes[1:]])
    body = f"""
taps = turned[{listed([axis.chosen(a) for a, axis in zip(LETTERS, axes, strict=False)])}]
{known} = taps.shape[{":-2" if len(axes) > 1 else "0"}]
into = {target}[n, :, {listed(_spans(axes, 0 if whole else rows))}]
count, places = {count}, {places}
start = {_start(axes, steps, "" if whole else " + top")}
runs = _windows(padded, ({known}, {filters}, places), ({listed([*steps, prod(sizes), 1])}), start)
made = products[: count * {channels} * places]
np.matmul(taps.swapaxes(-1, -2), runs, out=made.reshape({known}, {channels}, places))
total = sums[: {channels} * places]
np.sum(made.reshape(count, {channels} * places), axis=0, out=total)
into[...] = total.reshape({shape})[:, :{within}]
"""
    return nested(loops, body, 1)


def _spans(axes: list[Axis], rows: int) -> list[str]:
    """The entries of a remainder, along the first axis only ``rows`` of them if not 0."""
    spans = []
    for a, axis in zip(LETTERS, axes, strict=False):
        s = axis.window.stride
        spans.append(f"{a}::{s}" if s > 1 else ":")
    if rows:
        s = axes[0].window.stride
        end = f"{s} * (top + {rows})"
        spans[0] = f"{s} * top + a : {end} : {s}" if s > 1 else f"top : top + {rows}"
    return spans


def _start(axes: list[Axis], steps: list[int], moved: str) -> str:
    """Where the first run of a remainder starts in the padded dy."""
    starts: list[str] = []
    for a, axis, step, taps in zip(LETTERS, axes, steps, TAPS, strict=False):
        start = axis.start(a, taps) + ("" if starts else moved)
        starts.append(f"{step} * ({start})" if step > 1 else start)
    return " + ".join(starts)
