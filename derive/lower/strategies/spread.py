"""A sum's gradient handed back axis by axis: to all rows of a window first, then along each.

    dc[s·i + u, j] += dy[i, j] / k²        dx[a, s·j + v] += dc[a, j]

That takes k + k additions where the window has k·k entries. The layout of
:mod:`derive.lower.planes` makes every addition one long run.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from ...machines import Cost
from ...programs import Function
from ..planes import Planes, blocks, covers, each_block, turns, unreached
from ..pools import Pool, overlaps, returned
from ..snippets import indented, listed, snippet
from ..tasks import Routine, Task

NAME = "spread"
EXACT = True

LEVELS = (("d_y",), ("d_rows", "d_y"), ("d_layers", "d_rows", "d_y"))
"""The gradient after the last axis but one was undone, and before."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Targets that windows hand back in equal parts."""
    for target in task.statements:
        pool = returned(task, target)
        if pool is not None and not pool.source:
            yield (target,)


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """One addition for every tap of every axis, and the columns put together."""
    pool, layout = _pool(task, targets), _layout(task, targets)
    planes = batch * pool.planes
    moved = (1.5 if layout.direct else 3.5) * prod(pool.sizes) + 1.5 * prod(pool.outputs)
    for axis, window in enumerate(pool.windows):
        moved += 1.2 * window.taps * prod(layout.shape(axis))
    often = -(-planes // layout.most)
    return Cost(
        moved=planes * moved,
        runs=planes * layout.last.stride * prod(pool.sizes[:-1]),
        calls=often * (sum(w.taps + 2 for w in pool.windows) + 4) + 12,
        scratch=layout.most * 2 * prod(layout.shape(layout.rank)),
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_dx_spread(dy)``."""
    pool, target, layout = _pool(task, targets), targets[0], _layout(task, targets)
    sizes, outputs, dy = listed(pool.sizes), listed(pool.outputs), pool.narrow
    fresh = "np.empty" if layout.covered else "np.zeros"
    body = [
        f"N, dtype = len({dy}), {dy}.dtype",
        f"above = {dy}.reshape(N * {pool.planes}, {outputs})",
        f"{target} = {fresh}((N * {pool.planes}, {sizes}), dtype)",
        *blocks("above", layout.most),
        *_buffers(layout),
        *each_block("above"),
        *indented(_upstream(layout)),
        *indented(_back(layout)),
        f"    out = {target}[start : start + count]{layout.moved}",
        *indented(_columns(layout)),
        f"return {target}.reshape(N, {listed(task.shape(target))})",
    ]
    doc = (
        "Every window hands its gradient to all of its entries, axis by axis, "
        f"{layout.most} planes at a time.",
    )
    given = ("len", "max", "min", "range", "_scratch")
    function = Function(f"_{layout.name}", (dy,), snippet("\n".join(body)), doc, "", given)
    return Routine(targets, function)


def _pool(task: Task, targets: tuple[str, ...]) -> Pool:
    pool = returned(task, targets[0])
    assert pool is not None  # applies said so
    return pool


def _layout(task: Task, targets: tuple[str, ...]) -> Planes:
    """As many planes as stay in the cache with their gradients."""
    pool = _pool(task, targets)
    one = Planes(pool, 1)
    numbers = prod(one.shape(one.rank)) * (2 * one.last.stride + 2)
    most = max(1, 2 * task.machine.cache // (4 * numbers))  # a step touches half of them
    return Planes(pool, most, task.function(targets[0], NAME)[1:])


def _buffers(layout: Planes) -> list[str]:
    """The gradient after every axis, 0 where no window is."""
    pool, lines = layout.pool, []
    if pool.divisor == 0:
        shape = listed([*pool.outputs[:-1], 1, pool.outputs[-1]])
        lines.append(f"inside = {pool.counts()}.astype(dtype).reshape({shape})")
    levels = LEVELS[layout.rank - 1]
    for axes, level in enumerate(reversed(levels)):
        lines += layout.buffer(level, axes)
        between = layout.pitch > layout.last.outputs
        once = axes > 0 and not overlaps(pool.windows[axes - 1])
        if (axes == 0 and between) or (once and not covers(pool.windows[axes - 1])):
            lines.append(f"{level}[...] = 0")
    if not layout.direct:
        lines += layout.flat("d_columns", layout.last.stride)
        lines.append(layout.spaced("d_spaced", "d_columns"))
        size = f"{levels[0]}.size" + (f" - {layout.span}" if layout.span else "")
        lines += [f"size = {size}", f"run = {levels[0]}.reshape(-1)[:size]"]
    return lines


def _upstream(layout: Planes) -> list[str]:
    """The gradient of every entry of a window."""
    pool = layout.pool
    above = f"above[start : start + count]{layout.moved}"
    part = f"d_y[..., : {layout.last.outputs}]"
    whole = layout.pitch == layout.last.outputs
    if pool.divisor == 1:
        return [f"{'d_y[...]' if whole else part} = {above}"]
    by = str(pool.divisor) if pool.divisor else "inside"
    return [f"np.divide({above}, {by}, out={'d_y' if whole else part})"]


def _back(layout: Planes) -> list[str]:
    """Every axis but the last."""
    levels, lines = LEVELS[layout.rank - 1][::-1], []
    for axis, window in enumerate(layout.pool.windows[:-1]):
        above, below = levels[axis], levels[axis + 1]
        lines += unreached(window, below, ":, " * axis) if overlaps(window) else []
        for over, alone in turns(window):
            place = layout.row_tap(below, axis, "u")
            lines += [f"for u in {over}:", f"    {place} {'=' if alone else '+='} {above}"]
    return lines


def _columns(layout: Planes) -> list[str]:
    """The last axis, straight to its places where no two windows meet."""
    made, w = LEVELS[layout.rank - 1][0], layout.last
    if layout.direct:
        return [
            f"for v in range({w.taps}):",
            f"    {layout.column_tap('out', 'v')} = {layout.inner(made)}",
        ]
    everywhere = w.dilation > 1 or not overlaps(w)
    lines = [f"d_columns[{'...' if everywhere else ':, size:'}] = 0"]
    for over, alone in turns(w):
        place = layout.tap("d_columns", "v")
        lines += [f"for v in {over}:", f"    {place} {'=' if alone else '+='} run"]
    return [*lines, *layout.exchanged("d_spaced", "out", store=True)]
