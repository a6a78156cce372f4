"""im2col along all axes but the first: there windows overlap in memory, and nothing is copied.

    blocks[h, (c,v), j] = x[n, c, h, s·j + d·v − p]        y[n, f, i] = kernel · blocks[s·i :][: K]

Every row h of the input is laid out as the windows along the other axes, channels and taps down
the rows of a matrix. The windows of output row i are then K consecutive blocks, one matrix that
starts s blocks behind that of the row before: what two windows share is written once, not
K/s times. A row of ones after every s blocks meets the bias.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

from ...machines import FLOAT, Cost
from ...programs import Function
from ..rooms import room, sample
from ..snippets import listed, snippet
from ..tasks import Routine, Task
from ..tiles import starts
from ..windowed import Window, Windowed

NAME = "rows"
EXACT = True

LEAST = 8
"""Filters that a product should have at least."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Targets that are the narrow side of Φ where windows overlap along the first axis."""
    for target in task.forms:
        form = task.form(target, "narrow")
        if form is None or not form.plain or form.counts[0] > 1 or len(form.windows) < 2:
            continue
        first = form.windows[0]
        if first.dilation == 1 and first.taps > first.stride:
            yield (target,)


@dataclass(frozen=True)
class Blocks:
    """``rows`` output rows at a time, ``count`` such tiles; ``ones`` after every block.

    A block is what ``stride`` rows of the input become: ``matrix`` rows of ``width`` numbers.
    """

    form: Windowed
    rows: int
    filters: int

    @classmethod
    def of(cls, task: Task, form: Windowed) -> Blocks:
        """The tallest tile that stays in the cache, and filters for products that BLAS slices."""
        one = cls(form, 1, 1)
        outputs = form.windows[0].outputs
        most = task.machine.cache // (FLOAT * one.block * one.width) - one.reach
        rows = min(outputs, max(1, most))
        whole = max(r for r in range(1, rows + 1) if outputs % r == 0)
        filters = form.counts[2]
        fits = [
            m
            for m in range(LEAST, filters + 1)
            if filters % m == 0 and m * one.depth * one.width <= task.machine.sliced
        ]
        return cls(form, whole if whole * 2 > rows else rows, fits[-1] if fits else filters)

    @property
    def first(self) -> Window:
        """The axis along which windows overlap, with taps for whole blocks."""
        w = self.form.windows[0]
        return replace(w, taps=w.stride * -(-w.taps // w.stride))

    @property
    def windows(self) -> tuple[Window, ...]:
        """All axes, the first one as long as whole blocks need it."""
        return (self.first, *self.form.windows[1:])

    @property
    def row(self) -> int:
        """Rows of a matrix that one row of the input becomes: channels and taps."""
        return self.form.counts[1] * prod(w.taps for w in self.form.windows[1:])

    @property
    def block(self) -> int:
        """Rows of a matrix that ``stride`` rows become, with a row of ones if there is a bias."""
        return self.first.stride * self.row + bool(self.form.bias)

    @property
    def reach(self) -> int:
        """Blocks that a tile needs beside one for each of its rows."""
        return self.first.taps // self.first.stride - 1

    @property
    def depth(self) -> int:
        """Rows of the matrix that makes one row of outputs."""
        whole, rest = divmod(self.form.windows[0].taps, self.first.stride)
        return whole * self.block + rest * self.row

    @property
    def width(self) -> int:
        """Outputs of a row."""
        return prod(w.outputs for w in self.form.windows[1:])

    @property
    def count(self) -> int:
        """Tiles of a sample."""
        return -(-self.form.windows[0].outputs // self.rows)


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """One product of (F, C·K) and (C·K, width) for every row."""
    form = task.found(targets[0], "narrow")
    blocks = Blocks.of(task, form)
    filters, tiles = form.counts[2], batch * blocks.count
    high = blocks.rows + blocks.reach
    runs = blocks.width // form.windows[-1].outputs
    kernel, sides = filters * blocks.depth, (blocks.filters, blocks.width, blocks.depth)
    # beyond the cache every row fetches it again
    fetched = tiles * blocks.rows if FLOAT * kernel > task.machine.cache else 5
    return Cost(
        ((tiles * blocks.rows * filters // blocks.filters, *sides),),
        moved=tiles * high * blocks.block * blocks.width
        + fetched * kernel
        + 2 * batch * form.counts[1] * prod(w.size for w in form.windows),
        runs=tiles * high * blocks.block * runs + batch * form.windows[0].size * form.counts[1],
        calls=2 + 0.5 * batch + (1 if blocks.count == 1 else 3) * tiles,
        scratch=high * blocks.block * blocks.width,
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_y_rows(x, w, b)``."""
    form, target = task.found(targets[0], "narrow"), targets[0]
    blocks = Blocks.of(task, form)
    name, shape = task.function(target, NAME), task.shape(target)
    filters, outputs = form.counts[2], form.windows[0].outputs
    whole = f"(N, {listed(shape)})"
    given = (form.counts[1], *(w.size for w in form.windows))
    if blocks.filters < filters:
        apart = (filters // blocks.filters, blocks.filters, outputs, blocks.width)
        rows = f"{target}.reshape(N, {listed(apart)}).swapaxes(2, 3)"
    elif shape == (filters, outputs, blocks.width):
        rows = f"{target}.swapaxes(1, 2)"
    else:
        rows = f"{target}.reshape(N, {listed((filters, outputs, blocks.width))}).swapaxes(1, 2)"
    body = [
        f"N, dtype = len({form.wide}), {form.wide}.dtype",
        f"kernel, taps, {'bias, ' * bool(form.bias)}inner, {_windows_name(blocks)}, windows, "
        f"matrices = _room({name}_room, dtype)",
        *_kernel(blocks),
        f"{target} = np.empty({whole}, dtype)",
        f"rows = {rows}",
        "for n in range(N):",
        f"    inner[...] = {sample(task, form.wide, given)}",
        *_tiles(blocks),
        f"return {target}",
    ]
    doc = (
        f"{target}[n] = kernel · blocks({form.wide}[n]): every row of the input as the windows "
        "along it, each written once for all windows that it is in"
        + ("; rows of ones meet the bias." if form.bias else "."),
    )
    parameters = tuple(n for n in (form.wide, form.kernel, form.bias) if n)
    known = ("len", "_room", "_windows", f"{name}_room")
    function = Function(name, parameters, snippet("\n".join(body)), doc, "", known)
    return Routine(targets, function, room=_room(blocks, name))


def _windows_name(blocks: Blocks) -> str:
    """What the windows are copied from: a view of all of them, or what a tile's view is made of."""
    return "copied" if blocks.count == 1 else "padded"


def _kernel(blocks: Blocks) -> list[str]:
    """Lines that write the kernel as (filters, channels, blocks, taps), and the bias."""
    form = blocks.form
    _, channels, filters, _, _ = form.counts
    taps, stride = form.windows[0].taps, blocks.first.stride
    rest = blocks.row // channels
    turned = form.kernel_as("f", "c", "u")
    if turned.startswith(f"{form.kernel}.reshape("):
        turned = form.kernel
    whole, left = divmod(taps, stride)
    shape = listed((filters, channels, whole, stride, rest))
    if not left:
        lines = [f"taps[...] = {turned}.reshape({shape})"]
    else:
        lines = [
            f"turned = {turned}.reshape({listed((filters, channels, taps, rest))})",
            f"taps[:, :, :{whole}] = turned[:, :, :{whole * stride}].reshape({shape})",
            f"taps[:, :, {whole}, :{left}] = turned[:, :, {whole * stride}:]",
        ]
    return [*lines, *([f"bias[...] = {form.bias}"] if form.bias else [])]


def _room(blocks: Blocks, name: str) -> Function:
    """The kernel as a matrix, a sample with zeros around it, and the blocks."""
    form, windows = blocks.form, blocks.windows
    channels, filters = form.counts[1:3]
    high, size = blocks.rows + blocks.reach, blocks.first.stride * blocks.row
    own, wide = blocks.reach + 1, (blocks.reach + 1) * blocks.block
    cut = f"[..., :{blocks.depth}]" if blocks.depth < wide else ""
    lead = (filters // blocks.filters, 1) if blocks.filters < filters else ()
    rest = blocks.row // channels
    inner = ", ".join(f"{w.low} : {w.low + w.size}" for w in windows)
    ones = bool(form.bias)
    within = f"[:, :, :{size}]" if ones else ""
    names = ["matrix", "taps", *(["bias"] if ones else []), "inner", _windows_name(blocks)]
    shape = listed((blocks.rows, blocks.depth, blocks.width))
    body = [
        f"kernel = np.zeros(({listed((filters, own, blocks.block))}), dtype)",
        f"matrix = kernel.reshape({listed((*lead, blocks.filters, wide))}){cut}",
        f"taps = kernel{within}.reshape("
        f"{listed((filters, own, blocks.first.stride, channels, rest))}).transpose(0, 3, 1, 2, 4)",
        *(["# the first row of ones is enough; the others meet zeros"] if ones else []),
        *([f"bias = kernel[:, 0, {size}]"] if ones else []),
        "# only the sample itself is ever written",
        f"padded = np.zeros(({listed((channels, *(w.padded for w in windows)))}), dtype)",
        f"inner = padded[:, {inner}]",
        *([f"copied = {_copied(blocks)}"] if blocks.count == 1 else []),
        f"blocks = np.{'ones' if ones else 'zeros'}("
        f"({listed((high, blocks.block, blocks.width))}), dtype)",
        f"windows = blocks{f'[:, :{size}]' if ones else ''}.reshape({listed(_shape(blocks))})",
        "# the matrices of neighbouring rows overlap",
        f"matrices = _windows(blocks, ({shape}), "
        f"({blocks.block * blocks.width}, {blocks.width}, 1))",
        f"return {', '.join(names)}, windows, matrices",
    ]
    return room(name, body, "_windows")


def _shape(blocks: Blocks) -> list[int]:
    """The windows of a tile: rows, channels, taps, positions."""
    form, windows = blocks.form, blocks.windows[1:]
    high = blocks.rows + blocks.reach
    shape = [high, blocks.first.stride, form.counts[1], *(w.taps for w in windows)]
    return [*shape, *(w.outputs for w in windows)]


def _copied(blocks: Blocks, moving: str = "") -> str:
    """Those windows where they lie in the sample."""
    windows = blocks.windows
    sizes = [w.padded for w in windows]
    steps = [prod(sizes[k + 1 :]) for k in range(len(sizes))]
    first, rest = windows[0], list(zip(windows[1:], steps[1:], strict=True))
    along = [first.stride * steps[0], steps[0], prod(sizes)]
    along += [w.dilation * s for w, s in rest] + [w.stride * s for w, s in rest]
    start = sum(w.start * s for w, s in zip(windows, steps, strict=True))
    moved = f"{along[0]} * {moving}" if moving else ""
    begin = " + ".join([*([str(start)] if start else []), *([moved] if moved else [])])
    tail = f", {begin}" if begin else ""
    return f"_windows(padded, ({listed(_shape(blocks))}), ({listed(along)}){tail})"


def _tiles(blocks: Blocks) -> list[str]:
    """Lay out the windows along the rows of a tile, multiply row by row of the output."""
    if blocks.count == 1:
        return ["    windows[...] = copied", "    np.matmul(kernel, matrices, out=rows[n])"]
    sliced = ":, " if blocks.filters < blocks.form.counts[2] else ""
    return [
        f"    for top in {starts(blocks.first.outputs, blocks.rows)}:",
        f"        windows[...] = {_copied(blocks, 'top')}",
        f"        np.matmul(kernel, matrices, out=rows[n, {sliced}top : top + {blocks.rows}])",
    ]
