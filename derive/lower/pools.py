"""Reductions of sliding windows: maxima, minima, sums and means, and where their gradient goes.

    y[n, c, i] = reduce[u](x[n, c, s·i + d·u + o])
    dx[n, c, s·i + d·u + o] += dy[n, c, i] · share

One tensor is read, the windows slide along its last axes, and every index of the reduction is
the tap of one window. So the reduction of a window is that of its rows, then of what is left
of its columns. What the layer is called is never asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod

from ..affine import Affine
from ..equations import SKIP_OUTSIDE, ZERO_OUTSIDE, Statement
from ..expressions import (
    Bracket,
    Call,
    Expr,
    Number,
    Read,
    Reduce,
    Winner,
    Within,
    substitute,
)
from .sources import parts
from .tasks import Task
from .windowed import Window, slide


@dataclass(frozen=True)
class Pool:
    """A statement that reduces windows, or hands their gradient back.

    ``op``       ``"max"``, ``"min"`` or ``"sum"``
    ``wide``     the array of the windows' entries: read forward, written backward
    ``narrow``   the array of the windows: written forward, read backward
    ``source``   what the windows were taken from, if the extremum has to be found again
    ``planes``   how many arrays of the windows' axes a sample has
    ``divisor``  what a sum is divided by; 0 where it is the number of entries inside
    ``ties``     ``"first"`` or ``"split"`` among equal extrema
    ``skip``     whether reads outside do not count; else they give zero
    """

    op: str
    wide: str
    narrow: str
    windows: tuple[Window, ...]
    planes: int
    source: str = ""
    divisor: int = 1
    ties: str = "first"
    skip: bool = False

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of one plane."""
        return tuple(w.size for w in self.windows)

    @property
    def outputs(self) -> tuple[int, ...]:
        """Windows along each axis."""
        return tuple(w.outputs for w in self.windows)

    @property
    def padded(self) -> bool:
        """Whether any window reaches over the edge."""
        return any(w.low or w.high for w in self.windows)

    @property
    def overlap(self) -> bool:
        """Whether windows share entries."""
        return any(overlaps(w) for w in self.windows)

    def counts(self) -> str:
        """How many entries each window has inside, as Python text."""
        rows = ["np.array((" + ", ".join(map(str, _inside(w))) + ",))" for w in self.windows]
        total = rows[0]
        for row in rows[1:]:
            total = f"np.multiply.outer({total}, {row})"
        return total


def overlaps(window: Window) -> bool:
    """Whether neighbouring windows of an axis share entries."""
    return window.dilation * (window.taps - 1) >= window.stride


def reduced(task: Task, target: str) -> Pool | None:
    """The target as the reduction of windows."""
    ways = [way[0] for way in task.statements[target] if len(way) == 1]
    return next((found for s in ways if (found := _reduced(s, task)) is not None), None)


def returned(task: Task, target: str) -> Pool | None:
    """The target as what windows hand back to their entries."""
    ways = [way[0] for way in task.statements[target] if len(way) == 1]
    return next((found for s in ways if (found := _returned(s, task)) is not None), None)


# -- forward -----------------------------------------------------------------------------------
def _reduced(statement: Statement, task: Task) -> Pool | None:
    if statement.accumulate:
        return None
    match statement.rhs:
        case Reduce("max" | "min" | "sum" | "mean" as op, over, Read() as read, ()):
            by: Expr | None = None
        case Call("div", (Reduce("sum" as op, over, Read() as read, ()), by)):
            pass
        case _:
            return None
    if read.tensor not in {tensor.name for tensor in task.equation.tensors}:
        return None
    found = _windows(read, statement.lhs, over, task)
    if found is None:
        return None
    planes, windows = found
    divisor = _divisor(by, read, windows, task)
    if op == "mean":
        divisor, op = prod(w.taps for w in windows), "sum"
    if divisor is None or not _outside(op, read, windows, task):
        return None
    skip = task.equation.tensor(read.tensor).outside == SKIP_OUTSIDE
    return Pool(op, read.tensor, statement.lhs.tensor, windows, planes, divisor=divisor, skip=skip)


def _outside(op: str, read: Read, windows: Sequence[Window], task: Task) -> bool:
    """Whether what lies outside is zero, or does not count in an extremum."""
    if not any(w.low or w.high for w in windows):
        return True
    outside = task.equation.tensor(read.tensor).outside
    return outside == ZERO_OUTSIDE or (outside == SKIP_OUTSIDE and op != "sum")


def _divisor(by: Expr | None, read: Read, windows: Sequence[Window], task: Task) -> int | None:
    """A number, 0 for the count of the entries inside, None for anything else."""
    match by:
        case None:
            return 1
        case Number(Fraction(denominator=1, numerator=number)) if number > 0:
            return number
        case Reduce("sum", over, Bracket(conditions), ()):
            plain = {name: Affine.of(name.rstrip("*")) for name in over}
            sizes = task.equation.tensor(read.tensor).sizes()[-len(windows) :]
            inside = [
                Within(part, Affine.of(size))
                for part, size in zip(parts(read)[-len(windows) :], sizes, strict=True)
            ]
            found = [
                Within(c.value.substitute(plain), c.extent)
                for c in conditions
                if isinstance(c, Within)
            ]
            asked = [c for c, w in zip(inside, windows, strict=True) if w.low or w.high]
            same = len(found) == len(conditions) and set(asked) <= set(found) <= set(inside)
            return (
                0 if same and set(plain.values()) == set(map(Affine.of, _taps(windows))) else None
            )
    return None


# -- backward ----------------------------------------------------------------------------------
def _returned(statement: Statement, task: Task) -> Pool | None:
    if not statement.accumulate:
        return None
    wide = statement.lhs
    by: Expr | None = None
    match statement.rhs:
        case Call("mul", (Read() as narrow, Winner() as winner)):
            return _winner(wide, narrow, winner, task)
        case Call("div", (Read() as narrow, by)):
            pass
        case Read() as narrow:
            pass
        case _:
            return None
    found = _windows(wide, narrow, None, task)
    if found is None:
        return None
    planes, windows = found
    owner = next((t.name for t in task.equation.tensors if t.gradient == wide.tensor), "")
    divisor = _divisor(by, Read(owner, wide.axes), windows, task) if owner else None
    if divisor is None:
        return None
    return Pool("sum", wide.tensor, narrow.tensor, windows, planes, divisor=divisor)


def _winner(wide: Read, narrow: Read, winner: Winner, task: Task) -> Pool | None:
    """Whoever attains the extremum of the very windows whose gradient this is."""
    body = winner.body
    if winner.op not in ("max", "min") or not isinstance(body, Read):
        return None
    at = tuple(part.bare for part in winner.at)
    if None in at:
        return None
    own = dict(zip(winner.over, winner.at, strict=True))
    found = _windows(wide, narrow, at, task)
    if found is None or substitute(body, own) != Read(body.tensor, wide.axes):
        return None
    planes, windows = found
    row_major = [name for name in at if name in _taps(windows)] == _taps(windows)
    if any(w.flipped for w in windows) or not row_major:
        return None
    if not _outside(winner.op, body, windows, task):
        return None
    skip = task.equation.tensor(body.tensor).outside == SKIP_OUTSIDE
    return Pool(
        winner.op,
        wide.tensor,
        narrow.tensor,
        windows,
        planes,
        body.tensor,
        ties=winner.ties,
        skip=skip,
    )


# -- geometry ----------------------------------------------------------------------------------
def _windows(
    wide: Read, narrow: Read, over: Sequence[str | None] | None, task: Task
) -> tuple[int, tuple[Window, ...]] | None:
    """How many planes a sample has, and how the windows slide along the last axes.

    The first subscripts are the same on both sides: batch and planes. Then every window has a
    position of its own and at most one tap; ``over`` are the taps, None for whichever are left.
    """
    places = [part.bare for part in parts(narrow)]
    reads = list(parts(wide))
    output = task.equation.output
    if narrow.tensor not in (output.name, output.gradient):
        return None
    simple = all(len(axis) == 1 for axis in (*wide.axes, *narrow.axes))
    if not simple or None in places or len(set(places)) != len(places):
        return None
    if len(places) != len(reads) or places[0] != task.equation.batch:
        return None
    whole = all(part.is_whole for part in reads)
    same = next((k for k, p in enumerate(reads) if p.bare != places[k]), len(reads))
    if same in (0, len(reads)) or not whole:
        return None
    extents = {name: extent.number for name, extent in task.equation.extents}
    sizes = _axes(wide, task)
    planes = prod(sizes[1:same])
    windows = tuple(_sliding(reads[same:], places[same:], sizes[same:], extents))
    if len(windows) != len(reads) - same or not all(sizes[1:]):
        return None
    taps = _taps(windows)
    known = set(over) if over is not None else set(taps)
    if len(set(taps)) < len(taps) or known != set(taps) or all(w.taps == 1 for w in windows):
        return None
    return planes, windows


def _taps(windows: Sequence[Window]) -> list[str]:
    return [w.tap for w in windows if w.tap]


def _axes(read: Read, task: Task) -> list[int]:
    """The sizes of a tensor or of what it is the gradient of, 0 for the batch."""
    every = (*task.equation.tensors, task.equation.output)
    tensor = next(t for t in every if read.tensor in (t.name, t.gradient))
    return [0, *tensor.sizes()]


def _sliding(
    reads: Sequence[Affine],
    places: Sequence[str | None],
    sizes: Sequence[int],
    extents: Mapping[str, int | None],
) -> Iterator[Window]:
    for part, place, size in zip(reads, places, sizes, strict=True):
        taps = [name for name in part.names if name != place]
        known = all(extents.get(name) for name in part.names)
        if place not in part.names or not known:
            return
        found = slide(part, [place], taps, size, lambda name: extents[name] or 0)
        if found is None:
            return
        yield found


def _inside(window: Window) -> list[int]:
    """For each window of an axis the number of its entries inside."""
    return [
        sum(
            0 <= window.stride * i + window.dilation * u + window.offset < window.size
            for u in range(window.taps)
        )
        for i in range(window.outputs)
    ]
