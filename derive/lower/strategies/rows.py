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
from ..snippets import snippet
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
    """One product of (F, C·K) and (C·K, width) for every row, which reads the whole kernel."""
    form = _form(task, targets)
    blocks = Blocks.of(task, form)
    filters, tiles = form.counts[2], batch * blocks.count
    high = blocks.rows + blocks.reach
    runs = blocks.width // form.windows[-1].outputs
    return Cost(
        (
            (
                tiles * blocks.rows * filters // blocks.filters,
                blocks.filters,
                blocks.width,
                blocks.depth,
            ),
        ),
        moved=tiles * high * blocks.block * blocks.width
        + tiles * blocks.rows * filters * blocks.depth
        + 2 * batch * form.counts[1] * prod(w.size for w in form.windows),
        runs=tiles * high * blocks.block * runs + batch * form.windows[0].size * form.counts[1],
        calls=tiles * 4 + batch + 8,
        scratch=high * blocks.block * blocks.width,
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_y_rows(x, w, b)``."""
    form, target = _form(task, targets), targets[0]
    blocks = Blocks.of(task, form)
    filters, name = form.counts[2], task.function(target, NAME)
    outputs = form.windows[0].outputs
    high = blocks.rows + blocks.reach
    shape = f"({high}, {blocks.block}, {blocks.width})"
    body = [
        f"N, dtype = len({form.wide}), {form.wide}.dtype",
        *_kernel(blocks),
        *_padded(blocks, name[1:]),
        f'blocks = _scratch("{name[1:]}_blocks", {shape}, dtype)',
        *([f"blocks[:, {blocks.block - 1}] = 1"] if form.bias else []),
        f"{target} = np.empty((N, {filters}, {outputs}, {blocks.width}), dtype)",
        "for n in range(N):",
        f"    inner[...] = {form.wide}[n].reshape(inner.shape)",
        *_tiles(blocks, target),
        f"return {target}.reshape(N, {_listed(task.shape(target))})",
    ]
    doc = (
        f"{target}[n] = kernel · blocks({form.wide}[n]): every row of the input as the windows "
        "along it, each written once for all windows that it is in"
        + ("; rows of ones meet the bias." if form.bias else "."),
    )
    parameters = tuple(n for n in (form.wide, form.kernel, form.bias) if n)
    given = ("len", "_scratch", "_windows")
    function = Function(name, parameters, snippet("\n".join(body)), doc, "", given)
    return Routine(targets, function)


def _form(task: Task, targets: tuple[str, ...]) -> Windowed:
    form = task.form(targets[0], "narrow")
    assert form is not None  # applies said so
    return form


def _kernel(blocks: Blocks) -> list[str]:
    """The kernel as (filters, block rows), a slice of filters at a time: the bias meets ones."""
    form, row = blocks.form, blocks.row
    _, channels, filters, _, _ = form.counts
    taps, rest = form.windows[0].taps, row // channels
    turned = form.kernel_as("f", "c", "u")
    turned += f".reshape({filters}, {channels}, {taps}, {rest}).transpose(0, 2, 1, 3)"
    slices = f"({filters // blocks.filters}, 1, {blocks.filters}"
    if not form.bias:
        return [f"kernel = {turned}.reshape{slices}, {blocks.depth})"]
    whole, left = divmod(taps, blocks.first.stride)
    size, own = blocks.block - 1, blocks.first.taps // blocks.first.stride
    lines = [
        f"taps = {turned}.reshape({filters}, {taps * row})",
        f"kernel = np.zeros(({filters}, {own}, {size + 1}), dtype)",
        f"kernel[:, :{whole}, :{size}] = taps[:, :{whole * size}]"
        f".reshape({filters}, {whole}, {size})",
    ]
    if left:
        lines.append(f"kernel[:, {whole}, :{left * row}] = taps[:, {whole * size}:]")
    return [
        *lines,
        "# the first row of ones is enough; the others meet zeros",
        f"kernel[:, 0, {size}] = {form.bias}",
        f"kernel = kernel.reshape{slices}, {own * (size + 1)})[..., :{blocks.depth}]",
    ]


def _padded(blocks: Blocks, name: str) -> list[str]:
    """One sample with zeros around it, kept between calls: only ``inner`` is ever written."""
    channels = blocks.form.counts[1]
    sizes = [w.padded for w in blocks.windows]
    inner = ", ".join(f"{w.low} : {w.low + w.size}" for w in blocks.windows)
    return [
        f'padded = _scratch("{name}_padded", ({_listed((channels, *sizes))}), dtype)',
        f"inner = padded[:, {inner}]",
    ]


def _tiles(blocks: Blocks, target: str) -> list[str]:
    """Lay out the windows along the rows of a tile, multiply row by row of the output."""
    form, windows = blocks.form, blocks.windows
    sizes = [w.padded for w in windows]
    steps = [prod(sizes[k + 1 :]) for k in range(len(sizes))]
    first, rest = windows[0], list(zip(windows[1:], steps[1:], strict=True))
    high = blocks.rows + blocks.reach
    shape = [high, first.stride, form.counts[1], *(w.taps for w, _ in rest)]
    shape += [w.outputs for w, _ in rest]
    along = [first.stride * steps[0], steps[0], prod(sizes)]
    along += [w.dilation * s for w, s in rest] + [w.stride * s for w, s in rest]
    start = sum(w.start * s for w, s in zip(windows, steps, strict=True))
    single = blocks.count == 1
    moving = [] if single else [f"{along[0]} * top"]
    begin = " + ".join([*([str(start)] if start else []), *moving])
    room = f"blocks[:, :{first.stride * blocks.row}]" if form.bias else "blocks"
    outputs, filters = first.outputs, form.counts[2]
    span = "" if single else f"[:, :, top : top + {blocks.rows}]"
    slices = f"{filters // blocks.filters}, {blocks.filters}, {outputs}, {blocks.width}"
    tile = [
        f"{room}.reshape({_listed(shape)})[...] = _windows("
        f"padded, ({_listed(shape)}), ({_listed(along)}){', ' if begin else ''}{begin})",
        "# the matrices of neighbouring rows overlap",
        f"matrices = _windows(blocks, ({blocks.rows}, {blocks.depth}, {blocks.width}), "
        f"({blocks.block * blocks.width}, {blocks.width}, 1))",
        f"rows = {target}[n].reshape({slices}){span}",
        "np.matmul(kernel, matrices, out=rows.transpose(0, 2, 1, 3))",
    ]
    opening = [] if single else [f"    for top in {starts(outputs, blocks.rows)}:"]
    pad = "    " if single else "        "
    return [*opening, *(pad + line for line in tile)]


def _listed(values: tuple[int, ...] | list[int]) -> str:
    return ", ".join(map(str, values))
