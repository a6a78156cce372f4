"""An extremum's gradient where no two windows share an entry: every tap written once.

    dx[s·i + u, s·j + v] = dy[i, j] · [(u, v) is the first with x[s·i + u, s·j + v] = y[i, j]]

The extrema are found axis by axis, for some planes at a time that stay in the cache. Then
each tap in row-major order takes the windows that it attains and that no tap took before. A
product with 0 or 1 is taken of the numbers' bits: what loses gets 0 even where dy is infinite.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from ...machines import Cost
from ...programs import Function
from ..planes import blocks, covers, each_block, indented, listed, plus, times
from ..pools import Pool, overlaps, returned
from ..snippets import nested, snippet
from ..tasks import Routine, Task

NAME = "disjoint"
EXACT = True

UFUNC = {"max": "np.maximum", "min": "np.minimum"}
LEVELS = (("peak",), ("rows", "peak"), ("layers", "rows", "peak"))
"""What is left of x after its first axis, the second, ..."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Targets that windows apart from each other hand back to the first of their extrema."""
    for target in task.statements:
        pool = returned(task, target)
        if pool is None or not pool.source or pool.padded or pool.ties != "first":
            continue
        if not any(overlaps(w) for w in pool.windows):
            yield (target,)


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """For every tap: compare, choose, multiply, all of them with steps between the numbers."""
    pool = _pool(task, targets)
    planes = batch * pool.planes
    taps, windows = prod(w.taps for w in pool.windows), prod(pool.outputs)
    rows = windows // pool.outputs[-1]
    often = -(-planes // _planes(pool, task))
    return Cost(
        moved=planes * windows * (8 * taps + 3),
        runs=planes * rows * 3 * taps,
        calls=often * (5 * taps + 6) + 14,
        scratch=_planes(pool, task) * prod(pool.sizes),
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_dx_disjoint(dy, x)``, or of ``(dy, x, y)`` where the extrema are at hand."""
    pool, target = _pool(task, targets), targets[0]
    name = task.function(target, NAME)
    sizes, outputs, dy, x = listed(pool.sizes), listed(pool.outputs), pool.narrow, pool.source
    y = task.equation.output.name
    fresh = "np.empty" if all(map(covers, pool.windows)) else "np.zeros"
    body = [
        f'N, dtype, bits = len({x}), {x}.dtype, {x}.dtype.str.replace("f", "i")',
        f"planes = {x}.reshape(N * {pool.planes}, {sizes})",
        f"above = {dy}.reshape(N * {pool.planes}, {outputs}).view(bits)",
        f"{target} = {fresh}((N * {pool.planes}, {sizes}), dtype)",
        *([f"peaks = {y}.reshape(N * {pool.planes}, {outputs})"] if task.keep else []),
        *blocks("planes", _planes(pool, task)),
        *_buffers(pool, task, name[1:]),
        *each_block("planes"),
        "    block = planes[start : start + count]",
        *(["    peak = peaks[start : start + count]"] if task.keep else []),
        "    share = above[start : start + count]",
        f"    out = {target}[start : start + count].view(bits)",
        *([] if task.keep else indented(_found(pool))),
        "    taken[...] = False",
        *indented(_handed(pool)),
        f"return {target}.reshape(N, {listed(task.shape(target))})",
    ]
    doc = (
        "Every window hands its gradient to the first of its extremal entries: tap by tap, "
        f"{_planes(pool, task)} planes at a time.",
    )
    given = ("bool", "len", "max", "min", "range", "_scratch")
    parameters = (dy, x, y) if task.keep else (dy, x)
    return Routine(targets, Function(name, parameters, snippet("\n".join(body)), doc, "", given))


def _pool(task: Task, targets: tuple[str, ...]) -> Pool:
    pool = returned(task, targets[0])
    assert pool is not None  # applies said so
    return pool


def _planes(pool: Pool, task: Task) -> int:
    """As many as stay in the cache, read and written."""
    return max(1, task.machine.cache // (4 * 2 * prod(pool.sizes)))


def _buffers(pool: Pool, task: Task, name: str) -> list[str]:
    """The extrema after every axis, and who has won."""
    shape, lines, most = list(pool.sizes), [], _planes(pool, task)
    for axis, level in enumerate(() if task.keep else LEVELS[len(shape) - 1]):
        shape[axis] = pool.outputs[axis]
        held = f'"{name}_{level}", ({most}, {listed(shape)}), dtype'
        lines.append(f"{level} = _scratch({held})[:count]")
    for mask in ("wins", "taken"):
        held = f'"{name}_{mask}", ({most}, {listed(pool.outputs)}), np.dtype(bool)'
        lines.append(f"{mask} = _scratch({held})[:count]")
    return lines


def _tap(pool: Pool, array: str, axis: int, u: str) -> str:
    """One tap along one axis."""
    return f"{array}[{':, ' * (axis + 1)}{_span(pool, axis, u)}]"


def _span(pool: Pool, axis: int, u: str) -> str:
    w = pool.windows[axis]
    first, last = w.offset, w.offset + w.stride * (w.outputs - 1) + 1
    step = f" : {w.stride}" if w.stride > 1 else ""
    if u.isdigit():
        return f"{first + w.dilation * int(u)} : {last + w.dilation * int(u)}{step}"
    return f"{plus(times(w.dilation, u), first)} : {plus(times(w.dilation, u), last)}{step}"


def _found(pool: Pool) -> list[str]:
    """The extrema, axis by axis."""
    lines, source, fn = [], "block", UFUNC[pool.op]
    for axis, level in enumerate(LEVELS[len(pool.windows) - 1]):
        taps = pool.windows[axis].taps
        if taps == 1:
            lines.append(f"np.copyto({level}, {_tap(pool, source, axis, '0')})")
        else:
            pair = f"{_tap(pool, source, axis, '0')}, {_tap(pool, source, axis, '1')}"
            lines.append(f"{fn}({pair}, out={level})")
        if taps > 2:
            lines.append(f"for u in range(2, {taps}):")
            lines.append(f"    {fn}({level}, {_tap(pool, source, axis, 'u')}, out={level})")
        source = level
    return lines


def _handed(pool: Pool) -> list[str]:
    """Every tap: where it is the first to attain the extremum."""
    letters = "uvw" if len(pool.windows) > 1 else "u"
    spans = [_span(pool, k, letters[k]) for k in range(len(pool.windows))]
    place = f"[:, {', '.join(spans)}]"
    body = f"""
        np.equal(block{place}, peak, out=wins)
        np.greater(wins, taken, out=wins)
        np.logical_or(taken, wins, out=taken)
        np.multiply(share, wins, out=out{place})
    """
    loops = [(letters[k], f"range({w.taps})") for k, w in enumerate(pool.windows)]
    return nested(loops, body).split("\n")
