"""Few channels and filters a group (depthwise): all taps of a column in one product, then shifts.

    sums[v, f, r] = Σ_q bands[(v, f, r), (c, q)] · tiles[(c, q)]     r = 0, 1: two rows of outputs
    y[f, r, j] = Σ_v sums[v, f, r, j + v]

A tile holds the rows of x that two rows of outputs read; row q of all tiles of a group is one
run. ``bands`` holds the kernel's columns along a band: w[f, c, q − r, v]. One product for every
group takes all the vertical taps, the horizontal ones are long shifted additions. The gradient
of the kernel is the other way round: products of tiles with shifted rows of dy, summed
along the same bands.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...machines import Cost
from ...programs import Function
from ..planes import indented, plus, times
from ..snippets import snippet
from ..tasks import Routine, Task
from ..windowed import Window, Windowed

NAME = "bands"
EXACT = True

ROWS = 2
"""Rows of outputs a tile; more of them cost more products than they save copies."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Targets with groups, over two axes of which the rows slide."""
    for target in task.forms:
        form = _form(task, target)
        if form is not None and form.plain and form.counts[0] > 1 and len(form.windows) == 2:
            down, across = form.windows
            if down.taps > 1 and down.low <= down.stride * ROWS * _tiles(down) and across.taps > 1:
                yield (target,)


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """Copies into tiles, a product a group, an addition for every horizontal tap."""
    form = _form(task, targets[0])
    assert form is not None  # applies said so
    groups, channels, filters, _, _ = form.counts
    down, across = form.windows
    run, deep = _run(form), channels * _depth(down)
    wide = filters * ROWS
    blocks = groups // _block(form, task) + (groups % _block(form, task) > 0)
    copied = groups * deep * run
    rows = groups * deep * _tiles(down)
    if form.target == "kernel":
        often = batch * groups * across.taps
        product = (often, deep, wide, run)
        moved = copied + groups * wide * run
        calls = 2 * ROWS + 3 * across.taps
        rows *= 2
    else:
        product = (batch * groups, across.taps * wide, run, deep)
        moved = copied + groups * wide * run * (across.taps + 2)
        calls = _depth(down) * 2 + across.taps + 2 * ROWS
    return Cost(
        (product,),
        moved=batch * moved,
        runs=2 * batch * rows,
        calls=batch * blocks * (calls + 3 + _depth(down)) + 20,
        scratch=_block(form, task) * run * (deep + across.taps * wide),
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_y_bands(x, w, b)`` or ``_dw_bands(dy, x)``."""
    form = _form(task, targets[0])
    assert form is not None  # applies said so
    name = task.function(targets[0], NAME)
    make = _kernel if form.target == "kernel" else _narrow
    body = make(form, task, targets[0], name[1:])
    doc = {
        "narrow": "Two rows of outputs at a time: one product with a banded matrix takes all "
        f"vertical taps of {_block(form, task)} groups, shifted additions the horizontal ones.",
        "kernel": "Products of the rows that two rows of outputs read with these two, for every "
        f"horizontal tap and {_block(form, task)} groups; the sums lie along their bands.",
    }
    if form.target == "kernel":
        parameters: tuple[str, ...] = (form.narrow, form.wide)
    else:
        parameters = tuple(n for n in (form.wide, form.kernel, form.bias) if n)
    given = ("len", "max", "range", "_scratch")
    function = Function(name, parameters, snippet("\n".join(body)), (doc[form.target],), "", given)
    return Routine(targets, function)


def _form(task: Task, target: str) -> Windowed | None:
    return task.form(target, "narrow") or task.form(target, "kernel")


# -- geometry ----------------------------------------------------------------------------------
def _tiles(down: Window) -> int:
    """Pairs of rows of outputs."""
    return -(-down.outputs // ROWS)


def _depth(down: Window) -> int:
    """Rows of x that a tile reads."""
    return down.stride * (ROWS - 1) + down.dilation * (down.taps - 1) + 1


def _run(form: Windowed) -> int:
    """One row of every tile, padded, one after the other."""
    down, across = form.windows
    return _tiles(down) * across.padded


def _block(form: Windowed, task: Task) -> int:
    """Groups at a time: the largest number of them that stays close, evenly if that is near."""
    groups, channels, filters, _, _ = form.counts
    down, across = form.windows
    held = _run(form) * (channels * _depth(down) + filters * ROWS * across.taps)
    most = min(groups, max(1, 2 * task.machine.cache // (4 * held)))
    even = max(b for b in range(1, most + 1) if groups % b == 0)
    # blocks that overlap would add up the kernel's gradient twice
    return even if 2 * even > most or form.target == "kernel" else most


def _starts(form: Windowed, block: int) -> str:
    groups = form.counts[0]
    if groups % block == 0:
        return f"range(0, {groups}, {block})"
    return f"(*range(0, {groups - block}, {block}), {groups - block})"


# -- lines -------------------------------------------------------------------------------------
def _filled(form: Windowed) -> list[str]:
    """Copy the rows of all tiles; what lies outside stays zero."""
    down, across = form.windows
    step, count = ROWS * down.stride, _tiles(down)
    first = plus(f"{step} * low + q", down.offset)
    stop = plus("q", step * count + down.offset)
    low = f"({step - 1 - down.offset} - q) // {step}"
    return [
        f"for q in range({_depth(down)}):",
        f"    low = max(0, {low})" if down.low else "    low = 0",
        f"    rows = block[:, :, {first} : {stop} : {step}]",
        "    inside = tiles[:, :, q, low : low + rows.shape[2]]",
        f"    inside[..., {across.low} : {across.low + across.size}] = rows",
    ]


def _narrow(form: Windowed, task: Task, target: str, name: str) -> list[str]:
    groups, channels, filters, _, _ = form.counts
    down, across = form.windows
    block, run, deep = _block(form, task), _run(form), _depth(down)
    tall = filters * ROWS
    shape = ", ".join(map(str, task.shape(target)))
    size = tall * run - across.dilation * (across.taps - 1)
    columns = _span(across)
    bias = form.bias and f"{form.bias}.reshape({groups}, {filters}, 1, 1)"
    pick = f"total[:, :, r, : rows.shape[2], {columns}]"
    body = [
        f"block = {form.wide}[n].reshape({groups}, {channels}, {down.size}, {across.size})"
        f"[g : g + {block}]",
        *_filled(form),
        f"runs = tiles.reshape({block}, {channels * deep}, {run})",
        f"np.matmul(bands[g : g + {block}], runs, out=sums)",
        f"for v in range(1, {across.taps}):",
        f"    first += shifted[:, v, {_shifted('v', across)} : {_shifted('v', across, size)}]",
        f"for r in range({ROWS}):",
        f"    rows = {target}[n, g : g + {block}, :, r::{ROWS}]",
        f"    np.add({pick}, bias[g : g + {block}], out=rows)"
        if bias
        else f"    rows[...] = {pick}",
    ]
    return [
        f"N, dtype = len({form.wide}), {form.wide}.dtype",
        f'bands = _scratch("{name}_bands", ({groups}, {across.taps}, {filters}, {ROWS}, '
        f"{channels}, {deep}), dtype)",
        f"taps = {form.kernel_as('g', 'f', 'c', 'u')}",
        f"taps = taps.reshape({groups}, {filters}, {channels}, {down.taps}, {across.taps})",
        f"for r in range({ROWS}):",
        f"    bands[:, :, :, r, :, {_band(down)}] = taps.transpose(0, 4, 1, 2, 3)",
        f"bands = bands.reshape({groups}, {across.taps * tall}, {channels * deep})",
        f'tiles = _scratch("{name}_tiles", ({block}, {channels}, {deep}, {_tiles(down)}, '
        f"{across.padded}), dtype)",
        f'sums = _scratch("{name}_sums", ({block}, {across.taps * tall}, {run}), dtype)',
        f"shifted = sums.reshape({block}, {across.taps}, {tall * run})",
        f"first = shifted[:, 0, :{size}]",
        f"total = shifted[:, 0].reshape({block}, {filters}, {ROWS}, {_tiles(down)}, "
        f"{across.padded})",
        f"{target} = np.empty((N, {groups}, {filters}, {down.outputs}, {across.outputs}), dtype)",
        *([f"bias = {bias}"] if bias else []),
        "for n in range(N):",
        f"    for g in {_starts(form, block)}:",
        *indented(indented(body)),
        f"return {target}.reshape(N, {shape})",
    ]


def _kernel(form: Windowed, task: Task, target: str, name: str) -> list[str]:
    groups, channels, filters, _, _ = form.counts
    down, across = form.windows
    block, run, deep = _block(form, task), _run(form), _depth(down)
    tall, last = filters * ROWS, across.start + across.dilation * (across.taps - 1)
    size = run - last
    step = f" : {across.stride}" if across.stride > 1 else ""
    spread = f"{across.stride * (across.outputs - 1) + 1}{step}"
    start = plus(times(across.dilation, "v"), across.start)
    stop = plus(times(across.dilation, "v"), across.start + size)
    dy = form.narrow
    body = [
        f"block = {form.wide}[n].reshape({groups}, {channels}, {down.size}, {across.size})"
        f"[g : g + {block}]",
        *_filled(form),
        f"above = {dy}[n].reshape({groups}, {filters}, {down.outputs}, {across.outputs})"
        f"[g : g + {block}]",
        f"for r in range({ROWS}):",
        f"    rows = above[:, :, r::{ROWS}]",
        f"    upstream[:, :, r, : rows.shape[2], :{spread}] = rows",
        f"for v in range({across.taps}):",
        f"    np.matmul(runs[:, :, {start} : {stop}], by_place, out=part)",
        f"    total[g : g + {block}, v] += part",
    ]
    made = form.kernel_from(target, "gcuf")
    shape = ", ".join(map(str, task.shape(target)))
    return [
        f"N, dtype = len({form.wide}), {form.wide}.dtype",
        f'tiles = _scratch("{name}_tiles", ({block}, {channels}, {deep}, {_tiles(down)}, '
        f"{across.padded}), dtype)",
        f"runs = tiles.reshape({block}, {channels * deep}, {run})",
        f'upstream = _scratch("{name}_upstream", ({block}, {filters}, {ROWS}, {_tiles(down)}, '
        f"{across.padded}), dtype)",
        f"by_place = upstream.reshape({block}, {tall}, {run})[..., :{size}].swapaxes(1, 2)",
        f'part = _scratch("{name}_part", ({block}, {channels * deep}, {tall}), dtype)',
        f"total = np.zeros(({groups}, {across.taps}, {channels * deep}, {tall}), dtype)",
        "for n in range(N):",
        f"    for g in {_starts(form, block)}:",
        *indented(indented(body)),
        f"total = total.reshape({groups}, {across.taps}, {channels}, {deep}, {filters}, {ROWS})",
        f"{target} = np.zeros(({groups}, {across.taps}, {channels}, {down.taps}, {filters}), "
        "dtype)",
        f"for r in range({ROWS}):",
        f"    {target} += total[:, :, :, {_band(down)}, :, r]",
        f"{target} = {target}.transpose(0, 2, 3, 1, 4)",
        f"{target} = {made}",
        f"return {target}.reshape({shape})",
    ]


def _band(down: Window) -> str:
    """The rows of a tile that its r-th row of outputs reads."""
    start = times(down.stride, "r")
    step = f" : {down.dilation}" if down.dilation > 1 else ""
    return f"{start} : {plus(start, down.dilation * (down.taps - 1) + 1)}{step}"


def _span(across: Window) -> str:
    """Where the outputs lie in a row."""
    step = f" : {across.stride}" if across.stride > 1 else ""
    stop = across.start + across.stride * (across.outputs - 1) + 1
    return f"{across.start} : {stop}{step}"


def _shifted(v: str, across: Window, further: int = 0) -> str:
    return plus(times(across.dilation, v), further)
