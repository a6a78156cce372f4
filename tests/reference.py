"""The independent reference of the whole suite: convolution from its definition.

Loops over windows, in whatever numbers the arrays hold (Python ints stay exact). Nothing
here imports the calculus, the oracle or a kernel; :func:`conv_equation` builds an equation from
nouns alone, so that tests of what comes after the parser do not depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import numpy as np
from hypothesis import strategies as st

from derive.affine import Affine
from derive.equations import DATA, OUTPUT, PARAMETER, Equation, Statement, Tensor
from derive.expressions import Expr, Read, Reduce

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


# -- equations from nouns -----------------------------------------------------------------


def conv_equation(
    input: Sizes,  # noqa: A002  # the contract's own word
    kernel: Sizes,
    filters: int | None = None,
    stride=1,
    padding=0,
    dilation=1,
    groups: int = 1,
    bias: bool = False,
) -> Equation:
    """The equation of a convolution, names for sizes, neutral parameters left out.

    One number more in ``input`` than in ``kernel`` means channels first. With neither
    channels nor filters the axes do not exist.
    """
    rank = len(kernel)
    has_channels = len(input) > rank or filters is not None
    channels = input[0] if len(input) > rank else 1
    sizes = input[-rank:]
    axes, extents, values = [], {}, {}
    marks = ("",) if rank == 1 else ("d", "h", "w")[-rank:]
    settings = zip(
        sizes, kernel, each(stride, rank), pads(padding, rank), each(dilation, rank), strict=True
    )
    outputs = output_sizes(sizes, kernel, stride, pads(padding, rank), dilation)
    letters = zip(("i", "j", "k"), ("u", "v", "t"), marks, settings, outputs, strict=False)
    for out, tap, mark, (size, taps, s, (low, _), d), count in letters:
        names = {n: f"{n}_{mark}" if mark else n for n in ("K", "O", "s", "d", "p")}
        names["H"] = {"": "H", "d": "D", "h": "H", "w": "W"}[mark]
        values |= {names["H"]: size, names["K"]: taps, names["O"]: count}
        extents |= {out: names["O"], tap: names["K"]}
        subscript = _scaled(out, names["s"], s, values) + _scaled(tap, names["d"], d, values)
        if low:
            values[names["p"]] = low
            subscript = subscript - names["p"]
        axes.append((out, tap, names, subscript))
    return _assembled(axes, extents, values, has_channels, channels, filters or 1, groups, bias)


def _scaled(index: str, name: str, factor: int, values: dict[str, int]) -> Affine:
    """``s*i``, or ``i`` where s is 1."""
    if factor == 1:
        return Affine.of(index)
    values[name] = factor
    return Affine.of(name) * index


def _assembled(axes, extents, values, has_channels, channels, filters, groups, bias) -> Equation:
    """Tensors and statement, once every spatial axis is described."""
    outs, taps = [a[0] for a in axes], [a[1] for a in axes]
    spatial = {k: tuple(Affine.of(a[2][k]) for a in axes) for k in ("H", "K", "O")}
    x_axes, w_axes, y_axes = ["n"], [], ["n"]
    x_shape: tuple = ()
    w_shape: tuple = ()
    y_shape: tuple = ()
    over = list(taps)
    if has_channels and groups == 1:
        x_axes, w_axes, y_axes, over = ["n", "c"], ["f", "c"], ["n", "f"], ["c", *taps]
        extents |= {"c": "C", "f": "F"}
        values |= {"C": channels, "F": filters}
        x_shape, w_shape, y_shape = ("C",), ("F", "C"), ("F",)
    elif has_channels:
        x_axes, w_axes, y_axes = ["n", ("g", "c")], [("g", "f"), "c"], ["n", ("g", "f")]
        over = ["c", *taps]
        extents |= {"g": "G", "c": "C", "f": "F"}
        values |= {"G": groups, "C": channels // groups, "F": filters // groups}
        both = Affine.of("G") * "F"
        x_shape, w_shape, y_shape = (Affine.of("G") * "C",), (both, "C"), (both,)
    rhs: Expr = Reduce(
        "sum",
        tuple(over),
        read("x", *x_axes, *(a[3] for a in axes)) * read("w", *w_axes, *taps),
    )
    tensors = [
        Tensor("x", DATA, (*shape(x_shape), *spatial["H"])),
        Tensor("w", PARAMETER, (*shape(w_shape), *spatial["K"])),
    ]
    if bias:
        rhs = rhs + read("b", *y_axes[1:])
        tensors.append(Tensor("b", PARAMETER, shape(y_shape)))
    lhs = read("y", *y_axes, *outs)
    output = Tensor("y", OUTPUT, (*shape(y_shape), *spatial["O"]))
    return equation(lhs, rhs, tensors, output, extents, values, text="conv")


def equation(lhs, rhs, tensors, output, extents, values, text="", ties="first") -> Equation:
    """An Equation with the batch index n and extents given by name or number."""
    return Equation(
        text=text or "test",
        forward=Statement(lhs, rhs),
        tensors=tuple(tensors),
        output=output,
        extents=tuple((i, Affine.of(e)) for i, e in {"n": "N", **extents}.items()),
        values=tuple(values.items()),
        ties=ties,
    )


def shape(extents) -> tuple[Affine, ...]:
    """A shape from names and numbers."""
    return tuple(Affine.of(e) for e in extents)


def read(tensor: str, *axes) -> Read:
    """``tensor[axes]``; an axis is a name, a number, an Affine, or a tuple that composes it."""
    return Read(
        tensor,
        tuple(
            tuple(Affine.of(p) for p in (axis if isinstance(axis, tuple) else (axis,)))
            for axis in axes
        ),
    )


def pool_equation(
    input: Sizes,  # noqa: A002  # the contract's own word
    kernel: Sizes,
    op: str = "max",
    stride=None,
    padding=0,
    dilation=1,
    ties: str = "first",
) -> Equation:
    """y[n,c,i,j] = op[u,v](x[n,c, s*i + d*u - p, …]) with numbers in it, outside skipped."""
    rank = len(kernel)
    stride = each(kernel if stride is None else stride, rank)
    outputs = output_sizes(input[1:], kernel, stride, pads(padding, rank), dilation)
    outs, taps = ("i", "j", "k")[:rank], ("u", "v", "t")[:rank]
    subscripts = [
        Affine.of(i) * s + Affine.of(u) * d - low
        for i, u, s, d, (low, _) in zip(
            outs, taps, stride, each(dilation, rank), pads(padding, rank), strict=True
        )
    ]
    extents = {"c": input[0], **dict(zip(outs, outputs, strict=True))}
    extents |= dict(zip(taps, kernel, strict=True))
    outside = "skip" if op in ("max", "min") else "zero"
    return equation(
        read("y", "n", "c", *outs),
        Reduce(op, taps, read("x", "n", "c", *subscripts)),
        [Tensor("x", DATA, shape(input), outside)],
        Tensor("y", OUTPUT, shape((input[0], *outputs))),
        extents,
        {},
        text=f"{op} pool",
        ties=ties,
    )
