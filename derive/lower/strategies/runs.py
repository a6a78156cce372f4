"""Windows reduced axis by axis on whole runs, wherever they may start.

    columns[r, c] = max_v x[r, c − p + d·v]         rows[r, c] = max_u columns[r − p + d·u, c]
    y[i, j] = rows[s·i, s·j]                        (or min, or a sum)

Planes lie in memory one after the other, so that a tap is one long run over all entries of a
block. What such a run makes of two rows, or of two planes, at once is picked by no window; for
windows that reach over the edge the few entries that they have inside are reduced afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from ...machines import Cost
from ...programs import Constant, Function
from ..planes import UFUNC, blocks, each_block
from ..pools import Pool, reduced
from ..rooms import room
from ..snippets import expression, indented, listed, snippet, times
from ..tasks import Routine, Task
from ..windowed import Window

NAME = "runs"
EXACT = True

NAMES = ("columns", "rows", "layers")
"""What is made along each axis, from the last to the first."""
EDGES = 4
"""Windows of an axis over its edges that are worth mending."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Targets that reduce windows of which nearly all lie inside."""
    for target in task.statements:
        pool = reduced(task, target)
        if pool is not None and all(map(_fits, pool.windows)):
            yield (target,)


def _fits(window: Window) -> bool:
    """Whether windows start at different entries, the first of them at the front or before."""
    whole = window.dilation * (window.taps - 1) < window.size
    return (
        whole
        and window.offset <= 0
        and window.stride * (window.outputs - 1) < window.size
        and (window.taps > 1 or window.offset == 0)
        and len(_edges(window)) <= EDGES
    )


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """For each tap of each axis one pass over all entries; some lines more at the edges."""
    pool = _pool(task, targets)
    planes, size, windows = batch * pool.planes, prod(pool.sizes), prod(pool.outputs)
    moved, calls, runs = 0.6 * windows + 1.5 * windows * (pool.divisor != 1), 4.0, 0.0
    for axis, window in enumerate(pool.windows):
        moved += 0.75 * (window.taps - 1) * size
        edge = sum(max(1, len(taps) - 1) for taps in _edges(window).values())
        moved += 6 * edge * size / window.size if axis == len(pool.windows) - 1 else 0
        runs += edge * size / pool.sizes[-1] / window.size
        calls += 1.5 * (window.taps - 1 + edge)
    runs += windows / pool.outputs[-1]
    own = _planes(pool, task)
    return Cost(
        moved=planes * moved,
        runs=planes * runs,
        calls=-(-planes // own) * calls + 6,
        scratch=own * size * 2,
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_y_runs(x)``."""
    pool, target = _pool(task, targets), targets[0]
    name, most = task.function(target, NAME), _planes(pool, task)
    sizes, outputs, x = listed(pool.sizes), listed(pool.outputs), pool.wide
    runs = _Runs(name, pool, most)
    body = [
        f"N, dtype = len({x}), {x}.dtype",
        f"planes = {x}.reshape(N * {pool.planes}, {sizes})",
        f"{target} = np.empty((N * {pool.planes}, {outputs}), dtype)",
        *blocks("planes", most),
        *runs.buffers(),
        *each_block("planes"),
        "    block = planes[start : start + count]",
        *indented(runs.reduced()),
        *indented(runs.picked(f"{target}[start : start + count]")),
        f"return {target}.reshape(N, {listed(task.shape(target))})",
    ]
    told = {"max": "maximum", "min": "minimum", "sum": "sum"}[pool.op]
    doc = (
        f"The {told} of every window, axis by axis, on whole runs over {most} planes at a time, "
        "of which the windows are picked.",
    )
    constants = runs.constants()
    given = ("len", "max", "min", "range", "_room", f"{name}_room", *(c.name for c in constants))
    function = Function(name, (x,), snippet("\n".join(body)), doc, "", given)
    return Routine(targets, function, constants, room=runs.room())


def _pool(task: Task, targets: tuple[str, ...]) -> Pool:
    pool = reduced(task, targets[0])
    assert pool is not None  # applies said so
    return pool


def _planes(pool: Pool, task: Task) -> int:
    """As many as stay in the cache: a step touches half of what is made of them."""
    return max(1, task.machine.cache // (8 * prod(pool.sizes)))


def _edges(window: Window) -> dict[int, range]:
    """The windows that reach over an edge, and the entries that they have inside."""
    found = {}
    for i in range(window.outputs):
        at = [
            entry
            for u in range(window.taps)
            if 0 <= (entry := window.stride * i + window.dilation * u + window.offset) < window.size
        ]
        if len(at) < window.taps:
            found[i] = range(at[0], at[-1] + 1, window.dilation) if at else range(0)
    return found


@dataclass(frozen=True)
class _Runs:
    """The lines of the routine."""

    name: str
    pool: Pool
    most: int

    @property
    def axes(self) -> list[tuple[str, int]]:
        """What is made along each axis that has several taps, the last one first."""
        numbers = range(len(self.pool.windows))[::-1]
        named = zip(NAMES, numbers, strict=False)
        return [(name, k) for name, k in named if self.pool.windows[k].taps > 1]

    def constants(self) -> tuple[Constant, ...]:
        """How many entries a window has inside, if its sum is divided by that."""
        if self.pool.divisor:
            return ()
        told = "How many entries every window has inside."
        return (Constant(self._inside, expression(self.pool.counts()), told),)

    @property
    def _inside(self) -> str:
        return f"{self.name}_inside".upper()

    @property
    def _made(self) -> str:
        return ", ".join(made for made, _ in self.axes)

    def room(self) -> Function:
        """Room for what is made along each axis."""
        size = self.most * prod(self.pool.sizes)
        lines = [f"{made} = np.zeros(({size},), dtype)" for made, _ in self.axes]
        return room(self.name, [*lines, f"return {self._made}"])

    def buffers(self) -> list[str]:
        """What is made along each axis: of a window, at as many entries behind as it starts."""
        n = prod(self.pool.sizes)
        lines = [f"{self._made} = _room({self.name}_room, dtype)"]
        lines += [f"{made} = {made}[: count * {n}]" for made, _ in self.axes]
        if not self.pool.divisor:
            lines.append(f"inside = {self._inside}.astype(dtype)")
        return lines

    def reduced(self) -> list[str]:
        """Axis by axis: every tap in one run, then what reaches over the edges."""
        source, lines = "block.reshape(-1)", list[str]()
        for made, axis in self.axes:
            lines += self._along(made, axis, source)
            source = made
        return lines

    def _along(self, made: str, axis: int, source: str) -> list[str]:
        window, fn = self.pool.windows[axis], UFUNC[self.pool.op]
        after = prod(self.pool.sizes[axis + 1 :])
        step, low = window.dilation * after, window.low * after
        lines = [f"run = {source}", f"size = len(run) - {step * (window.taps - 1)}"]
        lines.append(f"into = {made}[{f'{low} : {low} + size' if low else ':size'}]")
        lines.append(f"{fn}(run[:size], run[{step} : {step} + size], out=into)")
        if window.taps > 2:
            shift = times(step, "u")
            lines += [
                f"for u in range(2, {window.taps}):",
                f"    {fn}(into, run[{shift} : {shift} + size], out=into)",
            ]
        return [*lines, *self._mended(made, axis)]

    def _mended(self, made: str, axis: int) -> list[str]:
        """The windows along an axis that reach over its edges."""
        window, fn = self.pool.windows[axis], UFUNC[self.pool.op]
        edges = _edges(window)
        if not edges:
            return []
        lead, shape = ":, " * (axis + 1), f"reshape(count, {listed(self.pool.sizes)})"
        lines = [f"given, edge = run.{shape}, {made}.{shape}"]
        for i, inside in edges.items():
            into = f"edge[{lead}{window.stride * i}]"
            given = [f"given[{lead}{entry}]" for entry in inside]
            if self.pool.op != "sum" and not self.pool.skip:
                given.append("0")  # entries like others
            first = given[0] if given else "0"
            if len(given) < 2:
                lines.append(f"{into} = {first}")
                continue
            lines.append(f"{fn}({first}, {given[1]}, out={into})")
            lines += [f"{fn}({into}, {one}, out={into})" for one in given[2:]]
        return lines

    def picked(self, target: str) -> list[str]:
        """The windows of all that was made, divided if they are means."""
        spans = []
        for w in self.pool.windows:
            stop = w.stride * (w.outputs - 1) + 1
            whole = w.stride == 1 and stop == w.size
            spans.append(":" if whole else f":{stop}{f':{w.stride}' if w.stride > 1 else ''}")
        made = f"{self.axes[-1][0]}.reshape(count, {listed(self.pool.sizes)})"
        rows = f"{made}[:, {', '.join(spans)}]"
        if self.pool.divisor == 1:
            return [f"{target} = {rows}"]
        by = str(self.pool.divisor) if self.pool.divisor else "inside"
        return [f"part = {target}", f"part[...] = {rows}", f"part /= {by}"]
