"""Planes of a few groups, laid out for sheared sums: how many, how long, how far apart.

``rows`` holds every plane once for each vertical tap, shifted by whole rows; ``sums`` a plane for
each horizontal shift, with zeros around it; ``beside`` planes that are shifted sideways. With a
stride s the columns of a plane lie apart by their remainder modulo s, each remainder a plane of its
own: column s·j + d·v + o is number j + q of remainder r, where d·v + o = s·q + r.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import gcd

from ..machines import Machine
from .tiles import FLOAT
from .windowed import Window, Windowed

GAP = 16
"""Zeros around a plane at least: planes a power of two apart would share cache sets."""

CACHES = 3
"""How many caches a block of groups may fill: small ones would be all calls."""

SMALL, MOST = 128, 8
"""Planes of so few numbers lie one behind the other, of so many samples: else runs are short."""


@dataclass(frozen=True)
class Sheared:
    """A form over two axes, ``block`` groups of ``most`` samples at a time.

    Buffers are called after ``name``; products are made in ``slices`` that BLAS reads in place.
    ``origin`` is the form whose wide side is made by :func:`unstrided`.
    """

    form: Windowed
    block: int = 1
    most: int = 1
    name: str = ""
    slices: int = 1
    origin: Windowed | None = None

    @property
    def down(self) -> Window:
        """The axis whose taps are rows of a matrix."""
        return self.form.windows[0]

    @property
    def across(self) -> Window:
        """The axis whose taps are shifts."""
        return self.form.windows[1]

    @property
    def reads(self) -> tuple[tuple[int, int], ...]:
        """For each horizontal tap how far its columns are shifted, and their remainder."""
        w = self.across
        return tuple(divmod(w.dilation * v + w.offset, w.stride) for v in range(w.taps))

    @property
    def phases(self) -> tuple[int, ...]:
        """The remainders that are read."""
        return tuple(sorted({phase for _, phase in self.reads}))

    @property
    def step(self) -> int:
        """From one shift to the next."""
        return gcd(*(b - a for a, b in pairwise(shift for shift, _ in self.reads))) or 1

    @property
    def shifts(self) -> range:
        """How far to the right the sums of each plane are read."""
        return range(self.reads[0][0], self.reads[-1][0] + 1, self.step)

    @property
    def longest(self) -> int:
        """The longest shift, to either side."""
        return max(-self.shifts[0], self.shifts[-1])

    @property
    def width(self) -> int:
        """Columns of a remainder, at most."""
        return -(-self.across.size // self.across.stride)

    @property
    def pitch(self) -> int:
        """Columns of a row, wide or narrow; no shift is longer."""
        return max(self.width, self.across.outputs, self.longest)

    @property
    def plane(self) -> int:
        """Numbers of a plane."""
        return self.down.outputs * self.pitch

    @property
    def length(self) -> int:
        """Numbers of the planes of all samples that lie together."""
        return self.most * self.plane

    @property
    def gap(self) -> int:
        """Zeros before and behind them, for what is read outside."""
        return -(-max(1, self.longest) // GAP) * GAP

    @property
    def room(self) -> int:
        """From one tap's planes to the next one's."""
        return self.length + 2 * self.gap

    @property
    def deep(self) -> int:
        """Channels times remainders times vertical taps."""
        return self.form.counts[1] * len(self.phases) * self.down.taps

    @property
    def tall(self) -> int:
        """Filters times shifts."""
        return self.form.counts[2] * len(self.shifts)

    @property
    def filled(self) -> bool:
        """Whether the outputs fill the rows."""
        return self.pitch == self.across.outputs

    @property
    def direct(self) -> bool:
        """Whether sums can be written where the outputs lie."""
        return self.filled and self.most == 1 and self.origin is None

    @property
    def whole(self) -> bool:
        """Whether a plane is copied as one run."""
        return self.pitch == self.across.size and self.down.stride == 1

    @property
    def ones(self) -> bool:
        """Whether a row of ones meets the bias: in sums that are not shifted."""
        return bool(self.form.bias) and 0 in self.shifts

    @property
    def left(self) -> int:
        """So many shifts, the first ones, reach back over the start of a row."""
        return sum(-shift > self.pitch - self.width for shift in self.shifts)

    @property
    def right(self) -> int:
        """The shifts from this one on reach over the end of a row."""
        return sum(shift + self.across.outputs <= self.pitch for shift in self.shifts)

    # -- how many at a time ----------------------------------------------------------------
    def most_for(self, machine: Machine) -> int:
        """So many samples that runs are long and products small enough to be read in place."""
        if self.plane > SMALL:
            return 1
        return max(1, min(MOST, machine.sliced // (self.deep * self.tall * self.plane)))

    def block_for(self, machine: Machine) -> int:
        """So many groups that all buffers stay close; evenly if that is near."""
        groups = self.form.counts[0]
        held = FLOAT * (self.deep * self.length + self.tall * self.room)
        most = min(groups, max(1, CACHES * machine.cache // held))
        even = max(b for b in range(1, most + 1) if groups % b == 0)
        return even if 2 * even > most else most

    def slices_for(self, machine: Machine) -> int:
        """Parts of a product: along the planes, or along the rows of the kernel's gradient."""
        if self.form.target == "kernel":
            fits = [
                parts
                for parts in range(1, self.deep + 1)
                if self.deep % parts == 0
                and self.deep // parts * self.tall <= machine.sliced_result
                and self.deep // parts * self.tall * self.length <= machine.sliced
            ]
            return fits[0] if fits and self.deep // fits[0] >= min(4, self.deep) else 1
        work = self.deep * self.tall
        fits = [
            parts
            for parts in range(1, self.plane // 32)
            if self.length % parts == 0 and work * self.length // parts <= machine.sliced
        ]
        return fits[0] if fits and self.most == 1 else 1


# -- the wide side -----------------------------------------------------------------------------
def unstrided(form: Windowed) -> Windowed:
    """The wide side of a form as the narrow side of one without strides.

    Entry s·i + r of the wide tensor is number i of remainder r, and each remainder a filter of its
    own: tap u reaches those with r = (d·u + o) mod s, from q = (d·u + o) // s places before.
    """
    sizes = dict(form.sizes)
    count = 1
    for w in form.windows:
        count *= w.stride
    return replace(
        form,
        wide=form.narrow,
        narrow=form.wide,
        channels=form.filters,
        filters=(*form.channels, REMAINDER),
        windows=tuple(map(_gathered, form.windows)),
        sizes=tuple(sorted({**sizes, REMAINDER: count}.items())),
    )


REMAINDER = " remainder"
"""The index of remainders; no index that a person writes has a space."""


def moves(w: Window) -> tuple[tuple[int, int], ...]:
    """For each tap of a window how far the entries it reaches read, and their remainder."""
    found = (divmod(w.dilation * u + w.offset, w.stride) for u in range(w.taps))
    return tuple((-q, r) for q, r in found)


def _gathered(w: Window) -> Window:
    """The window along which entries of one remainder read the narrow tensor."""
    shifts = sorted({shift for shift, _ in moves(w)})
    step = gcd(*(b - a for a, b in pairwise(shifts))) or 1
    taps = (shifts[-1] - shifts[0]) // step + 1
    outputs = -(-w.size // w.stride)
    return Window(w.position, w.outputs, outputs, taps, 1, step, shifts[0], w.tap)


def numbered(w: Window) -> tuple[list[int], list[int]]:
    """For each tap of a window the number of its shift among those of :func:`unstrided`, and r."""
    own = _gathered(w)
    numbers = [(shift - own.offset) // own.dilation for shift, _ in moves(w)]
    return numbers, [r for _, r in moves(w)]
