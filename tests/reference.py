"""The independent reference of the whole suite: convolution from its definition.

Loops over windows, in whatever numbers the arrays hold (Python ints stay exact). Nothing
here imports anything of ``derive``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import numpy as np
from hypothesis import strategies as st

Sizes = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]


# -- settings -----------------------------------------------------------------------------


def each(value, rank: int) -> tuple:
    """A number for every axis, or one per axis already."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank


def pads(padding, rank: int) -> Pads:
    """(low, high) for every axis, from a number, numbers, or pairs."""
    return tuple(p if isinstance(p, tuple) else (p, p) for p in each(padding, rank))


def output_sizes(sizes: Sizes, kernel: Sizes, stride=1, padding=0, dilation=1) -> Sizes:
    """How many windows fit on each axis, counted one by one."""
    rank = len(kernel)
    axes = zip(
        sizes,
        kernel,
        each(stride, rank),
        pads(padding, rank),
        each(dilation, rank),
        strict=True,
    )
    counts = []
    for size, taps, s, (low, high), d in axes:
        starts = range(0, size + low + high, s)
        counts.append(sum(start + d * (taps - 1) < size + low + high for start in starts))
    return tuple(counts)


@dataclass(frozen=True)
class Geometry:
    """One setting of a convolution; ``sizes``, ``kernel``, ... have one entry an axis."""

    channels: int
    filters: int
    groups: int
    sizes: Sizes
    kernel: Sizes
    stride: Sizes
    padding: Pads
    dilation: Sizes

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.kernel)

    @property
    def outputs(self) -> Sizes:
        """How many windows fit on each axis."""
        return output_sizes(self.sizes, self.kernel, self.stride, self.padding, self.dilation)

    @property
    def settings(self) -> dict:
        """What the reference functions take besides arrays."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }

    def shapes(self, batch: int) -> dict[str, Sizes]:
        """Array shapes with channels, filters and one batch axis."""
        return {
            "x": (batch, self.channels, *self.sizes),
            "w": (self.filters, self.channels // self.groups, *self.kernel),
            "b": (self.filters,),
            "dy": (batch, self.filters, *self.outputs),
        }

    def arrays(self, seed: int, batch: int = 2) -> dict[str, np.ndarray]:
        """Small random integers in every tensor."""
        rng = np.random.default_rng(seed)
        return {name: rng.integers(-9, 10, shape) for name, shape in self.shapes(batch).items()}


@st.composite
def geometries(draw, ranks=(1, 2, 3), grouped: bool = True) -> Geometry:
    """Small settings with at least one output, degenerate ones included (K > H, p > K - 1)."""
    rank = draw(st.sampled_from(ranks))
    groups = draw(st.integers(1, 3 if grouped else 1))
    largest, axes = (6, 4, 3)[rank - 1], []
    for _ in range(rank):
        taps = draw(st.integers(1, 3))
        dilation, stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        low, high = draw(st.integers(0, 3)), draw(st.integers(0, 3))
        smallest = max(1, dilation * (taps - 1) + 1 - low - high)
        size = draw(st.integers(smallest, max(smallest, largest)))
        axes.append((size, taps, stride, (low, high), dilation))
    sizes, kernel, strides, padding, dilations = (tuple(a) for a in zip(*axes, strict=True))
    channels, filters = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    return Geometry(channels, filters, groups, sizes, kernel, strides, padding, dilations)


# -- arrays -------------------------------------------------------------------------------


def _windows(
    sizes: Sizes, kernel: Sizes, stride, padding, dilation
) -> Iterator[tuple[Sizes, tuple[slice, ...]]]:
    """(output position, the slices of the padded input that its window covers)."""
    rank = len(kernel)
    strides, dilations = each(stride, rank), each(dilation, rank)
    for position in product(*map(range, output_sizes(sizes, kernel, stride, padding, dilation))):
        starts = [k * s for k, s in zip(position, strides, strict=True)]
        yield (
            position,
            tuple(
                slice(start, start + d * (taps - 1) + 1, d)
                for start, taps, d in zip(starts, kernel, dilations, strict=True)
            ),
        )


def _padded(x: np.ndarray, padding: Pads) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, 0), *padding))


def conv_forward(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1) -> np.ndarray:
    """``y`` (N,F,*O): every window of the padded x (N,C,*H) times w (F,C/groups,*K), plus b."""
    rank, kernel = w.ndim - 2, w.shape[2:]
    padding = pads(padding, rank)
    outputs = output_sizes(x.shape[2:], kernel, stride, padding, dilation)
    y = np.zeros((len(x), len(w), *outputs), np.result_type(x, w))
    source, width, mine = _padded(x, padding), len(w) // groups, w.shape[1]
    for position, window in _windows(x.shape[2:], kernel, stride, padding, dilation):
        for n, f in product(range(len(x)), range(len(w))):
            first = f // width * mine
            patch = source[(n, slice(first, first + mine), *window)]
            y[(n, f, *position)] = (patch * w[f]).sum() + (0 if b is None else b[f])
    return y


def conv_backward(
    dy, x, w, *, stride=1, padding=0, dilation=1, groups=1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(dx, dw, db): every upstream entry sent back through its window."""
    rank, kernel = w.ndim - 2, w.shape[2:]
    padding = pads(padding, rank)
    source, width, mine = _padded(x, padding), len(w) // groups, w.shape[1]
    dtype = np.result_type(x, w, dy)
    sent, dw = np.zeros(source.shape, dtype), np.zeros(w.shape, dtype)
    for position, window in _windows(x.shape[2:], kernel, stride, padding, dilation):
        for n, f in product(range(len(x)), range(len(w))):
            first, g = f // width * mine, dy[(n, f, *position)]
            sent[(n, slice(first, first + mine), *window)] += w[f] * g
            dw[f] += source[(n, slice(first, first + mine), *window)] * g
    inside = [slice(low, low + size) for (low, _), size in zip(padding, x.shape[2:], strict=True)]
    db = dy.sum(axis=(0, *range(2, dy.ndim)))
    return sent[(slice(None), slice(None), *inside)], dw, db


def max_pool_forward(x, kernel: Sizes, *, stride=None, padding=0, dilation=1) -> np.ndarray:
    """``y`` (N,C,*O): the largest entry of every window; the padding never wins."""
    y, _ = _max_pool(x, kernel, stride, padding, dilation)
    return y


def max_pool_backward(
    dy, x, kernel: Sizes, *, stride=None, padding=0, dilation=1, ties="first"
) -> np.ndarray:
    """``dx``, exact objects: every upstream entry to the first winner, or to all in equal parts."""
    _, winners = _max_pool(x, kernel, stride, padding, dilation)
    dx, dy = np.zeros(x.shape, object), dy.astype(object)
    for position, found in winners.items():
        chosen = found[:1] if ties == "first" else found
        for place in chosen:
            dx[place] += dy[position] * Fraction(1, len(chosen))
    return dx


def _max_pool(x, kernel, stride, padding, dilation):
    rank = len(kernel)
    strides, dilations = each(stride or kernel, rank), each(dilation, rank)
    padding = pads(padding, rank)
    outputs = output_sizes(x.shape[2:], kernel, strides, padding, dilations)
    y, winners = np.zeros((*x.shape[:2], *outputs), x.dtype), {}
    for n, c, *position in product(*map(range, y.shape)):
        places = []
        for tap in product(*map(range, kernel)):
            axes = zip(position, strides, tap, dilations, padding, x.shape[2:], strict=True)
            read = [(i * s + u * d - low, size) for i, s, u, d, (low, _), size in axes]
            if all(0 <= k < size for k, size in read):
                places.append((n, c, *(k for k, _ in read)))
        best = max(x[place] for place in places)
        y[(n, c, *position)] = best
        winners[(n, c, *position)] = [place for place in places if x[place] == best]
    return y, winners
