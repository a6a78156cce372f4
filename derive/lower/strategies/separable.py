"""Windows reduced axis by axis: over their rows first, then over what is left of their columns.

    y[i, j] = max_v max_u x[s·i + d·u − p, s·j + d·v − p]        (or min, or a sum)

Some planes at a time, so that everything stays in the cache. Rows are reduced as whole rows,
only where they lie inside. Columns are reduced for every start of a window, in one
run over all rows; the starts that count are picked last: contiguous numbers are that much
faster than every s-th one. Padding is a column that changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from ...machines import Cost
from ...programs import Function
from ..planes import FILL, UFUNC, blocks, each_block
from ..pools import Pool, reduced
from ..snippets import indented, listed, plus, snippet, times
from ..tasks import Routine, Task
from ..windowed import Window

NAME = "separable"
EXACT = True


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Targets that reduce windows along the last axes of one tensor."""
    for target in task.statements:
        if reduced(task, target) is not None:
            yield (target,)


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """For every axis one pass for each tap; no row shorter than one run."""
    pool = _pool(task, targets)
    planes, shape = batch * pool.planes, list(pool.sizes)
    moved, runs, calls = 0.0, 0.0, 0.0
    for axis, window in enumerate(pool.windows[:-1]):
        shape[axis] = window.outputs
        moved += 1.2 * window.taps * prod(shape)
        runs += window.taps * prod(shape[:-1])
        calls += 2 * window.taps
    last = pool.windows[-1]
    moved += 0.8 * last.taps * prod(shape) + 2.5 * last.outputs * prod(shape[:-1])
    runs += prod(shape[:-1])
    often = -(-planes // _planes(pool, task))
    return Cost(
        moved=planes * moved,
        runs=planes * runs,
        calls=often * (calls + last.taps + 4) + 8,
        scratch=_planes(pool, task) * prod(shape) * 2,
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_y_separable(x)``."""
    pool, target = _pool(task, targets), targets[0]
    name = task.function(target, NAME)
    sizes, outputs = listed(pool.sizes), listed(pool.outputs)
    body = [
        f"N, dtype = len({pool.wide}), {pool.wide}.dtype",
        f"planes = {pool.wide}.reshape(N * {pool.planes}, {sizes})",
        f"{target} = np.empty((N * {pool.planes}, {outputs}), dtype)",
        *blocks("planes", _planes(pool, task)),
        *([f"inside = {pool.counts()}.astype(dtype)"] if pool.divisor == 0 else []),
        *_buffers(pool, task, name[1:]),
        *each_block("planes"),
        "    block = planes[start : start + count]",
        *indented(_stages(pool)),
        *indented(_columns(pool, f"{target}[start : start + count]")),
        f"return {target}.reshape(N, {listed(task.shape(target))})",
    ]
    told = {"max": "maximum", "min": "minimum", "sum": "sum"}[pool.op]
    doc = (
        f"The {told} of every window, axis by axis, of {_planes(pool, task)} planes at a time: "
        "columns are reduced for every start of a window in one run, then picked.",
    )
    given = ("len", "max", "min", "range", "_scratch")
    return Routine(targets, Function(name, (pool.wide,), snippet("\n".join(body)), doc, "", given))


def _pool(task: Task, targets: tuple[str, ...]) -> Pool:
    pool = reduced(task, targets[0])
    assert pool is not None  # applies said so
    return pool


def _planes(pool: Pool, task: Task) -> int:
    """How many planes stay in the cache together with what is made of them."""
    first, *rest = pool.windows
    made = first.outputs * prod(w.padded for w in rest) if rest else first.padded
    held = 4 * (prod(pool.sizes) + 3 * made) // 2  # a step touches half of them
    return max(1, task.machine.cache // held)


def _levels(pool: Pool) -> list[tuple[str, list[int]]]:
    """The arrays on the way and their shapes: after every axis but the last, which is padded."""
    shape = list(pool.sizes)
    found = []
    steps = list(enumerate(pool.windows[:-1])) or [(-1, pool.windows[0])]
    for axis, window in steps:
        if axis >= 0:
            shape[axis] = window.outputs
        last = axis in (-1, len(pool.windows) - 2)
        found.append((("rows" if last else "layers"), [*shape]))
    found[-1][1][-1] = _pitch(pool)
    return found


def _pitch(pool: Pool) -> int:
    """Columns with those around them, enough to pick from."""
    last = pool.windows[-1]
    return last.padded


def _buffers(pool: Pool, task: Task, name: str) -> list[str]:
    """The arrays on the way, and the part of the last one that holds x."""
    last, lines = pool.windows[-1], []
    levels = _levels(pool)
    if last.taps > 1:
        levels.append(("reduced", levels[-1][1]))
    for level, shape in levels:
        most, own = _planes(pool, task) * prod(shape), prod(shape)
        lines += [
            f'{level} = _scratch("{name}_{level}", ({most},), dtype)[: count * {own}]',
            f"{level} = {level}.reshape(count, {listed(shape)})",
        ]
    if last.low or last.high:
        if pool.skip or pool.op == "sum":
            lines.append("# what lies outside changes nothing")
        lines.append(f"rows[...] = {FILL[pool.op] if pool.skip else 0}")
    edge = f"[..., {last.low} : {last.low + last.size}]" if last.padded > last.size else ""
    lines.append(f"inner = rows{edge}")
    if last.taps > 1:
        lines += [
            f"size = rows.size - {last.dilation * (last.taps - 1)}",
            "run, into = rows.reshape(-1), reduced.reshape(-1)[:size]",
        ]
    return lines


def _stages(pool: Pool) -> list[str]:
    """Every axis but the last: slices of whole rows."""
    axes = list(enumerate(pool.windows[:-1]))
    if not axes:
        return ["inner[...] = block"]
    lines, source = [], "block"
    for axis, window in axes:
        into = "inner" if axis == len(axes) - 1 else "layers"
        lines += _along(pool, window, source, into, axis + 1)
        source = into
    return lines


def _along(pool: Pool, window: Window, source: str, into: str, axis: int) -> list[str]:
    """``into`` = the reduction of ``source`` along one axis."""
    skipped, fn = ":, " * axis, UFUNC[pool.op]
    s, d, span = window.stride, window.dilation, window.stride * (window.outputs - 1) + 1

    def rows(first: str, last: str) -> str:
        return f"{source}[{skipped}{first} : {last}{f' : {s}' if s > 1 else ''}]"

    def tap(u: int) -> str:
        start = d * u + window.offset
        return rows(str(start), str(start + span))

    inside = [_covered(window, u) == (0, window.outputs) for u in range(window.taps)]
    if window.taps == 1 and all(inside):
        return [f"{into}[...] = {tap(0)}"]
    if all(inside):
        lines = [f"{fn}({tap(0)}, {tap(1)}, out={into})"]
        if window.taps == 2:
            return lines
        start = plus(times(d, "u"), window.offset)
        stop = plus(times(d, "u"), window.offset + span)
        return [
            *lines,
            f"for u in range(2, {window.taps}):",
            f"    {fn}({into}, {rows(start, stop)}, out={into})",
        ]
    return _restricted(pool, window, source, into, skipped)


def _restricted(pool: Pool, window: Window, source: str, into: str, skipped: str) -> list[str]:
    """The same where some rows of some windows lie outside: those are left out."""
    fn, spans = UFUNC[pool.op], [_covered(window, u) for u in range(window.taps)]
    competes = not pool.skip and pool.op != "sum"  # zeros outside are entries like others

    def rows(u: int, low: int, high: int) -> str:
        start = window.stride * low + window.dilation * u + window.offset
        stop = start + window.stride * (high - low - 1) + 1
        step = f" : {window.stride}" if window.stride > 1 else ""
        return f"{source}[{skipped}{start} : {stop}{step}]"

    def part(low: int, high: int) -> str:
        return into if (low, high) == (0, window.outputs) else f"{into}[{skipped}{low}:{high}]"

    whole = [u for u, span in enumerate(spans) if span == (0, window.outputs)]
    rest = [u for u, (low, high) in enumerate(spans) if low < high]
    if not whole or competes or len(rest) < 2:
        nothing = FILL.get(pool.op, "0")
        lines = [f"{into}[...] = {nothing}"]
    else:
        base = whole[0]
        rest.remove(base)
        pair = rest.pop(-1 if len(whole) > 1 else 0)
        low, high = spans[pair]
        lines = [f"{fn}({rows(base, low, high)}, {rows(pair, low, high)}, out={part(low, high)})"]
        for first, last in ((0, low), (high, window.outputs)):
            if first < last:
                lines.append(f"{into}[{skipped}{first}:{last}] = {rows(base, first, last)}")
    for u in rest:
        lines.append(f"{fn}({part(*spans[u])}, {rows(u, *spans[u])}, out={part(*spans[u])})")
    if competes:
        low, high = max(span[0] for span in spans), min(span[1] for span in spans)
        edges = [f"[{skipped}:{low}]"] * bool(low)
        edges += [f"[{skipped}{high}:]"] * (high < window.outputs)
        lines += [f"{fn}({into}{edge}, 0, out={into}{edge})" for edge in edges]
    return lines


def _covered(window: Window, u: int) -> tuple[int, int]:
    """The windows whose u-th tap lies inside: from the first to before the last."""
    start = window.dilation * u + window.offset
    low = max(0, -(start // window.stride))
    return low, min(window.outputs, (window.size - 1 - start) // window.stride + 1)


def _columns(pool: Pool, target: str) -> list[str]:
    """The last axis for all starts in one run, and the pick."""
    last, fn = pool.windows[-1], UFUNC[pool.op]
    lines = []
    d, made = last.dilation, "rows"
    if last.taps > 1:
        made = "reduced"
        lines.append(f"{fn}(run[:size], run[{d} : {d} + size], out=into)")
    if last.taps > 2:
        shift = times(d, "v")
        lines += [
            f"for v in range(2, {last.taps}):",
            f"    {fn}(into, run[{shift} : {shift} + size], out=into)",
        ]
    stop = last.start + last.stride * (last.outputs - 1) + 1
    step = f" : {last.stride}" if last.stride > 1 else ""
    picked = f"{made}[..., {last.start} : {stop}{step}]"
    if pool.divisor == 1:
        return [*lines, f"{target} = {picked}"]
    by = str(pool.divisor) if pool.divisor else "inside"
    return [*lines, f"np.divide({picked}, {by}, out={target})"]
