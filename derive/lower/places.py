"""The numbers of the strategy ``places``: how windows grow, codes of taps, where windows start.

A window of t taps and another one, up to t taps further on, make a larger one: ⌈log₂ k⌉ merges
for k taps. A code says how far the extremal entry lies behind the start of its window.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ..programs import Constant
from .pools import Pool
from .snippets import expression, listed, times
from .windowed import Window

CODES = 256
"""Numbers that a byte can tell apart."""


@dataclass(frozen=True)
class Axis:
    """An axis along which windows have several taps, ``step`` numbers apart in a run.

    A code counts ``weight`` for each tap: the distance in x, or how many taps there are before.
    """

    window: Window
    step: int
    weight: int


@dataclass(frozen=True)
class Places:
    """The windows of a pool over blocks of ``most`` planes; constants are called after ``name``."""

    name: str
    pool: Pool
    most: int

    @property
    def lengths(self) -> list[int]:
        """Of the axes of a plane with what is around it."""
        return [w.padded for w in self.pool.windows]

    @property
    def axes(self) -> list[Axis]:
        """The last one first."""
        found, step, taps, apart = [], 1, 1, 1
        for window in reversed(self.pool.windows):
            if window.taps > 1:
                weight = apart * window.dilation if self.direct else taps
                found.append(Axis(window, step * window.dilation, weight))
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

    @property
    def merges(self) -> list[tuple[Axis, int]]:
        """Of every axis, how many taps further on the other half of the next larger window is."""
        found = []
        for axis in self.axes:
            taps = 1
            while taps < axis.window.taps:
                further = min(taps, axis.window.taps - taps)
                found.append((axis, further))
                taps += further
        return found

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
        if self.before:
            told["inside"] = "The first entry of every window that is inside."
            values["inside"] = self._outer("np.maximum({}, 0)")
        return tuple(
            Constant(self.constant(key), expression(values[key]), told[key]) for key in values
        )

    def constant(self, key: str) -> str:
        """The name of one of them."""
        return f"{self.name}_{key}".upper()

    @property
    def before(self) -> bool:
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


def _outer_sum(parts: list[str]) -> str:
    """The sums of one number of each part, in one row."""
    total = parts[0]
    for part in parts[1:]:
        total = f"np.add.outer({total}, {part})"
    return f"{total}.reshape(-1)" if len(parts) > 1 else total
