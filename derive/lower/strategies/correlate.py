"""The kernel's gradient from columns: dw = Σ_n columns(x[n]) · dy[n]ᵀ, and db with it.

    columns[(c,u,v), (i,j)] = x[n, c, s·i + d·u − p, s·j + d·v − p]

The columns of a forward pass, tile by tile, times the upstream gradient of the same places.
The product is taken as (taps × filters), the order in which BLAS reads both operands along
their rows, a few rows of columns at a time: so small a product needs no packing. A last row of
ones adds up dy itself: the bias's gradient comes along.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...machines import Cost
from ...programs import Function
from ..snippets import snippet
from ..tasks import Routine, Task
from ..tiles import Tiles, sliced_rows, start_of, windows_of
from ..windowed import Windowed, totals

NAME = "correlate"
EXACT = True


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Targets that are the kernel of Φ, with or without the sum of the narrow side."""
    for target in task.forms:
        form = task.form(target, "kernel")
        if form is not None and form.plain and form.windows:
            yield (target,)
            if form.counts[0] == 1 and (bias := totals(task.statements, form)):
                yield target, bias


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """One product of (C·K, positions) and (positions, F) for every tile."""
    form = _form(task, targets)
    groups, channels, filters, taps, _ = form.counts
    depth, tiles = channels * taps + len(targets) - 1, _tiles(form, task)
    outer = batch * tiles.count
    held, rows = _held(form, task, depth)
    return Cost(
        ((outer * groups * held // rows, rows, filters, tiles.places),),
        moved=outer * groups * depth * (tiles.places + 2 * filters),
        runs=outer * groups * depth * tiles.rows,
        calls=outer * 4 + batch + 4,
        scratch=groups * depth * tiles.places,
    )


def keeps(task: Task, targets: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of the forward pass, if it makes the same ones."""
    form = _form(task, targets)
    return ("columns",) if len(targets) == 2 and _tiles(form, task).count == 1 else ()


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_dw_db_correlate(dy, x)``, or of ``(dy, columns)`` where the forward pass kept them."""
    form = _form(task, targets)
    if task.kept:
        return _from_kept(task, targets, form)
    groups, channels, filters, taps, places = form.counts
    depth, tiles = channels * taps, _tiles(form, task)
    deep = depth + len(targets) - 1
    held, rows = _held(form, task, deep)
    name = task.function("_".join(targets), NAME)
    lead = f"{groups}, " if groups > 1 else ""
    x, dy = form.wide, form.narrow
    narrow = f"{dy}.reshape(N, {lead}{filters}, {places})"
    body = [
        f"N, dtype = len({x}), {x}.dtype",
        f"by_place = {narrow}.swapaxes(-1, -2)",
        *windows_of(form, f"{name[1:]}_padded", tiles.rows),
        f'columns = _scratch("{name[1:]}", ({lead}{held}, {tiles.places}), dtype)',
        *([f"columns[{depth}] = 1"] if deep > depth else []),
        f'part = _scratch("{name[1:]}_part", ({lead}{held}, {filters}), dtype)',
        f"total = np.zeros(({lead}{held}, {filters}), dtype)",
        "for n in range(N):",
        f"    inner[...] = {x}[n].reshape(inner.shape)",
        *_tile(form, tiles, held, rows),
        *_results(task, targets, form, held),
    ]
    doc = (
        f"{targets[0]} = Σ columns({x}[n]) · {dy}[n]ᵀ, {tiles.told} at a time"
        + ("; a row of ones adds up the bias's." if deep > depth else "."),
    )
    given = ("len", "_scratch", "_windows")
    function = Function(name, (dy, x), snippet("\n".join(body)), doc, "", given)
    return Routine(targets, function)


def _from_kept(task: Task, targets: tuple[str, ...], form: Windowed) -> Routine:
    """All but the columns, which are there."""
    _, channels, filters, taps, places = form.counts
    name, dy, deep = task.function("_".join(targets), NAME), form.narrow, channels * taps + 1
    body = [
        f"N, dtype = len({dy}), {dy}.dtype",
        f"by_place = {dy}.reshape(N, {filters}, {places}).swapaxes(-1, -2)",
        f'part = _scratch("{name[1:]}_part", ({deep}, {filters}), dtype)',
        f"total = np.zeros(({deep}, {filters}), dtype)",
        "for n in range(N):",
        "    np.matmul(columns[n], by_place[n], out=part)",
        "    total += part",
        *_results(task, targets, form, deep),
    ]
    doc = (
        f"{targets[0]} = Σ columns({form.wide}[n]) · {dy}[n]ᵀ of the columns that the forward pass "
        "kept; a row of ones adds up the bias's.",
    )
    function = Function(
        name, (dy, "columns"), snippet("\n".join(body)), doc, "", ("len", "_scratch")
    )
    return Routine(targets, function)


def _form(task: Task, targets: tuple[str, ...]) -> Windowed:
    form = task.form(targets[0], "kernel")
    assert form is not None  # applies said so
    return form


def _tiles(form: Windowed, task: Task) -> Tiles:
    """Tiles that divide the rows evenly: no row may count twice."""
    return Tiles.of(form, task.machine, even=True)


def _held(form: Windowed, task: Task, deep: int) -> tuple[int, int]:
    """Rows of the column matrix, and those of a slice of it; zeros fill the last slice."""
    rows = sliced_rows(task, _tiles(form, task).places, form.counts[2])
    if form.counts[0] > 1 or not 0 < rows < deep:
        return deep, deep
    return -(-deep // rows) * rows, rows


def _tile(form: Windowed, tiles: Tiles, held: int, rows: int) -> list[str]:
    groups, channels, filters, taps, places = form.counts
    view = f"columns[:{channels * taps}]" if held > channels * taps else "columns"
    skipped = ":, " if groups > 1 else ""
    if tiles.count == 1:
        begin = f", {start}" if (start := start_of(form)) else ""
        right, opening, pad = "by_place[n]", [], "    "
    else:
        begin, pad = f", {start_of(form, 'top')}", "        "
        opening = [f"    for top in range(0, {tiles.of_all}, {tiles.rows}):"]
        row = places // tiles.of_all
        right = f"by_place[n, {skipped}{row} * top : {row} * (top + {tiles.rows})]"
    lines = [
        *opening,
        f"{pad}{view}.reshape(shape)[...] = _windows(padded, shape, steps{begin})",
        f"{pad}np.matmul(columns, {right}, out=part)",
        f"{pad}total += part",
    ]
    if rows < held:
        count = held // rows
        lines[-2:-1] = [
            f"{pad}# in slices small enough for BLAS to read them where they are",
            f"{pad}slices = columns.reshape({count}, {rows}, {tiles.places})",
            f"{pad}np.matmul(slices, {right}, out=part.reshape({count}, {rows}, {filters}))",
        ]
    return lines


def _results(task: Task, targets: tuple[str, ...], form: Windowed, held: int) -> list[str]:
    """The sums in the kernel's own order, and the bias's, from so many rows of sums."""
    groups, channels, _, taps, _ = form.counts
    depth = channels * taps
    total = f"total[:{depth}]" if held > depth else "total"
    made = form.kernel_from(total, "gcuf" if groups > 1 else "cuf")
    shape = ", ".join(map(str, task.shape(targets[0])))
    lines = [f"{targets[0]} = {made}.reshape({shape})"]
    if len(targets) == 1:
        return [*lines, f"return {targets[0]}"]
    bias = ", ".join(map(str, task.shape(targets[1])))
    return [*lines, f"return {targets[0]}, total[{depth}].reshape({bias})"]
