"""Small maps: y and dw of samples that lie innermost, and stay so inside a network.

    blocks[h, (c,v), (j,n)] = x[n, c, h − p, j + d·v − p]
    y[n, f, i, j] = Σ_u kernel[f, (u,c,v)] · blocks[i + u, (c,v), (j,n)]
    dw[f, c, u, v] = Σ_i blocks[i + u, (c,v), (j,n)] · dy[i, (j,n), f]

Only the windows along the rows are copied: those of one row of outputs lie behind each other. A
row of ones in the blocks meets the bias, and adds up its gradient.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...machines import GAP, Cost
from ..snippets import listed, times
from ..tasks import Routine, Task
from ..turned import LARGEST, MOST, Lines, axes, given, offered, routine, slices, taken
from ..windowed import Windowed, totals

NAME = "innermost"
EXACT = True
INNERMOST = True

DEEP = 64
"""Rows of a product from which its other operand is worth being laid out as BLAS reads it."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """One target by itself, or dw with db."""
    for target in task.forms:
        form = _form(task, target)
        if form is None:
            continue
        yield (target,)
        if form.target == "kernel" and (bias := totals(task.statements, form)):
            yield target, bias


def _form(task: Task, target: str) -> Windowed | None:
    """The form that is lowered: y, or the kernel's gradient."""
    form = offered(task, target, ("kernel", "narrow"))
    if form is None or form.windows[0].dilation > 1 or MOST * _blocks(form) > LARGEST:
        return None
    return form


def _height(form: Windowed) -> int:
    """Rows that are read."""
    first, _ = axes(form)
    return first.outputs + first.taps - 1


def _depth(form: Windowed) -> int:
    """Channels, and taps along a row."""
    return form.counts[1] * form.windows[1].taps


def _blocks(form: Windowed) -> int:
    """Numbers of the blocks, a sample."""
    return _height(form) * (_depth(form) + 1) * (form.windows[1].outputs + GAP // 8)


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """Copies of whole rows of all samples; turning what does not lie so yet."""
    form = _form(task, targets[0])
    assert form is not None  # applies said so
    _, channels, filters, _, places = form.counts
    first, last = axes(form)
    wide = channels * first.size * last.size
    count = min(batch, MOST)
    often = -(-batch // MOST)
    narrow = filters * places
    turned = 3 * wide * task.turns(form.wide, batch) + 3 * narrow * task.turns(form.narrow, batch)
    deep, width = first.taps * (_depth(form) + 1), last.outputs * count
    copied = _height(form) * _depth(form) * last.outputs
    sides, more = (filters, width, deep), 0.0
    if form.target == "kernel":
        laid = deep >= DEEP
        sides, more = ((deep, filters, width), 3.0) if laid else ((filters, deep, width), 0.2)
    return Cost(
        ((often * first.outputs, *sides),),
        moved=batch * (turned + wide + copied / 2 + more * narrow),
        runs=often * _height(form) * _depth(form),
        calls=10 * often + 5,
        scratch=MOST * _blocks(form),
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_y_innermost(x, w, b)`` and ``_dw_db_innermost(dy, x)``."""
    form = _form(task, targets[0])
    assert form is not None  # applies said so
    make = _narrow if form.target == "narrow" else _kernel
    return routine(task, targets, NAME, make(task, form, targets))


def _filled(form: Windowed) -> tuple[list[str], list[str]]:
    """Buffers, and the lines that fill the blocks and view them as a matrix for every row."""
    first, last = axes(form)
    channels, depth, height = form.counts[1], _depth(form), _height(form)
    plane, line = first.padded * last.padded, last.padded
    before, inside = [], []
    samples = f"{taken(form, form.wide)}.transpose(1, 2, 3, 0)"
    if any(w.low or w.high for w in form.windows):
        sizes = listed((channels, first.padded, last.padded))
        before.append(f'zeros = _shared("edged", {MOST * channels * plane}, dtype)')
        ends = f"{first.low} : {first.low + first.size}, {last.low} : {last.low + last.size}"
        inside += [
            f"padded = zeros[: {channels * plane} * count].reshape({sizes}, count)",
            "padded[...] = 0",
            f"padded[:, {ends}] = {samples}",
        ]
    else:
        inside.append(f"padded = np.ascontiguousarray({samples})")
    start = first.start * line + last.start
    ahead = f", {start} * count" if start else ""
    many, long = height * (depth + 1), last.outputs
    before.append(f'held = _shared("windows", {many * (long * MOST + GAP)}, dtype)')
    inside += [
        f"width, pitch = {long} * count, {long} * count + {GAP}",
        f"blocks = held[: {many} * pitch].reshape({height}, {depth + 1}, pitch)",
        f"blocks[:, {depth}] = 1",
        f"shape = {height}, {channels}, {last.taps}, width",
        f"steps = {line} * count, {plane} * count, {times(last.dilation, 'count')}, 1",
        f"blocks[:, :{depth}, :width].reshape(shape)[...] = _windows(padded, shape, steps{ahead})",
    ]
    return before, inside


def _matrices(form: Windowed, pieces: int) -> list[str]:
    """The windows of every row of outputs, or of pieces of it, where they lie."""
    first, step = form.windows[0], f"{_depth(form) + 1} * pitch"
    rows, deep = first.outputs, first.taps * (_depth(form) + 1)
    told = "# the windows of every row of outputs, where they lie"
    if pieces == 1:
        view = f"_windows(blocks, ({rows}, {deep}, width), ({step}, pitch, 1))"
        return [told, f"matrices = {view}"]
    return [
        f"{told}; cut into slices that BLAS need not pack",
        f"long = width // {pieces}",
        f"shape, steps = ({rows}, {pieces}, {deep}, long), ({step}, long, pitch, 1)",
        "matrices = _windows(blocks, shape, steps)",
    ]


def _narrow(task: Task, form: Windowed, targets: tuple[str, ...]) -> Lines:
    """A product of the kernel with the blocks of each row, straight into y."""
    filters, (first, last) = form.counts[2], axes(form)
    target, depth = targets[0], _depth(form)
    sizes = listed((filters, first.outputs, last.outputs))
    pieces = slices(task, filters, first.taps * (depth + 1), last.outputs)
    cut = "width).swapaxes(0, 1)" if pieces == 1 else f"{pieces}, long).transpose(1, 2, 0, 3)"
    before, inside = _filled(form)
    before = [
        f"kernel = np.zeros(({filters}, {first.taps}, {depth + 1}), dtype)",
        f"kernel[..., :{depth}] = {form.kernel_as('f', 't', 'cv')}",
        *([f"kernel[:, 0, {depth}] = {form.bias}  # meets the ones"] if form.bias else []),
        f"kernel = kernel.reshape({filters}, {first.taps * (depth + 1)})",
        *before,
        f"{target} = np.empty(({sizes}, N), dtype)",
    ]
    inside += [
        f"made = {target}",
        "if count < N:",
        f"    made = np.empty(({sizes}, count), dtype)",
        *_matrices(form, pieces),
        f"rows = made.reshape({filters}, {first.outputs}, {cut}",
        "np.matmul(kernel, matrices, out=rows)",
        "if count < N:",
        f"    {target}[..., n : n + count] = made",
    ]
    arrays = [array for array in (form.wide, form.kernel, form.bias) if array]
    return before, inside, given(task, target), arrays


def _kernel(task: Task, form: Windowed, targets: tuple[str, ...]) -> Lines:
    """The blocks of every row times dy of that row, added up."""
    filters, first, depth = form.counts[2], form.windows[0], _depth(form)
    deep = first.taps * (depth + 1)
    before, inside = _filled(form)
    buffers, upstream = _by_row(form, deep)
    before += [
        *buffers,
        f'parts = _shared("parts", {first.outputs * deep * filters}, dtype)',
        f"parts = parts.reshape({first.outputs}, {deep}, {filters})",
        f"sums = np.zeros(({deep}, {filters}), dtype)",
    ]
    inside += [
        *_matrices(form, 1),
        *upstream,
        "np.matmul(matrices, upstream, out=parts)",
        "sums += parts.sum(axis=0, dtype=dtype)",
    ]
    opened = f"sums.reshape({first.taps}, {depth + 1}, {filters})"
    results = [form.kernel_from(f"{opened}[:, :{depth}]", "tcvf", task.shape(targets[0]))]
    results += [f"sums[{depth}].reshape({listed(task.shape(bias))})" for bias in targets[1:]]
    return before, inside, ", ".join(results), [form.narrow, form.wide]


def _by_row(form: Windowed, deep: int) -> tuple[list[str], list[str]]:
    """A matrix (columns · samples, filters) of dy for every row, laid out if that is worth it."""
    filters, (first, last) = form.counts[2], axes(form)
    samples = taken(form, form.narrow)
    if deep < DEEP:
        turned = f"np.ascontiguousarray({samples}.transpose(1, 2, 3, 0))"
        sizes = f"{filters}, {first.outputs}, width"
        return [], [f"upstream = {turned}.reshape({sizes}).transpose(1, 2, 0)"]
    numbers = first.outputs * last.outputs * filters
    sizes = f"{first.outputs}, {last.outputs}, count, {filters}"
    return [f'turned = _shared("turned", {numbers * MOST}, dtype)'], [
        f"laid = turned[: {numbers} * count].reshape({sizes})",
        f"laid[...] = {samples}.transpose(2, 3, 0, 1)",
        f"upstream = laid.reshape({first.outputs}, width, {filters})",
    ]
