"""Sizes, strides and paddings as people write them, and the arithmetic of windows.

Text becomes a plain value (:func:`value`), a value becomes one number an axis
(:func:`per_axis`, :func:`sides`), and numbers become output sizes (:func:`windows`)::

    O = floor((H + low + high - d*(K - 1) - 1) / s) + 1

Every refusal names the parameter, the value and the rule.
"""

from __future__ import annotations

import re
from math import prod

from .errors import UsageError

Value = int | float | str | tuple["Value", ...]
"""What a parameter's text can mean: ``2``, ``0.1``, ``same``, ``(3, 3)``, ``((1, 2), (0, 1))``."""

Sizes = int | tuple[int, ...]
Padding = int | str | tuple[int | tuple[int, int], ...]

LARGEST = 1_000_000
"""No size, stride or padding is larger (a literal of the equation language is not either)."""

TAPS = 65_536
"""No window has more taps: every kernel loops over them."""

_NUMBER = re.compile(r"[0-9]+", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]*(e-?[0-9]+)?|-?[0-9]+e-?[0-9]+", re.ASCII)
_WORD = re.compile(r"[a-z][a-z_]+", re.ASCII)


def value(name: str, text: str, *, signed: bool = False) -> Value:
    """The value that a flag's text means: ``3x32x32`` is ``(3, 32, 32)``, ``2`` is ``2``.

    ``1,2x0,1`` is ``((1, 2), (0, 1))``; words (``same``) and decimals stay what they are. Where a
    number and no size is meant it may be ``signed``. Digits are ASCII digits. Raises UsageError
    with the flag and its text.
    """
    if _WORD.fullmatch(text):
        return text
    if len(text) <= 40 and _DECIMAL.fullmatch(text):
        return float(text)
    if signed and text[:1] == "-":
        return -_whole(name, text, text[1:])
    axes = tuple(_axis(name, text, part) for part in text.split("x"))
    return axes[0] if len(axes) == 1 and isinstance(axes[0], int) else axes


def _axis(name: str, text: str, part: str) -> Value:
    sides = tuple(_whole(name, text, side) for side in part.split(","))
    return sides[0] if len(sides) == 1 else sides


def _whole(name: str, text: str, digits: str) -> int:
    if not _NUMBER.fullmatch(digits):
        shown = text if len(text) <= 60 else text[:57] + "..."
        raise UsageError(f"{name} (={shown!r}) is not a size: {_why_not(digits)}")
    if len(digits) > 7 or int(digits) > LARGEST:
        raise UsageError(f"{name} (={digits[:20]}) is too large: at most {LARGEST}")
    return int(digits)


def _why_not(digits: str) -> str:
    if _NUMBER.fullmatch(digits[1:]) and digits[0] in "-\u2212":
        return f"{digits[:20]} is below 0"
    if "×" in digits:
        return "× must be the letter x, as in 3x3"
    how = "(write 3, 3x3 or 1,2x0,1 with the digits 0 to 9)"
    return f"{digits[:20]!r} is no whole number {how}"


def text(value: object) -> str:
    """A value as a person would write it: ``(3, 3)`` is ``3x3``. Inverse of :func:`value`."""
    if isinstance(value, tuple):
        return "x".join(
            ",".join(str(side) for side in axis) if isinstance(axis, tuple) else str(axis)
            for axis in value
        )
    return str(value)


def integer(name: str, value: object, least: int = 0) -> int:
    """``value`` as an integer of at least ``least``; a UsageError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{name} (={value!r}) must be a whole number")
    if value < least:
        raise UsageError(f"{name} (={value}) must be at least {least}")
    if value > LARGEST:
        raise UsageError(f"{name} (={value}) is too large: at most {LARGEST}")
    return value


def sizes(name: str, value: object, least: int = 1, *, scalar: bool = False) -> tuple[int, ...]:
    """A size or several as a tuple: ``3`` is ``(3,)``; () only where a ``scalar`` is meant."""
    many = tuple(value) if isinstance(value, tuple | list) else (value,)
    if not many and not scalar:
        raise UsageError(f"{name} (=()) needs at least one number")
    return tuple(integer(name, one, least) for one in many)


def per_axis(name: str, value: object, rank: int, least: int = 1) -> tuple[int, ...]:
    """One number an axis; a bare number holds for every axis."""
    if not isinstance(value, tuple | list):
        return (integer(name, value, least),) * rank
    many = sizes(name, value, least)
    if len(many) != rank:
        raise UsageError(
            f"{name} (={text(many)}) has {len(many)} numbers for {rank} spatial "
            f"{'axis' if rank == 1 else 'axes'}"
        )
    return many


def channels_and_space(
    shape: object, kernel: object, channels: int | None
) -> tuple[int | None, tuple[int, ...]]:
    """The channels (None: no such axis) and the spatial sizes that an input shape means.

    A written-out kernel with one number less than the input means channels first; so does a
    bare kernel with three or more numbers. With ``channels`` all numbers are spatial.
    """
    shape = sizes("input", shape)
    written = len(kernel) if isinstance(kernel, tuple | list) else None
    if channels is not None:
        first: int | None = integer("channels", channels, 1)
        space = shape
    elif len(shape) >= 3 if written is None else len(shape) == written + 1:
        first, space = shape[0], shape[1:]
    else:
        first, space = None, shape
    if written is not None and len(space) != written:
        raise UsageError(
            f"kernel (={text(kernel)}) has {written} numbers, but input (={text(shape)}) has "
            f"{len(space)} spatial ones: write as many, or one more for channels first"
        )
    if len(space) > 3:
        raise UsageError(
            f"input (={text(shape)}) has {len(space)} spatial axes: at most 3 are derived"
        )
    return first, space


def sides(
    padding: object,
    space: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[tuple[int, int], ...]:
    """``(low, high)`` of the padding, one pair an axis.

    ``"same"`` gives O = ceil(H/s): in total max((O-1)*s + d*(K-1) + 1 - H, 0), an odd one at
    the end (TensorFlow's SAME, ONNX's SAME_UPPER). ``"valid"`` is 0.
    """
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise UsageError(f"padding (={padding!r}) must be numbers, same or valid")
        if padding == "valid":
            return ((0, 0),) * len(space)
        axes = zip(space, kernel, stride, dilation, strict=True)
        totals = [max((-(-H // s) - 1) * s + d * (K - 1) + 1 - H, 0) for H, K, s, d in axes]
        return tuple((total // 2, total - total // 2) for total in totals)
    many = padding if isinstance(padding, tuple | list) else (padding,) * len(space)
    if len(many) != len(space):
        raise UsageError(
            f"padding (={text(tuple(many))}) has {len(many)} entries for {len(space)} spatial "
            f"{'axis' if len(space) == 1 else 'axes'}"
        )
    return tuple(_pair(side) for side in many)


def _pair(side: object) -> tuple[int, int]:
    if not isinstance(side, tuple | list):
        return (integer("padding", side), integer("padding", side))
    if len(side) != 2:
        raise UsageError(f"padding (={','.join(map(str, side))}) needs two sides, low,high")
    return (integer("padding", side[0]), integer("padding", side[1]))


def windows(
    space: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
) -> tuple[int, ...]:
    """The number of windows along each axis, at least one; a UsageError where none fits."""
    _check_taps(kernel)
    found = []
    axes = zip(space, kernel, stride, padding, dilation, strict=True)
    for axis, (H, K, s, (low, high), d) in enumerate(axes):
        reach, room = d * (K - 1) + 1, H + low + high
        if reach > room:
            spread = f" with dilation {d} spans {reach}" if d > 1 else f" is {K}"
            padded = f" with padding {low} + {high} is {room}" if low + high else f" is {H}"
            raise UsageError(
                f"kernel (={text(kernel)}) is larger than the padded input (={text(space)}): "
                f"on axis {axis} the kernel{spread}, the input{padded}"
            )
        found.append((room - reach) // s + 1)
    return tuple(found)


def _check_taps(kernel: tuple[int, ...]) -> None:
    if (taps := prod(kernel)) > TAPS:
        raise UsageError(f"kernel (={text(kernel)}) has {taps} taps: at most {TAPS}")


def pool_windows(
    space: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
    ceil: bool,
) -> tuple[int, ...]:
    """The number of windows of a pool along each axis, each with an entry of the input in it.

    With ``ceil`` the division rounds up, and a last window that would start beyond the input and
    the padding before it is left out (PyTorch's rule). Raises UsageError for an empty window.
    """
    counts = windows(space, kernel, stride, padding, dilation) if not ceil else ()
    if ceil:
        _check_taps(kernel)
        axes = zip(space, kernel, stride, padding, dilation, strict=True)
        counts = tuple(_rounded_up(*axis) for axis in axes)
        if min(counts) < 1:
            return windows(space, kernel, stride, padding, dilation)  # says what does not fit
    for axis, numbers in enumerate(
        zip(space, kernel, stride, padding, dilation, counts, strict=True)
    ):
        _check_reads(axis, *numbers)
    return counts


def _rounded_up(H: int, K: int, s: int, sides: tuple[int, int], d: int) -> int:
    low, high = sides
    count = -(-(H + low + high - d * (K - 1) - 1) // s) + 1
    return count - 1 if (count - 1) * s >= H + low else count


def _check_reads(
    axis: int, H: int, K: int, s: int, sides: tuple[int, int], d: int, count: int
) -> None:
    """Refuse a window without a valid read; one that starts inside the input has one."""
    before, inside = min(count, -(-sides[0] // s)), -(-(H + sides[0]) // s)
    for i in (*range(before), *range(max(before, inside), count)):
        start = s * i - sides[0]
        first = max(0, -(start // d))
        if first >= K or start + d * first >= H:
            raise UsageError(
                f"a pool window has no valid read: on axis {axis} window {i} reads {K} entries "
                f"from {start} in steps of {d}, but the input (={H}) has those from 0 to {H - 1}: "
                f"less padding (={','.join(map(str, sides))}) or a larger kernel (={K})"
            )


def divides(name: str, number: int, by: str, divisor: int) -> None:
    """Refuse a number that ``divisor`` does not divide."""
    if number % divisor:
        raise UsageError(f"{name} (={number}) must be divisible by {by} (={divisor})")
