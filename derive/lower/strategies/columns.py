"""im2col, one sample at a time: y[n] = kernel · columns(x[n]).

All windows of one sample are copied side by side into a matrix, channels and taps down its
rows, so that one matrix product makes all outputs, already in the order of y. The matrix is
never larger than one sample's, and the same memory serves every sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from ...machines import Cost
from ...programs import Function
from ..snippets import nested, snippet
from ..tasks import Routine, Task
from ..windowed import Window

NAME = "columns"
EXACT = True


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Targets that are the narrow side of Φ, with at least one window."""
    for target in task.forms:
        form = task.form(target, "narrow")
        if form is not None and form.plain and form.windows:
            yield (target,)


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """One product of (F, C·K) and (C·K, positions) a sample and group."""
    form = task.form(targets[0], "narrow")
    assert form is not None  # applies said so
    groups, channels, filters, taps, places = form.counts
    depth = channels * taps
    rows = groups * depth * prod(w.outputs for w in form.windows[:-1])
    return Cost(
        ((batch * groups, filters, depth, places),),
        moved=batch * groups * (2 * depth + filters) * places,
        runs=batch * rows,
        calls=batch * (taps + 3),
        scratch=groups * depth * places,
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_y_columns(x, w, b)``."""
    (target,) = targets
    form = task.form(target, "narrow")
    assert form is not None  # applies said so
    groups, channels, filters, taps, _ = form.counts
    rank, x = len(form.windows), form.wide
    outputs = ", ".join(str(w.outputs) for w in form.windows)
    padded = ", ".join(str(w.padded) for w in form.windows)
    inner = ", ".join(f"{w.low}:{w.low + w.size}" for w in form.windows)
    letters = "uvt"[:rank]
    spans = ", ".join(_span(w, u) for w, u in zip(form.windows, letters, strict=True))
    place = ", ".join(letters)
    taps_of = ", ".join(str(w.taps) for w in form.windows)
    own = ", ".join(str(w.size) for w in form.windows)
    fill = nested(
        [(u, f"range({w.taps})") for u, w in zip(letters, form.windows, strict=True)],
        f"columns[:, :, {place}] = padded[:, :, {spans}]",
        1,
    )
    body = f"""
N, dtype = len({x}), {x}.dtype
kernel = {form.kernel_as("g", "f", "cu")}
padded = np.zeros(({groups}, {channels}, {padded}), dtype)
columns = np.empty(({groups}, {channels}, {taps_of}, {outputs}), dtype)
{target} = np.empty((N, {groups}, {filters}, {outputs}), dtype)
for n in range(N):
    padded[:, :, {inner}] = {x}[n].reshape({groups}, {channels}, {own})
{fill}
    matrix = columns.reshape({groups}, {channels * taps}, -1)
    np.matmul(kernel, matrix, out={target}[n].reshape({groups}, {filters}, -1))
"""
    if form.bias:
        body += f"{target} += {form.bias}.reshape({groups}, {filters}{', 1' * rank})\n"
    shape = ", ".join(map(str, task.shape(target)))
    body += f"return {target}.reshape(N, {shape})\n"
    parameters = tuple(n for n in (x, form.kernel, form.bias) if n)
    doc = (f"{target} = kernel · columns({x}), one sample at a time.",)
    function = Function(task.function(target, NAME), parameters, snippet(body), doc, "", ("len",))
    return Routine(targets, function)


def _span(w: Window, tap: str) -> str:
    """Where the entries lie that one tap meets."""
    at = f"{w.dilation} * {tap}" if w.dilation > 1 else tap
    at = f"{w.start} + {at}" if w.start else at
    step = f" : {w.stride}" if w.stride > 1 else ""
    return f"{at} : {at} + {w.stride * (w.outputs - 1) + 1}{step}"
