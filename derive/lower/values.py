"""Array expressions whose axes are labelled by indices, and how to combine them.

A :class:`Value` is an array expression with one index name an axis. Two values combine by
their labels: products broadcast, sums over shared labels become a matrix product. Which NumPy
call that is depends on the labels alone, never on what the tensors mean.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from ..programs import Array, Binary, Invoke, Item, Literal, Method, Name, Span, Tuple

BATCH = "N"
"""The variable that holds the number of samples; its extent is not known before run time."""

FULL = Span()
Size = int | str


@dataclass(frozen=True)
class Value:
    """An array expression and the index that runs along each of its axes."""

    array: Array
    labels: tuple[str, ...] = ()
    mask: bool = False  # a boolean array: products select with it instead of multiplying

    def inside(self, loops: Collection[str]) -> Value:
        """The same inside of loops over some of its labels."""
        if not set(loops) & set(self.labels):
            return self
        entries = tuple(label if label in loops else FULL for label in self.labels)
        left = tuple(label for label in self.labels if label not in loops)
        return replace(self, array=Item(self.array, entries), labels=left)


class Sizes:
    """How far each index runs, as a number, or ``N`` for the batch; ``u*`` runs like ``u``."""

    def __init__(self, extents: dict[str, Size]) -> None:
        self._extents = extents

    def __getitem__(self, label: str) -> Size:
        return self._extents[label.rstrip("*")]

    def add(self, label: str, extent: Size) -> None:
        """Let another index run so far."""
        self._extents[label] = extent

    def number(self, label: str) -> int:
        """The extent for choosing what to loop over; the batch counts as endless."""
        extent = self[label]
        return extent if isinstance(extent, int) else 1 << 62

    def flat(self, labels: Sequence[str]) -> Size:
        """The product of several extents (``N * 4`` if the batch is among them)."""
        number = 1
        names = []
        for label in labels:
            extent = self[label]
            if isinstance(extent, int):
                number *= extent
            else:
                names.append(extent)
        if not names:
            return number
        return " * ".join(names if number == 1 else [*names, str(number)])

    def shape(self, labels: Sequence[str]) -> Tuple:
        """The shape of an array with these labels."""
        return Tuple(tuple(Literal(str(self[label])) for label in labels))


def transposed(value: Value, labels: Sequence[str]) -> Value:
    """The same array with its axes in another order."""
    wanted = tuple(labels)
    if value.labels == wanted:
        return value
    order = tuple(value.labels.index(label) for label in wanted)
    if order == tuple(reversed(range(len(order)))):
        return replace(value, array=Method(value.array, "T", call=False), labels=wanted)
    axes = tuple(Literal(str(k)) for k in order)
    return replace(value, array=Method(value.array, "transpose", axes), labels=wanted)


def reshaped(value: Value, groups: Sequence[Sequence[str]], sizes: Sizes) -> Array:
    """The array with each group of neighbouring labels as one axis."""
    flat = tuple(label for group in groups for label in group)
    array = transposed(value, flat).array
    if all(len(group) == 1 for group in groups):
        return array
    return Method(array, "reshape", tuple(Literal(str(sizes.flat(g))) for g in groups))


def aligned(value: Value, labels: Sequence[str]) -> Array:
    """The array with new axes put in so that it broadcasts against ``labels``."""
    present = [label for label in labels if label in value.labels]
    array = transposed(value, present).array
    if not present:
        return array
    first = labels.index(present[0])  # leading axes broadcast by themselves
    if all(label in present for label in labels[first:]):
        return array
    if isinstance(array, Item) and tuple(present) == value.labels:
        return Item(array.base, _with_new_axes(array.entries, present, labels[first:]))
    return Item(array, tuple(FULL if label in present else "None" for label in labels[first:]))


def _with_new_axes(
    entries: Sequence[Span | str], present: Sequence[str], labels: Sequence[str]
) -> tuple[Span | str, ...]:
    """New axes put among the entries of a subscript that is there already."""
    out: list[Span | str] = []
    waiting = list(labels)
    for entry in entries:
        if isinstance(entry, Span):
            while waiting and waiting[0] not in present:
                out.append("None")
                waiting.pop(0)
            waiting.pop(0)
        out.append(entry)
    return (*out, *("None" for _ in waiting))


def merged(labels: Sequence[str], *others: Sequence[str]) -> tuple[str, ...]:
    """All labels, each once, in order of first appearance."""
    return tuple(dict.fromkeys([*labels, *(label for other in others for label in other)]))


def in_order(labels: Sequence[str], order: Sequence[str]) -> tuple[str, ...]:
    """Labels sorted by an order; those that it does not name come last."""
    place = {label: number for number, label in enumerate(order)}
    return tuple(sorted(labels, key=lambda label: place.get(label, len(place))))


def elementwise(op: str, one: Value, two: Value, order: Sequence[str]) -> Value:
    """``one op two`` by broadcasting."""
    labels = in_order(merged(one.labels, two.labels), order)
    return Value(Binary(op, aligned(one, labels), aligned(two, labels)), labels)


def product(one: Value, two: Value, order: Sequence[str]) -> Value:
    """``one * two`` by broadcasting; a mask selects, so that any kind of number passes."""
    if one.mask and two.mask:
        return replace(elementwise("&", one, two, order), mask=True)
    if one.mask or two.mask:
        mask, rest = (one, two) if one.mask else (two, one)
        labels = in_order(merged(one.labels, two.labels), order)
        parts = (aligned(mask, labels), aligned(rest, labels), Literal("0"))
        return Value(Invoke("np.where", parts), labels)
    return elementwise("*", one, two, order)


def summed(value: Value, labels: Sequence[str], fn: str = "sum") -> Value:
    """The sum (or ``max``, ``min``, ...) over some labels."""
    over = [label for label in value.labels if label in labels]
    if not over:
        return value
    axes = tuple(Literal(str(value.labels.index(label))) for label in over)
    axis: Array = axes[0] if len(axes) == 1 else Tuple(axes)
    rest = tuple(label for label in value.labels if label not in over)
    named: tuple[tuple[str, Array], ...] = (("axis", axis),) if rest else ()
    if fn == "sum":  # NumPy would widen small integers
        named = (*named, ("dtype", Name("dtype")))
    return Value(Method(value.array, fn, (), named), rest)


def contracted(
    one: Value, two: Value, over: Sequence[str], order: Sequence[str], sizes: Sizes
) -> Value:
    """Σ over some labels of ``one * two``, as a matrix product where there is one."""
    one = summed(one, [label for label in over if label not in two.labels])
    two = summed(two, [label for label in over if label not in one.labels])
    shared = [label for label in one.labels if label in over and label in two.labels]
    if not shared or one.mask or two.mask:
        return summed(product(one, two, order), shared)
    if any(label in two.labels for label in one.labels if label not in shared):
        return _matmul(one, two, shared, order, sizes)
    for left, right in ((one, two), (two, one)):
        labels = tuple(x for v in (left, right) for x in v.labels if x not in shared)
        if not labels:
            return _dot(left, right)
        if labels == in_order(labels, order):
            return _tensordot(left, right, shared, labels)
    return _matmul(one, two, shared, order, sizes)


def _dot(left: Value, right: Value) -> Value:
    """Σ of all products: a number, where tensordot would put an array without axes."""
    arrays = [left.array, transposed(right, left.labels).array]
    if len(left.labels) > 1:
        arrays = [Method(array, "ravel") for array in arrays]
    return Value(Binary("@", *arrays))


def _tensordot(left: Value, right: Value, shared: list[str], labels: tuple[str, ...]) -> Value:
    if len(left.labels) <= 2 and len(right.labels) <= 2 and len(shared) == 1:
        row = transposed(left, [x for x in left.labels if x not in shared] + shared)
        column = transposed(right, shared + [x for x in right.labels if x not in shared])
        return Value(Binary("@", row.array, column.array), labels)
    axes = Tuple(
        tuple(
            Tuple(tuple(Literal(str(v.labels.index(label))) for label in shared))
            for v in (left, right)
        )
    )
    return Value(Invoke("np.tensordot", (left.array, right.array), (("axes", axes),)), labels)


def _matmul(one: Value, two: Value, shared: list[str], order: Sequence[str], sizes: Sizes) -> Value:
    """A stack of matrix products: labels that both keep, or that lead, run along the stack."""
    kept = in_order([x for x in merged(one.labels, two.labels) if x not in shared], order)
    both = [x for x in kept if x in one.labels and x in two.labels]
    # a shared label that leads in both operands stays a stack axis and is added up afterwards:
    # that saves transposing both
    lead = [x for x in shared if both and one.labels[:1] == two.labels[:1] == (x,)]
    inner = [x for x in shared if x not in lead]
    if not inner:
        return summed(product(one, two, order), shared)
    left, right, stack, rows, columns = _split(one, two, kept, both)
    stack = (*lead, *stack)
    a = _stacked(left, stack, (rows, inner), sizes)
    b = _stacked(right, stack, (inner, columns), sizes)
    labels = (*stack, *rows, *columns)
    array: Array = Invoke("np.matmul", (a, b))
    if len(rows) != 1 or len(columns) != 1:
        array = Method(array, "reshape", tuple(Literal(str(sizes[x])) for x in labels))
    return summed(Value(array, labels), lead)


def _split(
    one: Value, two: Value, kept: tuple[str, ...], both: list[str]
) -> tuple[Value, Value, tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Choose who gives rows and who columns, so that the result needs no transposing."""
    right = one if kept and kept[-1] in one.labels and kept[-1] not in both else two
    left = two if right is one else one
    tail: list[str] = []
    rest = list(kept)
    while rest and rest[-1] in right.labels and rest[-1] not in both:
        tail.insert(0, rest.pop())
    rows: list[str] = []
    while rest and rest[-1] in left.labels and rest[-1] not in both:
        rows.insert(0, rest.pop())
    return left, right, tuple(rest), tuple(rows), tuple(tail)


def _stacked(
    value: Value, stack: tuple[str, ...], matrix: tuple[Sequence[str], Sequence[str]], sizes: Sizes
) -> Array:
    """The value as (stack..., rows, columns); absent stack labels broadcast."""
    mine = [x for x in stack if x in value.labels]
    groups: list[Sequence[str]] = [*([x] for x in mine), *matrix]
    array = reshaped(value, groups, sizes) if all(matrix) else _with_ones(value, groups, sizes)
    if mine and mine != list(stack[stack.index(mine[0]) :]):
        first = stack.index(mine[0])
        entries = tuple(FULL if x in mine else "None" for x in stack[first:])
        array = Item(array, (*entries, FULL, FULL))
    return array


def _with_ones(value: Value, groups: Sequence[Sequence[str]], sizes: Sizes) -> Array:
    """Reshape where a matrix side has no label at all: that side has length one."""
    flat = tuple(label for group in groups for label in group)
    array = transposed(value, flat).array
    return Method(array, "reshape", tuple(Literal(str(sizes.flat(g))) for g in groups))


def named(name: str, labels: Sequence[str], *, mask: bool = False) -> Value:
    """A variable with labelled axes."""
    return Value(Name(name), tuple(labels), mask)
