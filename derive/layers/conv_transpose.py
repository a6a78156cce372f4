"""Transposed convolution: the input gradient of a convolution, taken forward."""

from __future__ import annotations

from .. import geometry
from ..errors import UsageError
from ..geometry import Padding, Sizes
from ..spatial import LETTERS, OUTS, TAPS, WORDS, Axis, Windows, boolean, brief, short_sides
from ..specs import Spec

__all__ = ["conv_transpose"]

_TO = "aer"
"""The indices of an output's position; i, j, k are those of the input."""


def conv_transpose(
    *,
    input: Sizes,
    kernel: Sizes,
    filters: int | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    output_padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    bias: bool = False,
    channels: int | None = None,
) -> Spec:
    """y[(g,f),a] = sum[c,i,u](x[(g,c),i] * w[(g,c),f,u] * delta(s*i + d*u - p, a)) + b[(g,f)], \
over 1 to 3 axes.

    Shapes: x (C, H, W), w (C, F/groups, K_h, K_w), b (F,), y (F, O_h, O_w) with
    O = s*(H - 1) + d*(K - 1) + 1 - low - high + output_padding. Channels and filters as for
    ``conv``. This does not invert a convolution: it is its transpose.

    Raises UsageError if output_padding is not below max(stride, dilation), if the padding leaves
    no output, or if groups do not divide.
    """
    spread, extra = _spread(input, kernel, stride, padding, output_padding, dilation, channels)
    F = None if filters is None else geometry.integer("filters", filters, 1)
    G = geometry.integer("groups", groups, 1)
    boolean("bias", bias)
    deep = not (spread.channels is None and F is None and G == 1)
    C, F = spread.channels or 1, F or 1
    geometry.divides("channels", C, "groups", G)
    geometry.divides("filters", F, "groups", G)
    spread = Windows(C if deep else None, spread.axes)
    ends = [
        *([f"op{geometry.text(brief(extra))}"] if any(extra) else []),
        *([f"g{G}"] if G > 1 else []),
        *(["bias"] if bias else []),
    ]
    return Spec(
        name="conv_transpose",
        text=_text(spread, G > 1, bias),
        shapes={
            "x": (*spread.depth, *spread.space),
            "w": (*((C, F // G) if deep else ()), *spread.kernel),
            **({"b": (F,) if deep else ()} if bias else {}),
            "y": (*((F,) if deep else ()), *spread.outputs),
            **spread.values,
        },
        axes=_extents(spread, G > 1),
        slug=spread.slug(
            "conv_transpose", *([f"f{F}"] if deep else []), stride=(1,) * spread.rank, words=ends
        ),
        title=f"Transposed convolution in {spread.rank}-D" + (f", {G} groups" if G > 1 else ""),
        meanings=_meanings(spread, G > 1, bias),
        settings={
            **spread.settings(),
            "filters": F if deep else None,
            "stride": brief(spread.stride),
            "padding": brief(short_sides(spread.padding)),
            "output_padding": brief(extra),
            "dilation": brief(spread.dilation),
            "groups": G,
            "bias": bias,
        },
        source="Dumoulin, Visin, arXiv 1603.07285, section 4",
    )


def _spread(
    input: Sizes,
    kernel: Sizes,
    stride: Sizes,
    padding: Padding,
    output_padding: Sizes,
    dilation: Sizes,
    channels: int | None,
) -> tuple[Windows, tuple[int, ...]]:
    """Where every entry of x is spread to, and output_padding axis by axis."""
    C, space = geometry.channels_and_space(input, kernel, channels)
    rank = len(space)
    kernels = geometry.per_axis("kernel", kernel, rank)
    strides = geometry.per_axis("stride", stride, rank)
    dilations = geometry.per_axis("dilation", dilation, rank)
    extra = geometry.per_axis("output_padding", output_padding, rank, 0)
    if padding == "same":
        raise UsageError("padding (='same') has no meaning here: give numbers")
    pads = geometry.sides(padding, space, kernels, strides, dilations)
    axes = []
    for at, (H, K, s, d, (low, high), more) in enumerate(
        zip(space, kernels, strides, dilations, pads, extra, strict=True)
    ):
        if more >= max(s, d):
            raise UsageError(
                f"output_padding (={more}) must be below max(stride, dilation) (={max(s, d)}) "
                f"on axis {at}"
            )
        O = s * (H - 1) + d * (K - 1) + 1 - low - high + more  # noqa: E741  # O as in the formula
        if O < 1:
            raise UsageError(
                f"padding (={low},{high}) leaves nothing of the {O + low + high} outputs on axis "
                f"{at}"
            )
        axes.append(Axis(LETTERS[rank - 1][at], OUTS[at], TAPS[at], H, K, s, d, low, high, O))
    return Windows(C, tuple(axes)), extra


def _text(spread: Windows, grouped: bool, bias: bool) -> str:
    deep = spread.channels is not None
    to = list(_TO[: spread.rank])
    filter_, channel = ("(g,f)", "(g,c)") if grouped else ("f", "c")
    y = ",".join([filter_, *to] if deep else to)
    x = ",".join([channel, *spread.outs] if deep else spread.outs)
    w = ",".join([channel, "f", *spread.taps] if deep else spread.taps)
    over = ",".join([*spread.deep, *spread.outs, *spread.taps])
    deltas = [f"delta({at}, {a})" for at, a in zip(spread.places(), to, strict=True)]
    b = "" if not bias else f" + b[{filter_}]" if deep else " + b"
    return f"y[{y}] = sum[{over}](x[{x}] * w[{w}] * {' * '.join(deltas)}){b}"


def _extents(spread: Windows, grouped: bool) -> dict[str, str | tuple[str, ...]]:
    """Names of how far each index runs."""
    named: dict[str, str | tuple[str, ...]] = {}
    for axis, to in zip(spread.axes, _TO, strict=False):
        named |= {axis.out: axis.extent, axis.tap: axis.name("K"), to: axis.name("O")}
    if grouped:
        return named | {"g": "G", "f": "F_g", "c": "C_g"}
    return named | ({"f": "F", "c": "C"} if spread.deep else {})


def _meanings(spread: Windows, grouped: bool, bias: bool) -> dict[str, str]:
    named = {"x": "input", "w": "kernel", "y": "output"} | ({"b": "bias"} if bias else {})
    if grouped:
        named |= {"g": "group", "f": "filter within its group", "c": "channel within its group"}
    elif spread.deep:
        named |= {"f": "filter", "c": "input channel"}
    for axis, to in zip(spread.axes, _TO, strict=False):
        word = WORDS[axis.letter]
        named |= {to: f"output {word}", axis.out: f"input {word}", axis.tap: f"kernel {word}"}
    return named
