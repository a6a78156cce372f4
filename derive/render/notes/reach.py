"""The receptive field: how much of x one entry of a layer's output can see.

Along one axis, behind a layer that reads ``x[s*i + d*u - p]`` for u < K,

    size' = size + d*(K - 1)*jump        jump' = s*jump

where jump is how far apart neighbouring entries look. Both are read off the subscripts of the
layers' equations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod

from ...affine import Affine
from ...derivations import Derivation
from ...expressions import Subscript, reads
from ...graphs import INPUT, TARGET, NetworkDerivation


@dataclass(frozen=True)
class Field:
    """What an entry sees along one axis of x; ``jump`` is 0 once the axis is gone.

    ``extent``  how many entries there are along the axis that looks along it
    """

    axis: int
    size: Fraction
    jump: Fraction
    extent: int


Axes = tuple[tuple[Field, ...], ...]
"""For each axis of a tensor, the axes of x that it looks along (several if it is composed)."""


def fields(derivation: NetworkDerivation) -> dict[str, tuple[Field, ...]]:
    """Node → one field for each axis of x, in order."""
    network = derivation.network
    shape = network.shape(INPUT)
    one = Fraction(1)
    start = tuple((Field(axis, one, one, extent),) for axis, extent in enumerate(shape))
    axes: dict[str, Axes] = {INPUT: start}
    gone: dict[str, tuple[Field, ...]] = {INPUT: ()}
    seen: dict[str, tuple[Field, ...]] = {}
    for node, derived in derivation.pairs():
        found: dict[int, Field] = {}
        merged: Axes = ((),) * len(node.shape)
        for tensor, source in node.reads:
            if source == TARGET:
                continue
            before = _placed(axes[source], network.shape(source), tensor.sizes())
            through, left = _through(derived, tensor.name, before)
            merged = tuple(_wider((*a, *b)) for a, b in zip(merged, through, strict=True))
            for part in (*gone[source], *left, *(part for axis in through for part in axis)):
                if part.axis not in found or part.size > found[part.axis].size:
                    found[part.axis] = part
        axes[node.name] = merged
        live = {part.axis for axis in axes[node.name] for part in axis}
        gone[node.name] = tuple(part for part in found.values() if part.axis not in live)
        seen[node.name] = tuple(
            replace(found[k], size=min(found[k].size, Fraction(shape[k]))) for k in sorted(found)
        )
    return seen


def windows(derivation: Derivation) -> tuple[Field, ...]:
    """What an entry of a single layer sees of its first data tensor; empty without windows.

    Layers of several equations are left out: their indices change names on the way.
    """
    equation = derivation.equation.at_sizes()
    if equation.given or not equation.data:
        return ()
    one, tensor = Fraction(1), equation.data[0]
    shape = tensor.sizes()
    start = tuple((Field(axis, one, one, extent),) for axis, extent in enumerate(shape))
    through, left = _through(derivation, tensor.name, start)
    out = equation.forward.lhs.axes[-len(through) :] if through else ()
    live = [
        part if len(axis) == 1 else replace(part, jump=Fraction(0))  # composed: no even steps
        for axis, parts in zip(out, through, strict=True)
        for part in parts
    ]
    if not any(part.jump and (part.size > 1 or part.jump != 1) for part in live):
        return ()
    seen = sorted(_wider((*left, *live)), key=lambda part: part.axis)
    return tuple(replace(f, size=min(f.size, Fraction(shape[f.axis]))) for f in seen)


def _wider(parts: tuple[Field, ...]) -> tuple[Field, ...]:
    """One field an axis of x: the widest of those that meet."""
    best: dict[int, Field] = {}
    for part in parts:
        if part.axis not in best or part.size > best[part.axis].size:
            best[part.axis] = part
    return tuple(best.values())


def _placed(axes: Axes, before: tuple[int, ...], after: tuple[int, ...]) -> Axes:
    """Axes of length 1 come and go between layers."""
    long = [axis for axis, size in zip(axes, before, strict=True) if size > 1]
    return tuple(long.pop(0) if size > 1 else () for size in after)


def _through(derivation: Derivation, tensor: str, axes: Axes) -> tuple[Axes, tuple[Field, ...]]:
    """The fields of the output's axes, and those that no axis of it looks along any more."""
    equation = derivation.equation.at_sizes()
    solved = derivation.resolved  # its own deltas solved: a transposed convolution's place
    last = equation.forward if solved is None else solved.gather
    offset = equation.rank(equation.tensor(tensor)) - len(axes)
    out = last.lhs.axes
    sizes = {index: extent.number or 1 for index, extent in equation.extents}
    looks: list[list[Field]] = [[] for _ in out]
    left: list[Field] = []
    places = {str(part): k for k, axis in enumerate(out) for part in axis}
    for read in (r for s in (*equation.given, last) for r in reads(s.rhs, tensor)):
        for subscript, own in zip(read.axes[offset:], axes, strict=True):
            flat = _flat(subscript, sizes)
            several = len(own) > 1 and len(subscript) != len(own)  # a flat axis, read as one
            parts = subscript if len(subscript) == len(own) else (flat,) * len(own)
            for part, field in zip(parts, own, strict=True):
                names = [n for n in part.names if n in places]
                after = _whole(field, names) if several else _moved(field, part, sizes, names)
                (looks[places[names[0]]] if len(names) == 1 else left).append(after)
    lead = len(out) - len(equation.output.shape)
    return tuple(map(_wider, map(tuple, looks[lead:]))), tuple(left)


def _flat(subscript: Subscript, sizes: Mapping[str, int]) -> Affine:
    """A composed subscript ``(g,c)`` as one index expression, ``C*g + c``."""
    first, *others = subscript
    for part in others:
        first = first * prod(sizes.get(name, 1) for name in part.names) + part
    return first


def _whole(field: Field, names: list[str]) -> Field:
    """A part of a flat axis: unchanged entry by entry, all of it where the axis is summed over."""
    if names:
        return field
    return Field(field.axis, field.size + (field.extent - 1) * field.jump, Fraction(0), 1)


def _moved(field: Field, part: Affine, sizes: Mapping[str, int], names: list[str]) -> Field:
    """The field of an entry that reads all positions of a subscript ``(s*i + d*u - p)/t``."""
    top, below = part.numerator, part.denominator.number or 1
    reach = sum(
        abs(top.coefficient(name).number or 0) * (sizes.get(name, 1) - 1)
        for name in top.names
        if name not in names[:1]
    )
    size = field.size + reach // below * field.jump
    if len(names) != 1:
        return Field(field.axis, size, Fraction(0), 1)
    step = Fraction(abs(top.coefficient(names[0]).number or 1), below)
    return Field(field.axis, size, field.jump * step, sizes.get(names[0], 1))
