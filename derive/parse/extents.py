"""Names for how far each index runs and how long each axis is.

Two are the same wherever an index stands alone on an axis, so they form classes; each class
gets one name: an index in capitals (``I`` for ``i``), else the tensor in capitals (``X``, or
``X_1``, ``X_2``, ... by axis), else ``N_i``. An axis that ``(g,c)`` composes is ``G*C`` long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..affine import Affine
from .batch import Batch
from .drafts import Draft

Slot = tuple[str, str | int, str | int]
"""``("index", equation, name)`` or ``("axis", tensor, number)``, numbered as written."""

BATCH_EXTENT = "N"


@dataclass
class Extents:
    """Classes of slots (``parent`` is a union-find forest) and what composes them."""

    taken: set[str]
    parent: dict[Slot, Slot] = field(default_factory=dict)
    composed: dict[Slot, tuple[Slot, ...]] = field(default_factory=dict)
    named: dict[Slot, Affine] = field(default_factory=dict)

    def find(self, slot: Slot) -> Slot:
        """The slot that stands for the whole class."""
        root = self.parent.setdefault(slot, slot)
        while self.parent[root] != root:
            root = self.parent[root]
        self.parent[slot] = root
        return root

    def join(self, one: Slot, two: Slot) -> None:
        """Both are equally long; the class that was there first stays its root."""
        first, second = self.find(one), self.find(two)
        if first != second:
            self.parent[second] = first

    def of(self, slot: Slot) -> Affine:
        """The extent of a slot."""
        return self.named[self.find(slot)]


def settle_extents(drafts: Sequence[Draft], batch: Batch, taken: frozenset[str]) -> Extents:
    """Classes of all axes and indices, each with its name."""
    extents = Extents(set(taken) | {BATCH_EXTENT})
    sites = list(_sites(drafts))
    for axis, number, subscript in sites:
        extents.find(axis)
        index = subscript[0].bare
        if len(subscript) == 1 and index in drafts[number].indices:
            extents.join(("index", number, str(index)), axis)
    for number, draft in enumerate(drafts):
        for index in draft.indices:
            extents.find(("index", number, index))
    for axis, number, subscript in sites:
        if len(subscript) > 1:
            parts: tuple[Slot, ...] = tuple(("index", number, str(part.bare)) for part in subscript)
            extents.composed.setdefault(extents.find(axis), parts)
    if batch.written:
        for number, draft in enumerate(drafts):
            if batch.name in draft.indices:
                root = extents.find(("index", number, batch.name))
                extents.named[root] = Affine.of(BATCH_EXTENT)
    offsets = dict.fromkeys(batch.carriers, 1) if batch.written else {}
    _name_all(extents, drafts, offsets)
    return extents


def _sites(drafts: Sequence[Draft]) -> Iterator[tuple[Slot, int, tuple[Affine, ...]]]:
    """Every axis of every read with its subscript, left sides included."""
    for number, draft in enumerate(drafts):
        for read in (draft.lhs, *(read for read, _ in draft.places)):
            for axis, subscript in enumerate(read.axes):
                yield ("axis", read.tensor, axis), number, subscript


def _name_all(extents: Extents, drafts: Sequence[Draft], offsets: Mapping[str, int]) -> None:
    """Name every class; a tensor's axes count from ``offsets``, after a written batch."""
    classes: dict[Slot, list[Slot]] = {}
    order: list[Slot] = [("index", k, i) for k, d in enumerate(drafts) for i in d.indices]
    order += [slot for slot in extents.parent if slot[0] == "axis"]
    for slot in order:
        classes.setdefault(extents.find(slot), []).append(slot)
    reads = [read for d in drafts for read in (d.lhs, *(read for read, _ in d.places))]
    ranks = {read.tensor: len(read.axes) for read in reads}
    for root, slots in classes.items():
        if root not in extents.named and not _is_composed(extents, root):
            name = next(n for n in _candidates(slots, ranks, offsets) if n not in extents.taken)
            extents.taken.add(name)
            extents.named[root] = Affine.of(name)
    for root in classes:
        if root not in extents.named:
            extents.named[root] = _product(extents, root)


def _is_composed(extents: Extents, root: Slot) -> bool:
    """True if the class is a product of others (and not, in a circle, of itself)."""
    seen: set[Slot] = set()
    waiting = [root]
    while waiting:
        for part in extents.composed.get(waiting.pop(), ()):
            inner = extents.find(part)
            if inner == root:
                return False
            if inner not in seen:
                seen.add(inner)
                waiting.append(inner)
    return root in extents.composed


def _product(extents: Extents, root: Slot) -> Affine:
    total = Affine.of(1)
    for part in extents.composed[root]:
        inner = extents.find(part)
        total = total * (extents.named.get(inner) or _product(extents, inner))
    return total


def _candidates(
    slots: list[Slot], ranks: Mapping[str, int], offsets: Mapping[str, int]
) -> Iterator[str]:
    indices = [str(name) for kind, _, name in slots if kind == "index"]
    axes = [(str(tensor), int(axis)) for kind, tensor, axis in slots if kind == "axis"]
    yield from (index.upper() for index in indices)
    for tensor, axis in axes:
        offset = offsets.get(tensor, 0)
        alone = ranks[tensor] - offset == 1
        yield tensor.upper() if alone else f"{tensor.upper()}_{axis - offset + 1}"
    base = indices[0] if indices else f"{axes[0][0]}_{axes[0][1] + 1}"
    yield f"N_{base}"
    number = 2
    while True:
        yield f"N_{base}_{number}"
        number += 1
