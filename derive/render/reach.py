"""The receptive field: how much of x one entry of a layer's output can see.

Along one axis, behind a layer that reads ``x[s*i + d*u - p]`` for u < K,

    size' = size + d*(K - 1)*jump        jump' = s*jump

where jump is how far apart neighbouring entries look. Both are read off the subscripts of the
layers' equations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..affine import Affine
from ..equations import Equation
from ..expressions import reads
from ..graphs import INPUT, TARGET, Network


@dataclass(frozen=True)
class Field:
    """What an entry sees along one axis of x; ``jump`` is 0 once the axis is gone.

    ``extent``  how many entries there are along the axis that looks along it
    """

    axis: int
    size: int
    jump: int
    extent: int


Axes = tuple[tuple[Field, ...], ...]
"""For each axis of a tensor, the axes of x that it looks along (several if it is composed)."""


def fields(network: Network) -> dict[str, tuple[Field, ...]]:
    """Node → one field for each axis of x, in order."""
    shape = network.shape(INPUT)
    start = tuple((Field(axis, 1, 1, extent),) for axis, extent in enumerate(shape))
    axes: dict[str, Axes] = {INPUT: start}
    gone: dict[str, tuple[Field, ...]] = {INPUT: ()}
    seen: dict[str, tuple[Field, ...]] = {}
    for node in network.nodes:
        found: dict[int, Field] = {}
        for tensor, source in node.reads:
            if source == TARGET:
                continue
            before = _placed(axes[source], network.shape(source), tensor.sizes())
            axes[node.name], left = _through(node.equation, tensor.name, before)
            kept = [part for axis in axes[node.name] for part in axis]
            for one in (*gone[source], *left, *kept):
                if one.axis not in found or one.size > found[one.axis].size:
                    found[one.axis] = one
        live = {part.axis for axis in axes[node.name] for part in axis}
        gone[node.name] = tuple(one for one in found.values() if one.axis not in live)
        seen[node.name] = tuple(
            replace(found[k], size=min(found[k].size, shape[k])) for k in sorted(found)
        )
    return seen


def _placed(axes: Axes, before: tuple[int, ...], after: tuple[int, ...]) -> Axes:
    """Axes of length 1 come and go between layers."""
    long = [axis for axis, size in zip(axes, before, strict=True) if size > 1]
    return tuple(long.pop(0) if size > 1 else () for size in after)


def _through(equation: Equation, tensor: str, axes: Axes) -> tuple[Axes, tuple[Field, ...]]:
    """The fields of the output's axes, and those that no axis of it looks along any more."""
    offset = equation.rank(equation.tensor(tensor)) - len(axes)
    out = equation.forward.lhs.axes
    looks: list[list[Field]] = [[] for _ in out]
    left: list[Field] = []
    places = {str(part): k for k, axis in enumerate(out) for part in axis}
    for read in (r for s in equation.statements for r in reads(s.rhs, tensor)):
        for subscript, own in zip(read.axes[offset:], axes, strict=True):
            several = len(own) > 1 and len(subscript) == 1  # a flat axis, read as one
            parts = subscript * len(own) if several else subscript
            for part, field in zip(parts, own, strict=len(own) > 0):
                names = [n for n in part.names if n in places]
                after = _whole(field, names) if several else _moved(field, part, equation, names)
                (looks[places[names[0]]] if len(names) == 1 else left).append(after)
    lead = len(out) - len(equation.output.shape)
    return tuple(tuple(dict.fromkeys(fields)) for fields in looks[lead:]), tuple(left)


def _whole(field: Field, names: list[str]) -> Field:
    """A part of a flat axis: unchanged entry by entry, all of it where the axis is summed over."""
    if names:
        return field
    return Field(field.axis, field.size + (field.extent - 1) * field.jump, 0, 1)


def _moved(field: Field, part: Affine, equation: Equation, names: list[str]) -> Field:
    """The field of an entry that reads all positions of a subscript."""
    span = 0
    for name in part.names:
        if name not in names[:1] and name != equation.batch:
            weight = part.coefficient(name).number or 0
            span += abs(weight) * ((equation.extent(name).number or 1) - 1)
    step = abs(part.coefficient(names[0]).number or 1) if len(names) == 1 else 0
    extent = (equation.extent(names[0]).number or 1) if len(names) == 1 else 1
    return Field(field.axis, field.size + span * field.jump, field.jump * step, extent)
