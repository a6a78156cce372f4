"""The gradient of a strided convolution, gathered: one product for each remainder of the stride.

    dx[n, c, s·q + a] = Σ_f Σ_t w[f, c, r + s·t] · dy[n, f, q + m − t]    with  a + p = s·m + r

Entries of x with the same remainder a are all read by the same taps, every s-th one. So they are
a convolution of dy without a stride, with those taps in reverse: copy the windows of dy side by
side, multiply, and lay the result down s entries apart. No product is ever added to another, and
none is made with the zeros that a stride would put between the entries of dy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from ...machines import Cost
from ...programs import Function
from ..snippets import nested, snippet
from ..tasks import Routine, Task
from ..tiles import FLOAT
from ..windowed import Window, Windowed

NAME = "phases"
EXACT = True

LETTERS = "abc"
TAPS = ("along_a", "along_b", "along_c")

SHARE = 4
"""Caches that the columns may fill: a tall tile packs the kernel less often, and that is more."""


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
        return self.low + max(w.outputs, reach)

    def first_tap(self, a: str) -> str:
        """The first tap of a remainder among the taps in reverse, as Python text."""
        w = self.window
        if w.stride == 1:
            return ""
        behind = (w.taps - 1 + w.offset) % w.stride
        return f"({behind} - {a}) % {w.stride}"

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
    """For every remainder one product of (C, F·taps) and (F·taps, entries)."""
    form = _form(task, targets)
    _, channels, filters, taps, _ = form.counts
    axes = [Axis(w) for w in form.windows]
    rows = _rows(form, task)
    tiles = batch * -(-axes[0].length // rows)
    width = prod(axis.length for axis in axes[1:])
    phases = prod(w.stride for w in form.windows)
    runs = rows * width // axes[-1].length if len(axes) > 1 else 1
    places = rows * width
    return Cost(
        tuple((tiles, channels, places, filters * count) for count in _counts(axes)),
        moved=tiles * places * (taps * filters + 3 * phases * channels)
        + tiles * taps * channels * filters
        + 2 * batch * filters * form.counts[4],
        runs=tiles * runs * (taps * filters + phases * channels)
        + tiles * taps * channels
        + taps * channels * filters / 3,
        calls=(7 * tiles + 1) * phases + batch + 6,
        scratch=filters * prod(axis.most for axis in axes) * places,
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_dx_phases(dy, w)``."""
    form, target = _form(task, targets), targets[0]
    _, channels, filters, _, _ = form.counts
    axes, rows = [Axis(w) for w in form.windows], _rows(form, task)
    name, dy = task.function(target, NAME), form.narrow
    places = rows * prod(axis.length for axis in axes[1:])
    depth = filters * prod(axis.most for axis in axes)
    inner = ", ".join(f"{a.low} : {a.low + a.window.outputs}" for a in axes)
    padded = _listed([filters, *(axis.padded for axis in axes)])
    taps = _listed([channels, *(w.taps for w in form.windows), filters])
    body = [
        f"N, dtype = len({dy}), {dy}.dtype",
        f"turned = {form.kernel_as('c', 'u', 'f')}.reshape({taps})[:{', ::-1' * len(axes)}]",
        f'padded = _scratch("{name[1:]}_padded", ({padded}), dtype)',
        f"inner = padded[:, {inner}]",
        f'columns = _scratch("{name[1:]}", ({depth * places},), dtype)',
        f'products = _scratch("{name[1:]}_products", ({channels * places},), dtype)',
        f"{target} = np.empty((N, {_listed([channels, *(w.size for w in form.windows)])}), dtype)",
        "for n in range(N):",
        f"    inner[...] = {dy}[n].reshape(inner.shape)",
        _phases(form, axes, rows, target),
        f"return {target}.reshape(N, {_listed(task.shape(target))})",
    ]
    doc = (
        f"{target} = one product for every remainder of the stride: the entries that far apart are "
        f"a convolution of {dy} with every s-th tap, in reverse.",
    )
    given = ("len", "_scratch", "_windows")
    function = Function(name, (dy, form.kernel), snippet("\n".join(body)), doc, "", given)
    return Routine(targets, function)


def _form(task: Task, targets: tuple[str, ...]) -> Windowed:
    form = task.form(targets[0], "wide")
    assert form is not None  # applies said so
    return form


def _counts(axes: list[Axis]) -> list[int]:
    """How many taps each remainder has."""
    counts = [1]
    for axis in axes:
        counts = [n * axis.taps(a) for n in counts for a in range(axis.window.stride)]
    return counts


def _rows(form: Windowed, task: Task) -> int:
    """How many rows of a remainder at a time."""
    axes = [Axis(w) for w in form.windows]
    depth = form.counts[2] * prod(axis.most for axis in axes)
    width = prod(axis.length for axis in axes[1:])
    most = max(1, SHARE * task.machine.cache // (FLOAT * depth * width))
    tiles = -(-axes[0].length // most)
    return -(-axes[0].length // tiles)


def _phases(form: Windowed, axes: list[Axis], rows: int, target: str) -> str:
    """Gather what the taps of a remainder read, multiply, lay down."""
    _, channels, filters, _, _ = form.counts
    sizes = [axis.padded for axis in axes]
    steps = [prod(sizes[k + 1 :]) for k in range(len(sizes))]
    moving = [axis for axis in axes if axis.window.stride > 1]
    letter = {axis: LETTERS[axes.index(axis)] for axis in moving}
    whole = rows >= axes[0].length
    names = TAPS[: len(axes)]
    chosen, spans, starts = [], [], []
    for k, (axis, step, taps) in enumerate(zip(axes, steps, names, strict=True)):
        a, s = letter.get(axis, ""), axis.window.stride
        chosen.append(f"{axis.first_tap(a)} :: {s}" if s > 1 else ":")
        begin, end = (a, "") if whole or k else (_plus(f"{s} * top", a), f"{s} * (top + {rows})")
        spans.append(f"{begin}:{end}{f':{s}' if s > 1 else ''}")
        start = axis.start(a, taps) + ("" if whole or k else " + top")
        starts.append(f"{step} * ({start})" if step > 1 else start)
    extents = ", ".join(f"extent_{LETTERS[k]}" for k in range(len(axes)))
    known, places = ", ".join(names), " * ".join(f"extent_{LETTERS[k]}" for k in range(len(axes)))
    every = _listed([*steps, prod(sizes), *steps])
    depth = " * ".join([str(filters), *names])
    body = f"""
taps = turned[:, {", ".join(chosen)}]
{known} = taps.shape[1:-1]
into = {target}[n, :, {", ".join(spans)}]
{extents} = into.shape[1:]
depth, places = {depth}, {places}
shape = ({known}, {filters}, {extents})
windows = columns[: depth * places]
windows.reshape(shape)[...] = _windows(padded, shape, ({every}), {" + ".join(starts)})
made = products[: {channels} * places].reshape({channels}, places)
np.matmul(taps.reshape({channels}, depth), windows.reshape(depth, places), out=made)
into[...] = made.reshape(into.shape)
"""
    if len(axes) == 1:  # a shape of one entry is a sequence still
        body = body.replace(f"{known} = taps.shape[1:-1]", f"{known} = taps.shape[1]")
        body = body.replace(f"{extents} = into.shape[1:]", f"{extents} = into.shape[1]")
    loops = [] if whole else [("top", f"range(0, {axes[0].length}, {rows})")]
    loops += [(letter[axis], f"range({axis.window.stride})") for axis in moving]
    return nested(loops, body, 1)


def _plus(one: str, two: str) -> str:
    return f"{one} + {two}" if two else one


def _listed(values: list[int] | tuple[int, ...]) -> str:
    return ", ".join(map(str, values))
