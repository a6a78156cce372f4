"""im2col, one sample and a few rows at a time: y[n] = kernel · columns(x[n]).

    columns[(c,u,v), (i,j)] = x[n, c, s·i + d·u − p, s·j + d·v − p]

The windows of some rows of one sample are copied side by side into a matrix that stays in the
cache, channels and taps down its rows, so that one matrix product makes these rows of the
output, already in the order of y. A last row of ones meets the bias. The same memory serves
every tile and every sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from ...machines import Cost
from ...programs import Function
from ..rooms import room, sample
from ..snippets import snippet
from ..tasks import Routine, Task
from ..tiles import FLOAT, Tiles, pace, sliced, start_of, starts, windows_of
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
    number, run = pace(form)
    several = len(form.windows) > 1  # else one line holds all places
    lines, laid = (tiles.rows, form.windows[0].size) if several else (1, 1)
    ahead = filters * depth * groups if _copied(form) else 0  # of the kernel
    turned = ahead if form.kernel_axes("gfcu")[0] != form.kernel else 0
    return Cost(
        ((outer * groups * (filters // m) * (width // n), m, n, depth),),
        moved=number * outer * groups * depth * width
        + 2 * batch * prod(w.size for w in form.windows)
        + 2 * ahead
        + 3 * turned,
        runs=run * outer * groups * depth * lines + batch * groups * channels * laid,
        calls=3 + 0.7 * batch + (1.5 if tiles.count == 1 else 2.5) * outer,
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
    groups, channels = form.counts[:2]
    tiles, name = Tiles.thick(form, task.machine), task.function(target, NAME)
    lead = [groups] if groups > 1 else []
    shape = [*lead, channels, *(w.size for w in form.windows)]
    body = [
        f"N, dtype = len({form.wide}), {form.wide}.dtype",
        f"{', '.join(_names(form, task, tiles))} = _room({name}_room, dtype)",
        *_kernel(form, task, tiles),
        *_kept(form, task),
        f"{target} = np.empty((N, {_listed(task.shape(target))}), dtype)",
        f"rows = {_rows(form, task, tiles, target)}",
        "for n in range(N):",
        f"    inner[...] = {sample(task, form.wide, shape)}",
        *_tile(form, task, tiles),
    ]
    if form.bias and not _ones(form):
        body.append(f"rows += {form.bias}.reshape({groups}, {form.counts[2]}, 1)")
    body.append(f"return {target}{', columns' if task.kept else ''}")
    doc: tuple[str, ...] = (
        f"{target}[n] = kernel · columns({form.wide}[n]): all windows of {tiles.told} as the "
        "columns of a matrix with a row for every channel and tap"
        + ("; a row of ones meets the bias." if _ones(form) else "."),
    )
    if task.kept:
        doc = (*doc, f"With keep, those of all samples are handed on, {_bytes(form)} bytes each.")
    parameters = tuple(n for n in (form.wide, form.kernel, form.bias) if n)
    parameters += ("keep",) if task.kept else ()
    given = ("len", "_room", "_windows", f"{name}_room")
    function = Function(name, parameters, snippet("\n".join(body)), doc, "", given)
    return Routine(targets, function, keeps=task.kept, room=_room(form, task, tiles, name))


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


def _sides(form: Windowed, task: Task, tiles: Tiles) -> tuple[int, int]:
    """Rows and columns of the slices of a tile's product."""
    return sliced(task, form.counts[2], _depth(form), tiles.places, form.counts[0])


def _matrix(form: Windowed, task: Task, tiles: Tiles) -> str:
    """The shape of the kernel as a matrix, or as slices of it."""
    (groups, _, filters, _, _), m = form.counts, _sides(form, task, tiles)[0]
    if groups > 1:
        return _listed([groups, filters, _depth(form)])
    return _listed([*([filters // m] if m < filters else []), m, _depth(form)])


def _copied(form: Windowed) -> bool:
    """Whether the kernel has to be copied: to turn it, or to put the bias beside it."""
    return _ones(form) or form.kernel_axes("gfcu")[0] != form.kernel


def _names(form: Windowed, task: Task, tiles: Tiles) -> list[str]:
    """What the function has in its room."""
    kernel = ["kernel", "taps"] if _copied(form) else []
    bias = ["bias"] if _ones(form) else []
    windows = ["copied"] if tiles.count == 1 else ["padded"]
    return [*kernel, *bias, "inner", *windows, *([] if task.kept else ["windows"]), "columns"]


def _kernel(form: Windowed, task: Task, tiles: Tiles) -> list[str]:
    """The kernel as a matrix, the bias as its last column."""
    if not _copied(form):
        return [f"kernel = {form.kernel}.reshape({_matrix(form, task, tiles)})"]
    bias = [f"bias[...] = {form.bias}"] if _ones(form) else []
    return [f"taps[...] = {form.kernel_axes('gfcu')[0]}", *bias]


def _kept(form: Windowed, task: Task) -> list[str]:
    """Columns of all samples if the backward pass will read them."""
    if not task.kept:
        return []
    row = form.counts[1] * form.counts[3]
    return [
        "if keep:",
        f"    columns = np.empty((N, {_depth(form)}, {form.counts[4]}), dtype)",
        f"    columns[:, {row}] = 1",
    ]


def _room(form: Windowed, task: Task, tiles: Tiles, name: str) -> Function:
    """The kernel as a matrix, a sample with zeros around it, and the columns of a tile."""
    groups, channels, filters, taps, _ = form.counts
    lead, row, depth = [groups] if groups > 1 else [], channels * taps, _depth(form)
    part = f"[{':, ' * len(lead)}:, :{row}]" if _ones(form) else ""
    names = _names(form, task, tiles)
    lines = []
    if _copied(form):
        sizes = _listed(form.kernel_axes("gfcu")[1])
        lines = [
            f"kernel = np.zeros(({_listed([*lead, filters, depth])}), dtype)",
            f"taps = kernel{part}.reshape({sizes})",
            *([f"bias = kernel[:, {row}]"] if _ones(form) else []),
        ]
        names[0] = f"kernel.reshape({_matrix(form, task, tiles)})"
    lines += windows_of(form, "", tiles.rows)
    if tiles.count == 1:
        begin = f", {start}" if (start := start_of(form)) else ""
        lines.append(f"copied = _windows(padded, shape, steps{begin})")
    else:
        names[names.index("padded")] = "(padded, shape, steps)"
    columns = _listed([*([1] if task.kept else lead), depth, tiles.places])
    lines.append(f"columns = np.{'ones' if _ones(form) else 'zeros'}(({columns}), dtype)")
    if not task.kept:
        own = f"columns[:{row}]" if _ones(form) else "columns"
        lines.append(f"windows = {own}.reshape(shape)")
    return room(name, [*lines, f"return {', '.join(names)}"], "_windows")


def _rows(form: Windowed, task: Task, tiles: Tiles, target: str) -> str:
    """The target as matrices, one for each product."""
    groups, _, filters, _, places = form.counts
    m, n = _sides(form, task, tiles)
    if m < filters:
        return f"{target}.reshape(N, {filters // m}, {m}, {places})"
    if n < tiles.places and tiles.count == 1:
        return f"{target}.reshape(N, {filters}, {places // n}, {n}).swapaxes(1, 2)"
    return f"{target}.reshape(N, {_listed([*([groups] if groups > 1 else []), filters, places])})"


def _tile(form: Windowed, task: Task, tiles: Tiles) -> list[str]:
    """Copy the windows of a tile, multiply."""
    (groups, channels, filters, taps, places), (m, n) = form.counts, _sides(form, task, tiles)
    if tiles.count == 1:
        copied, into, opening, pad = "copied", "rows[n]", [], "    "
    else:
        copied, pad = f"_windows(*padded, {start_of(form, 'top')})", "        "
        opening = [f"    for top in {starts(form.windows[0].outputs, tiles.rows)}:"]
        row, skipped = places // form.windows[0].outputs, ":, " * (1 + (groups > 1 or m < filters))
        into = f"rows[n, {skipped}{row} * top : {row} * (top + {tiles.rows})]"
    whole, windows = "columns", "windows[...]"
    if task.kept:  # the first dimension is the sample, if they are kept
        whole = "columns[n * keep]"
        windows = f"{whole}[:{channels * taps}].reshape(copied.shape)[...]"
    lines = [*opening, f"{pad}{windows} = {copied}"]
    if (m, n) != (filters, tiles.places):
        lines.append(f"{pad}# in slices small enough for BLAS to read them where they are")
    if n == tiles.places:
        return [*lines, f"{pad}np.matmul(kernel, {whole}, out={into})"]
    count = tiles.places // n
    if tiles.count > 1:
        into += f".reshape({filters}, {count}, {n}).swapaxes(0, 1)"
    slices = f"{whole}.reshape({_depth(form)}, {count}, {n}).swapaxes(0, 1)"
    return [*lines, f"{pad}np.matmul(kernel, {slices}, out={into})"]


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values)) or "()"
