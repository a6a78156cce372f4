"""Where the first extremal entry of every window lies, as a number; its gradient is put there.

    code[p] = W·d·u + d·v of the first tap (u, v) at which x[p + code[p]] is extremal, for every p
    dx[p + code[p]] += dy[i, j] where p = start(i, j)

Planes lie in memory one after the other, so that a tap of all windows, wherever they start, is
one run. Windows grow: a later half is compared with the one before it, and where it is better, it
takes the code, a byte. That a few times more codes are made than there are windows costs less
than to step from window to window. Where W is too large for a byte, codes number the taps. No
gradient is multiplied, so that infinite ones do no harm.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from ...machines import Cost
from ...programs import Function
from ..places import CODES, Places
from ..planes import FILL, UFUNC, blocks, each_block
from ..pools import Pool, returned
from ..rooms import room
from ..snippets import indented, listed, nested, snippet, times
from ..tasks import Routine, Task

NAME = "places"
EXACT = True

BETTER = {"max": "np.greater", "min": "np.less"}
"""When a later entry takes the place of an earlier one."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Targets that windows hand back to the first of their extrema."""
    for target in task.statements:
        pool = returned(task, target)
        if pool is None or not pool.source or pool.ties != "first":
            continue
        edges = [w for w in pool.windows if w.low or w.high]
        known = all(pool.skip and (w.dilation == 1 or not w.low) for w in edges)
        if known and prod(w.taps for w in pool.windows) <= CODES:
            yield (target,)


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """For every merge of windows a few passes over all entries; a few steps for every window."""
    pool = _pool(task, targets)
    planes, size, windows = batch * pool.planes, _size(pool), prod(pool.outputs)
    most = _planes(pool, task)
    merges = len(Places("", pool, most).merges)
    passes = 2.2 * merges + (1.4 if pool.padded else 0.1)
    return Cost(
        moved=planes * (passes * size + 14 * windows),
        runs=planes * (2 * prod(pool.sizes[:-1]) if pool.padded else 0),
        calls=-(-planes // most) * (4 * merges + 6) + 5,
        scratch=most * size * 3,
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_dx_places(dy, x)``."""
    pool, target, most = _pool(task, targets), targets[0], _planes(_pool(task, targets), task)
    name = task.function(target, NAME)
    dy, x, m = pool.narrow, pool.source, prod(pool.outputs)
    flat = prod(pool.sizes)
    places = Places(name, pool, most)
    body = [
        f"N, dtype = len({x}), {x}.dtype",
        f"planes = {x}.reshape(N * {pool.planes}, {listed(pool.sizes) if pool.padded else flat})",
        f"above = {dy}.reshape(N * {pool.planes}, {m})",
        f"{target} = np.empty((N * {pool.planes}, {flat}), dtype)",
        *blocks("planes", most),
        *_buffers(places),
        *each_block("planes"),
        *indented(_run(places)),
        *indented(_codes(places)),
        *indented(_handed(places, target)),
        f"return {target}.reshape(N, {listed(task.shape(target))})",
    ]
    doc = (
        "Every window hands its gradient to the first of its extremal entries, "
        f"whose place is found as a number, {most} planes at a time.",
    )
    constants = places.constants()
    given = ("len", "max", "min", "range", "_room", f"{name}_room", *(c.name for c in constants))
    function = Function(name, (dy, x), snippet("\n".join(body)), doc, "", given)
    return Routine(targets, function, constants, room=_room(places))


def _pool(task: Task, targets: tuple[str, ...]) -> Pool:
    pool = returned(task, targets[0])
    assert pool is not None  # applies said so
    return pool


def _size(pool: Pool) -> int:
    """Of a plane with what is around it."""
    return prod(w.padded for w in pool.windows)


def _planes(pool: Pool, task: Task) -> int:
    """As many as stay in the cache: a step touches half of what is made of them."""
    return max(1, task.machine.cache // (8 * _size(pool)))


# -- before the blocks -------------------------------------------------------------------------
def _room(places: Places) -> Function:
    """Room for the best of windows of some size, for codes, and to compare."""
    pool, own = places.pool, places.most * prod(places.lengths)
    lines, made = [], _peaks(places)
    if pool.padded:
        shape = listed([places.most, *places.lengths])
        lines += [f"padded = np.zeros(({shape}), dtype)", f"padded[...] = {FILL[pool.op]}"]
    lines += [f"{peak} = np.zeros(({own},), dtype)" for peak in made]
    lines.append("# flags are bytes of 0 or 1: the first are codes as they are, later ones factors")
    lines.append(f'code, better, later = np.zeros((3, {own}), np.dtype("u1"))')
    views = "code, better, later, code.view(bool), better.view(bool)"
    kept = ", ".join([*(["padded"] if pool.padded else []), *made, views])
    return room(places.name, [*lines, f"return {kept}"], "bool")


def _peaks(places: Places) -> tuple[str, ...]:
    """What holds the best in turns."""
    return ("best", "spare")[: len(places.merges) - 1]


def _buffers(places: Places) -> list[str]:
    """The room, and where windows start."""
    padded = ["padded"] if places.pool.padded else []
    kept = ", ".join([*padded, *_peaks(places), "code, better, later, first, wins"])
    lines = [f"{kept} = _room({places.name}_room, dtype)"]
    if padded:
        lines += ["padded = padded[:count]", "run = padded.reshape(-1)"]
    m = prod(places.pool.outputs)
    for key in ("starts", "origins", "inside")[: 1 + places.pool.padded + places.before]:
        lines.append(f"{key} = {places.constant(key)}[: count * {m}]")
    return lines


# -- in every block ----------------------------------------------------------------------------
def _run(places: Places) -> list[str]:
    """A block of planes as one run."""
    if not places.pool.padded:
        return ["run = planes[start : start + count].reshape(-1)"]
    inner = [f"{w.low} : {w.low + w.size}" for w in places.pool.windows]
    return [f"padded[:, {', '.join(inner)}] = planes[start : start + count]"]


def _codes(places: Places) -> list[str]:
    """Windows grow: two of them, one further on, make a larger one, axis by axis."""
    better, best = BETTER[places.pool.op], UFUNC[places.pool.op]
    lines, values = list[str](), "run"
    for number, (axis, further) in enumerate(places.merges):
        shift, weight = axis.step * further, axis.weight * further
        ahead = f"[{shift} : {shift} + size]"
        lines.append(f"size -= {shift}" if number else f"size = len(run) - {shift}")
        wins = "wins" if number else "first"
        lines.append(f"{better}({values}{ahead}, {values}[:size], out={wins}[:size])")
        if number:
            lines += [
                f"np.add(code{ahead}, {weight}, out=later[:size])",
                "np.multiply(later[:size], better[:size], out=later[:size])",
                "np.maximum(code[:size], later[:size], out=code[:size])",
            ]
        elif weight > 1:
            lines.append(f"np.multiply(code[:size], {weight}, out=code[:size])")
        if number < len(places.merges) - 1:
            into = "spare" if values == "best" else "best"
            lines.append(f"{best}({values}[:size], {values}{ahead}, out={into}[:size])")
            values = into
    return lines


def _handed(places: Places, target: str) -> list[str]:
    """Every window's gradient to its place."""
    found = "code.take(starts)"
    if not places.direct:
        found = f"{places.constant('taps')}.take({found})"
    lines = [
        "share = above[start : start + count].reshape(-1)",
        *_undefined(places),
        f"places = {'origins' if places.pool.padded else 'starts'} + {found}",
    ]
    if places.before:
        lines += [
            "# of infinite entries the first one inside wins",
            "np.maximum(places, inside, out=places)",
        ]
    put = "np.add.at(out, places, share)" if places.pool.overlap else "out[places] = share"
    return [
        *lines,
        f"out = {target}[start : start + count].reshape(-1)",
        "out[...] = 0",
        put,
    ]


def _undefined(places: Places) -> list[str]:
    """A window with an entry that is not a number hands on nothing."""
    named = list(zip("uvw", reversed(places.axes), strict=False))
    loops = [(u, f"range({axis.window.taps})") for u, axis in named]
    taps = " + ".join(times(axis.step, u) for u, axis in named)
    body = f"share[np.isnan(run.take(starts + {taps}))] = 0"
    return [
        "highest = run[run.argmax()]",
        "if np.isnan(highest):",
        "    # some are not numbers: their windows hand on nothing",
        "    share = share.copy()",
        *nested(loops, body, 1).split("\n"),
    ]
