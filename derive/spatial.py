"""Windows that slide over 1 to 3 spatial axes: their letters, names and numbers.

Convolutions and pools differ in what they do inside a window; where a window lies is the same
for all: ``s*i + d*u - p`` on every axis, with stride ``s``, dilation ``d`` and padding ``p``.
What does nothing (``s = 1``, ``d = 1``, ``p = 0``) is left out of the equation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from . import geometry
from .errors import UsageError
from .geometry import Padding, Sizes

OUTS, TAPS = "ijk", "uvt"
LETTERS = (("",), ("h", "w"), ("d", "h", "w"))
WORDS = {"d": "depth", "h": "row", "w": "column", "": "position"}

_FIELDS = (("s", "stride", 1), ("d", "dilation", 1), ("p", "low", 0))


@dataclass(frozen=True)
class Axis:
    """One spatial axis: its letter (``h``; empty in 1-D), indices and numbers."""

    letter: str
    out: str
    tap: str
    size: int
    kernel: int
    stride: int
    dilation: int
    low: int
    high: int
    outputs: int

    def name(self, symbol: str) -> str:
        """``K_h`` for ``K``; in 1-D the symbol alone."""
        return f"{symbol}_{self.letter}" if self.letter else symbol

    @property
    def extent(self) -> str:
        """The name of the input's size along this axis."""
        return self.letter.upper() or "H"


@dataclass(frozen=True)
class Windows:
    """The windows of a layer: its channels (None: there is no such axis) and spatial axes."""

    channels: int | None
    axes: tuple[Axis, ...]

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.axes)

    @property
    def space(self) -> tuple[int, ...]:
        """The spatial sizes of the input."""
        return tuple(axis.size for axis in self.axes)

    @property
    def kernel(self) -> tuple[int, ...]:
        """The sizes of a window."""
        return tuple(axis.kernel for axis in self.axes)

    @property
    def stride(self) -> tuple[int, ...]:
        """The steps of the window."""
        return tuple(axis.stride for axis in self.axes)

    @property
    def dilation(self) -> tuple[int, ...]:
        """How far apart the taps of a window are."""
        return tuple(axis.dilation for axis in self.axes)

    @property
    def padding(self) -> tuple[tuple[int, int], ...]:
        """Low and high of every axis."""
        return tuple((axis.low, axis.high) for axis in self.axes)

    @property
    def outputs(self) -> tuple[int, ...]:
        """The number of windows along every axis."""
        return tuple(axis.outputs for axis in self.axes)

    @property
    def outs(self) -> tuple[str, ...]:
        """The index of every axis of the output."""
        return tuple(axis.out for axis in self.axes)

    @property
    def taps(self) -> tuple[str, ...]:
        """The index of every axis of the window."""
        return tuple(axis.tap for axis in self.axes)

    @cached_property
    def names(self) -> dict[tuple[Axis, str], str]:
        """The name of every stride, dilation and padding that does something.

        One name for all axes where the number is the same, else one an axis.
        """
        names: dict[tuple[Axis, str], str] = {}
        for symbol, field, neutral in _FIELDS:
            numbers = {getattr(axis, field) for axis in self.axes}
            for axis in self.axes:
                if getattr(axis, field) != neutral:
                    names[axis, symbol] = symbol if len(numbers) == 1 else axis.name(symbol)
        return names

    @property
    def values(self) -> dict[str, int]:
        """The numbers that the names stand for."""
        return {
            self.names[axis, symbol]: getattr(axis, field)
            for axis in self.axes
            for symbol, field, _ in _FIELDS
            if (axis, symbol) in self.names
        }

    @property
    def sizes(self) -> dict[str, int]:
        """How far the taps run, where no kernel tensor says it, and :attr:`values`."""
        return {axis.tap: axis.kernel for axis in self.axes} | self.values

    def place(self, axis: Axis, *, flip: bool = False) -> str:
        """``s*i + d*u - p`` of one axis; flipped, the taps count backwards."""
        s, d, p = (self.names.get((axis, symbol), "") for symbol, _, _ in _FIELDS)
        tap = f"{axis.name('K')} - 1 - {axis.tap}" if flip else axis.tap
        if d:
            tap = f"{d}*({tap})" if flip else f"{d}*{tap}"
        return (f"{s}*" if s else "") + f"{axis.out} + {tap}" + (f" - {p}" if p else "")

    def places(self, *, flip: bool = False) -> list[str]:
        """Where tap u of window i lies, axis by axis."""
        return [self.place(axis, flip=flip) for axis in self.axes]

    @property
    def read(self) -> str:
        """``x[c, s*i + u]``: the entry of x at tap u of window i."""
        return f"x[{', '.join([*self.deep, *self.places()])}]"

    @property
    def deep(self) -> tuple[str, ...]:
        """The channel index, if there are channels."""
        return () if self.channels is None else ("c",)

    @property
    def entry(self) -> str:
        """The indices of an entry of the output of a layer that keeps the channels."""
        return ",".join([*self.deep, *self.outs])

    @property
    def depth(self) -> tuple[int, ...]:
        """The number of channels, if there are any, as a shape's beginning."""
        return () if self.channels is None else (self.channels,)

    def extents(self) -> dict[str, str | tuple[str, ...]]:
        """Names for how far the indices run, and for the axes of a layer that keeps channels."""
        named: dict[str, str | tuple[str, ...]] = {"c": "C"} if self.deep else {}
        named |= {a.out: a.name("O") for a in self.axes} | {a.tap: a.name("K") for a in self.axes}
        named["x"] = (*(("C",) if self.deep else ()), *(axis.extent for axis in self.axes))
        return named

    def meanings(self, window: str = "window") -> dict[str, str]:
        """What the indices stand for."""
        words = {"c": "channel"} if self.deep else {}
        for axis in self.axes:
            words |= {
                axis.out: f"output {WORDS[axis.letter]}",
                axis.tap: f"{window} {WORDS[axis.letter]}",
            }
        return words

    def settings(self) -> dict[str, object]:
        """Input, kernel and channels that mean these windows again."""
        deep, several = self.channels is not None, self.rank > 1
        return {
            "input": (*self.depth, *self.space) if deep and several else self.space,
            "kernel": self.kernel if several else self.kernel[0],
            "channels": self.channels if deep and not several else None,
        }

    def slug(self, kind: str, *extra: str, stride: Sequence[int], words: Sequence[str] = ()) -> str:
        """``conv2d_3x32x32_f32_k3x3_s2_p1_bias``: the sizes, and what is not as usual.

        ``stride`` is the usual one; ``extra`` stands before the kernel, ``words`` at the end.
        """
        pads = short_sides(self.padding)
        parts = [f"{kind}{self.rank}d", geometry.text((*self.depth, *self.space)), *extra]
        parts += [f"k{geometry.text(self.kernel)}"]
        parts += [f"s{_word(self.stride)}"] if self.stride != tuple(stride) else []
        parts += [f"p{_word(pads)}"] if set(pads) != {0} else []
        parts += [f"d{_word(self.dilation)}"] if set(self.dilation) != {1} else []
        return "_".join([*parts, *words])


def _word(axes: tuple[object, ...]) -> str:
    return geometry.text(brief(axes)).replace(",", "_")


def brief(axes: tuple[object, ...]) -> object:
    """One number where all axes have the same one."""
    same = len(set(axes)) == 1 and not isinstance(axes[0], tuple)
    return axes[0] if same else axes


def short_sides(padding: tuple[tuple[int, int], ...]) -> tuple[object, ...]:
    """``1`` for ``(1, 1)``."""
    return tuple(low if low == high else (low, high) for low, high in padding)


def sliding(
    input: Sizes,  # noqa: A002  # the contract calls the sizes of x `input`
    kernel: Sizes,
    *,
    stride: Sizes | None,
    padding: Padding = 0,
    dilation: Sizes = 1,
    channels: int | None = None,
    ceil: bool | None = None,
) -> Windows:
    """The windows that these parameters mean; ``stride=None`` is the kernel's size.

    ``ceil`` None: every window lies within the padded input, as a convolution's; a bool: those
    of a pool, of which each must hold an entry of the input.
    """
    C, space = geometry.channels_and_space(input, kernel, channels)
    rank = len(space)
    kernels = geometry.per_axis("kernel", kernel, rank)
    strides = kernels if stride is None else geometry.per_axis("stride", stride, rank)
    dilations = geometry.per_axis("dilation", dilation, rank)
    pads = geometry.sides(padding, space, kernels, strides, dilations)
    if ceil is None:
        outputs = geometry.windows(space, kernels, strides, pads, dilations)
    else:
        outputs = geometry.pool_windows(space, kernels, strides, pads, dilations, ceil)
    numbers = zip(
        space, kernels, strides, dilations, *zip(*pads, strict=True), outputs, strict=True
    )
    letters = zip(LETTERS[rank - 1], OUTS, TAPS, strict=False)
    axes = tuple(Axis(*letter, *number) for letter, number in zip(letters, numbers, strict=True))
    return Windows(C, axes)


def boolean(name: str, value: object) -> bool:
    """A switch; a UsageError otherwise."""
    if not isinstance(value, bool):
        raise UsageError(f"{name} (={value!r}) must be True or False")
    return value
