"""Tiles: how many rows of windows are gathered at a time, and how wide a matrix product is."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ..machines import FLOAT as FLOAT
from ..machines import Machine
from .snippets import listed
from .tasks import Task
from .windowed import Windowed

FILLED = 4
"""Caches that columns may fill: a small tile would stay closer, but every tile is a product more
to be added up."""

THICK = 8
"""Rows of the kernel that a slice should have where it can."""

REPEATED = 0.03
"""Share of all rows that lower tiles may compute twice."""

THIN = 4
"""Rows that are worth a slice."""

LONG = 256
"""Summands from which a product of a few rows gains by not being packed."""


@dataclass(frozen=True)
class Tiles:
    """``count`` tiles of ``rows`` steps of the first window, ``places`` positions each."""

    rows: int
    count: int
    places: int
    of_all: int

    @classmethod
    def of(cls, form: Windowed, machine: Machine, *, even: bool = False) -> Tiles:
        """The tallest tile whose columns stay near the cache; it divides all rows if ``even``.

        Otherwise it divides them if that costs less than half of its height, or all tiles are as
        low as their number allows.
        """
        groups, channels, _, taps, places = form.counts
        outputs = form.windows[0].outputs
        width = places // outputs
        most = FILLED * machine.cache // (FLOAT * groups * channels * taps * width)
        return cls._least(form, max(1, most), even=even)

    @classmethod
    def thick(cls, form: Windowed, machine: Machine) -> Tiles:
        """The tallest tile whose columns BLAS multiplies by some rows of the kernel unpacked."""
        groups, channels, filters, taps, places = form.counts
        depth = channels * taps + 1
        whole = filters * depth * places <= machine.sliced
        if whole or groups > 1 or filters < THICK or not _near(machine, filters * depth):
            return cls.of(form, machine)
        outputs = form.windows[0].outputs
        most = max(1, machine.sliced // (THICK * depth * (places // outputs)))
        found = cls._least(form, most)
        again = found.rows * found.count - outputs  # rows that two tiles have
        return found if again <= REPEATED * outputs else cls.of(form, machine)

    @classmethod
    def _least(cls, form: Windowed, most: int, *, even: bool = False) -> Tiles:
        outputs, places = form.windows[0].outputs, form.counts[-1]
        rows = min(outputs, most)
        whole = max(r for r in range(1, rows + 1) if outputs % r == 0)
        rows = whole if even or whole * 2 > rows else -(-outputs // -(-outputs // rows))
        return cls(rows, -(-outputs // rows), rows * (places // outputs), outputs)

    @property
    def told(self) -> str:
        """What one tile holds, in words."""
        if self.count == 1:
            return "one sample"
        return f"{self.rows} rows" if self.rows > 1 else "one row"


def starts(outputs: int, rows: int) -> str:
    """The first row of every tile as Python text; the last tile may repeat rows of another."""
    if outputs % rows == 0:
        return f"range(0, {outputs}, {rows})"
    return f"(*range(0, {outputs - rows}, {rows}), {outputs - rows})"


def sliced(task: Task, m: int, k: int, n: int, stacked: int = 1) -> tuple[int, int]:
    """How many rows and columns the slices of an (m, k)·(k, n) product should have.

    Below ``machine.sliced`` multiply-adds BLAS works without packing its operands, which is
    faster: best are a few rows of all columns. Otherwise all rows, and columns in multiples of 16
    to be whole vectors.
    """
    most = task.machine.sliced
    if stacked > 1 or m * k * n <= most:
        return m, n
    rows = [r for r in range(THIN, m) if m % r == 0 and r * k * n <= most]
    # every slice reads all columns again, of which half may come from further away, and every
    # tile all of the kernel
    if rows and _near(task.machine, m * k) and _near(task.machine, k * n // 2):
        return max(rows, key=lambda r: (r % THIN == 0, r)), n
    fits = [s for s in range(32, n, 16) if n % s == 0 and m * k * s <= most]
    return m, fits[-1] if fits else n


def _near(machine: Machine, numbers: int) -> bool:
    """Whether an array of so many numbers stays in the cache."""
    return FLOAT * numbers <= machine.cache


def pace(form: Windowed) -> tuple[float, float]:
    """What numbers and runs of windows cost to copy, in those of a copy without strides."""
    return (1.5, 0.8) if form.windows[-1].stride > 1 else (1, 1)


def sliced_rows(task: Task, k: int, n: int) -> int:
    """How many rows of the left operand a slice of (m, k)·(n, k)ᵀ should have; 0 for all of them.

    Both operands lie along their rows: BLAS reads them in place if the result is small as well.
    """
    machine = task.machine
    fits = [s for s in (8, 4) if s * n <= machine.sliced_result and s * n * k <= machine.sliced]
    return fits[0] if fits and k >= LONG else 0


def windows_of(form: Windowed, buffer: str, rows: int) -> list[str]:
    """Lines that make ``padded``, its ``inner`` part, and ``shape`` and ``steps`` of a tile's view.

    ``padded`` is one sample with zeros around it, kept between calls: only ``inner`` is ever
    written; without the name of a buffer it is made here. The view is (groups, channels, taps...,
    rows, positions...), without groups if there is one; ``steps`` are its strides in numbers.
    """
    groups, channels = form.counts[:2]
    sizes = [w.padded for w in form.windows]
    strides = _strides(form)
    shape = [channels, *(w.taps for w in form.windows), rows]
    shape += [w.outputs for w in form.windows[1:]]
    steps = [prod(sizes)]
    steps += [w.dilation * s for w, s in zip(form.windows, strides, strict=True)]
    steps += [w.stride * s for w, s in zip(form.windows, strides, strict=True)]
    lead = [channels]
    if groups > 1:
        shape, steps, lead = [groups, *shape], [channels * prod(sizes), *steps], [groups, channels]
    inner = ", ".join(f"{w.low} : {w.low + w.size}" for w in form.windows)
    room = f"({listed([*lead, *sizes])}), dtype)"
    return [
        f'padded = _scratch("{buffer}", {room}' if buffer else f"padded = np.zeros({room}",
        f"inner = padded[{':, ' * len(lead)}{inner}]",
        f"shape, steps = ({listed(shape)}), ({listed(steps)})",
    ]


def start_of(form: Windowed, row: str = "") -> str:
    """Where in ``padded`` the windows of a row of outputs start, as Python text; "" for 0."""
    strides = _strides(form)
    first = sum(w.start * s for w, s in zip(form.windows, strides, strict=True))
    step = form.windows[0].stride * strides[0]
    moving = (f"{step} * {row}" if step > 1 else row) if row else ""
    return " + ".join(part for part in (str(first) if first else "", moving) if part)


def _strides(form: Windowed) -> list[int]:
    sizes = [w.padded for w in form.windows]
    return [prod(sizes[k + 1 :]) for k in range(len(sizes))]
