"""Softmax and its logarithm, with the maximum subtracted so that nothing overflows."""

from __future__ import annotations

from .. import geometry
from ..errors import UsageError
from ..geometry import Sizes
from ..specs import Spec

__all__ = ["log_softmax", "softmax"]


def softmax(*, input: Sizes, axis: int = 0) -> Spec:
    """m = max[c](x[c]); e[c] = exp(x[c] - m); s = sum[c](e[c]); y[c] = e[c]/s.

    Shapes: x any, y the same. ``axis``, counted without the batch, is that of the classes.
    """
    text = (
        "m{rest} = max[{c}](x{all})\n"
        "e{all} = exp(x{all} - m{rest})\n"
        "s{rest} = sum[{c}](e{all})\n"
        "y{all} = e{all}/s{rest}"
    )
    words = {"m": "largest input", "e": "exponential", "s": "their sum"}
    return _over_classes("softmax", text, input, axis, "Softmax", words, "eq. 6.29")


def log_softmax(*, input: Sizes, axis: int = 0) -> Spec:
    """m = max[c](x[c]); z[c] = x[c] - m; s = sum[c](exp(z[c])); y[c] = z[c] - log(s).

    Shapes: x any, y the same. ``axis``, counted without the batch, is that of the classes.
    """
    text = (
        "m{rest} = max[{c}](x{all})\n"
        "z{all} = x{all} - m{rest}\n"
        "s{rest} = sum[{c}](exp(z{all}))\n"
        "y{all} = z{all} - log(s{rest})"
    )
    words = {"m": "largest input", "z": "input below the largest", "s": "sum of exponentials"}
    return _over_classes("log_softmax", text, input, axis, "Log-softmax", words, "eq. 6.30")


def _over_classes(
    name: str, text: str, input: Sizes, axis: int, title: str, words: dict[str, str], where: str
) -> Spec:
    shape = geometry.sizes("input", input)
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise UsageError(f"axis (={axis!r}) must be a whole number")
    if not -len(shape) <= axis < len(shape):
        raise UsageError(
            f"axis (={axis}) is none of the {len(shape)} axes of input "
            f"(={geometry.text(shape)}): they are 0 to {len(shape) - 1}"
        )
    axis %= len(shape)
    if len(shape) > 4:
        raise UsageError(f"input (={geometry.text(shape)}) has {len(shape)} axes: at most 4")
    others = "ijk"[: len(shape) - 1]
    letters = (*others[:axis], "c", *others[axis:])
    rest = f"[{','.join(others)}]" if others else ""
    parts = [name, geometry.text(shape), *([f"axis{axis}"] if axis else [])]
    return Spec(
        name=name,
        text=text.format(all=f"[{','.join(letters)}]", rest=rest, c="c"),
        shapes={"x": shape},
        axes={"c": "C"},
        slug="_".join(parts),
        title=title,
        meanings={"x": "input"} | words | {"y": "output", "c": "class"},
        settings={"input": shape, "axis": axis},
        source=f"Goodfellow, Bengio, Courville, Deep Learning (2016), {where}",
    )
