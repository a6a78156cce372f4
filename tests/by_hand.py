"""Equations built from nouns alone, so that tests of the verbs after the parser do not need it."""

from __future__ import annotations

from dataclasses import dataclass

from reference import Sizes, each, output_sizes, pads

from derive.affine import Affine
from derive.equations import DATA, OUTPUT, PARAMETER, Equation, Statement, Tensor
from derive.expressions import Expr, Read, Reduce


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


@dataclass(frozen=True)
class Axis:
    """One spatial axis: its indices, the names of its sizes, and how x is read along it."""

    out: str
    tap: str
    size: str
    taps: str
    count: str
    subscript: Affine


def _spatial(sizes, kernel, stride, padding, dilation) -> tuple[list[Axis], dict[str, int]]:
    """The axes by name, and the number behind every name; neutral parameters are left out."""
    rank, values, axes = len(kernel), {}, []
    marks = [("", "H")] if rank == 1 else [("_d", "D"), ("_h", "H"), ("_w", "W")][-rank:]
    outputs = output_sizes(sizes, kernel, stride, padding, dilation)
    strides, dilations, sides = each(stride, rank), each(dilation, rank), pads(padding, rank)
    for k, (mark, size) in enumerate(marks):
        out, tap, taps, count = "ijk"[k], "uvt"[k], f"K{mark}", f"O{mark}"
        values |= {size: sizes[k], taps: kernel[k], count: outputs[k]}
        subscript = _scaled(out, f"s{mark}", strides[k], values)
        subscript += _scaled(tap, f"d{mark}", dilations[k], values)
        if sides[k][0]:
            values[f"p{mark}"] = sides[k][0]
            subscript -= f"p{mark}"
        axes.append(Axis(out, tap, size, taps, count, subscript))
    return axes, values


def _scaled(index: str, name: str, factor: int, values: dict[str, int]) -> Affine:
    """``s*i``, or ``i`` where s is 1."""
    if factor == 1:
        return Affine.of(index)
    values[name] = factor
    return Affine.of(name) * index


@dataclass(frozen=True)
class Channels:
    """How x, w and y are read along channels and filters, and how far those run."""

    x: tuple = ()
    w: tuple = ()
    y: tuple = ()
    over: tuple[str, ...] = ()
    extents: tuple[tuple[str, str], ...] = ()

    def shape(self, axes: tuple) -> tuple[Affine, ...]:
        """The shape behind subscripts; a composed axis is the product of its parts."""
        extents, sizes = dict(self.extents), []
        for axis in axes:
            size = Affine.of(1)
            for part in axis if isinstance(axis, tuple) else (axis,):
                size = size * extents[part]
            sizes.append(size)
        return tuple(sizes)


NO_CHANNELS = Channels()
PLAIN = Channels(("c",), ("f", "c"), ("f",), ("c",), (("c", "C"), ("f", "F")))
GROUPED = Channels(
    (("g", "c"),),
    (("g", "f"), "c"),
    (("g", "f"),),
    ("c",),
    (("g", "G"), ("c", "C"), ("f", "F")),
)


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
    """The equation of a convolution, with names for its sizes.

    One number more in ``input`` than in ``kernel`` means channels first. With neither
    channels nor filters the axes do not exist.
    """
    rank = len(kernel)
    axes, values = _spatial(input[-rank:], kernel, stride, padding, dilation)
    channels = NO_CHANNELS
    if len(input) > rank or filters is not None:
        channels = PLAIN if groups == 1 else GROUPED
        depth = input[0] if len(input) > rank else 1
        values |= {"C": depth // groups, "F": (filters or 1) // groups, "G": groups}
    return _assembled(axes, channels, bias, values)


def _assembled(
    axes: list[Axis], channels: Channels, bias: bool, values: dict[str, int]
) -> Equation:
    """``y = Σ x·w + b`` and its tensors, from the description of the axes."""
    outs, taps = [a.out for a in axes], [a.tap for a in axes]
    x = read("x", "n", *channels.x, *(a.subscript for a in axes))
    w = read("w", *channels.w, *taps)
    rhs: Expr = Reduce("sum", (*channels.over, *taps), x * w)
    filters = channels.shape(channels.y)
    tensors = [
        Tensor("x", DATA, (*channels.shape(channels.x), *shape(a.size for a in axes))),
        Tensor("w", PARAMETER, (*channels.shape(channels.w), *shape(a.taps for a in axes))),
    ]
    if bias:
        rhs = rhs + read("b", *channels.y)
        tensors.append(Tensor("b", PARAMETER, filters))
    output = Tensor("y", OUTPUT, (*filters, *shape(a.count for a in axes)))
    extents = dict(channels.extents) | {a.out: a.count for a in axes}
    extents |= {a.tap: a.taps for a in axes}
    lhs = read("y", "n", *channels.y, *outs)
    return equation(lhs, rhs, tensors, output, extents, values, text="conv")


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
