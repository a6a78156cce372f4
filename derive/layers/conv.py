"""Convolution as networks mean it: cross-correlation, with stride, padding, dilation, groups."""

from __future__ import annotations

from .. import geometry
from ..geometry import Padding, Sizes
from ..spatial import Windows, brief, short_sides, sliding
from ..specs import Spec

__all__ = ["conv"]


def conv(
    *,
    input: Sizes,
    kernel: Sizes,
    filters: int | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    bias: bool = False,
    flip: bool = False,
    channels: int | None = None,
) -> Spec:
    """y[(g,f),i] = sum[c,u](x[(g,c), s*i + d*u - p] * w[(g,f),c,u]) + b[(g,f)], over 1 to 3 axes.

    Shapes: x (C, H, W), w (F, C/groups, K_h, K_w), b (F,), y (F, O_h, O_w). With neither
    channels nor filters these axes do not exist; where only one is given the other is 1.
    ``input`` has channels first if it has one number more than the kernel. ``flip`` reads x
    backwards, ``x[s*i + d*(K - 1 - u) - p]``: true convolution.

    Raises UsageError if the kernel does not fit or groups do not divide.
    """
    windows = sliding(
        input, kernel, stride=stride, padding=padding, dilation=dilation, channels=channels
    )
    F = None if filters is None else geometry.integer("filters", filters, 1)
    G = geometry.integer("groups", groups, 1)
    deep = not (windows.channels is None and F is None and G == 1)
    C, F = windows.channels or 1, F or 1
    geometry.divides("channels", C, "groups", G)
    geometry.divides("filters", F, "groups", G)
    windows = Windows(C if deep else None, windows.axes)
    return Spec(
        name="conv",
        text=_text(windows, G > 1, bias, flip),
        shapes={
            "x": (*windows.depth, *windows.space),
            "w": (*((F, C // G) if deep else ()), *windows.kernel),
            **({"b": (F,) if deep else ()} if bias else {}),
            "y": (*((F,) if deep else ()), *windows.outputs),
            **windows.values,
        },
        axes=extents(windows, G > 1),
        slug=windows.slug(
            "conv",
            *([f"f{F}"] if deep else []),
            stride=(1,) * windows.rank,
            words=words(G, bias, flip),
        ),
        title=_title(windows.rank, flip, G, C),
        meanings=meanings(windows, G > 1, bias),
        settings={
            **windows.settings(),
            "filters": F if deep else None,
            "stride": brief(windows.stride),
            "padding": padding if isinstance(padding, str) else brief(short_sides(windows.padding)),
            "dilation": brief(windows.dilation),
            "groups": groups,
            "bias": bias,
            "flip": flip,
        },
        source="Goodfellow, Bengio, Courville, Deep Learning (2016), eq. 9.6",
    )


def _text(windows: Windows, grouped: bool, bias: bool, flip: bool) -> str:
    deep = windows.channels is not None
    filter_, channel = ("(g,f)", "(g,c)") if grouped else ("f", "c")
    y = ",".join([filter_, *windows.outs] if deep else windows.outs)
    w = ",".join([filter_, "c", *windows.taps] if deep else windows.taps)
    over = ",".join(["c", *windows.taps] if deep else windows.taps)
    places = windows.places(flip=flip)
    x = ", ".join([channel, *places] if deep else places)
    b = "" if not bias else f" + b[{filter_}]" if deep else " + b"
    return f"y[{y}] = sum[{over}](x[{x}] * w[{w}]){b}"


def extents(windows: Windows, grouped: bool) -> dict[str, str | tuple[str, ...]]:
    """Names of how far each index runs and of the input's axes, with filters and groups."""
    named = windows.extents()
    if grouped:
        space = tuple(axis.extent for axis in windows.axes)
        return named | {"g": "G", "f": "F_g", "c": "C_g", "x": ("G*C_g", *space)}
    return named | ({"f": "F"} if windows.deep else {})


def meanings(windows: Windows, grouped: bool, bias: bool) -> dict[str, str]:
    """What tensors and indices stand for."""
    named = {"x": "input", "w": "kernel", "y": "output"} | ({"b": "bias"} if bias else {})
    if grouped:
        named |= {
            "g": "group",
            "f": "filter within its group",
            "c": "input channel within its group",
        }
    elif windows.deep:
        named |= {"f": "filter", "c": "input channel"}
    return named | {k: v for k, v in windows.meanings("kernel").items() if k != "c"}


def words(groups: int, bias: bool, flip: bool = False) -> list[str]:
    """The end of the folder's name."""
    grouped = [f"g{groups}"] if groups > 1 else []
    return [*grouped, *(["bias"] if bias else []), *(["flip"] if flip else [])]


def _title(rank: int, flip: bool, groups: int, channels: int) -> str:
    kind = "True convolution" if flip else "Convolution (cross-correlation)"
    grouped = ", depthwise" if 1 < groups == channels else f", {groups} groups"
    return f"{kind} in {rank}-D" + (grouped if groups > 1 else "")
