"""The kernel's gradient from shifts: windows along the first axis overlap, and are never copied.

    columns[n, (c,v), (h,j)] = x[n, c, h − p, s·j + d·v − p]
    dw[f, c, u, v] = Σ_n Σ_(i,j) columns[n, (c,v), (i + d·u, j)] · dy[n, f, (i,j)]

Only the windows along the other axes are laid out. Tap u of the first axis reads all their rows
from d·u on: a matrix that starts later in the same numbers. One stack of products serves all
these taps of a sample, dy as it lies; db is dy times ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from ...machines import GAP, Cost
from ...programs import Function
from ..rooms import room, sample
from ..snippets import listed, snippet
from ..tasks import Routine, Task
from ..windowed import Windowed, totals

NAME = "shifts"
EXACT = True

LARGEST = 1 << 20
"""Numbers laid out of one sample."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Targets that are the kernel of Φ without a stride along the first axis; db with them."""
    for target in task.forms:
        form = task.form(target, "kernel")
        if form is None or not form.plain or form.counts[0] > 1 or len(form.windows) < 2:
            continue
        first = form.windows[0]
        if first.taps > 1 and first.stride == 1 and _depth(form) * _length(form) <= LARGEST:
            yield (target,)
            if bias := totals(task.statements, form):
                yield target, bias


def _depth(form: Windowed) -> int:
    """Channels, and taps of all axes but the first."""
    return form.counts[1] * form.counts[3] // form.windows[0].taps


def _row(form: Windowed) -> int:
    """Outputs of one step along the first axis."""
    return form.counts[4] // form.windows[0].outputs


def _length(form: Windowed) -> int:
    """The same of all steps that are read."""
    first = form.windows[0]
    return (first.outputs + first.dilation * (first.taps - 1)) * _row(form)


def _slice(form: Windowed, task: Task) -> int:
    """Rows of a product: BLAS packs no operand if both lie along rows and the result is small."""
    filters, places, depth = form.counts[2], form.counts[4], _depth(form)
    fits = [
        rows
        for rows in range(4, depth + 1)
        if depth % rows == 0
        and rows * filters <= task.machine.sliced_result
        and rows * filters * places <= task.machine.sliced
    ]
    return fits[-1] if fits else depth


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """A product for every sample and tap of the first axis, and a pass over dy for db."""
    form = task.found(targets[0], "kernel")
    _, channels, filters, _, places = form.counts
    first, last, depth = form.windows[0].taps, form.windows[-1], _depth(form)
    size, laid = prod(w.size for w in form.windows), depth * _length(form)
    runs, rows = laid // (1 if last.stride > 1 else last.outputs), _slice(form, task)
    return Cost(
        ((batch * first * depth // rows, rows, filters, places),),
        moved=batch * (channels * size + laid + 2 * first * depth * filters)
        + batch * (len(targets) - 1) * filters * places,
        runs=batch * (channels * size // last.size + runs),
        calls=3 + 1.3 * batch + 1.5 * (len(targets) - 1),
        scratch=laid + first * depth * filters,
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_dw_db_shifts(dy, x)``."""
    form, name = task.found(targets[0], "kernel"), task.function("_".join(targets), NAME)
    _, channels, filters, _, places = form.counts
    x, dy, first, rows = form.wide, form.narrow, form.windows[0].taps, _slice(form, task)
    sums = listed((first, _depth(form) // rows, rows, filters))
    wide = [channels, *(w.size for w in form.windows)]
    dw = form.kernel_from("sums", "tcvf")
    if _own(form) != task.shape(targets[0]):
        dw += f".reshape({listed(task.shape(targets[0]))})"
    both = len(targets) > 1
    body = [
        f"N, dtype = len({dy}), {dy}.dtype",
        f"inner, copied, windows, matrices, parts{', ones' * both} = _room({name}_room, dtype)",
        f"by_place = {dy}.reshape(N, {filters}, {places}).swapaxes(1, 2)",
        f"sums = np.zeros(({sums}), dtype)",
        "for n in range(N):",
        f"    inner[...] = {sample(task, x, wide)}",
        "    windows[...] = copied",
        "    np.matmul(matrices, by_place[n], out=parts)",
        "    sums += parts",
        f"{targets[0]} = {dw}",
    ]
    if both:
        total = f"{dy}.reshape({f'N * {filters}' if filters > 1 else 'N'}, {places}).dot(ones)"
        body.append(f"{targets[1]} = np.add.reduce({total}.reshape(N, {filters}), axis=0)")
        if task.shape(targets[1]) != (filters,):
            body[-1] += f".reshape({listed(task.shape(targets[1]))})"
    body.append(f"return {', '.join(targets)}")
    doc = (
        f"{', '.join(targets)}: windows of {x} along all axes but the first, then a product for "
        "each of its taps.",
    )
    given = ("len", "_room", f"{name}_room")
    function = Function(name, (dy, x), snippet("\n".join(body)), doc, "", given)
    return Routine(targets, function, room=_room(form, rows, name, both=both))


def _own(form: Windowed) -> tuple[int, ...]:
    """The sizes of all indices of the kernel."""
    return tuple(form.count((label,)) for label in form.kernel_labels)


def _room(form: Windowed, rows: int, name: str, *, both: bool) -> Function:
    """A sample with zeros around it, its windows, and what each tap of the first axis reads."""
    _, channels, filters, _, places = form.counts
    first, *others = form.windows
    sizes, depth, pitch = [w.padded for w in form.windows], _depth(form), _length(form) + GAP
    strides = [prod(sizes[k + 1 :]) for k in range(len(sizes))]
    shape = [channels, *(w.taps for w in others), _length(form) // _row(form)]
    shape += [w.outputs for w in others]
    steps = [prod(sizes), *(w.dilation * s for w, s in zip(others, strides[1:], strict=True))]
    steps += [strides[0], *(w.stride * s for w, s in zip(others, strides[1:], strict=True))]
    begin = sum(w.start * s for w, s in zip(form.windows, strides, strict=True))
    start = f", {begin}" if begin else ""
    inner = "".join(f", {w.low} : {w.low + w.size}" for w in form.windows)
    matrices = listed((first.taps, depth // rows, rows, places))
    taken = listed((first.dilation * _row(form), rows * pitch, pitch, 1))
    lines = [
        f"padded = np.zeros(({listed((channels, *sizes))}), dtype)",
        f"inner = padded[:{inner}]",
        f"copied = _windows(padded, ({listed(shape)}), ({listed(steps)}){start})",
        f"columns = np.zeros(({listed((depth, pitch))}), dtype)",
        f"windows = columns[:, :{_length(form)}].reshape({listed(shape)})",
        "# what every tap of the first axis reads, where it lies, in slices for BLAS",
        f"matrices = _windows(columns, ({matrices}), ({taken}))",
        f"parts = np.zeros(({listed((first.taps, depth // rows, rows, filters))}), dtype)",
        *([f"ones = np.ones(({places},), dtype)"] if both else []),
        f"return inner, copied, windows, matrices, parts{', ones' * both}",
    ]
    return room(name, lines, "_windows")
