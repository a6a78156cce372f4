"""The trilinear form behind convolution, and its kernel as Python text.

    Φ = Σ wide[n, g, c, s·i + d·u + o] · kernel[g, f, c, u] · narrow[n, g, f, i]

A convolution's forward pass is ∂Φ/∂narrow, its gradients are ∂Φ/∂kernel and ∂Φ/∂wide, and the
gathered gradient of x is ∂Φ/∂narrow of another such form. So a strategy asks one thing of a
statement: which of the three is the target. Dense layers are forms without windows, 1×1
convolutions have one tap, depthwise ones one channel and one filter a group. Which statements are
sides of such a form is found out in :mod:`.sides`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod

from ..affine import Affine
from ..equations import Statement
from ..expressions import Read, Reduce
from .snippets import listed
from .sources import indices


@dataclass(frozen=True)
class Window:
    """One axis that slides: ``wide`` is read at ``stride·position + dilation·tap + offset``.

    ``size`` is the extent of the wide axis, ``outputs`` and ``taps`` those of the two indices.
    Taps are numbered so that ``dilation`` is positive; ``flipped`` says that the kernel's own
    order is the reverse.
    """

    position: str
    size: int
    outputs: int
    taps: int = 1
    stride: int = 1
    dilation: int = 1
    offset: int = 0
    tap: str = ""
    flipped: bool = False

    @property
    def low(self) -> int:
        """Entries read in front of the axis."""
        return max(0, -self.offset)

    @property
    def last(self) -> int:
        """The furthest entry read."""
        return self.stride * (self.outputs - 1) + self.dilation * (self.taps - 1) + self.offset

    @property
    def high(self) -> int:
        """Entries read behind the axis."""
        return max(0, self.last - self.size + 1)

    @property
    def padded(self) -> int:
        """The length of the axis with the entries around it."""
        return self.low + self.size + self.high

    @property
    def start(self) -> int:
        """Where the first window starts in the padded axis."""
        return self.offset + self.low


@dataclass(frozen=True)
class Windowed:
    """A statement as one side of Φ; ``target`` is ``"wide"``, ``"kernel"`` or ``"narrow"``.

    ``wide``, ``kernel`` and ``narrow`` are the arrays' names, ``*_labels`` the indices of their
    axes in memory (composed axes apart, a window by its position). ``bias`` is an array over
    the filters that is added to the target, if any.
    """

    target: str
    wide: str
    kernel: str
    narrow: str
    windows: tuple[Window, ...]
    groups: tuple[str, ...]
    channels: tuple[str, ...]
    filters: tuple[str, ...]
    wide_labels: tuple[str, ...]
    kernel_labels: tuple[str, ...]
    narrow_labels: tuple[str, ...]
    sizes: tuple[tuple[str, int], ...]
    batch: str
    kernel_shape: tuple[int, ...] = ()
    bias: str = ""
    bias_labels: tuple[str, ...] = ()
    coefficient: Fraction = Fraction(1)

    def count(self, labels: tuple[str, ...]) -> int:
        """How many values some labels have together."""
        known = dict(self.sizes)
        return prod(known[label] for label in labels)

    @property
    def plain(self) -> bool:
        """Whether memory is (n, g, c, positions) and (n, g, f, positions), factors are 1."""
        positions = tuple(w.position for w in self.windows)
        lead = (self.batch, *self.groups)
        return (
            self.wide_labels == (*lead, *self.channels, *positions)
            and self.narrow_labels == (*lead, *self.filters, *positions)
            and self.coefficient == 1
            and self.bias_labels in ((), (*self.groups, *self.filters))
        )

    @property
    def counts(self) -> tuple[int, int, int, int, int]:
        """Groups, channels and filters of one group, taps, positions."""
        g, c, f = (self.count(labels) for labels in (self.groups, self.channels, self.filters))
        taps = prod(w.taps for w in self.windows)
        return g, c, f, taps, prod(w.outputs for w in self.windows)

    @property
    def products(self) -> int:
        """Multiply-adds for one sample."""
        return prod(self.counts)

    def kernel_as(self, *wanted: str) -> str:
        """The kernel as Python text with one axis for each word: ``kernel_as("g", "f", "cu")``.

        The letters of a word are roles: ``g`` groups, ``f`` filters, ``c`` channels, ``u`` taps
        (in the order of the windows), or ``t`` the first tap and ``v`` the others. Without taps to
        turn or axes to move it is a reshape.
        """
        order, sizes = self._labels("".join(wanted)), dict(self.sizes)
        made, own = self._opened, self.kernel_labels
        if [n for n in order if sizes[n] > 1] != [n for n in own if sizes[n] > 1]:
            made, own = made + _transposed(own, order), order
        made += self._turned(own)
        if made == self._opened:  # one reshape is enough
            made = self.kernel
        shape = tuple(self.count(self._labels(word)) for word in wanted)
        if shape == tuple(sizes[label] for label in order) and made != self.kernel:
            return made
        return f"{made}.reshape({listed(shape)})"

    def kernel_axes(self, roles: str) -> tuple[str, tuple[int, ...]]:
        """The kernel as a view with one axis for each index, and their sizes.

        Roles are those of :meth:`kernel_as`; what is a view can be copied in one go.
        """
        order, sizes = self._labels(roles), dict(self.sizes)
        text = self._opened + _transposed(self.kernel_labels, order) + self._turned(order)
        return text, tuple(sizes[label] for label in order)

    def kernel_from(self, text: str, order: str, shape: tuple[int, ...] = ()) -> str:
        """An array whose axes are the roles ``order`` (as in :meth:`kernel_as`), as the kernel.

        It is put into the ``shape``, if one is given that is not the kernel's own.
        """
        labels, own, sizes = self._labels(order), self.kernel_labels, dict(self.sizes)
        opened = f"{text}.reshape({listed(sizes[label] for label in labels)})"
        made = opened + _transposed(labels, own) + self._turned(own)
        other = shape and shape != tuple(sizes[label] for label in own)
        return f"{made}.reshape({listed(shape)})" if other else made

    def _labels(self, roles: str) -> tuple[str, ...]:
        """The kernel's indices with these roles, in their order."""
        taps = tuple(w.tap for w in self.windows if w.tap in self.kernel_labels)
        first = tuple(w.tap for w in self.windows[:1] if w.tap in self.kernel_labels)
        known = {"g": self.groups, "f": self.filters, "c": self.channels, "u": taps}
        known |= {"t": first, "v": taps[len(first) :]}
        return tuple(label for role in roles for label in known[role])

    @property
    def _opened(self) -> str:
        """The kernel with an axis for each index: composed axes are one axis in memory."""
        sizes = dict(self.sizes)
        own = tuple(sizes[label] for label in self.kernel_labels)
        return self.kernel + (f".reshape({listed(own)})" if own != self.kernel_shape else "")

    def _turned(self, labels: tuple[str, ...]) -> str:
        """A subscript that reverses the flipped taps of an array with these axes."""
        flipped = {w.tap for w in self.windows if w.flipped}
        if not flipped & set(labels):
            return ""
        last = max(k for k, label in enumerate(labels) if label in flipped)
        spans = ("::-1" if label in flipped else ":" for label in labels[: last + 1])
        return f"[{', '.join(spans)}]"


def _transposed(own: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    """``.transpose(2, 0, 1)`` from one order of axes to another; "" where they are the same."""
    axes = [own.index(label) for label in wanted]
    return "" if axes == sorted(axes) else f".transpose({listed(axes)})"


def totals(statements: Mapping[str, tuple[tuple[Statement, ...], ...]], form: Windowed) -> str:
    """The target that is the sum of the narrow side over batch and positions: a bias's; or ""."""
    wanted = {form.batch, *(w.position for w in form.windows)}
    own = (*form.groups, *form.filters)
    for target, ways in statements.items():
        for statement, *more in ways:
            match statement.rhs:
                case Reduce("sum", over, Read(tensor, axes), ()) if not more:
                    read = indices(Read(tensor, axes))
                    left = indices(statement.lhs)
                    same = tensor == form.narrow and tuple(read) == form.narrow_labels
                    if same and set(over) == wanted and tuple(left) == own:
                        return target
    return ""


def slide(
    part: Affine, places: list[str], taps: list[str], size: int, extent: Callable[[str], int]
) -> Window | None:
    """``s·i + d·u + o`` with a positive step, taps turned so that d is positive."""
    if len(places) != 1 or len(taps) > 1:
        return None
    tap, place = (taps[0] if taps else ""), places[0]
    rest = part - part.coefficient(place) * place
    if tap:
        rest -= part.coefficient(tap) * tap
    stride, offset = part.coefficient(place).number, rest.number
    dilation = part.coefficient(tap).number if tap else 1
    if stride is None or dilation is None or offset is None or stride < 1 or dilation == 0:
        return None
    count = extent(tap) if tap else 1
    flipped = dilation < 0 and count > 1
    if dilation < 0:
        dilation, offset = -dilation, offset + dilation * (count - 1)
    outputs = extent(place)
    return Window(place, size, outputs, count, stride, dilation, offset, tap, flipped)
