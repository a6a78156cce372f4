"""An extremum's gradient handed back to whoever attains it, axis by axis.

    c[a, j] = max_v x[a, s·j + v]                   y[i, j] = max_u c[s·i + u, j]
    dc[s·i + u, j] += dy[i, j] · [u is the first row with c = y]
    dx[a, s·j + v] += dc[a, j] · [v is the first column with x = c]

Together that is the first entry of the window in row-major order, found with k + k comparisons
where the window has k·k entries. Equal shares among all that attain it go the same way without
the "first". A product with 0 or 1 is taken of the numbers' bits: what loses gets 0 even where
dy is infinite. The layout of :mod:`derive.lower.planes` makes every step one long run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

from ...machines import Cost
from ...programs import Function
from ..planes import FILL, UFUNC, Planes, blocks, covers, each_block, turns, unreached
from ..pools import Pool, overlaps, returned
from ..snippets import indented, listed, snippet
from ..tasks import Routine, Task
from ..windowed import Window

NAME = "winners"
EXACT = True

LEVELS = (("peak",), ("rows", "peak"), ("layers", "rows", "peak"))
"""What is left of x after its last axis, the one before it, ..."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Targets that windows hand back to their extrema.

    Shares of windows that overlap are left out: fractions would be added in another order.
    """
    for target in task.statements:
        pool = returned(task, target)
        if pool is None or not pool.source:
            continue
        if pool.ties == "first" or not any(map(overlaps, pool.windows)):
            yield (target,)


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """Find the extrema, compare, choose, multiply and add, for every tap of every axis."""
    pool, layout = _pool(task, targets), _layout(task, targets)
    planes = batch * pool.planes
    moved = 5.5 * prod(pool.sizes) + 2.0 * prod(pool.outputs)
    for axis, window in enumerate(pool.windows):
        moved += 5.5 * window.taps * prod(layout.shape(axis))
    often = -(-planes // layout.most)
    return Cost(
        moved=planes * moved,
        runs=planes * 2 * layout.last.stride * prod(pool.sizes[:-1]),
        calls=often * (sum(6 * w.taps + 4 for w in pool.windows) + 6) + 20,
        scratch=layout.most * _numbers(layout),
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_dx_winners(dy, x)``."""
    pool, target, layout = _pool(task, targets), targets[0], _layout(task, targets)
    sizes, outputs, dy, x = listed(pool.sizes), listed(pool.outputs), pool.narrow, pool.source
    fresh = "np.empty" if layout.covered else "np.zeros"
    block = f"[start : start + count]{layout.moved}"
    body = [
        f"N, dtype = len({x}), {x}.dtype",
        f"planes = {x}.reshape(N * {pool.planes}, {sizes})",
        f"above = {dy}.reshape(N * {pool.planes}, {outputs})",
        f"{target} = {fresh}((N * {pool.planes}, {sizes}), dtype)",
        *blocks("planes", layout.most),
        *_found_buffers(layout),
        *_gradient_buffers(layout),
        *each_block("planes"),
        *indented(_found(layout, f"planes{block}")),
        *indented(_upstream(layout, f"above{block}")),
        *indented(_back(layout)),
        f"    out = {target}{block}",
        *indented(_columns(layout)),
        f"return {target}.reshape(N, {listed(task.shape(target))})",
    ]
    to = "the first of its extremal entries" if pool.ties == "first" else "all its extremal entries"
    doc = (
        f"Every window hands its gradient to {to}, axis by axis, {layout.most} planes at a time.",
    )
    given = ("bool", "len", "max", "min", "range", "_scratch")
    function = Function(f"_{layout.name}", (dy, x), snippet("\n".join(body)), doc, "", given)
    return Routine(targets, function)


def _pool(task: Task, targets: tuple[str, ...]) -> Pool:
    pool = returned(task, targets[0])
    assert pool is not None  # applies said so
    return pool


def _layout(task: Task, targets: tuple[str, ...]) -> Planes:
    """As many planes as stay in the cache with all that is made of them."""
    pool = _pool(task, targets)
    held = 4 * _numbers(Planes(pool, 1)) // 2  # a step touches half of them
    most = max(1, task.machine.cache // held)
    return Planes(pool, most, task.function(targets[0], NAME)[1:])


def _numbers(layout: Planes) -> int:
    """How many are held for a plane."""
    columns = layout.last.stride * (1 if layout.direct else 2)
    return prod(layout.shape(layout.rank)) * (columns + 3)


# -- buffers -----------------------------------------------------------------------------------
def _found_buffers(layout: Planes) -> list[str]:
    """The columns of x apart, the extrema, and room to compare."""
    pool = layout.pool
    lines = layout.flat("columns", layout.last.stride)
    if pool.padded:
        lines.append(f"columns[...] = {FILL[pool.op] if pool.skip else 0}")
    lines.append(layout.spaced("spaced", "columns"))
    levels = LEVELS[layout.rank - 1]
    for axes, level in zip(reversed(range(layout.rank)), levels, strict=True):
        lines += layout.buffer(level, axes)
        lines += layout.buffer(f"{level}_ties", axes) if pool.ties == "split" else []
    lines += layout.flat("flags", 2, "np.dtype(bool)")
    lines += layout.flat("parts", 1)
    size = f"{levels[0]}.size" + (f" - {layout.span}" if layout.span else "")
    return [*lines, f"size = {size}", 'bits = dtype.str.replace("f", "i")']


def _gradient_buffers(layout: Planes) -> list[str]:
    """The gradients of all these, 0 where no window is."""
    lines, pool = [], layout.pool
    levels = LEVELS[layout.rank - 1]
    for axes, level in zip(reversed(range(layout.rank)), levels, strict=True):
        lines += layout.buffer(f"d_{level}", axes)
        alone = axes > 0 and not overlaps(pool.windows[axes - 1])
        between = axes == 0 and layout.pitch > layout.last.outputs
        if between or (alone and not covers(pool.windows[axes - 1])):
            lines.append(f"d_{level}[...] = 0")
    if not layout.direct:
        lines += layout.flat("d_columns", layout.last.stride)
        lines.append(layout.spaced("d_spaced", "d_columns"))
    return lines


# -- the extrema -------------------------------------------------------------------------------
def _found(layout: Planes, block: str) -> list[str]:
    """Axis by axis, the last one first; then what lies outside is made to equal nothing."""
    pool, levels = layout.pool, LEVELS[layout.rank - 1]
    edges = layout.edges("spaced") if pool.skip else []
    lines = [f"{edge} = {FILL[pool.op]}" for edge in edges]
    lines += [f"block = {block}", *layout.exchanged("spaced", "block", store=False)]
    into = f"{levels[0]}.reshape(-1)[:size]"
    lines += _extremum(pool, into, layout.last, "v", lambda v: layout.tap("columns", v))
    outside = [f"{edge} = np.nan" for edge in edges]
    for axis in reversed(range(layout.rank - 1)):
        level, above = levels[layout.rank - 2 - axis], levels[layout.rank - 1 - axis]
        window = pool.windows[axis]
        lines += _extremum(pool, above, window, "u", _row_tap(layout, level, axis))
        if pool.skip:
            lead, behind = ":, " * axis, window.low + window.size
            outside += [f"{level}[{lead}:{window.low}] = np.nan"] * bool(window.low)
            outside += [f"{level}[{lead}{behind}:] = np.nan"] * bool(window.high)
    told = ["# what lies outside attains nothing"] if outside else []
    return [*lines, *told, *outside]


def _row_tap(layout: Planes, level: str, axis: int) -> Callable[[str], str]:
    return lambda u: layout.row_tap(level, axis, u)


def _extremum(
    pool: Pool, into: str, window: Window, index: str, tap: Callable[[str], str]
) -> list[str]:
    """``into`` = the extremum of all taps."""
    fn = UFUNC[pool.op]
    if window.taps == 1:
        return [f"np.copyto({into}, {tap('0')})"]
    lines = [f"{fn}({tap('0')}, {tap('1')}, out={into})"]
    if window.taps > 2:
        lines += [
            f"for {index} in range(2, {window.taps}):",
            f"    {fn}({into}, {tap(index)}, out={into})",
        ]
    return lines


# -- and back ----------------------------------------------------------------------------------
def _upstream(layout: Planes, above: str) -> list[str]:
    """What a winner gets."""
    whole = layout.pitch == layout.last.outputs
    part = f"[..., : {layout.last.outputs}]"
    lines = [f"d_peak{'[...]' if whole else part} = {above}"]
    if layout.pool.ties == "first":
        return lines
    levels = LEVELS[layout.rank - 1]
    run = f"{levels[0]}.reshape(-1)[:size]"
    lines += ["# how many attain it", f"ties = {levels[0]}_ties.reshape(-1)[:size]"]
    lines += ["wins = flags[0, :size]", "ties[...] = 0", f"for v in range({layout.last.taps}):"]
    lines += [
        f"    np.equal({layout.tap('columns', 'v')}, {run}, out=wins)",
        "    ties += wins",
    ]
    for axis in reversed(range(layout.rank - 1)):
        level, up = levels[layout.rank - 2 - axis], levels[layout.rank - 1 - axis]
        lines += [
            *_room(up, taken=False),
            f"{up}_ties[...] = 0",
            f"for u in range({layout.pool.windows[axis].taps}):",
            f"    np.equal({layout.row_tap(level, axis, 'u')}, {up}, out=wins)",
            f"    np.multiply({layout.row_tap(f'{level}_ties', axis, 'u')}, wins, out=part)",
            f"    {up}_ties += part",
        ]
    share = "d_peak" if whole else f"d_peak{part}"
    return [*lines, f"{share} /= peak_ties{'' if whole else part}"]


def _room(level: str, *, taken: bool = True) -> list[str]:
    """Views to compare with a level."""
    first = "wins, taken = flags[:, :{0}.size].reshape((2, *{0}.shape))"
    if not taken:
        first = "wins = flags[0, :{0}.size].reshape({0}.shape)"
    return [first.format(level), f"part = parts[0, :{level}.size].reshape({level}.shape)"]


def _chosen(layout: Planes, tap: str, level: str) -> list[str]:
    """``wins``: where a tap attains the extremum, and no earlier one has."""
    lines = [f"np.equal({tap}, {level}, out=wins)"]
    if layout.pool.ties == "first":
        lines += ["np.greater(wins, taken, out=wins)", "np.logical_or(taken, wins, out=taken)"]
    return lines


def _back(layout: Planes) -> list[str]:
    """Every axis but the last, the first one first."""
    levels, lines = LEVELS[layout.rank - 1], []
    first = layout.pool.ties == "first"
    for axis, window in enumerate(layout.pool.windows[:-1]):
        level, up = levels[layout.rank - 2 - axis], levels[layout.rank - 1 - axis]
        place = layout.row_tap(f"d_{level}", axis, "u")
        lines += [*_room(up, taken=first), *(["taken[...] = False"] if first else [])]
        lines += unreached(window, f"d_{level}", ":, " * axis) if overlaps(window) else []
        for over, alone in turns(window):
            out = f"{place}.view(bits)" if alone else "part.view(bits)"
            lines += [
                f"for u in {over}:",
                *indented(_chosen(layout, layout.row_tap(level, axis, "u"), up)),
                f"    np.multiply(d_{up}.view(bits), wins, out={out})",
                *([] if alone else [f"    {place} += part"]),
            ]
    return lines


def _columns(layout: Planes) -> list[str]:
    """The last axis, straight to its places where no two windows meet."""
    level, first = LEVELS[layout.rank - 1][0], layout.pool.ties == "first"
    lines = [
        ("wins, taken = flags[:, :size]" if first else "wins = flags[0, :size]"),
        f"run, d_run = {level}.reshape(-1)[:size], d_{level}.reshape(-1)[:size].view(bits)",
        *(["taken[...] = False"] if first else []),
    ]
    w = layout.last
    chosen = indented(_chosen(layout, layout.tap("columns", "v"), "run"))
    if layout.direct:
        shaped = layout.inner(f"wins.reshape({level}.shape)")
        gradient = f"{layout.inner(f'd_{level}')}.view(bits)"
        out = f"{layout.column_tap('out', 'v')}.view(bits)"
        product = f"    np.multiply({gradient}, {shaped}, out={out})"
        return [*lines, f"for v in range({w.taps}):", *chosen, product]
    lines += ["part = parts[0, :size]"]
    lines.append(f"d_columns[{'...' if w.dilation > 1 or not overlaps(w) else ':, size:'}] = 0")
    place = layout.tap("d_columns", "v")
    for over, alone in turns(w):
        out = f"{place}.view(bits)" if alone else "part.view(bits)"
        lines += [f"for v in {over}:", *chosen, f"    np.multiply(d_run, wins, out={out})"]
        lines += [] if alone else [f"    {place} += part"]
    return [*lines, *layout.exchanged("d_spaced", "out", store=True)]
