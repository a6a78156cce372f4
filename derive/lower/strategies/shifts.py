"""The kernel's gradient from shifts: windows along the first axis overlap, and are never copied.

    columns[n, (c,v), (h,j)] = x[n, c, h − p, s·j + d·v − p]
    dw[f, c, u, v] = Σ_n Σ_(i,j) columns[n, (c,v), (i + d·u, j)] · dy[n, f, (i,j)]

Only the windows along the other axes are laid out. Tap u of the first axis reads all their rows
from d·u on: a matrix that starts later in the same numbers. One stack of products serves all
these taps of some samples at a time, dy as it lies; db is dy times ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from ...machines import Cost
from ...programs import Function
from ..snippets import snippet
from ..tasks import Routine, Task
from ..tiles import FLOAT
from ..windowed import Windowed, totals

NAME = "shifts"
EXACT = True

MOST = 32
"""Samples at a time: more would save nothing."""

GAP = 16
"""Numbers behind each row of a buffer: rows a power of two apart would share cache sets."""

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


def _form(task: Task, targets: tuple[str, ...]) -> Windowed:
    form = task.form(targets[0], "kernel")
    assert form is not None  # applies said so
    return form


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


def _samples(form: Windowed, task: Task) -> int:
    """As many as stay in the cache."""
    return max(1, min(MOST, task.machine.cache // (FLOAT * _depth(form) * _length(form))))


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
    form = _form(task, targets)
    _, channels, filters, _, places = form.counts
    first, last, depth = form.windows[0].taps, form.windows[-1], _depth(form)
    size, laid = prod(w.size for w in form.windows), depth * _length(form)
    runs, rows = laid // (1 if last.stride > 1 else last.outputs), _slice(form, task)
    return Cost(
        ((batch * first * depth // rows, rows, filters, places),),
        moved=batch * (channels * size + laid + 2 * first * depth * filters + filters * places),
        runs=batch * (channels * size // last.size + runs),
        calls=13 + 6 * -(-batch // _samples(form, task)),
        scratch=_samples(form, task) * (laid + first * depth * filters),
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_dw_db_shifts(dy, x)``."""
    form, name = _form(task, targets), task.function("_".join(targets), NAME)
    _, channels, filters, taps, places = form.counts
    x, dy, most, first = form.wide, form.narrow, _samples(form, task), form.windows[0].taps
    rows = _slice(form, task)
    sums = _listed(first, _depth(form) // rows, rows, filters)
    sizes = _listed(channels, *(w.size for w in form.windows))
    apart = f"sums.reshape({_listed(first, channels, taps // first, filters)}).swapaxes(0, 1)"
    results = [f"{form.kernel_from(apart, 'cuf')}.reshape({_listed(*task.shape(targets[0]))})"]
    if len(targets) > 1:
        total = f"({dy}.reshape(N * {filters}, {places}) @ np.ones({places}, dtype))"
        shape = _listed(*task.shape(targets[1]))
        results.append(f"{total}.reshape(N, {filters}).sum(axis=0, dtype=dtype).reshape({shape})")
    body = [
        f"N, dtype = len({dy}), {dy}.dtype",
        f"by_place = {dy}.reshape(N, 1, 1, {filters}, {places}).swapaxes(-1, -2)",
        *_buffers(form, most, rows, name[1:]),
        f'parts = _scratch("{name[1:]}_parts", ({_listed(most)}, {sums}), dtype)',
        f"sums = np.zeros(({sums}), dtype)",
        f"for n in range(0, N, {most}):",
        f"    count = min({most}, N - n)",
        f"    inner[:count] = {x}[n : n + {most}].reshape(count, {sizes})",
        "    windows[:count] = copied[:count]",
        f"    np.matmul(matrices[:count], by_place[n : n + {most}], out=parts[:count])",
        "    sums += parts[:count].sum(axis=0, dtype=dtype)",
        f"{targets[0]} = {results[0]}",
        f"return {', '.join([targets[0], *results[1:]])}",
    ]
    doc = (
        f"{', '.join(targets)}: windows of {x} along all axes but the first, then a product for "
        f"each of its taps; {most} samples at a time.",
    )
    given = ("len", "min", "_scratch", "_windows")
    return Routine(targets, Function(name, (dy, x), snippet("\n".join(body)), doc, "", given))


def _buffers(form: Windowed, most: int, rows: int, name: str) -> list[str]:
    """The samples with zeros around, their windows, and what each tap of the first axis reads."""
    _, channels, _, _, places = form.counts
    first, *others = form.windows
    sizes, depth, pitch = [w.padded for w in form.windows], _depth(form), _length(form) + GAP
    strides = [prod(sizes[k + 1 :]) for k in range(len(sizes))]
    shape = [most, channels, *(w.taps for w in others), _length(form) // _row(form)]
    steps = [channels * prod(sizes), prod(sizes)]
    steps += [w.dilation * s for w, s in zip(others, strides[1:], strict=True)]
    steps += [strides[0], *(w.stride * s for w, s in zip(others, strides[1:], strict=True))]
    begin = sum(w.start * s for w, s in zip(form.windows, strides, strict=True))
    start = f", {begin}" if begin else ""
    inner = "".join(f", {w.low} : {w.low + w.size}" for w in form.windows)
    matrices = _listed(most, first.taps, depth // rows, rows, places)
    taken = _listed(depth * pitch, first.dilation * _row(form), rows * pitch, pitch, 1)
    return [
        f'padded = _scratch("{name}_padded", ({_listed(most, channels, *sizes)}), dtype)',
        f"inner = padded[:, :{inner}]",
        f"shape = {_listed(*shape, *(w.outputs for w in others))}",
        f"copied = _windows(padded, shape, ({_listed(*steps)}){start})",
        f'columns = _scratch("{name}_columns", ({_listed(most, depth, pitch)}), dtype)',
        f"windows = columns[..., :{_length(form)}].reshape(shape)",
        "# what every tap of the first axis reads, where it lies, in slices for BLAS",
        f"matrices = _windows(columns, ({matrices}), ({taken}))",
    ]


def _listed(*values: int) -> str:
    return ", ".join(map(str, values)) or "()"
