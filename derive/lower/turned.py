"""Arrays with their samples innermost in memory, inside networks: what strategies for them share.

An array keeps its shape (N, channels, rows, columns); only in memory its last axis is the
samples', so that every run is as long as there are samples. Nothing is turned between two layers
that both work this way; outside of networks a caller would have to turn everything. Buffers hold
:data:`MOST` samples and are used for as many as there are; all functions use the same in turn, so
that they stay near the core.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..programs import Function
from .snippets import indented, listed, snippet
from .tasks import Routine, Task
from .windowed import Window, Windowed

MOST = 32
"""Samples at a time: runs are long enough, and a block stays near the core."""

LARGEST = 1 << 19
"""Numbers of one buffer."""

Lines = tuple[list[str], list[str], str, list[str]]
"""Before the loop over blocks of samples, inside of it, what is returned, and parameters."""


def offered(task: Task, target: str, sides: Sequence[str]) -> Windowed | None:
    """The target as one of these sides of a convolution in two axes that takes no steps."""
    for side in sides if task.keep else ():
        form = task.form(target, side)
        if form is None or not form.plain or len(form.windows) != 2 or form.counts[0] > 1:
            continue
        if all(w.stride == 1 for w in form.windows):
            return form
    return None


def axes(form: Windowed) -> tuple[Window, Window]:
    """Rows and columns."""
    first, last = form.windows
    return first, last


def taken(form: Windowed, array: str) -> str:
    """Some samples of an array, as (samples, channels or filters, rows, columns)."""
    some = f"{array}[n : n + count]"
    labels = form.wide_labels if array == form.wide else form.narrow_labels
    if len(labels) == 4:
        return some
    first, last = axes(form)
    lead, sizes = form.counts[2], (first.outputs, last.outputs)
    if array == form.wide:
        lead, sizes = form.counts[1], (first.size, last.size)
    return f"{some}.reshape(count, {listed((lead, *sizes))})"


def given(task: Task, target: str) -> str:
    """An array (..., rows, columns, samples) as the (samples, ...) that it is called."""
    shape, turned = task.shape(target), f"{target}.transpose(3, 0, 1, 2)"
    return turned if len(shape) == 3 else f"{turned}.reshape(N, {listed(shape)})"


def slices(task: Task, rows: int, depth: int, long: int) -> int:
    """Into how many slices a row of positions is cut, so that BLAS packs nothing.

    The product is (rows, depth) · (depth, long · samples).
    """
    fits = (p for p in range(1, long + 1) if long % p == 0)
    return next((p for p in fits if rows * depth * MOST * long // p <= task.machine.sliced), 1)


def routine(task: Task, targets: tuple[str, ...], name: str, lines: Lines) -> Routine:
    """``_y_innermost(x, w, b)``: the lines for every block of samples."""
    before, inside, result, parameters = lines
    full = task.function("_".join(targets), name)
    body = [
        f"N, dtype = len({parameters[0]}), {parameters[0]}.dtype",
        *before,
        f"for n in range(0, N, {MOST}):",
        f"    count = min({MOST}, N - n)",
        *indented(inside),
        f"return {result}",
    ]
    doc = f"{', '.join(targets)}: all samples together, up to {MOST}, innermost in memory."
    known = ("len", "max", "min", "range", "_shared", "_windows")
    function = Function(full, tuple(parameters), snippet("\n".join(body)), (doc,), "", known)
    return Routine(targets, function)
