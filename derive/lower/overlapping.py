"""Windows along the first axis that overlap in memory, eight samples innermost.

    blocks[h, (c,v), (j,n)] = x[c, h − p, s·j + d·v − p, n]

Only the windows along the other axes are copied. Of the outputs, row i reads the blocks i, i+1,
..., i+K−1, which lie behind each other: one matrix without a copy. For the kernel's gradient
the same numbers lie as (c,v), h, (j,n): tap u reads all rows from u on, one matrix again.
"""

from __future__ import annotations

from dataclasses import replace

from ..machines import FLOAT, GAP, Cost
from .snippets import listed
from .tasks import Task
from .tiles import start_of, windows_of
from .windowed import Window, Windowed


def overlap(form: Windowed, samples: int, task: Task) -> bool:
    """Whether windows overlap along the first axis, and all rows fit into the cache."""
    first, *others = form.windows
    if not others or first.taps == 1 or first.stride > 1:
        return False
    behind = first.dilation == 1 or form.target == "kernel"
    return behind and FLOAT * _depth(form) * _height(form) * _width(form, samples) <= (
        task.machine.cache
    )


def cost(form: Windowed, samples: int) -> Cost:
    """A copy of the windows along all axes but the first, and a product for each row or tap."""
    _, _, filters, _, places = form.counts
    first, depth, width = form.windows[0], _depth(form), _width(form, samples)
    copied = depth * _height(form)
    if form.target == "kernel":
        sums = first.taps * depth * filters
        products = ((first.taps, depth, filters, samples * places),)
        return Cost(products, copied * width + 3 * sums, copied, 5, copied * width + 2 * sums)
    deep = first.taps * (depth + bool(form.bias))
    products = ((first.outputs, filters, width, deep),)
    return Cost(products, copied * width, copied, 3, copied * width)


def _height(form: Windowed) -> int:
    """Rows that are read."""
    first = form.windows[0]
    return first.outputs + first.dilation * (first.taps - 1)


def _depth(form: Windowed) -> int:
    """Channels, and taps of all axes but the first."""
    return form.counts[1] * form.counts[3] // form.windows[0].taps


def _width(form: Windowed, samples: int) -> int:
    """Outputs of one row, of all samples."""
    return samples * form.counts[4] // form.windows[0].outputs


def _copied(form: Windowed, samples: int, name: str) -> tuple[list[str], str, list[int]]:
    """Lines for the samples with zeros around; the windows to copy, with a shape like this."""
    first, *others = form.windows
    alone = replace(first, taps=1, outputs=_height(form))
    # the sample as one window more: one tap, as many positions as samples
    windows = (alone, *others, Window("", samples, samples))
    block = replace(form, windows=windows)
    start = f", {begin}" if (begin := start_of(block)) else ""
    lines = windows_of(block, f"{name}_padded", alone.outputs)
    shape = [form.counts[1], *(w.taps for w in windows), alone.outputs]
    shape += [w.outputs for w in windows[1:]]
    return lines, f"_windows(padded, shape, steps{start})", shape


def narrow(form: Windowed, samples: int, name: str, into: str) -> tuple[list[str], list[str]]:
    """Lines before the loop over samples, and in it: the kernel times the blocks of each row.

    ``inner`` is where the samples are put; the result is ``into``, (filters, positions · samples).
    """
    filters = form.counts[2]
    first, depth, width, ones = form.windows[0], _depth(form), _width(form, samples), form.bias
    deep, pitch = depth + bool(ones), width + GAP
    lines, copied, shape = _copied(form, samples, name)
    rows = 1 + len(form.windows) + 1  # the axis of rows comes first
    order = [rows, *range(rows), *range(rows + 1, len(shape))]
    before = [
        f"kernel = np.zeros(({listed((filters, first.taps, deep))}), dtype)",
        f"kernel[..., :{depth}] = {form.kernel_as('f', 't', 'cv')}",
        *([f"kernel[:, 0, {depth}] = {ones}  # meets the ones"] if ones else []),
        f"kernel = kernel.reshape({filters}, {first.taps * deep})",
        *lines,
        f"copied = {copied}.transpose({listed(order)})",
        f'blocks = _scratch("{name}_blocks", ({listed((_height(form), deep, pitch))}), dtype)',
        *([f"blocks[:, {depth}] = 1"] if ones else []),
        f"windows = blocks[:, :{depth}, :{width}].reshape(copied.shape)",
        "# the windows of every row of outputs, where they lie",
        f"matrices = _windows(blocks, ({listed((first.outputs, first.taps * deep, width))}), "
        f"({listed((deep * pitch, pitch, 1))}))",
        f"rows = {into}.reshape({listed((filters, first.outputs, width))}).swapaxes(0, 1)",
    ]
    return before, ["windows[...] = copied", "np.matmul(kernel, matrices, out=rows)"]


def kernel(form: Windowed, samples: int, name: str, upstream: str) -> tuple[list[str], list[str]]:
    """The same for the kernel's gradient: ``sums`` of (first taps, channels · other taps, filters).

    ``upstream`` is dy as (filters, positions · samples).
    """
    _, _, filters, _, places = form.counts
    first, depth, width = form.windows[0], _depth(form), _width(form, samples)
    length, sizes = _height(form) * width, listed((first.taps, depth, filters))
    steps = listed((first.dilation * width, length + GAP, 1))
    shape = listed((first.taps, depth, samples * places))
    lines, copied, _ = _copied(form, samples, name)
    before = [
        *lines,
        f"copied = {copied}",
        f'columns = _scratch("{name}_columns", ({depth}, {length + GAP}), dtype)',
        f"windows = columns[:, :{length}].reshape(shape)",
        "# what every tap of the first axis reads, where it lies",
        f"matrices = _windows(columns, ({shape}), ({steps}))",
        f'part = _scratch("{name}_part", ({sizes}), dtype)',
        f"sums = np.zeros(({sizes}), dtype)",
    ]
    inside = [
        "windows[...] = copied",
        f"np.matmul(matrices, {upstream}.T, out=part)",
        "sums += part",
    ]
    return before, inside
