"""What a bilinear program over tiles costs: its products, and what is moved between them."""

from __future__ import annotations

from collections.abc import Collection
from math import prod

from ..machines import FLOAT, Cost, Machine
from .nested import Nested
from .patches import Blocks

IN, OUT = 3.5, 5.0
"""Numbers moved for each that is turned: until channels are last, and until they are first."""
SLICE = 2048
"""Columns of a slice of the kernel's transform."""


def priced(blocks: Blocks, sides: Collection[str], batch: int, machine: Machine) -> Cost:
    """The transforms, the products at the points, and the samples laid out before and after."""
    often = -(-batch // blocks.samples) * blocks.count  # blocks
    share = batch * blocks.count / often  # samples of one
    total = _kernels(blocks, sides, often, machine)
    for side in ("wide", "narrow") if "kernel" in sides else ("wide",):
        total += _loaded(blocks, side, batch) + _ahead(blocks, side, often, share)
    for side in sides:
        total += _points(blocks, side, often, share)
    if "narrow" in sides:
        total += _outputs(blocks, often, share, batch)
    if "wide" in sides:
        total += _back(blocks, often, share, batch)
    rooms = 3 if "kernel" in sides else 2
    deep = blocks.points * blocks.tiles * blocks.samples * max(blocks.channels, blocks.filters)
    groups, channels, filters, *_ = blocks.form.counts
    kernel = blocks.points * groups * channels * filters
    kept = sum(
        (2 if side == "kernel" else 1) * kernel
        for side in sides
        if side != "total" and not (blocks.returned if side == "kernel" else blocks.repeated(side))
    )
    return total + Cost(scratch=rooms * deep + kept)


def _kernels(blocks: Blocks, sides: Collection[str], often: float, machine: Machine) -> Cost:
    """The kernel to its points, or its gradient back; and how often each is read."""
    groups, channels, filters, taps, _ = blocks.form.counts
    kernel, points = groups * channels * filters, blocks.points
    slices, held = max(1.0, kernel / SLICE), FLOAT * points * kernel
    width, total = round(kernel / slices), Cost(calls=15)
    for side in set(sides) & {"narrow", "wide"}:
        often_made = often if blocks.repeated(side) else 1
        again = 0 if blocks.repeated(side) else 1.5 * often * held / (held + machine.far)
        if part := blocks.part(side):
            total += _in_parts(blocks, part, side, often_made)
        else:
            total += Cost(((slices, points, width, taps),), (points + taps) * kernel)
        total += Cost(moved=again * points * kernel, runs=often_made * taps * kernel / 8)
        if blocks.form.kernel_axes("gfcu")[0] != blocks.form.kernel:  # it is turned
            total += Cost(moved=2.5 * often_made * taps * kernel)
    if "kernel" in sides and blocks.returned:
        total += _in_parts(blocks, blocks.returned, "narrow", often)
        total += Cost(moved=often * taps * kernel)
    elif "kernel" in sides:
        back = Cost(((slices, taps, width, points),), (points + taps) * kernel)
        total += back + Cost(moved=0.7 * often * points * kernel)
    return total


def _in_parts(blocks: Blocks, part: int, side: str, often: float) -> Cost:
    """Some filters at a time along one axis and then the other, close to the cache."""
    _, channels, filters, taps, _ = blocks.form.counts
    kernel, points = channels * filters, blocks.points
    summed, made = (channels, filters) if side == "narrow" else (filters, channels)
    axis = blocks.axes[blocks.inner]
    along = points // axis.size, taps // axis.window.taps
    wide, stack = summed * part, often * made / part
    first = (stack, along[0], wide * axis.window.taps, along[1])
    second = (stack * along[0], axis.size, wide, axis.window.taps)
    return Cost((first, second), 0.5 * often * points * kernel, calls=6 * stack)


def _loaded(blocks: Blocks, side: str, batch: int) -> Cost:
    """Samples with their channels last."""
    form = blocks.form
    if side == "wide":
        return Cost(moved=IN * batch * blocks.channels * prod(w.size for w in form.windows))
    return Cost(moved=IN * batch * blocks.filters * prod(w.outputs for w in form.windows))


def _along(blocks: Blocks, side: str) -> tuple[int, int, int]:
    """Channels, lines of a sample in a block, and tiles in a line."""
    channels = blocks.channels if side == "wide" else blocks.filters
    return channels, blocks.phases * blocks.lines(side), blocks.across


def _outer(blocks: Blocks, often: float, share: float, channels: int, rows: int, deep: int) -> Cost:
    """A product along the outer axis: so many rows are made of so many for every tile."""
    if blocks.outer is None:
        return Cost()
    stack = blocks.phases * blocks.along(blocks.outer) * blocks.axes[blocks.inner].size
    wide = max(1, round(share * blocks.across * channels))
    return Cost(((often * stack, rows, wide, deep),), calls=2 * often)


def _ahead(blocks: Blocks, side: str, often: float, share: float) -> Cost:
    """Entries to points."""
    channels, lines, across = _along(blocks, side)
    inner, wide = blocks.axes[blocks.inner], side == "wide"
    entries = inner.size if wide else inner.outputs
    total = Cost(((often * share * lines * across, inner.size, channels, entries),), calls=often)
    if blocks.outer is not None:
        axis = blocks.axes[blocks.outer]
        total += _outer(
            blocks, often, share, channels, axis.size, axis.size if wide else axis.outputs
        )
    return total


def _points(blocks: Blocks, side: str, often: float, share: float) -> Cost:
    """The products at the points."""
    groups, channels, filters, *_ = blocks.form.counts
    stack, tiles = often * blocks.points * groups, max(1, round(share * blocks.tiles))
    if side == "kernel":
        part = blocks.returned or filters
        return Cost(((stack * filters / part, part, channels, tiles),), calls=4 * often)
    if side == "total":
        places = prod(w.outputs for w in blocks.form.windows)
        return Cost(moved=0.5 * often * share / blocks.count * places * blocks.filters)
    made, summed = (filters, channels) if side == "narrow" else (channels, filters)
    if part := blocks.part(side):
        stack, made = stack * made / part, part
    return Cost(((stack, tiles, made, summed),), calls=2 * often)


def _outputs(blocks: Blocks, often: float, share: float, batch: int) -> Cost:
    """Points to outputs, in the order of the result."""
    filters, lines, across = _along(blocks, "narrow")
    inner, total = blocks.axes[blocks.inner], Cost(calls=6 * often)
    if blocks.outer is not None:
        axis = blocks.axes[blocks.outer]
        total += _outer(blocks, often, share, filters, axis.outputs, axis.size)
    stack = often * share * lines * across
    if Nested(blocks).turning:
        return total + Cost(((stack, filters, inner.outputs, inner.size),))
    made = OUT * batch * filters * prod(w.outputs for w in blocks.form.windows)
    return total + Cost(((stack, inner.outputs, filters, inner.size),), moved=made)


def _back(blocks: Blocks, often: float, share: float, batch: int) -> Cost:
    """Points to inputs, of which neighbours share some."""
    channels, lines, across = _along(blocks, "wide")
    inner, stack = blocks.axes[blocks.inner], often * share * lines * across
    shared = inner.size - inner.outputs
    total = Cost(
        tuple((stack, rows, channels, inner.size) for rows in (inner.outputs, shared)),
        moved=1.5 * stack * shared * channels
        + OUT * batch * channels * prod(w.size for w in blocks.form.windows),
        runs=stack,
        calls=8 * often,
    )
    if blocks.outer is not None:
        axis = blocks.axes[blocks.outer]
        for rows in (axis.outputs, axis.size - axis.outputs):
            total += _outer(blocks, often, share, channels, rows, axis.size)
    return total
