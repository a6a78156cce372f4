"""Windows of small maps reduced where samples lie innermost, and stay so inside a network.

    y[c, i, j, n] = max_v max_u x[c, s·i + d·u, s·j + d·v, n]        (or min, or a sum)
    dx[c, s·i + d·u, s·j + d·v, n] = dy[c, i, j, n] · [(u, v) is the first with x = y]

Every entry of a plane is a run of all samples, so that steps between the entries cost nothing:
rows are reduced first, then columns, some planes at a time. Backwards, where windows do not
share entries, each tap takes the windows that it attains and that no tap took before; a sum's
gradient goes to every tap. A product with 0 or 1 is taken of the numbers' bits: what loses gets 0
even where dy is infinite.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from ...machines import Cost
from ...programs import Function
from ..planes import UFUNC, covers
from ..pools import Pool, overlaps, reduced, returned
from ..snippets import indented, listed, nested, plus, snippet, times
from ..tasks import Routine, Task
from ..turned import MOST, given
from ..windowed import Window

NAME = "innermost_pools"
EXACT = True
INNERMOST = True

NEAR = 1 << 17
"""Numbers of the planes that are reduced at a time."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Reductions of windows that lie inside, and the gradient where they share no entries."""
    for target in task.statements if task.keep else ():
        if _pool(task, target) is not None:
            yield (target,)


def _pool(task: Task, target: str) -> Pool | None:
    if (pool := reduced(task, target)) is None:
        pool = returned(task, target)
        if pool is not None and (pool.ties != "first" or any(map(overlaps, pool.windows))):
            return None
    if pool is None or pool.padded or len(pool.windows) != 2 or pool.divisor == 0:
        return None
    return pool


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """Runs as long as there are samples; turning what does not lie so yet."""
    pool = _pool(task, targets[0])
    assert pool is not None  # applies said so
    first, last = pool.windows
    wide, narrow = pool.planes * prod(pool.sizes), pool.planes * prod(pool.outputs)
    forward = reduced(task, targets[0]) is not None
    blocks = pool.planes // _planes(pool)
    read = {pool.wide: wide} if forward else {pool.narrow: narrow}
    if pool.source:
        read |= {pool.source: wide, task.equation.output.name: narrow}
    turned = 3 * sum(numbers for name, numbers in read.items() if task.turns(name, batch))
    taps = first.taps * last.taps
    if forward:
        passes, runs = wide * first.taps / first.stride + narrow * last.taps, narrow * last.taps
        calls = first.taps + last.taps
    else:  # a sum's gradient is written; an extremum is looked for as well
        often = 3 if pool.source else 1
        passes, runs, calls = often * narrow * taps, often * narrow * taps, (often + 1) * taps
    return Cost(moved=batch * (turned + passes), runs=runs, calls=blocks * calls + 6)


def _planes(pool: Pool) -> int:
    """As many planes as stay near the core."""
    most = max(1, NEAR // (MOST * prod(pool.sizes)))
    return max(n for n in range(1, pool.planes + 1) if pool.planes % n == 0 and n <= most)


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_y_innermost_pools(x)``, ``_dx_innermost_pools(dy, x, y)`` or, of a sum, of ``dy``."""
    target = targets[0]
    pool = _pool(task, target)
    assert pool is not None  # applies said so
    forward = reduced(task, target) is not None
    make = _reduced if forward else _handed if pool.source else _spread
    held = task.equation.output.name
    arrays = [pool.wide] if forward else [pool.narrow, *([pool.source, held] * bool(pool.source))]
    name = task.function(target, NAME)
    turned = [
        f"{array} = np.ascontiguousarray({_opened(pool, array, task)}.transpose(1, 2, 3, 0))"
        for array in arrays
    ]
    sizes = listed((pool.planes, *(pool.outputs if forward else pool.sizes)))
    told, fresh = [], f"np.empty(({sizes}, N), dtype)"
    if not forward and not all(map(covers, pool.windows)):
        fresh = f"np.zeros(({sizes}, N), dtype)"
    elif pool.source and pool.source in task.spare:
        told, fresh = ["# read for the last time: a tap is written where it was read"], pool.source
    body = [
        f"N, dtype = len({arrays[0]}), {arrays[0]}.dtype",
        *(['bits = dtype.str.replace("f", "i")'] if len(arrays) > 1 else []),
        "# no copies where samples lie innermost already",
        *turned,
        *told,
        f"{target} = {fresh}",
        *_by_planes(pool, make(pool, target, arrays)),
    ]
    body.append(f"return {given(task, target)}")
    doc = (f"{target}: every entry of a plane is a run of all samples.",)
    known = ("divmod", "len", "range", "slice")
    function = Function(name, tuple(arrays), snippet("\n".join(body)), doc, "", known)
    return Routine(targets, function)


def _opened(pool: Pool, array: str, task: Task) -> str:
    """An array as (samples, planes, rows, columns)."""
    wide = array in (pool.wide, pool.source)
    every = {t.name: t for t in (*task.equation.tensors, task.equation.output)}
    every |= {t.gradient: t for t in (*task.equation.tensors, task.equation.output)}
    if len(every[array].sizes()) == 3:
        return array
    return f"{array}.reshape(N, {listed((pool.planes, *(pool.sizes if wide else pool.outputs)))})"


def _by_planes(pool: Pool, lines: list[str]) -> list[str]:
    """The lines for some planes at a time; ``SOME`` in them is which."""
    step = _planes(pool)
    if step == pool.planes:
        return [line.replace("SOME, ", ":, ").replace("[SOME]", "") for line in lines]
    some = f"c : c + {step}" if step > 1 else "c : c + 1"
    over = f"for c in range(0, {pool.planes}, {step}):"
    return [over, *indented([line.replace("SOME", some) for line in lines])]


def _span(window: Window, tap: str) -> str:
    """What a tap of all windows reads, as a slice."""
    first, last = window.offset, window.offset + window.stride * (window.outputs - 1) + 1
    step = f" : {window.stride}" if window.stride > 1 else ""
    if tap.isdigit():
        first, last = (n + window.dilation * int(tap) for n in (first, last))
        return f"{first} : {last}{step}"
    at = times(window.dilation, tap)
    return f"{plus(at, first)} : {plus(at, last)}{step}"


def _reduced(pool: Pool, target: str, arrays: list[str]) -> list[str]:
    """Rows, then columns."""
    fn, (x,), (first, last) = UFUNC[pool.op], arrays, pool.windows
    lines = []

    def taps(window: Window, read: str, into: str, made: str) -> None:
        one, two, rest = (read.replace("TAP", _span(window, t)) for t in ("0", "1", "u"))
        if window.taps == 1:
            lines.append(f"{into} = {one}")
            return
        ends = f"{made} = {fn}({one}, {two})" if made else f"{fn}({one}, {two}, out={into})"
        lines.append(ends)
        if window.taps == 3:
            lines.append(f"{fn}({into}, {read.replace('TAP', _span(window, '2'))}, out={into})")
        if window.taps > 3:
            lines.append(f"for u in range(2, {window.taps}):")
            lines.append(f"    {fn}({into}, {rest}, out={into})")

    taps(first, f"{x}[SOME, TAP]", "rows", "rows")
    taps(last, "rows[:, :, TAP]", f"{target}[SOME]", "")
    if pool.divisor > 1:
        lines.append(f"np.divide({target}[SOME], {pool.divisor}, out={target}[SOME])")
    return lines


def _handed(pool: Pool, target: str, arrays: list[str]) -> list[str]:
    """Every tap: where it is the first to attain the extremum."""
    dy, x, y = arrays
    first, last = pool.windows
    here = f"SOME, {_span(first, '0')}, {_span(last, '0')}"
    lines = [
        f"share, peak = {dy}[SOME].view(bits), {y}[SOME]",
        f"handed = {target}[SOME].view(bits)",
        f"taken = {x}[{here}] == peak",
        f"np.multiply(share, taken, out={target}[{here}].view(bits))",
    ]
    if first.taps * last.taps == 1:
        return lines
    return [
        *lines,
        "wins = np.empty_like(taken)",
        f"for tap in range(1, {first.taps * last.taps}):",
        f"    u, v = divmod(tap, {last.taps})",
        f"    place = slice(None), slice({_slice(first, 'u')}), slice({_slice(last, 'v')})",
        f"    np.equal({x}[SOME][place], peak, out=wins)",
        "    np.greater(wins, taken, out=wins)",
        "    np.logical_or(taken, wins, out=taken)",
        "    np.multiply(share, wins, out=handed[place])",
    ]


def _slice(window: Window, tap: str) -> str:
    """The same as the words of ``slice``."""
    return _span(window, tap).replace(" :", ",")


def _spread(pool: Pool, target: str, arrays: list[str]) -> list[str]:
    """Every tap gets the same."""
    (dy,), (first, last) = arrays, pool.windows
    share = f"{dy}[SOME] / {pool.divisor}" if pool.divisor > 1 else f"{dy}[SOME]"
    loops = [("u", f"range({first.taps})"), ("v", f"range({last.taps})")]
    body = f"{target}[SOME, {_span(first, 'u')}, {_span(last, 'v')}] = share"
    return [f"share = {share}", *nested(loops, body).split("\n")]
