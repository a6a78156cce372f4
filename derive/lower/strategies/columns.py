"""im2col, one sample and a few rows at a time: y[n] = kernel · columns(x[n]).

    columns[(c,u,v), (i,j)] = x[n, c, s·i + d·u − p, s·j + d·v − p]

The windows of some rows of one sample are copied side by side into a matrix that stays in the
cache, channels and taps down its rows, so that one matrix product makes these rows of the
output, already in the order of y. A last row of ones meets the bias. The same memory serves
every tile and every sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from ...machines import Cost
from ...programs import Function
from ..snippets import snippet
from ..tasks import Routine, Task
from ..tiles import FLOAT, Tiles, sliced, start_of, starts, windows_of
from ..windowed import Windowed

NAME = "columns"
EXACT = True


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Targets that are the narrow side of Φ, with at least one window that is more than a place."""
    for target in task.forms:
        form = task.form(target, "narrow")
        if (
            form is not None
            and form.plain
            and any(w.taps > 1 or w.stride > 1 for w in form.windows)
        ):
            yield (target,)


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """One product of (F, C·K) and (C·K, positions) for every tile."""
    form = _form(task, targets)
    groups, channels, filters, *_ = form.counts
    depth, tiles = _depth(form), Tiles.thick(form, task.machine)
    width = tiles.places
    m, n = sliced(task, filters, depth, width, groups)
    outer = batch * tiles.count
    return Cost(
        ((outer * groups * (filters // m) * (width // n), m, n, depth),),
        moved=outer * groups * depth * width + 2 * batch * prod(w.size for w in form.windows),
        runs=outer * groups * depth * tiles.rows + batch * form.windows[0].size * channels,
        calls=outer * 2 + batch + 4,
        scratch=groups * depth * width,
    )


def keeps(task: Task, targets: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of every sample, where one sample's are few and with the ones of a bias."""
    form = _form(task, targets)
    forward = task.direction == "forward" and _ones(form)
    return ("columns",) if forward and Tiles.thick(form, task.machine).count == 1 else ()


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_y_columns(x, w, b)``."""
    form, target = _form(task, targets), targets[0]
    groups, _, filters, _, places = form.counts
    tiles = Tiles.thick(form, task.machine)
    name = task.function(target, NAME)
    lead = f"{groups}, " if groups > 1 else ""
    body = [
        f"N, dtype = len({form.wide}), {form.wide}.dtype",
        *_kernel(form),
        *windows_of(form, f"{name[1:]}_padded", tiles.rows),
        *_buffer(form, task, name[1:], f"{lead}{_depth(form)}, {tiles.places}"),
        f"{target} = np.empty((N, {lead}{filters}, {places}), dtype)",
        "for n in range(N):",
        f"    inner[...] = {form.wide}[n].reshape(inner.shape)",
        *_tile(form, task, tiles, target),
    ]
    if form.bias and not _ones(form):
        body.append(f"{target} += {form.bias}.reshape({groups}, {filters}, 1)")
    kept = ", columns" if task.kept else ""
    body.append(f"return {target}.reshape(N, {', '.join(map(str, task.shape(target)))}){kept}")
    doc: tuple[str, ...] = (
        f"{target}[n] = kernel · columns({form.wide}[n]): all windows of {tiles.told} as the "
        "columns of a matrix with a row for every channel and tap"
        + ("; a row of ones meets the bias." if _ones(form) else "."),
    )
    if task.kept:
        doc = (*doc, f"With keep, those of all samples are handed on, {_bytes(form)} bytes each.")
    parameters = tuple(n for n in (form.wide, form.kernel, form.bias) if n)
    parameters += ("keep",) if task.kept else ()
    given = ("len", "_scratch", "_windows")
    function = Function(name, parameters, snippet("\n".join(body)), doc, "", given)
    return Routine(targets, function, keeps=task.kept)


def _form(task: Task, targets: tuple[str, ...]) -> Windowed:
    form = task.form(targets[0], "narrow")
    assert form is not None  # applies said so
    return form


def _ones(form: Windowed) -> bool:
    """Whether a row of ones meets the bias; between groups it would break the matrix apart."""
    return bool(form.bias) and form.counts[0] == 1


def _depth(form: Windowed) -> int:
    """Rows of the column matrix."""
    return form.counts[1] * form.counts[3] + _ones(form)


def _bytes(form: Windowed) -> int:
    """Of one sample's columns."""
    return FLOAT * _depth(form) * form.counts[4]


def _buffer(form: Windowed, task: Task, name: str, sizes: str) -> list[str]:
    """Room for the columns of a tile; of all samples if the backward pass will read them."""
    row = form.counts[1] * form.counts[3]
    if not task.kept:
        ones = [f"columns[{row}] = 1"] if _ones(form) else []
        return [f'columns = _scratch("{name}", ({sizes}), dtype)', *ones]
    return [
        "if keep:",
        f"    columns = np.empty((N, {sizes}), dtype)",
        "else:",
        f'    columns = _scratch("{name}", (1, {sizes}), dtype)',
        f"columns[:, {row}] = 1",
    ]


def _kernel(form: Windowed) -> list[str]:
    """The kernel as a matrix, the bias as its last column."""
    groups, channels, filters, taps, _ = form.counts
    matrix = form.kernel_as(*(("g", "f", "cu") if groups > 1 else ("f", "cu")))
    if not _ones(form):
        return [f"kernel = {matrix}"]
    return [
        f"kernel = np.empty(({filters}, {channels * taps + 1}), dtype)",
        f"kernel[:, :{channels * taps}] = {matrix}",
        f"kernel[:, {channels * taps}] = {form.bias}",
    ]


def _tile(form: Windowed, task: Task, tiles: Tiles, target: str) -> list[str]:
    """Copy the windows of a tile, multiply."""
    groups, channels, filters, taps, places = form.counts
    view = f"columns[:{channels * taps}]" if _ones(form) else "columns"
    if task.kept:  # the first dimension is the sample, if they are kept
        view = f"columns[n * keep, :{channels * taps}]"
    if tiles.count == 1:
        begin = f", {start}" if (start := start_of(form)) else ""
        into, opening, pad = f"{target}[n]", [], "    "
    else:
        begin, pad = f", {start_of(form, 'top')}", "        "
        opening = [f"    for top in {starts(form.windows[0].outputs, tiles.rows)}:"]
        row = places // form.windows[0].outputs
        skipped = ":, " * (1 + (groups > 1))
        into = f"{target}[n, {skipped}{row} * top : {row} * (top + {tiles.rows})]"
    fill = f"{pad}{view}.reshape(shape)[...] = _windows(padded, shape, steps{begin})"
    lines = [*opening, fill]
    m, n = sliced(task, filters, _depth(form), tiles.places, groups)
    whole = "columns[n * keep]" if task.kept else "columns"
    if (m, n) == (filters, tiles.places):
        return [*lines, f"{pad}np.matmul(kernel, {whole}, out={into})"]
    lines.append(f"{pad}# in slices small enough for BLAS to read them where they are")
    if m < filters:
        rows = f"{filters // m}, {m}"
        return [
            *lines,
            f"{pad}slices = kernel.reshape({rows}, {_depth(form)})",
            f"{pad}np.matmul(slices, {whole}, out={into}.reshape({rows}, {tiles.places}))",
        ]
    count = tiles.places // n
    return [
        *lines,
        f"{pad}slices = {whole}.reshape({_depth(form)}, {count}, {n}).transpose(1, 0, 2)",
        f"{pad}rows = {into}.reshape({filters}, {count}, {n})",
        f"{pad}np.matmul(kernel, slices, out=rows.transpose(1, 0, 2))",
    ]
