"""Winograd's fast convolution: fewer multiplications, by transforming patches and taps.

    y = A · ((G · w) ⊙ (B · x))    for every patch of x and the tile of y that it makes

A tile of m × m outputs of an r × r kernel takes (m + r − 1)² multiplications for each pair of a
channel and a filter, instead of m²·r². The matrices are made from interpolation points and
proved (:mod:`derive.toom`); a patch is transformed along one axis and then the other. For each
of the (m + r − 1)² points one matrix product sums over the channels.

The steps are stated once, forwards; gradients take the adjoint of that program
(:mod:`derive.bilinear`), in which dx and dw share the transform of dy.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product

from ...bilinear import adjoint, correlation
from ...machines import Cost, Machine
from ...programs import Function
from ...toom import Toom, toom
from ..patches import Blocks
from ..prices import priced
from ..snippets import snippet
from ..tasks import Routine, Task
from ..transforms import constants
from ..windowed import Windowed, totals
from ..winograd import Writer

NAME = "winograd"
EXACT = False
POINTS = 7
"""Points along an axis: with more of them rounding errors grow too much for float32."""
ERROR = 2e-5
"""What a float32 result may be off, relative to its largest entry."""
SEEN = {2: 4e-7, 3: 4e-7, 4: 8e-7, 5: 1.5e-6, 6: 3e-6, 7: 9e-6}
"""Points along an axis → how far float32 results were off on layers of 32 to 512 channels."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Narrow sides, and the gradients of both factors, together or alone, with the bias's."""
    for target in task.forms:
        if _fits(task.form(target, "narrow")):
            yield (target,)
        form = task.form(target, "kernel")
        if form is None or not _fits(form):
            continue
        total = totals(task.statements, form)
        for lead in ((), *((wide,) for wide in task.forms if _pair(task, wide, form))):
            yield (*lead, target)
            if total:
                yield (*lead, target, total)


def _fits(form: Windowed | None) -> bool:
    """One or two windows of a few taps, moved by single steps."""
    if form is None or not form.plain or any(w.stride > 1 for w in form.windows):
        return False
    taps = [w.taps for w in form.windows if w.taps > 1]
    return 1 <= len(taps) <= 2 and max(taps) < POINTS


def _pair(task: Task, wide: str, form: Windowed) -> bool:
    """Whether a target is the wide side of the same Φ whose kernel side ``form`` is."""
    other = task.form(wide, "wide")
    # so that tiles overlap with their neighbours only
    near = all(w.taps - 1 <= POINTS - w.taps + 1 for w in form.windows)
    return (
        near and other is not None and (other.narrow, other.windows) == (form.narrow, form.windows)
    )


def _sizes(taps: int, outputs: int) -> range:
    """Outputs of a tile: as many as there are points for, and so that it meets one neighbour."""
    most = POINTS - taps + 1
    least = min(taps - 1, most)
    return range(least, max(least, min(most, outputs + 1)) + 1)


@cache
def _blocks(form: Windowed, machine: Machine) -> Blocks:
    """The outputs of a tile along each axis, by the cost of a few samples."""
    choices = [[1] if w.taps == 1 else _sizes(w.taps, w.outputs) for w in form.windows]
    every = [Blocks.of(form, outputs, machine) for outputs in product(*choices)]
    return min(every, key=lambda b: priced(b, ("narrow",), 4, machine).seconds(machine))


def _form(task: Task, targets: tuple[str, ...]) -> tuple[Windowed, dict[str, str]]:
    """The form, and which target is which side of it: ``{"wide": "dx", "kernel": "dw"}``."""
    form = task.form(targets[0], "narrow")
    if len(targets) == 1 and form is not None and _fits(form):
        return form, {"narrow": targets[0]}
    kernel = next(t for t in targets if task.form(t, "kernel"))
    form = task.form(kernel, "kernel")
    assert form is not None  # applies said so
    before, after = targets[: targets.index(kernel)], targets[targets.index(kernel) + 1 :]
    sides = dict.fromkeys(before, "wide") | {kernel: "kernel"} | dict.fromkeys(after, "total")
    return form, {side: target for target, side in sides.items()}


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """The transforms and the products between them."""
    form, sides = _form(task, targets)
    return priced(_blocks(form, task.machine), sides, batch, task.machine)


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_y_winograd(x, w, b)`` or ``_dx_dw_db_winograd(dy, x, w)``."""
    form, sides = _form(task, targets)
    blocks = _blocks(form, task.machine)
    size = tuple(axis.size for axis in blocks.axes)
    steps = correlation(size, tuple(axis.outputs for axis in blocks.axes))
    if "narrow" not in sides:
        steps = adjoint(steps, [side for side in sides if side != "total"])
    name = task.function("_".join(targets), NAME)
    source = task.form(sides["wide"], "wide") if "wide" in sides else form
    assert source is not None  # applies said so
    writer = Writer(task, blocks, steps, sides, source, name)
    given = ("len", "min", "_scratch", "_windows", "_transform")
    lines = "\n".join(writer.body())
    known = constants(blocks, lines)
    body = snippet(lines)
    function = Function(
        name,
        writer.parameters,
        body,
        _doc(form, blocks, targets, sides),
        "",
        (*given, *(c.name for c in known)),
    )
    return Routine(targets, function, known, tooms=_tooms(blocks))


def _tooms(blocks: Blocks) -> tuple[Toom, ...]:
    """The matrices of every axis with a window."""
    tapped = (axis for axis in blocks.axes if axis.window.taps > 1)
    return tuple(toom(axis.outputs, axis.window.taps) for axis in tapped)


def _doc(
    form: Windowed, blocks: Blocks, targets: tuple[str, ...], sides: dict[str, str]
) -> tuple[str, ...]:
    """What it saves, and how exact it is."""
    tapped = [axis for axis in blocks.axes if axis.window.taps > 1]
    kind = " × ".join(f"F({axis.outputs}, {axis.window.taps})" for axis in tapped)
    way = "the adjoint of " if "narrow" not in sides else ""
    seen = max(SEEN[axis.size] for axis in tapped)
    return (
        f"{', '.join(targets)} by {way}Winograd's {kind}: {blocks.points} multiplications "
        f"where a direct sum takes {form.counts[3] * blocks.outputs}.",
        "Sums are taken in another order than written: in float32 results are off by less than "
        f"{ERROR:.0e} of their largest entry; {seen:.0e} was the most measured.",
    )
