"""Where the first extremal entry of every window lies, as a number; its gradient is put there.

    code[p] = W·d·u + d·v of the first tap (u, v) at which x[p + code] is extremal, for every p
    dx[p + code[p]] += dy[i, j] where p = start(i, j)

Planes lie in memory one after the other, so that a tap of all windows, wherever they start, is
one run. Axis by axis, each tap is compared with the best one before it: where it is better, it
takes the code, a byte. That a few times more codes are made than there are windows costs less
than to step from window to window. Where W is too large for a byte, codes number the taps. No
gradient is multiplied, so that infinite ones do no harm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from ...machines import Cost
from ...programs import Constant, Function
from ..planes import blocks, each_block, indented, listed, times
from ..pools import Pool, returned
from ..snippets import expression, nested, snippet
from ..tasks import Routine, Task
from ..windowed import Window

NAME = "places"
EXACT = True

BETTER = {"max": "np.greater", "min": "np.less"}
UFUNC = {"max": "np.maximum", "min": "np.minimum"}
FILL = {"max": "-np.inf", "min": "np.inf"}
"""What is better than nothing."""
CODES = 256
"""Numbers that a byte can tell apart."""
NAMES = ("column", "row", "layer")
"""The axes from the last to the first."""


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
    """For every tap of every axis a comparison of all entries; a few steps for every window."""
    pool = _pool(task, targets)
    planes, size, windows = batch * pool.planes, _size(pool), prod(pool.outputs)
    taps = sum(w.taps - 1 for w in pool.windows)
    scattered = 6 if pool.overlap else 5
    own = _planes(pool, task)
    return Cost(
        moved=planes * (size * (1.7 * taps + (0.6 if pool.padded else 0)) + scattered * windows),
        runs=planes * (2 * prod(pool.sizes[:-1]) if pool.padded else 0),
        calls=-(-planes // own) * (6 * taps + 10) + 6,
        scratch=own * size * 3,
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_dx_places(dy, x)``."""
    pool, target, most = _pool(task, targets), targets[0], _planes(_pool(task, targets), task)
    name = task.function(target, NAME)
    dy, x, m = pool.narrow, pool.source, prod(pool.outputs)
    flat = prod(pool.sizes)
    places = _Places(name, pool, most)
    body = [
        f"N, dtype = len({x}), {x}.dtype",
        f"planes = {x}.reshape(N * {pool.planes}, {listed(pool.sizes) if pool.padded else flat})",
        f"above = {dy}.reshape(N * {pool.planes}, {m})",
        f"{target} = np.empty((N * {pool.planes}, {flat}), dtype)",
        *blocks("planes", most),
        *places.buffers(),
        *each_block("planes"),
        *indented(places.run()),
        *indented(places.codes()),
        *indented(places.handed(target)),
        f"return {target}.reshape(N, {listed(task.shape(target))})",
    ]
    doc = (
        "Every window hands its gradient to the first of its extremal entries, "
        f"whose place is found as a number, {most} planes at a time.",
    )
    constants = places.constants()
    given = ("bool", "len", "max", "min", "range", "_scratch", *(c.name for c in constants))
    function = Function(name, (dy, x), snippet("\n".join(body)), doc, "", given)
    return Routine(targets, function, constants)


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


@dataclass(frozen=True)
class _Axis:
    """An axis along which windows have several taps, ``step`` numbers apart in a run.

    A code counts ``weight`` for each tap; codes are distances in x if they are ``direct``, else
    the numbers of the taps. ``span``: from the first to the last entry of a window
    along this axis and those before it.
    """

    name: str
    window: Window
    step: int
    weight: int
    span: int


@dataclass(frozen=True)
class _Places:
    """The lines of the routine."""

    name: str
    pool: Pool
    most: int

    @property
    def lengths(self) -> list[int]:
        """Of the axes of a plane with what is around it."""
        return [w.padded for w in self.pool.windows]

    @property
    def axes(self) -> list[_Axis]:
        """The last one first."""
        found, step, taps, span, apart = [], 1, 1, 0, 1
        for name, window in zip(NAMES, reversed(self.pool.windows), strict=False):
            if window.taps > 1:
                span += step * window.dilation * (window.taps - 1)
                weight = apart * window.dilation if self.direct else taps
                found.append(_Axis(name, window, step * window.dilation, weight, span))
            step, taps, apart = step * window.padded, taps * window.taps, apart * window.size
        return found

    @property
    def direct(self) -> bool:
        """Whether every distance within a window fits into a code."""
        furthest, apart = 0, 1
        for w in reversed(self.pool.windows):
            furthest += apart * w.dilation * (w.taps - 1)
            apart *= w.size
        return furthest < CODES

    # -- constants -----------------------------------------------------------------------------
    def constants(self) -> tuple[Constant, ...]:
        """Where windows start in a run, where in x, which entry is the first inside; taps."""
        told = {
            "starts": "Where the windows start in a block of planes.",
            "taps": "How far each tap lies behind the start of its window.",
        }
        values = {"starts": self._starts()}
        if not self.direct:
            values["taps"] = self._taps()
        if self.pool.padded:
            told["origins"] = "The same in x, where windows may start before it."
            values["origins"] = self._outer("{}")
        if self._before:
            told["inside"] = "The first entry of every window that is inside."
            values["inside"] = self._outer("np.maximum({}, 0)")
        return tuple(
            Constant(self.constant(key), expression(values[key]), told[key]) for key in values
        )

    def constant(self, key: str) -> str:
        """The name of one of them."""
        return f"{self.name}_{key}".upper()

    @property
    def _before(self) -> bool:
        """Whether windows start before x, and so may be won by what is not there."""
        return any(w.low for w in self.pool.windows)

    def _starts(self) -> str:
        lengths = listed([self.most, *self.lengths])
        firsts = []
        for w in self.pool.windows:
            stop = w.start + w.stride * (w.outputs - 1) + 1
            firsts.append(f"{w.start or ''}:{stop}{f':{w.stride}' if w.stride > 1 else ''}")
        every = f"np.arange({self.most * prod(self.lengths)}).reshape({lengths})"
        return f"{every}[:, {', '.join(firsts)}].reshape(-1)"

    def _taps(self) -> str:
        step, parts = 1, list[str]()
        for w in reversed(self.pool.windows):
            parts.insert(0, times(step * w.dilation, f"np.arange({w.taps})"))
            step *= w.size
        return _outer_sum([p for p in parts if "arange(1)" not in p])

    def _outer(self, form: str) -> str:
        step, parts = 1, list[str]()
        for w in reversed(self.pool.windows):
            stop = w.offset + w.stride * (w.outputs - 1) + 1
            told = f"np.arange({w.offset}, {stop}, {w.stride})"
            parts.insert(0, times(step, form.format(told) if w.low else told))
            step *= w.size
        return _outer_sum([times(step, f"np.arange({self.most})"), *parts])

    # -- before the blocks ---------------------------------------------------------------------
    def buffers(self) -> list[str]:
        """The best of every axis, the codes, room to compare, and where windows start."""
        own, lines, name = prod(self.lengths), [], self.name[1:]
        if self.pool.padded:
            shape = listed([self.most, *self.lengths])
            lines += [
                f'padded = _scratch("{name}_padded", ({shape}), dtype)[:count]',
                f"padded[...] = {FILL[self.pool.op]}",
                "run = padded.reshape(-1)",
            ]
        peaks = [a.name for a in self.axes if self._kept(a)]
        for axis in peaks:
            held = f'"{name}_{axis}_peak", ({self.most * own},), dtype'
            lines.append(f"{axis}_peak = _scratch({held})")
        codes = [f"{a.name}_code" for a in self.axes]
        held = f'"{name}_codes", ({len(codes) + 2}, {self.most * own}), np.dtype("u1")'
        lines.append(f"{', '.join(codes)}, better, code = _scratch({held})")
        m = prod(self.pool.outputs)
        for key in ("starts", "origins", "inside")[: 1 + self.pool.padded + self._before]:
            lines.append(f"{key} = {self.constant(key)}[: count * {m}]")
        return lines

    def _kept(self, axis: _Axis) -> bool:
        """Whether the best is needed after the first comparison."""
        return axis.window.taps > 2 or axis != self.axes[-1]

    # -- in every block ------------------------------------------------------------------------
    def run(self) -> list[str]:
        """A block of planes as one run."""
        if not self.pool.padded:
            return ["run = planes[start : start + count].reshape(-1)"]
        inner = [f"{w.low} : {w.low + w.size}" for w in self.pool.windows]
        return [f"padded[:, {', '.join(inner)}] = planes[start : start + count]"]

    def codes(self) -> list[str]:
        """Axis by axis: which tap is the first extremal one."""
        lines, values, codes = [], "run", ""
        for axis in self.axes:
            lines += self._along(axis, values, codes)
            values, codes = f"{axis.name}_peak", f"{axis.name}_code"
        return lines

    def _along(self, axis: _Axis, values: str, codes: str) -> list[str]:
        """The first two taps, then each of the others."""
        better, best = BETTER[self.pool.op], UFUNC[self.pool.op]
        peak, code, step = f"{axis.name}_peak", f"{axis.name}_code", axis.step
        lines = [
            f"size = len(run) - {axis.span}",
            f"first, then = {values}[:size], {values}[{step} : {step} + size]",
        ]
        wins = "better[:size]" if codes else f"{code}[:size]"
        lines.append(f"{better}(then, first, out={wins}.view(bool))")
        if codes:
            lines += self._later(axis, codes, "1", f"{codes}[:size]")
        elif axis.weight > 1:
            lines.append(f"np.multiply({wins}, {axis.weight}, out={wins})")
        if self._kept(axis):
            lines.append(f"{best}(first, then, out={peak}[:size])")
        if axis.window.taps == 2:
            return lines
        u = "uvw"[len(self.pool.windows) - 1 - NAMES.index(axis.name)]
        shift = times(step, u)
        return [
            *lines,
            f"for {u} in range(2, {axis.window.taps}):",
            f"    then = {values}[{shift} : {shift} + size]",
            f"    {better}(then, {peak}[:size], out=better[:size].view(bool))",
            f"    {best}(then, {peak}[:size], out={peak}[:size])",
            *indented(self._later(axis, codes, u, f"{code}[:size]")),
        ]

    def _later(self, axis: _Axis, codes: str, u: str, before: str) -> list[str]:
        """A later tap has a larger code, and takes the place where it is better."""
        into = f"{axis.name}_code[:size]"
        if not codes:
            made = [f"np.multiply(better[:size], {times(axis.weight, u)}, out=code[:size])"]
        else:
            shift = str(axis.step) if u == "1" else times(axis.step, u)
            weight = str(axis.weight) if u == "1" else times(axis.weight, u)
            made = [
                f"np.add({codes}[{shift} : {shift} + size], {weight}, out=code[:size])",
                "np.multiply(code[:size], better[:size], out=code[:size])",
            ]
        return [*made, f"np.maximum({before}, code[:size], out={into})"]

    def handed(self, target: str) -> list[str]:
        """Every window's gradient to its place."""
        found = f"{self.axes[-1].name}_code.take(starts)"
        if not self.direct:
            found = f"{self.constant('taps')}.take({found})"
        lines = [
            "share = above[start : start + count].reshape(-1)",
            *self._undefined(),
            f"places = {'origins' if self.pool.padded else 'starts'} + {found}",
        ]
        if self._before:
            lines += [
                "# of infinite entries the first one inside wins",
                "np.maximum(places, inside, out=places)",
            ]
        put = "np.add.at(out, places, share)" if self.pool.overlap else "out[places] = share"
        return [
            *lines,
            f"out = {target}[start : start + count].reshape(-1)",
            "out[...] = 0",
            put,
        ]

    def _undefined(self) -> list[str]:
        """A window with an entry that is not a number hands on nothing."""
        loops, places = [], []
        for axis in reversed(self.axes):
            u = "uvw"[len(self.pool.windows) - 1 - NAMES.index(axis.name)]
            loops.append((u, f"range({axis.window.taps})"))
            places.append(times(axis.step, u))
        body = f"share[np.isnan(run.take(starts + {' + '.join(places)}))] = 0"
        return [
            "highest = run[run.argmax()]",
            "if highest != highest:",
            "    # some are not numbers: their windows hand on nothing",
            "    share = share.copy()",
            *nested(loops, body, 1).split("\n"),
        ]


def _outer_sum(parts: list[str]) -> str:
    """The sums of one number of each part, in one row."""
    total = parts[0]
    for part in parts[1:]:
        total = f"np.add.outer({total}, {part})"
    return f"{total}.reshape(-1)" if len(parts) > 1 else total
