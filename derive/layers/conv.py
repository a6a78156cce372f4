"""Convolution as networks mean it: cross-correlation, with stride, padding, dilation, groups."""

from __future__ import annotations

from dataclasses import dataclass

from .. import geometry
from ..geometry import Padding, Sizes
from ..specs import Spec

__all__ = ["conv"]

_OUT = "ijk"
_TAP = "uvt"
_AXES = ("", "hw", "dhw")
_WORDS = {"d": "depth", "h": "row", "w": "column", "": "position"}


@dataclass(frozen=True)
class _Axis:
    """One spatial axis: its letter (``h``; empty in 1-D), indices and numbers."""

    letter: str
    out: str
    tap: str
    size: int
    kernel: int
    stride: int
    dilation: int
    low: int
    outputs: int

    def name(self, symbol: str) -> str:
        """``K_h`` for ``K``; in 1-D the symbol alone."""
        return f"{symbol}_{self.letter}" if self.letter else symbol


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
    C, space = geometry.channels_and_space(input, kernel, channels)
    rank = len(space)
    kernels = geometry.per_axis("kernel", kernel, rank)
    strides = geometry.per_axis("stride", stride, rank)
    dilations = geometry.per_axis("dilation", dilation, rank)
    pads = geometry.sides(padding, space, kernels, strides, dilations)
    outputs = geometry.windows(space, kernels, strides, pads, dilations)
    F = None if filters is None else geometry.integer("filters", filters, 1)
    G = geometry.integer("groups", groups, 1)
    deep = not (C is None and F is None and G == 1)
    C, F = C or 1, F or 1
    geometry.divides("channels", C, "groups", G)
    geometry.divides("filters", F, "groups", G)

    letters = _AXES[rank - 1] or ("",)
    axes = tuple(
        _Axis(letters[k], _OUT[k], _TAP[k], *numbers)
        for k, numbers in enumerate(
            zip(space, kernels, strides, dilations, (p[0] for p in pads), outputs, strict=True)
        )
    )
    names = _names(axes)
    return Spec(
        name="conv",
        text=_text(axes, names, deep, G > 1, bias, flip),
        shapes={
            "x": (*((C,) if deep else ()), *space),
            "w": (*((F, C // G) if deep else ()), *kernels),
            **({"b": (F,) if deep else ()} if bias else {}),
            "y": (*((F,) if deep else ()), *outputs),
            **{names[a, s]: getattr(a, f) for a in axes for s, f in _FIELDS if (a, s) in names},
        },
        axes=_extents(axes, deep, G > 1, bias),
        slug=_slug(C if deep else None, F, space, kernels, strides, pads, dilations, G, bias, flip),
        title=_title(rank, flip, G, C),
        meanings=_meanings(axes, deep, G > 1, bias),
        settings={
            "input": (C, *space) if deep and rank > 1 else space,
            "kernel": kernels if rank > 1 else kernels[0],
            "filters": F if deep else None,
            "stride": _brief(strides),
            "padding": padding if isinstance(padding, str) else _brief(_sides(pads)),
            "dilation": _brief(dilations),
            "groups": groups,
            "bias": bias,
            "flip": flip,
            "channels": C if deep and rank == 1 else None,
        },
        source="Goodfellow, Bengio, Courville, Deep Learning (2016), eq. 9.6",
    )


_FIELDS = (("s", "stride"), ("d", "dilation"), ("p", "low"))
_NEUTRAL = {"s": 1, "d": 1, "p": 0}


def _names(axes: tuple[_Axis, ...]) -> dict[tuple[_Axis, str], str]:
    """The name of every stride, dilation and padding that does something.

    One name for all axes where the number is the same, else one an axis.
    """
    names: dict[tuple[_Axis, str], str] = {}
    for symbol, field in _FIELDS:
        numbers = {getattr(axis, field) for axis in axes}
        for axis in axes:
            if getattr(axis, field) != _NEUTRAL[symbol]:
                names[axis, symbol] = symbol if len(numbers) == 1 else axis.name(symbol)
    return names


def _position(axis: _Axis, names: dict[tuple[_Axis, str], str], flip: bool) -> str:
    """``s*i + d*u - p`` of one axis, without what does nothing."""
    s, d, p = (names.get((axis, symbol), "") for symbol in "sdp")
    tap = f"{axis.name('K')} - 1 - {axis.tap}" if flip else axis.tap
    if d:
        tap = f"{d}*({tap})" if flip else f"{d}*{tap}"
    return (f"{s}*" if s else "") + f"{axis.out} + {tap}" + (f" - {p}" if p else "")


def _text(
    axes: tuple[_Axis, ...],
    names: dict[tuple[_Axis, str], str],
    deep: bool,
    grouped: bool,
    bias: bool,
    flip: bool,
) -> str:
    outs, taps = [a.out for a in axes], [a.tap for a in axes]
    filter_, channel = ("(g,f)", "(g,c)") if grouped else ("f", "c")
    y = ",".join([filter_, *outs] if deep else outs)
    w = ",".join([filter_, "c", *taps] if deep else taps)
    over = ",".join(["c", *taps] if deep else taps)
    places = [_position(axis, names, flip) for axis in axes]
    x = ", ".join([channel, *places] if deep else places)
    b = "" if not bias else f" + b[{filter_}]" if deep else " + b"
    return f"y[{y}] = sum[{over}](x[{x}] * w[{w}]){b}"


def _extents(
    axes: tuple[_Axis, ...], deep: bool, grouped: bool, bias: bool
) -> dict[str, str | tuple[str, ...]]:
    """Names of how far each index runs and of the input's axes."""
    sizes: dict[str, str | tuple[str, ...]] = {}
    if grouped:
        sizes |= {"g": "G", "f": "F_g", "c": "C_g"}
    elif deep:
        sizes |= {"f": "F", "c": "C"}
    sizes |= {a.out: a.name("O") for a in axes} | {a.tap: a.name("K") for a in axes}
    space = tuple(a.letter.upper() or "H" for a in axes)
    sizes["x"] = (*(("G*C_g",) if grouped else ("C",) if deep else ()), *space)
    return sizes


def _brief(axes: tuple[object, ...]) -> object:
    """One number where all axes have the same one."""
    same = len(set(axes)) == 1 and not isinstance(axes[0], tuple)
    return axes[0] if same else axes


def _sides(padding: tuple[tuple[int, int], ...]) -> tuple[object, ...]:
    """``1`` for ``(1, 1)``."""
    return tuple(low if low == high else (low, high) for low, high in padding)


def _slug(
    C: int | None,
    F: int,
    space: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
    groups: int,
    bias: bool,
    flip: bool,
) -> str:
    """``conv2d_3x32x32_f32_k3x3_s2_p1_bias``: what differs from the plain layer, and the sizes."""

    def brief(axes: tuple[object, ...]) -> str:
        return geometry.text(_brief(axes)).replace(",", "_")

    pads = _sides(padding)
    parts = [f"conv{len(space)}d", geometry.text(space if C is None else (C, *space))]
    parts += [] if C is None else [f"f{F}"]
    parts += [f"k{geometry.text(kernel)}"]
    parts += [f"s{brief(stride)}"] if set(stride) != {1} else []
    parts += [f"p{brief(pads)}"] if set(pads) != {0} else []
    parts += [f"d{brief(dilation)}"] if set(dilation) != {1} else []
    parts += [f"g{groups}"] if groups > 1 else []
    return "_".join([*parts, *(["bias"] if bias else []), *(["flip"] if flip else [])])


def _title(rank: int, flip: bool, groups: int, channels: int) -> str:
    kind = "True convolution" if flip else "Convolution (cross-correlation)"
    grouped = ", depthwise" if 1 < groups == channels else f", {groups} groups"
    return f"{kind} in {rank}-D" + (grouped if groups > 1 else "")


def _meanings(axes: tuple[_Axis, ...], deep: bool, grouped: bool, bias: bool) -> dict[str, str]:
    words = {"x": "input", "w": "kernel", "y": "output"} | ({"b": "bias"} if bias else {})
    if grouped:
        words |= {
            "g": "group",
            "f": "filter within its group",
            "c": "input channel within its group",
        }
    elif deep:
        words |= {"f": "filter", "c": "input channel"}
    for axis in axes:
        words |= {
            axis.out: f"output {_WORDS[axis.letter]}",
            axis.tap: f"kernel {_WORDS[axis.letter]}",
        }
    return words
