"""Products sent back to where they were read: dx += kernelᵀ · dy, tap by tap.

    planes[r, c, q + i] += Σ_f w[f, c, u] · dy[n, f, i]    with  d·u = s·q + r

One matrix product makes all products of some rows of dy, for every tap; each tap's share is
then added where the tap reads. Rows of dy are as long as those of the target, with zeros
behind, so that every addition is one run without gaps. With a stride the entries s apart
lie in a plane of their own, r = 0 .. s − 1, and the planes are interleaved at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from ...machines import FLOAT, Cost
from ...programs import Function
from ..snippets import listed, nested, snippet
from ..tasks import Routine, Task
from ..windowed import Window, Windowed

NAME = "scatter"
EXACT = True


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Targets that are the wide side of Φ, in one or two dimensions, without groups."""
    for target in task.forms:
        form = task.form(target, "wide")
        if form is not None and form.plain and not form.bias and _flat(form):
            yield (target,)


def _flat(form: Windowed) -> bool:
    return form.counts[0] == 1 and len(form.windows) in (1, 2)


@dataclass(frozen=True)
class Planes:
    """Where an axis lies in the planes: ``length`` entries a plane, one plane a remainder."""

    window: Window

    @property
    def length(self) -> int:
        """Entries of every plane: enough for the padded axis."""
        w = self.window
        reach = max(w.low + w.size, w.start + w.last - w.offset + 1)
        return -(-reach // w.stride)

    def at(self, tap: str) -> tuple[str, str]:
        """Plane and first entry of a tap, as Python text."""
        w = self.window
        place = f"{w.dilation} * {tap}" if w.dilation > 1 else tap
        place = f"{place} + {w.start}" if w.start else place
        if w.stride == 1:
            return "", place
        bracket = f"({place})" if " " in place else place
        return f"{bracket} % {w.stride}", f"{bracket} // {w.stride}"


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """One product of (C·K, F) and (F, positions), and K additions of all positions."""
    form = task.found(targets[0], "wide")
    _, channels, filters, taps, _ = form.counts
    axes = [Planes(w) for w in form.windows]
    rows = _rows(form, task)
    width = rows * prod(a.length for a in axes[1:])
    tiles = batch * -(-form.windows[0].outputs // rows)
    size = prod(w.size for w in form.windows)
    # BLAS reads a transposed kernel where it lies, but no other order
    straight = form.kernel_axes("fcu")[0] == form.kernel
    turned = 0 if straight else taps * channels * filters / 3
    return Cost(
        ((tiles, channels * taps, width, filters),),
        moved=tiles * taps * channels * width * 3 + 3 * batch * channels * size,
        runs=tiles * taps * channels + batch * channels * size / form.windows[-1].size + turned,
        calls=tiles * (2 * taps + 1) + 4 * batch + 10,
        scratch=channels * taps * width,
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_dx_scatter(dy, w)``."""
    form, target = task.found(targets[0], "wide"), targets[0]
    _, channels, filters, _, _ = form.counts
    axes, rows = [Planes(w) for w in form.windows], _rows(form, task)
    name, dy = task.function(target, NAME), form.narrow
    row = prod(a.length for a in axes[1:])  # numbers in a row of a plane
    outputs = form.windows[0].outputs
    strides = [w.stride for w in form.windows if w.stride > 1]
    # the last tap's run may end behind the last plane row
    length = axes[0].length * row + row
    wide = prod(w.outputs for w in form.windows[1:])
    tapped = ", ".join(str(w.taps) for w in form.windows)
    body = [
        f"N, dtype = len({dy}), {dy}.dtype",
        f"kernel = {form.kernel_as('cu', 'f')}",
        f'rows = _scratch("{name[1:]}_rows", ({filters}, {outputs}, {row}), dtype)',
        f'products = _scratch("{name[1:]}_products", ({channels}, {tapped}, {rows * row}), dtype)',
        f'planes = _scratch("{name[1:]}_planes", ({listed([*strides, channels, length])}), dtype)',
        f"{target} = np.empty((N, {listed([channels, *(w.size for w in form.windows)])}), dtype)",
        "for n in range(N):",
        f"    rows[:, :, :{wide}] = {dy}[n].reshape({filters}, {outputs}, {wide})",
        "    planes[...] = 0",
        *_tiles(form, axes, rows, row),
        *_interleaved(form, axes, row, target),
        f"return {target}.reshape(N, {listed(task.shape(target))})",
    ]
    doc = (
        f"{target} = Σ over taps of kernelᵀ · {dy}, each product added to the entry that its tap "
        "reads" + (", in one plane for every remainder of the stride." if strides else "."),
    )
    given = ("len", "_scratch")
    function = Function(name, (dy, form.kernel), snippet("\n".join(body)), doc, "", given)
    return Routine(targets, function)


def _rows(form: Windowed, task: Task) -> int:
    """How many rows of dy at a time: a divisor of all, the products in the cache."""
    _, channels, _, taps, _ = form.counts
    row = prod(Planes(w).length for w in form.windows[1:])
    most = max(1, task.machine.cache // (FLOAT * channels * taps * row))
    outputs = form.windows[0].outputs
    return max(r for r in range(1, outputs + 1) if outputs % r == 0 and r <= most)


def _tiles(form: Windowed, axes: list[Planes], rows: int, row: int) -> list[str]:
    """Multiply some rows of dy with all taps, add each tap's share where it belongs."""
    filters, outputs = form.counts[2], form.windows[0].outputs
    letters = "uv"[: len(axes)]
    whole = rows == outputs
    share = "rows" if whole else f"rows[:, top : top + {rows}]"
    places = [axis.at(letter) for axis, letter in zip(axes, letters, strict=True)]
    planes = "".join(f"{plane}, " for plane, _ in places if plane)
    if len(axes) == 2:
        first = places[0][1] if " " not in places[0][1] else f"({places[0][1]})"
        begin = f"{row} * {first} + {places[1][1]}"
    else:
        begin = places[0][1]
    begin = begin if whole else f"{begin} + {row} * top"
    body = (
        f"np.matmul(kernel, {share}.reshape({filters}, {rows * row}), "
        f"out=products.reshape({form.counts[1] * form.counts[3]}, {rows * row}))\n"
    )
    adding = f"begin = {begin}\n"
    adding += (
        f"planes[{planes}:, begin : begin + {rows * row}] += products[:, {', '.join(letters)}]"
    )
    body += nested(
        [(u, f"range({w.taps})") for u, w in zip(letters, form.windows, strict=True)], adding
    )
    loops = [] if whole else [("top", f"range(0, {outputs}, {rows})")]
    return [nested(loops, body, 1)]


def _interleaved(form: Windowed, axes: list[Planes], row: int, target: str) -> list[str]:
    """The planes in the order of the target, without what lies around it."""
    channels, windows = form.counts[1], form.windows
    strides = [w.stride for w in windows if w.stride > 1]
    shape = listed([*strides, channels, *(a.length for a in axes)])
    skipped = ":, " * len(strides)
    lines = [f"    grid = planes[{skipped}:, :{axes[0].length * row}].reshape({shape})"]
    letters = dict(zip(range(len(windows)), "ab", strict=False))
    loops, planes, into, out = [], [], [], []
    for k, w in enumerate(windows):
        if w.stride == 1:
            into.append(f"{w.low} : {w.low + w.size}")
            out.append(":")
            continue
        a, s = letters[k], w.stride
        loops.append((a, f"range({s})"))
        shifted = f"({a} + {w.low})" if w.low else a
        planes.append(f"{shifted} % {s}")
        begin = f"{shifted} // {s}" if w.low else "0"
        count = f"-(-({w.size} - {a}) // {s})" if w.size % s else str(w.size // s)
        into.append(f"{begin} : {begin} + {count}" if w.low else f":{count}")
        out.append(f"{a}::{s}")
    source = f"grid[{''.join(p + ', ' for p in planes)}:, {', '.join(into)}]"
    return [*lines, nested(loops, f"{target}[n, :, {', '.join(out)}] = {source}", 1)]
