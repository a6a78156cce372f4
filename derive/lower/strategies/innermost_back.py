"""Small maps: dx of samples that lie innermost, and stay so inside a network.

    shares[(u,c), i, (r,n)] = Σ_{f,v} w[f, c, u, v] · dy[n, f, i, r − d·v]
    dx[n, c, i + d·u − p, r − p] += shares[(u,c), i, (r,n)]

Windows of dy along its rows are copied, some rows at a time, and summed by a product. What each
tap of the first axis adds to dx is then one run through whole rows.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...machines import GAP, Cost
from ..snippets import indented, listed, plus, times
from ..tasks import Routine, Task
from ..turned import LARGEST, MOST, Lines, axes, given, offered, routine, slices, taken
from ..windowed import Windowed

NAME = "innermost_back"
EXACT = True
INNERMOST = True

TILE = 1 << 17
"""Numbers of the windows that are laid out at a time."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Gradients that are scattered over x."""
    for target in task.forms:
        if _form(task, target) is not None:
            yield (target,)


def _form(task: Task, target: str) -> Windowed | None:
    form = offered(task, target, ("wide",))
    if form is None or form.bias or MOST * _shares(form) > LARGEST:
        return None
    return form


def _shares(form: Windowed) -> int:
    """Numbers of what every first tap adds to dx, a sample."""
    first, last = axes(form)
    return form.counts[1] * first.taps * first.outputs * last.padded


def _deep(form: Windowed) -> int:
    """Filters, and taps along a row."""
    return form.counts[2] * form.windows[1].taps


def _tile(form: Windowed) -> int:
    """Rows of dy whose windows are laid out at a time."""
    first, last = axes(form)
    most = max(1, TILE // (_deep(form) * last.padded * MOST))
    return max(r for r in range(1, first.outputs + 1) if first.outputs % r == 0 and r <= most)


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """Copies of whole rows of all samples; turning what does not lie so yet."""
    form = _form(task, targets[0])
    assert form is not None  # applies said so
    _, channels, filters, _, places = form.counts
    first, last = axes(form)
    wide, narrow, deep = channels * first.size * last.size, filters * places, _deep(form)
    often, count = -(-batch // MOST), min(batch, MOST)
    turned = 3 * narrow * task.turns(form.narrow, batch)
    pieces, laid = slices(task, first.taps * channels, deep, last.padded), first.outputs * deep
    width = last.padded * count // pieces
    copied = narrow + laid * last.padded / 2 + 1.5 * _shares(form) + 2 * wide
    return Cost(
        ((often * first.outputs * pieces, first.taps * channels, width, deep),),
        moved=batch * (turned + copied),
        runs=often * (laid + first.taps * channels * first.outputs),
        calls=often * (3 * first.outputs / _tile(form) + first.taps + 14),
        scratch=MOST * (_shares(form) + deep * _tile(form) * last.padded),
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_dx_innermost_back(dy, w)``."""
    form = _form(task, targets[0])
    assert form is not None  # applies said so
    return routine(task, targets, NAME, _lines(task, form, targets[0]))


def _cut(pieces: int) -> str:
    """A row of positions, in slices that BLAS need not pack; rows come first."""
    if pieces == 1:
        return "width).swapaxes(0, 1)"
    return f"{pieces}, width // {pieces}).transpose(1, 2, 0, 3)"


def _lines(task: Task, form: Windowed, target: str) -> Lines:
    """Windows of dy along its rows, a product for each row; those of the first taps added up."""
    _, channels, filters, _, _ = form.counts
    first, last = axes(form)
    tile, line, deep = _tile(form), last.padded, _deep(form)
    pieces = slices(task, first.taps * channels, deep, line)
    shares = first.taps * channels * first.outputs * line
    before = [
        f"kernel = {form.kernel_as('tc', 'fv')}",
        f'edged = _shared("edged", {filters * tile * _long(form) * MOST}, dtype)',
        f'held = _shared("windows", {deep * (tile * line * MOST + GAP)}, dtype)',
        f'added = _shared("parts", {shares * MOST}, dtype)',
        f"{target} = np.zeros(({listed((channels, first.size, last.size))}, N), dtype)",
    ]
    inside = [
        *_windows_of_dy(form),
        f"columns = windows.reshape({deep}, {tile}, {_cut(pieces)}",
        f"rows = added[: {shares} * count]",
        f"rows = rows.reshape({first.taps * channels}, {first.outputs}, {_cut(pieces)}",
        *_products(form),
        f"shares = added[: {shares} * count]",
        f"shares = shares.reshape({first.taps}, {channels}, {first.outputs}, {line}, count)",
        f"made = {target}[..., n : n + count]",
        f"for u in range({first.taps}):",
        *indented(_added(form)),
    ]
    return before, inside, given(task, target), [form.narrow, form.kernel]


def _added(form: Windowed) -> list[str]:
    """What a tap of the first axis adds, where that is not outside of x."""
    first, last = axes(form)
    at = plus(times(first.dilation, "u"), first.offset)
    ends = f", {last.low} : {last.low + last.size}" if last.low or last.high else ""
    if not (first.low or first.high):
        return [
            f"at = {at}",
            f"made[:, at : at + {first.outputs}] += shares[u{', :, :' * bool(ends)}{ends}]",
        ]
    return [
        f"at = {at}",
        f"low, high = max(0, at), min({first.size}, at + {first.outputs})",
        f"made[:, low:high] += shares[u, :, low - at : high - at{ends}]",
    ]


def _low(form: Windowed) -> int:
    """Zeros in front of a row of dy, so that every tap finds what it multiplies."""
    _, last = axes(form)
    return last.start + last.dilation * (last.taps - 1)


def _long(form: Windowed) -> int:
    """A row of dy with zeros around it."""
    _, last = axes(form)
    return _low(form) + last.padded - last.start


def _windows_of_dy(form: Windowed) -> list[str]:
    """Lines for some rows of dy with zeros around, and for the windows along them."""
    filters, last = form.counts[2], form.windows[1]
    tile, long, line, deep = _tile(form), _long(form), last.padded, _deep(form)
    samples = f"{taken(form, form.narrow)}.transpose(1, 2, 3, 0)"
    start = _low(form) - last.start
    return [
        f"width, pitch = {line} * count, {tile * line} * count + {GAP}",
        f"upstream = {samples}",
        f"edged_rows = edged[: {filters * tile * long} * count]",
        f"edged_rows = edged_rows.reshape({filters}, {tile}, {long}, count)",
        "edged_rows[...] = 0",
        f"inner = edged_rows[:, :, {_low(form)} : {_low(form) + last.outputs}]",
        f"shape = {filters}, {last.taps}, {tile}, width",
        f"steps = {tile * long} * count, -{times(last.dilation, 'count')}, {long} * count, 1",
        f"shifted = _windows(edged_rows, shape, steps, {start} * count)",
        f"windows = held[: {deep} * pitch].reshape({deep}, pitch)[:, : {times(tile, 'width')}]",
        "laid = windows.reshape(shape)",
    ]


def _products(form: Windowed) -> list[str]:
    """Some rows at a time, straight into what every first tap adds."""
    first, _ = axes(form)
    tile = _tile(form)
    lines = [
        "inner[...] = upstream[:, top : top + TILE]",
        "laid[...] = shifted",
        "np.matmul(kernel, columns, out=rows[top : top + TILE])",
    ]
    if tile == first.outputs:
        places = ("[:, top : top + TILE]", "[top : top + TILE]")
        return [line.replace(places[0], "").replace(places[1], "") for line in lines]
    body = [line.replace("TILE", str(tile)) for line in lines]
    return [f"for top in range(0, {first.outputs}, {tile}):", *indented(body)]
