"""Planes in a cache, laid out so that windows are read in long runs.

Some planes lie together with their rows apart, (rows, planes, columns): a row of all of them is
one run. The columns of a plane lie apart by their remainder modulo the stride,
(remainder, rows, planes, columns): every tap of the windows along them is one run over everything.
What such a run finds between the windows is never used.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from .pools import Pool, overlaps
from .snippets import indented as indented
from .snippets import listed as listed
from .snippets import plus as plus
from .snippets import times as times
from .windowed import Window

UFUNC = {"max": "np.maximum", "min": "np.minimum", "sum": "np.add"}
"""What reduces two runs to one."""
FILL = {"max": "-np.inf", "min": "np.inf"}
"""What changes no extremum."""


@dataclass(frozen=True)
class Planes:
    """The layout of a pool's windows; ``most`` planes are held at a time in buffers of ``name``."""

    pool: Pool
    most: int
    name: str = ""

    @property
    def rank(self) -> int:
        """How many axes slide."""
        return len(self.pool.windows)

    @property
    def last(self) -> Window:
        """The window along the columns."""
        return self.pool.windows[-1]

    @property
    def pitch(self) -> int:
        """Columns of one remainder."""
        return -(-self.last.padded // self.last.stride)

    @property
    def moved(self) -> str:
        """Puts the planes before the columns: what is called on (planes, rows, columns)."""
        order = [*range(1, self.rank), 0, self.rank]
        return f".transpose({listed(order)})" if self.rank > 1 else ""

    @property
    def direct(self) -> bool:
        """Whether every entry is read by one tap along the columns, and all taps are inside."""
        return not overlaps(self.last) and not (self.last.low or self.last.high)

    @property
    def covered(self) -> bool:
        """Whether the windows along the columns leave no entry out."""
        return covers(self.last)

    def shape(self, axes: int) -> list[int]:
        """Of a plane while the first ``axes`` axes are entries, the others windows."""
        sizes = [w.padded for w in self.pool.windows[:axes]]
        sizes += [w.outputs for w in self.pool.windows[axes:]]
        return [*sizes[:-1], self.pitch]

    # -- lines that make buffers -----------------------------------------------------------
    def buffer(self, name: str, axes: int) -> list[str]:
        """``name`` for planes whose first ``axes`` axes are entries."""
        shape = self.shape(axes)
        shaped = listed([*shape[:-1], "count", shape[-1]])
        return [
            f'{name} = _scratch("{self.name}_{name}", ({self.most * prod(shape)},), dtype)',
            f"{name} = {name}[: count * {prod(shape)}].reshape({shaped})",
        ]

    def flat(self, name: str, lead: int, dtype: str = "dtype") -> list[str]:
        """``lead`` runs as long as the padded planes."""
        own = prod(self.shape(self.rank))
        return [
            f'{name} = _scratch("{self.name}_{name}", ({lead}, {self.most * own}), {dtype})',
            f"{name} = {name}[:, : count * {own}]",
        ]

    def spaced(self, name: str, flat: str) -> str:
        """The runs of :meth:`flat` by remainder, row, plane and column."""
        shape = listed([self.last.stride, *self.shape(self.rank)[:-1], "count", self.pitch])
        return f"{name} = {flat}.reshape({shape})"

    # -- places ----------------------------------------------------------------------------
    @property
    def span(self) -> int:
        """How far the last tap lies behind the first of a run."""
        return (self.last.start + self.last.dilation * (self.last.taps - 1)) // self.last.stride

    def tap(self, flat: str, v: str) -> str:
        """All that the tap ``v`` (Python text) along the columns reads, as one run."""
        w = self.last
        if v.isdigit():
            begin, phase = divmod(w.start + w.dilation * int(v), w.stride)
            return f"{flat}[{phase}, {f'{begin} : {begin} + size' if begin else ':size'}]"
        place = plus(times(w.dilation, v), w.start)
        if w.stride == 1:
            return f"{flat}[0, {place} : {place} + size]"
        inner = f"({place})" if " " in place else place
        shift = f"{inner} // {w.stride}"
        return f"{flat}[{inner} % {w.stride}, {shift} : {shift} + size]"

    def row_tap(self, array: str, axis: int, u: str) -> str:
        """All that the tap ``u`` along another axis reads."""
        w = self.pool.windows[axis]
        behind = w.stride * (w.outputs - 1) + 1
        if u.isdigit():
            first = w.dilation * int(u) + w.start
            start, stop = str(first), str(first + behind)
        else:
            tap = times(w.dilation, u)
            start, stop = plus(tap, w.start), plus(tap, w.start + behind)
        step = f" : {w.stride}" if w.stride > 1 else ""
        return f"{array}[{':, ' * axis}{start} : {stop}{step}]"

    def columns(self) -> list[tuple[int, int, int, int]]:
        """Of each remainder that is read: its first column of x, where it goes, how many follow."""
        w = self.last
        taps = {(w.start + w.dilation * v) % w.stride for v in range(w.taps)}
        found = []
        for phase in sorted(taps):
            first = (phase - w.low) % w.stride
            if first < w.size:
                place = (first + w.low) // w.stride
                found.append((phase, first, place, -(-(w.size - first) // w.stride)))
        return found

    def inner(self, array: str) -> str:
        """The entries inside of (rows, planes, windows), for the windows along the columns."""
        if self.pitch == self.last.outputs and all(s == ":" for s in self._rows()):
            return array
        behind = f"{': ' if self.pitch == self.last.outputs else f': {self.last.outputs}'}".strip()
        return f"{array}[{', '.join([*self._rows(), behind])}]"

    def column_tap(self, array: str, v: str) -> str:
        """What the tap ``v`` along the columns reads of (rows, planes, columns)."""
        w = self.last
        start, stop = w.start, w.start + w.stride * (w.outputs - 1) + 1
        step = f" : {w.stride}" if w.stride > 1 else ""
        tap = times(w.dilation, v)
        return f"{array}[..., {plus(tap, start)} : {plus(tap, stop)}{step}]"

    def _rows(self) -> list[str]:
        """Where the planes lie in the axes before the columns."""
        spans = [
            f"{w.low} : {w.low + w.size}" if w.padded > w.size else ":"
            for w in self.pool.windows[:-1]
        ]
        return [*spans, ":"]

    def exchanged(self, spaced: str, block: str, *, store: bool) -> list[str]:
        """The planes' columns put apart, or, to ``store``, back together."""
        rows, lines = ", ".join(self._rows()), []
        for phase, first, place, many in self.columns():
            inside = ":" if (place, many) == (0, self.pitch) else f"{place} : {place + many}"
            step = f":: {self.last.stride}" if self.last.stride > 1 else ":"
            apart = f"{spaced}[{phase}, {rows}, {inside}]"
            together = f"{block}[..., {first or ''}{step}]"
            lines.append(f"{together} = {apart}" if store else f"{apart} = {together}")
        return lines

    def edges(self, spaced: str) -> list[str]:
        """The columns around the planes, of every remainder."""
        found: list[str] = []
        if self.last.low or self.last.high:
            for phase, _, place, many in self.columns():
                found += [f"{spaced}[{phase}, ..., :{place}]"] * bool(place)
                found += [f"{spaced}[{phase}, ..., {place + many} :]"] * (place + many < self.pitch)
        return found


def blocks(planes: str, most: int) -> list[str]:
    """``count``: how many planes there are in a block, all blocks about as large."""
    return [
        f"blocks = -(-len({planes}) // {most})",
        f"count = -(-len({planes}) // max(1, blocks))",
    ]


def each_block(planes: str) -> list[str]:
    """The loop over blocks, and where each starts."""
    return [
        "for number in range(blocks):",
        "    # the last one may repeat some planes of the one before",
        f"    start = min(number * count, len({planes}) - count)",
    ]


def turns(window: Window) -> list[tuple[str, bool]]:
    """The taps of an axis as ranges, and whether they are the first to reach their entries.

    As many taps as the stride is long reach different entries; the next ones meet them again.
    """
    taps, stride = window.taps, window.stride
    if not overlaps(window):
        return [(f"range({taps})", True)]
    if window.dilation > 1:
        return [(f"range({taps})", False)]
    return [(f"range({stride})", True), (f"range({stride}, {taps})", False)]


def unreached(window: Window, array: str, lead: str) -> list[str]:
    """Lines that put zeros where the first taps of overlapping windows write nothing."""
    if window.dilation > 1:
        return [f"{array}[...] = 0"]
    behind = window.start + window.stride * window.outputs
    lines = [f"{array}[{lead}:{window.start}] = 0"] * bool(window.start)
    return lines + [f"{array}[{lead}{behind}:] = 0"] * (behind < window.padded)


def covers(window: Window) -> bool:
    """Whether the windows of an axis leave no entry of it out."""
    read = {
        window.stride * i + window.dilation * u + window.offset
        for i in range(window.outputs)
        for u in range(window.taps)
    }
    return set(range(window.size)) <= read
