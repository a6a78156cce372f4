"""Samples innermost: im2col whose every run is eight samples long, for small maps.

    columns[(c,u,v), (i,j,n)] = x[c, s·i + d·u − p, s·j + d·v − p, n]

Where maps are small, copying windows row by row is mostly overhead. So eight samples at a time are
turned to (channels, positions, samples): every run becomes eight times as long, and one matrix
product serves all eight. In this order the sample is one window axis more, with one tap.

Where windows overlap along the first axis, they are not copied along it (:mod:`..overlapping`).
dw and db come from the columns of x. dx is added up tap by tap (:mod:`..batch_last_back`), and
shares the turned dy with them if they are made together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

from ...machines import FLOAT, GAP, Cost
from ...programs import Function
from .. import batch_last_back, overlapping
from ..overlapping import overlap
from ..snippets import listed, nested, snippet
from ..tasks import Routine, Task
from ..tiles import start_of, windows_of
from ..windowed import Window, Windowed, totals

NAME = "batch_last"
EXACT = True

BLOCK = 8
"""Samples at a time: a vector of float32, and few enough for the columns to stay in the cache."""

LARGEST = 1 << 20
"""Numbers of one buffer."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """One target by itself, dw with db, or all gradients together."""
    sides: dict[str, tuple[str, ...]] = {}
    for target in task.forms:
        form = _form(task, target)
        if form is None:
            continue
        yield (target,)
        sides.setdefault(form.target, (target,))
        if form.target == "kernel" and (bias := totals(task.statements, form)):
            yield target, bias
            sides["kernel"] = target, bias
    if {"wide", "kernel"} <= sides.keys():
        yield (*sides["wide"], *sides["kernel"])


def _form(task: Task, target: str) -> Windowed | None:
    """The form that is lowered; dx is scattered."""
    for side in ("wide", "kernel", "narrow"):
        form = task.form(target, side)
        if form is None or not form.plain or not form.windows or form.counts[0] > 1:
            continue
        if side == "wide":
            flat = len(form.windows) <= 2 and form.windows[-1].stride == 1
            if flat and not form.bias and batch_last_back.held(form, BLOCK) <= LARGEST:
                return form
        elif BLOCK * prod(form.counts[1:4:2]) * _row(form) <= LARGEST:
            return form
    return None


def _row(form: Windowed) -> int:
    """Positions of one step of the first window."""
    return form.counts[4] // form.windows[0].outputs


def _rows(form: Windowed, task: Task) -> int:
    """Steps of the first window at a time: columns in the cache, a product that need not pack."""
    _, channels, filters, taps, _ = form.counts
    row, depth, steps = BLOCK * _row(form), channels * taps, form.windows[0].outputs
    most = task.machine.cache // (FLOAT * depth * row)
    if form.target == "narrow":
        most = min(most, task.machine.sliced // (filters * depth * row))
    return max(r for r in range(1, steps + 1) if steps % r == 0 and (r <= most or r == 1))


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """Turning costs several times what copying does; the rest is long runs."""
    forms = [form for target in targets if (form := _form(task, target)) is not None]
    total = Cost(calls=6)
    for form in forms:
        _, channels, filters, _, places = form.counts
        wide = channels * prod(w.size for w in form.windows)
        # dy is turned once
        turned = 4 * wide + 4 * filters * places * (form is forms[0])
        own = (
            batch_last_back.cost(form, BLOCK)
            if form.target == "wide"
            else _columns_cost(form, task)
        )
        blocks = -(-batch // BLOCK)
        ((often, *sides),) = own.products
        total += Cost(
            ((blocks * often, sides[0], sides[1], sides[2]),),
            moved=batch * turned + blocks * own.moved,
            runs=blocks * own.runs,
            calls=blocks * own.calls,
            scratch=own.scratch,
        )
    return total


def _columns_cost(form: Windowed, task: Task) -> Cost:
    """Eight samples: copies of all windows, and a product for every tile."""
    if overlap(form, BLOCK, task):
        return overlapping.cost(form, BLOCK)
    _, channels, filters, taps, places = form.counts
    count, last = form.windows[0].outputs // _rows(form, task), form.windows[-1]
    depth, width = channels * taps, BLOCK * places
    sides, added = (filters, width // count, depth), 0
    if form.target == "kernel":  # every tile's product is added to the total
        sides, added = (depth, filters, width // count), 3 * count * depth * filters
    return Cost(
        ((count, *sides),),
        moved=depth * width + added,
        runs=depth * form.windows[0].outputs * (last.outputs if last.stride > 1 else 1),
        calls=3 * count + 3,
        scratch=depth * width // count + (2 * depth * filters if added else 0),
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_y_batch_last(x, w, b)``, ``_dx_dw_db_batch_last(dy, w, x)`` and parts of the latter."""
    forms = {t: form for t in targets if (form := _form(task, t)) is not None}
    name = task.function("_".join(targets), NAME)
    before, inside, results, parameters = _opening(next(iter(forms.values())), name)
    for target, form in forms.items():
        make = {"narrow": _narrow, "wide": _wide, "kernel": _kernel}[form.target]
        own = make(task, form, (target, targets[-1]), name)
        before, inside, results = before + own[0], inside + own[1], results + own[2]
        parameters += own[3]
    body = [
        f"N, dtype = len({parameters[0]}), {parameters[0]}.dtype",
        *before,
        f"for n in range(0, N, {BLOCK}):",
        f"    count = min({BLOCK}, N - n)",
        *(f"    {line}" for line in inside),
        f"return {', '.join(results)}",
    ]
    doc = f"{', '.join(targets)}: {BLOCK} samples at a time, samples innermost: runs are long."
    given = ("len", "min", "_scratch", "_windows")
    function = Function(name, tuple(parameters), snippet("\n".join(body)), (doc,), "", given)
    return Routine(targets, function)


Lines = tuple[list[str], list[str], list[str], list[str]]
"""Before the loop over blocks of samples, inside of it, what is returned, and parameters."""


def _opening(form: Windowed, name: str) -> Lines:
    """For gradients: eight samples of dy as (filters, positions · samples)."""
    if form.target == "narrow":
        return [], [], [], []
    _, _, filters, _, places = form.counts
    width = BLOCK * places
    before = [
        f'upstream = _scratch("{name[1:]}_upstream", ({filters}, {width + GAP}), dtype)',
        f"upstream = upstream[:, :{width}]",
        f"turned = upstream.reshape({filters}, {places}, {BLOCK})",
    ]
    block = f"{form.narrow}[n : n + {BLOCK}].reshape(count, {filters}, {places})"
    inside = [f"turned[..., :count] = {block}.transpose(1, 2, 0)", "turned[..., count:] = 0"]
    return before, inside, [], [form.narrow]


def _columns(form: Windowed, task: Task, name: str, ones: bool) -> tuple[list[str], str]:
    """The columns' buffers, and the line that fills a tile's columns."""
    _, channels, _, taps, _ = form.counts
    rows = _rows(form, task)
    width, deep = BLOCK * rows * _row(form), channels * taps + ones
    # the sample as one window more: one tap, as many positions as samples
    block = replace(form, windows=(*form.windows, Window("", BLOCK, BLOCK)))
    before = [
        *windows_of(block, f"{name[1:]}_padded", rows),
        f'columns = _scratch("{name[1:]}_columns", ({deep}, {width + GAP}), dtype)[:, :{width}]',
        *([f"columns[{channels * taps}] = 1"] if ones else []),
    ]
    begin = start_of(block, "top" if rows < form.windows[0].outputs else "")
    start = f", {begin}" if begin else ""
    view = f"columns[:{channels * taps}]" if ones else "columns"
    return before, f"{view}.reshape(shape)[...] = _windows(padded, shape, steps{start})"


def _turn(form: Windowed) -> list[str]:
    """Lines that turn eight samples."""
    sizes = listed([form.counts[1], *(w.size for w in form.windows)])
    order = listed([*range(1, len(form.windows) + 2), 0])
    samples = f"{form.wide}[n : n + {BLOCK}].reshape(count, {sizes})"
    return [f"inner[..., :count] = {samples}.transpose({order})", "inner[..., count:] = 0"]


def _tiled(form: Windowed, task: Task, array: str, lines: list[str]) -> list[str]:
    """Lines for every tile; ``SHARE`` in them is the tile's part of the array's columns."""
    outputs, rows, row = form.windows[0].outputs, _rows(form, task), BLOCK * _row(form)
    if rows == outputs:
        return [line.replace("SHARE", array) for line in lines]
    share = f"{array}[:, {row} * top : {row} * (top + {rows})]"
    text = "\n".join(line.replace("SHARE", share) for line in lines)
    return nested([("top", f"range(0, {outputs}, {rows})")], text).split("\n")


def _narrow(task: Task, form: Windowed, targets: tuple[str, ...], name: str) -> Lines:
    """One product of the kernel with the columns of each tile, turned back."""
    target = targets[0]
    _, _, filters, _, places = form.counts
    width = BLOCK * places
    if overlap(form, BLOCK, task):
        before, inside = overlapping.narrow(form, BLOCK, name[1:], "made")
    else:
        before, inside = _narrow_tiled(task, form, name)
    before = [
        f'made = _scratch("{name[1:]}_made", ({filters}, {width + GAP}), dtype)[:, :{width}]',
        *before,
        f"{target} = np.empty((N, {filters}, {places}), dtype)",
    ]
    back = f"made.reshape({filters}, {places}, {BLOCK})[..., :count].transpose(2, 0, 1)"
    inside = [*_turn(form), *inside, f"{target}[n : n + {BLOCK}] = {back}"]
    given = [name for name in (form.wide, form.kernel, form.bias) if name]
    return before, inside, [f"{target}.reshape(N, {listed(task.shape(target))})"], given


def _narrow_tiled(task: Task, form: Windowed, name: str) -> tuple[list[str], list[str]]:
    """The kernel, and its products with all windows of a tile."""
    _, channels, filters, taps, _ = form.counts
    ones, depth = bool(form.bias), channels * taps
    before, fill = _columns(form, task, name, ones)
    kernel = [f"kernel = {form.kernel_as('f', 'cu')}"]
    if ones:  # the bias stands in front of the ones
        kernel = [
            f"kernel = np.empty(({filters}, {depth + 1}), dtype)",
            f"kernel[:, :{depth}] = {form.kernel_as('f', 'cu')}",
            f"kernel[:, {depth}] = {form.bias}",
        ]
    inside = _tiled(form, task, "made", [fill, "np.matmul(kernel, columns, out=SHARE)"])
    return [*kernel, *before], inside


def _kernel(task: Task, form: Windowed, targets: tuple[str, ...], name: str) -> Lines:
    """The columns of each tile times dy of the same places."""
    ones = targets[1] == totals(task.statements, form)
    shape = [listed(task.shape(t)) for t in targets]
    if overlap(form, BLOCK, task):
        before, inside = overlapping.kernel(form, BLOCK, name[1:], "upstream")
        results = [form.kernel_from("sums", "tcvf", task.shape(targets[0]))]
        if ones:
            before.append(f"total = np.zeros({form.counts[2]}, dtype)")
            inside.append("total += upstream.sum(axis=1, dtype=dtype)")
            results.append(f"total.reshape({shape[1]})")
        return before, [*_turn(form), *inside], results, [form.wide]
    _, channels, filters, taps, _ = form.counts
    depth = channels * taps
    before, fill = _columns(form, task, name, ones)
    sizes = f"({depth + ones}, {filters})"
    before += [
        f'part = _scratch("{name[1:]}_part", {sizes}, dtype)',
        f"sums = np.zeros({sizes}, dtype)",
    ]
    lines = [fill, "np.matmul(columns, SHARE.T, out=part)", "sums += part"]
    inside = [*_turn(form), *_tiled(form, task, "upstream", lines)]
    made = form.kernel_from(f"sums[:{depth}]" if ones else "sums", "cuf")
    results = [f"{made}.reshape({shape[0]})"]
    if ones:
        results.append(f"sums[{depth}].reshape({shape[1]})")
    return before, inside, results, [form.wide]


def _wide(task: Task, form: Windowed, targets: tuple[str, ...], name: str) -> Lines:
    """What the taps add up to in planes, without the zeros around, turned back."""
    target, windows, channels = targets[0], form.windows, form.counts[1]
    before, inside = batch_last_back.lines(form, BLOCK, name[1:])
    before.append(
        f"{target} = np.empty((N, {listed([channels, *(w.size for w in windows)])}), dtype)"
    )
    own = "".join(f"{w.low} : {w.low + w.size}, " for w in windows)
    planes = f"planes.reshape({listed([channels, *(w.padded for w in windows), BLOCK])})"
    order = listed([len(windows) + 1, *range(len(windows) + 1)])
    inside.append(f"{target}[n : n + {BLOCK}] = {planes}[:, {own}:count].transpose({order})")
    result = f"{target}.reshape(N, {listed(task.shape(target))})"
    return before, inside, [result], [form.kernel]
