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
from ..rooms import room, sample
from ..snippets import listed, snippet
from ..tasks import Routine, Task
from ..tiles import Tiles, pace, sliced_rows, start_of, windows_of
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
    form = task.found(targets[0], "kernel")
    groups, channels, filters, taps, _ = form.counts
    depth, tiles = channels * taps + len(targets) - 1, _tiles(form, task)
    outer = batch * tiles.count
    held, rows = _held(form, task, depth)
    number, run = pace(form)
    return Cost(
        ((outer * groups * held // rows, rows, filters, tiles.places),),
        moved=groups * depth * (outer * (number * tiles.places + 2 * filters) + filters),
        runs=run * outer * groups * depth * (tiles.rows if len(form.windows) > 1 else 1),
        calls=4 + 0.7 * batch + (2 if tiles.count == 1 else 3) * outer,
        scratch=groups * depth * tiles.places,
    )


def keeps(task: Task, targets: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of the forward pass, if it makes the same ones."""
    form = task.found(targets[0], "kernel")
    return ("columns",) if len(targets) == 2 and _tiles(form, task).count == 1 else ()


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_dw_db_correlate(dy, x)``, or of ``(dy, columns)`` where the forward pass kept them."""
    form = task.found(targets[0], "kernel")
    if task.kept:
        return _from_kept(task, targets, form)
    groups, channels, filters, taps, places = form.counts
    tiles, deep = _tiles(form, task), channels * taps + len(targets) - 1
    held, rows = _held(form, task, deep)
    name = task.function("_".join(targets), NAME)
    lead = [groups] if groups > 1 else []
    x, dy = form.wide, form.narrow
    narrow = f"{dy}.reshape(N, {listed([*lead, filters, places])})"
    body = [
        f"N, dtype = len({x}), {x}.dtype",
        f"{', '.join(_names(tiles, held, rows))} = _room({name}_room, dtype)",
        f"by_place = {narrow}.swapaxes(-1, -2)",
        f"total = np.zeros(({listed([*lead, held, filters])}), dtype)",
        "for n in range(N):",
        f"    inner[...] = {sample(task, x, [*lead, channels, *(w.size for w in form.windows)])}",
        *_tile(form, tiles, held, rows),
        *_results(task, targets, form, held),
    ]
    doc = (
        f"{targets[0]} = Σ columns({x}[n]) · {dy}[n]ᵀ, {tiles.told} at a time"
        + ("; a row of ones adds up the bias's." if len(targets) > 1 else "."),
    )
    given = ("len", "_room", "_windows", f"{name}_room")
    function = Function(name, (dy, x), snippet("\n".join(body)), doc, "", given)
    return Routine(targets, function, room=_room(form, tiles, name, deep, held, rows))


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


def _tiles(form: Windowed, task: Task) -> Tiles:
    """Tiles that divide the rows evenly: no row may count twice."""
    return Tiles.of(form, task.machine, even=True)


def _held(form: Windowed, task: Task, deep: int) -> tuple[int, int]:
    """Rows of the column matrix, and those of a slice of it; zeros fill the last slice."""
    rows = sliced_rows(task, _tiles(form, task).places, form.counts[2])
    if form.counts[0] > 1 or not 0 < rows < deep:
        return deep, deep
    return -(-deep // rows) * rows, rows


def _names(tiles: Tiles, held: int, rows: int) -> list[str]:
    """What the function has in its room."""
    windows = "copied" if tiles.count == 1 else "padded"
    return ["inner", windows, "windows", "columns", "part", *(["slices"] if rows < held else [])]


def _room(form: Windowed, tiles: Tiles, name: str, deep: int, held: int, rows: int) -> Function:
    """A sample with zeros around it, the columns of a tile, and the sums of a product."""
    groups, channels, filters, taps, _ = form.counts
    lead, depth, names = [groups] if groups > 1 else [], channels * taps, _names(tiles, held, rows)
    lines = windows_of(form, "", tiles.rows)
    if tiles.count == 1:
        begin = f", {start}" if (start := start_of(form)) else ""
        lines.append(f"copied = _windows(padded, shape, steps{begin})")
    else:
        names[1] = "(padded, shape, steps)"
    lines += [
        f"columns = np.zeros(({listed([*lead, held, tiles.places])}), dtype)",
        *([f"columns[{depth}] = 1"] if deep > depth else []),
        f"windows = {f'columns[:{depth}]' if held > depth else 'columns'}.reshape(shape)",
        f"part = np.zeros(({listed([*lead, held, filters])}), dtype)",
    ]
    if rows < held:
        count = held // rows
        lines.append("# slices small enough for BLAS to read them where they are")
        lines.append(f"slices = part.reshape({count}, {rows}, {filters})")
        names[3] = f"columns.reshape({count}, {rows}, {tiles.places})"
    return room(name, [*lines, f"return {', '.join(names)}"], "_windows")


def _tile(form: Windowed, tiles: Tiles, held: int, rows: int) -> list[str]:
    """Copy the windows of a tile, multiply, add up."""
    groups, places = form.counts[0], form.counts[4]
    if tiles.count == 1:
        copied, right, opening, pad = "copied", "by_place[n]", [], "    "
    else:
        copied, pad = f"_windows(*padded, {start_of(form, 'top')})", "        "
        opening = [f"    for top in range(0, {tiles.of_all}, {tiles.rows}):"]
        row, skipped = places // tiles.of_all, ":, " if groups > 1 else ""
        right = f"by_place[n, {skipped}{row} * top : {row} * (top + {tiles.rows})]"
    return [
        *opening,
        f"{pad}windows[...] = {copied}",
        f"{pad}np.matmul(columns, {right}, out={'slices' if rows < held else 'part'})",
        f"{pad}total += part",
    ]


def _results(task: Task, targets: tuple[str, ...], form: Windowed, held: int) -> list[str]:
    """The sums in the kernel's own order, and the bias's, from so many rows of sums."""
    groups, channels, _, taps, _ = form.counts
    depth = channels * taps
    total = f"total[:{depth}]" if held > depth else "total"
    made = form.kernel_from(total, "gcuf" if groups > 1 else "cuf")
    shape = listed(task.shape(targets[0]))
    lines = [f"{targets[0]} = {made}.reshape({shape})"]
    if len(targets) == 1:
        return [*lines, f"return {targets[0]}"]
    bias = listed(task.shape(targets[1]))
    return [*lines, f"return {targets[0]}, total[{depth}].reshape({bias})"]
