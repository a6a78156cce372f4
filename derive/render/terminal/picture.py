"""A picture of the windows: x with the first window and the next, the kernel, the output.

Everything is read off the forward equation: which entry of x meets which tap of the kernel for
which entry of the output. Only the axes along which something slides are drawn (one or two);
every other index stands at its first value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from ...equations import Statement
from ...expressions import Read, Reduce, reads, walk
from ..hues import hue
from ..mathematics.notation import Taps
from ..notes.entries import Frame, holds
from ..notes.sheet import Sheet
from .boxes import Cells, Place, grid
from .painted import Painted, together

Spot = tuple[int, ...]
HIGHEST, WIDEST = 9, 12
"""Rows and columns up to which a tensor is drawn whole."""
SMALL, GAP = 5, 3
"""Rows and columns of a whole output; blanks between grids."""


@dataclass(frozen=True)
class Windows:
    """What slides over what, along one or two axes.

    ``source``, ``kernel``, ``output``  names of tensors; a pool has no kernel
    ``shape``, ``taps``, ``result``     their sizes along the axes that are drawn
    ``low``, ``high``  the first and last place that any window reaches (or the tensor has)
    ``first``, ``next``  entry of the source → number of the tap, for the first entry of the
                         output and its neighbour, which is None if there is only one
    ``at``, ``beside``   the positions of both in the output, along the axes that are drawn
    ``statement``        the equation it was read off, for one sample
    ``slice``            whether there are axes that are not drawn
    """

    source: str
    kernel: str
    output: str
    shape: Spot
    taps: Spot
    result: Spot
    low: Spot
    high: Spot
    first: Mapping[Spot, int]
    next: Mapping[Spot, int] | None
    at: Spot
    beside: Spot | None
    statement: Statement
    slice: bool

    @property
    def padded(self) -> bool:
        """Whether a window that is shown reaches outside."""
        spots = [*self.first, *(self.next or {})]
        return any(not 0 <= at < n for s in spots for at, n in zip(s, self.shape, strict=True))


@dataclass(frozen=True)
class _Slide:
    """One statement, the read that slides, and which axes of both sides move."""

    statement: Statement
    term: Reduce
    read: Read
    axes: tuple[int, ...]
    moves: tuple[int, ...]
    order: tuple[str, ...]
    taps: Taps

    def touched(self, position: Spot, names: Sequence[str]) -> dict[Spot, int]:
        """Entry of the source → tap, for one entry of the output."""
        found: dict[Spot, int] = {}
        for place in product(*map(range, self.taps.sizes)):
            values = dict.fromkeys(self.term.over, 0)
            values |= dict(zip(names, position, strict=True))
            values |= dict(zip(self.taps.names, place, strict=True))
            spot = [self.read.axes[k][0].evaluate(values) for k in self.axes]
            if all(number.denominator == 1 for number in spot) and all(
                holds(condition, values) for condition in self.term.where
            ):
                found.setdefault(tuple(map(int, spot)), self.taps.number(place))
        return found


def windows(sheet: Sheet) -> Windows | None:
    """The windows of a layer; None where nothing slides along one or two axes."""
    taps, frame, here = sheet.taps, sheet.frame, sheet.here
    if taps is None or frame is None or here is None:
        return None
    for statement in here.statements:
        value = sheet.one(statement)
        slide = _slide(value, taps, {t.name for t in (*here.data, *here.inner)})
        if slide is not None and frame.covers(value):
            return _windows(slide, frame)
    return None


def _slide(value: Statement, taps: Taps, data: set[str]) -> _Slide | None:
    names = [part.bare for axis in value.lhs.axes for part in axis]
    own = {axis[0].bare: names.index(axis[0].bare) for axis in value.lhs.axes if len(axis) == 1}
    for term in (node for node in walk(value.rhs) if isinstance(node, Reduce)):
        for read in reads(term.body) if set(taps.names) <= set(term.over) else ():
            axes, moves, order = [], [], []
            for k, axis in enumerate(read.axes):
                met = set(axis[0].names) if len(axis) == 1 else set()
                inside, outside = met & set(taps.names), met & set(own)
                if len(inside) == len(outside) == 1 and len(met) == 2:
                    axes.append(k)
                    moves.append(own[outside.pop()])
                    order.append(inside.pop())
            if read.tensor in data and len(axes) in (1, 2) and set(order) == set(taps.names):
                return _Slide(value, term, read, tuple(axes), tuple(moves), tuple(order), taps)
    return None


def _windows(slide: _Slide, frame: Frame) -> Windows:
    ranges = frame.ranges(slide.statement.lhs)
    sizes, names = tuple(ranges.values()), tuple(ranges)
    at = (0,) * len(sizes)
    last = tuple(n - 1 if k in slide.moves else 0 for k, n in enumerate(sizes))
    longer = [k for k in reversed(slide.moves) if sizes[k] > 1][:1]
    beside = tuple(int(k in longer) for k in range(len(sizes))) if longer else None
    first, end = slide.touched(at, names), slide.touched(last, names)
    shape = tuple(frame.shapes[slide.read.tensor][k] for k in slide.axes)
    reached = [*first, *end]
    low = tuple(min(0, *(spot[k] for spot in reached)) for k in range(len(shape)))
    high = tuple(max(n - 1, *(spot[k] for spot in reached)) for k, n in enumerate(shape))
    return Windows(
        source=slide.read.tensor,
        kernel=slide.taps.tensor,
        output=slide.statement.lhs.tensor,
        shape=shape,
        taps=tuple(
            dict(zip(slide.taps.names, slide.taps.sizes, strict=True))[n] for n in slide.order
        ),
        result=tuple(sizes[k] for k in slide.moves),
        low=low,
        high=high,
        first=first,
        next=None if beside is None else slide.touched(beside, names),
        at=tuple(at[k] for k in slide.moves),
        beside=None if beside is None else tuple(beside[k] for k in slide.moves),
        statement=slide.statement,
        slice=len(shape) < len(slide.read.axes) or len(slide.moves) < len(sizes),
    )


# -- drawing ---------------------------------------------------------------------------------
def picture(
    found: Windows, width: int, *, base: int = 0, unicode: bool = True
) -> list[Painted] | None:
    """The grids side by side, or below each other; None if the width is too small."""
    source = _source(found, width, base, unicode)
    if source is None:
        return None
    blocks = [_titled(found.source, grid(source, unicode=unicode))]
    if found.kernel:
        tiles = {place: _tile(k) for k, place in enumerate(_places(found.taps))}
        cells = Cells(
            0, 0, *_flat(found.taps), _labels(found.taps, base, list(tiles)), paints=tiles
        )
        blocks.append(_titled(found.kernel, grid(cells, unicode=unicode)))
    blocks.append(_titled(found.output, grid(_result(found, base), unicode=unicode)))
    rows = _rows(blocks, width)
    return rows if all(len(line) <= width for line in rows) else None


def _source(found: Windows, width: int, base: int, unicode: bool) -> Cells | None:
    """The source with its padding, cut off behind the windows if it is too large."""
    low, high = _place(found.low), _place(found.high)
    sizes = (high[0] - low[0] + 1, high[1] - low[1] + 1)
    kept = _kept(found, sizes, low, width, base)
    if kept is None:
        return None
    rows, columns = (range(low[k], low[k] + kept[k]) for k in (0, 1))
    drawn = list(product(rows, columns))
    labels = _labels(found.shape, base, drawn)
    loose = frozenset(place for place in drawn if place not in labels)
    paints = dict.fromkeys(loose, "dim")
    paints |= {_place(spot): _tile(tap) for spot, tap in found.first.items()}
    return Cells(
        *(*low, *kept),
        labels | dict.fromkeys(loose, "·" if unicode else "."),
        frozenset(map(_place, found.first)),
        frozenset(map(_place, found.next or {})),
        loose,
        paints,
        below=kept[0] < sizes[0],
        behind=kept[1] < sizes[1],
    )


def _kept(found: Windows, sizes: Place, low: Place, width: int, base: int) -> Place | None:
    """How many rows and columns are drawn: all, or those of both windows and one more."""
    spots = [_place(spot) for spot in (*found.first, *(found.next or {}))]
    needed = [min(n, max(s[k] for s in spots) - low[k] + 2) for k, n in enumerate(sizes)]
    digits = len(found.shape) * len(str(max(needed) + base)) if max(found.shape) > 9 else 0
    room = 3 + max(digits, len(found.shape))
    most = (HIGHEST, min(WIDEST, (width - 3) // room))
    if all(size <= limit for size, limit in zip(sizes, most, strict=True)):
        return sizes
    if any(n > limit for n, limit in zip(needed, most, strict=True)):
        return None
    return needed[0], needed[1]


def _result(found: Windows, base: int) -> Cells:
    """The output with the entries that both windows make."""
    high, wide = _flat(found.result)
    kept = (high if high <= SMALL else 3, wide if wide <= SMALL + 3 * (high == 1) else 3)
    labels = _labels(found.result, base, _places(kept))
    beside = frozenset() if found.beside is None else frozenset([_place(found.beside)])
    at = _place(found.at)
    return Cells(
        *(0, 0, *kept, labels),
        heavy=frozenset([at]),
        dashed=beside,
        paints={at: "bold"},
        below=kept[0] < high,
        behind=kept[1] < wide,
    )


def _tile(number: int) -> str:
    return f"tile:{hue(number)}"


def _place(spot: Spot) -> Place:
    return (0, spot[0]) if len(spot) == 1 else (spot[0], spot[1])


def _flat(shape: Spot) -> Place:
    return (1, shape[0]) if len(shape) == 1 else (shape[0], shape[1])


def _places(shape: Spot) -> list[Place]:
    return [_place(spot) for spot in product(*map(range, shape))]


def _labels(shape: Spot, base: int, drawn: list[Place]) -> dict[Place, str]:
    """Place → subscripts, ``01`` for short while every one has a single digit."""
    high, wide = _flat(shape)
    inside = [(r, c) for r, c in drawn if 0 <= r < high and 0 <= c < wide]
    between = "" if all(max(place) + base < 10 for place in inside) else ","
    return {
        (row, column): between.join(str(k + base) for k in (row, column)[-len(shape) :])
        for row, column in inside
    }


def _titled(name: str, lines: list[Painted]) -> list[Painted]:
    return [Painted.of(name, "bold"), *lines]


def _rows(blocks: list[list[Painted]], width: int) -> list[Painted]:
    """Blocks beside each other while they fit, then below."""
    groups: list[list[list[Painted]]] = [[]]
    used = 0
    for block in blocks:
        wide = max(map(len, block))
        if groups[-1] and used + GAP + wide > width:
            groups.append([])
            used = 0
        used += wide + (GAP if groups[-1] else 0)
        groups[-1].append(block)
    out: list[Painted] = []
    for group in groups:
        widths = [max(map(len, block)) + GAP for block in group]
        for k in range(max(map(len, group))):
            parts = [
                (lines := block[k] if k < len(block) else Painted()) + " " * (wide - len(lines))
                for block, wide in zip(group, widths, strict=True)
            ]
            out.append(together(parts).rstrip())
    return out
