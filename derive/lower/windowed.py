"""The trilinear form behind convolution, and which statement of a derivation is one of its sides.

    Φ = Σ wide[n, g, c, s·i + d·u + o] · kernel[g, f, c, u] · narrow[n, g, f, i]

A convolution's forward pass is ∂Φ/∂narrow, its gradients are ∂Φ/∂kernel and ∂Φ/∂wide, and the
gathered gradient of x is ∂Φ/∂narrow of another such form. So a strategy asks one thing of a
statement: which of the three is the target. Dense layers are forms without windows, 1×1
convolutions have one tap, depthwise ones one channel and one filter a group. What the tensors
are called, and which layer they belong to, is never asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod

from ..affine import Affine
from ..equations import Statement
from ..expressions import Condition, Divides, Expr, Read, Reduce, Within
from .scope import Scope
from .sources import parts
from .sums import Sum, sums_of
from .values import BATCH


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
        (in the order of the windows). Without taps to turn or axes to move it is a reshape.
        """
        taps = tuple(w.tap for w in self.windows if w.tap in self.kernel_labels)
        roles = {"g": self.groups, "f": self.filters, "c": self.channels, "u": taps}
        groups = [tuple(label for role in group for label in roles[role]) for group in wanted]
        order = tuple(label for group in groups for label in group)
        sizes = dict(self.sizes)
        text = self.kernel
        own = tuple(sizes[label] for label in self.kernel_labels)
        opened = text
        if own != self.kernel_shape:  # composed axes are one axis in memory
            opened = f"{text}.reshape({', '.join(map(str, own))})"
        moved = opened
        long = [label for label in order if sizes[label] > 1]
        if long != [label for label in self.kernel_labels if sizes[label] > 1]:
            axes = [self.kernel_labels.index(label) for label in order]
            moved = f"{opened}.transpose({', '.join(map(str, axes))})"
        turned = {w.tap for w in self.windows if w.flipped}
        if turned & set(order):
            order = order if moved != opened else self.kernel_labels
            spans = ["::-1" if label in turned else ":" for label in order]
            while spans[-1] == ":":
                spans.pop()
            moved = f"{moved}[{', '.join(spans)}]"
        shape = tuple(prod(sizes[label] for label in group) for group in groups)
        if shape == tuple(sizes[label] for label in order) and moved != text:
            return moved
        base = text if moved == opened else moved
        return f"{base}.reshape({', '.join(map(str, shape))})"

    def kernel_axes(self, roles: str) -> tuple[str, tuple[int, ...]]:
        """The kernel as a view with one axis for each index, and their sizes.

        Roles are those of :meth:`kernel_as`; what is a view can be copied in one go.
        """
        taps = tuple(w.tap for w in self.windows if w.tap in self.kernel_labels)
        known = {"g": self.groups, "f": self.filters, "c": self.channels, "u": taps}
        order, sizes = [label for role in roles for label in known[role]], dict(self.sizes)
        text, own = self.kernel, tuple(sizes[label] for label in self.kernel_labels)
        if own != self.kernel_shape:  # composed axes are one axis in memory
            text += f".reshape({', '.join(map(str, own))})"
        axes = [self.kernel_labels.index(label) for label in order]
        if axes != sorted(axes):
            text += f".transpose({', '.join(map(str, axes))})"
        turned = {w.tap for w in self.windows if w.flipped}
        if turned & set(order):
            text += f"[{', '.join('::-1' if label in turned else ':' for label in order)}]"
        return text, tuple(sizes[label] for label in order)

    def kernel_from(self, text: str, order: str) -> str:
        """An array whose axes are the roles ``order`` (as in :meth:`kernel_as`), as the kernel.

        ``t`` stands for the first tap alone, ``v`` for the others.
        """
        taps = tuple(w.tap for w in self.windows if w.tap in self.kernel_labels)
        first = tuple(w.tap for w in self.windows[:1] if w.tap in self.kernel_labels)
        roles = {"g": self.groups, "f": self.filters, "c": self.channels, "u": taps}
        roles |= {"t": first, "v": taps[len(first) :]}
        labels = [label for role in order for label in roles[role]]
        sizes = dict(self.sizes)
        shape = ", ".join(str(sizes[label]) for label in labels)
        opened = f"{text}.reshape({shape or '()'})"
        axes = [labels.index(label) for label in self.kernel_labels]
        moved = opened
        if axes != sorted(axes):
            moved = f"{opened}.transpose({', '.join(map(str, axes))})"
        turned = {w.tap for w in self.windows if w.flipped}
        spans = ["::-1" if label in turned else ":" for label in self.kernel_labels]
        return f"{moved}[{', '.join(spans)}]" if turned else moved


def totals(statements: Mapping[str, tuple[tuple[Statement, ...], ...]], form: Windowed) -> str:
    """The target that is the sum of the narrow side over batch and positions: a bias's; or ""."""
    wanted = {form.batch, *(w.position for w in form.windows)}
    own = (*form.groups, *form.filters)
    for target, ways in statements.items():
        for statement, *more in ways:
            match statement.rhs:
                case Reduce("sum", over, Read(tensor, axes), ()) if not more:
                    read = _labels(Read(tensor, axes))
                    left = _labels(statement.lhs)
                    same = tensor == form.narrow and tuple(read) == form.narrow_labels
                    if same and set(over) == wanted and tuple(left) == own:
                        return target
    return ""


def windowed(statement: Statement, scope: Scope) -> Windowed | None:
    """The statement as a side of Φ; None if it is none, or more than that and a bias."""
    found = list(sums_of(statement, scope))
    main = [s for s in found if len(s.product.factors) == 2]
    rest = [s for s in found if s not in main]
    if len(main) != 1 or len(rest) > 1 or main[0].product.divisors:
        return None
    factors = [f for f in main[0].product.factors if isinstance(f, Read)]
    if len(factors) != 2 or not _explained(main[0].where, (*factors, main[0].lhs)):
        return None
    form = _form(main[0], factors, scope)
    return form if form is None or not rest else _with_bias(form, rest[0])


def _explained(where: tuple[Condition, ...], read: tuple[Expr, ...]) -> bool:
    """Whether the conditions only say where a read falls outside of its tensor."""
    known: set[Condition] = set()
    for one in read:
        if isinstance(one, Read):
            for part in parts(one):
                known.add(Divides(part.denominator, part.numerator))
                known |= {c for c in where if isinstance(c, Within) and c.value == part}
    return set(where) <= known


def _form(term: Sum, factors: list[Read], scope: Scope) -> Windowed | None:
    """Which of the three tensors is wide, which is the kernel."""
    reads = [term.lhs, *factors]
    if not all(part.is_whole for read in reads for part in parts(read)):
        return None
    if any(scope.equation.tensor(r.tensor).integer for r in factors if _known(r.tensor, scope)):
        return None
    labels = [_labels(read) for read in reads]
    batch = scope.equation.batch
    carry = [k for k in range(3) if batch in labels[k]]
    if len(carry) != 2 or any(len(set(found)) != len(found) for found in labels):
        return None
    kernel = ({0, 1, 2} - set(carry)).pop()
    sliding = [k for k in carry if any(len(part.names) > 1 for part in parts(reads[k]))]
    if len(sliding) > 1 or any(part.bare is None for part in parts(reads[kernel])):
        return None
    # nothing slides: what is read is wide, what is made is narrow
    wide = sliding[0] if sliding else next(k for k in carry if k)
    narrow = next(k for k in carry if k != wide)
    if any(part.bare is None for part in parts(reads[narrow])):
        return None
    return _made(reads, (wide, kernel, narrow), term, scope)


def _known(name: str, scope: Scope) -> bool:
    every = (*scope.equation.tensors, *scope.equation.inner, scope.equation.output)
    return any(t.name == name for t in every)


def _labels(read: Read) -> list[str]:
    return [name for part in parts(read) for name in part.names]


def _made(
    reads: list[Read], order: tuple[int, int, int], term: Sum, scope: Scope
) -> Windowed | None:
    wide, kernel, narrow = (reads[k] for k in order)
    in_kernel, in_narrow = set(_labels(kernel)), set(_labels(narrow))
    batch = scope.equation.batch
    windows, labels = [], []
    for axis, part in _axes(wide, scope):
        taps = [n for n in part.names if n in in_kernel and n not in in_narrow]
        places = [n for n in part.names if n in in_narrow and n not in in_kernel and n != batch]
        if len(part.names) != len(taps) + len(places) and part.bare is None:
            return None
        if not places:  # a batch, group or channel
            labels.append(part.bare or "")
            continue
        found = slide(part, places, taps, axis, scope.sizes.number)
        if found is None:
            return None
        windows.append(found)
        labels.append(found.position)
    sizes = {n: scope.sizes.number(n) for r in reads for n in _labels(r) if n != batch}
    positions = {w.position for w in windows}
    taps_of = {w.tap for w in windows}
    own = [label for label in labels if label not in positions and label != batch]
    if "" in labels or in_narrow - in_kernel - positions - {batch}:
        return None
    if not in_kernel <= {*own, *taps_of, *in_narrow}:
        return None
    shapes = {t.name: t.sizes() for t in scope.equation.tensors}
    return Windowed(
        ("wide", "kernel", "narrow")[order.index(0)],
        wide.tensor,
        kernel.tensor,
        narrow.tensor,
        tuple(windows),
        tuple(n for n in own if n in in_kernel and n in in_narrow),
        tuple(n for n in own if n in in_kernel and n not in in_narrow),
        tuple(n for n in _labels(kernel) if n in in_narrow and n not in own),
        tuple(labels),
        tuple(n for n in _labels(kernel)),
        tuple(n for n in _labels(narrow)),
        tuple(sorted(sizes.items())),
        batch,
        shapes.get(kernel.tensor, ()),
        coefficient=term.product.coefficient,
    )


def _axes(read: Read, scope: Scope) -> Iterator[tuple[int, Affine]]:
    """Every subscript with the extent of its axis; 0 for the batch."""
    for axis, part in zip(scope.axes(read.tensor, read.axes, read.axes), parts(read), strict=True):
        yield (0 if axis.extent == BATCH else int(axis.extent)), part


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


def _with_bias(form: Windowed, rest: Sum) -> Windowed | None:
    """A second summand is a bias if it is one read over groups and filters."""
    match rest.product.factors:
        case (Read() as read,) if rest.product.coefficient == 1 and not rest.product.divisors:
            labels = tuple(_labels(read))
            own = {*form.groups, *form.filters}
            bare = all(part.bare for part in parts(read))
            if not rest.over and bare and set(labels) <= own and form.target == "narrow":
                return replace(form, bias=read.tensor, bias_labels=labels)
    return None
