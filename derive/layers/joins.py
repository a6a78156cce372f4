"""Where two branches of a network meet: a sum entry by entry, or one behind the other."""

from __future__ import annotations

from .. import geometry
from ..errors import UsageError
from ..geometry import Sizes
from ..specs import Spec, entry

__all__ = ["add", "concat"]


def add(*, input: Sizes, other: Sizes | None = None) -> Spec:
    """y[i,j] = x[i,j] + z[i,j].

    Shapes: x, z and y any, the same; ``other`` is the shape of z. In a network: ``add NAME``.
    """
    shape = geometry.sizes("input", input)
    second = shape if other is None else geometry.sizes("other", other)
    if second != shape:
        raise UsageError(
            f"add needs two equal shapes, but input (={geometry.text(shape)}) is not other "
            f"(={geometry.text(second)})"
        )
    at = ",".join(entry("input", shape))
    return Spec(
        name="add",
        text=f"y[{at}] = x[{at}] + z[{at}]",
        shapes={"x": shape, "z": shape},
        data=("x", "z"),
        slug=f"add_{geometry.text(shape)}",
        title="Sum of two inputs",
        meanings={"x": "input", "z": "second input", "y": "output"},
        settings={"input": shape, "other": None},
        source="He et al., arXiv 1512.03385, eq. 1",
    )


def concat(*, input: Sizes, other: Sizes | None = None) -> Spec:
    """y[c,i,j] = x[c - p, i, j] + z[c - q, i, j].

    Shapes: x (C, H, W), z (D, H, W), y (C + D, H, W); any number of axes behind the first.
    p = 0 and q = C, and what is read outside of a tensor is 0: first x, behind it z. ``other`` is
    the shape of z. In a network: ``concat NAME``.
    """
    shape = geometry.sizes("input", input)
    second = shape if other is None else geometry.sizes("other", other)
    if second[1:] != shape[1:]:
        raise UsageError(
            f"concat needs shapes that differ in the first axis only, but input "
            f"(={geometry.text(shape)}) and other (={geometry.text(second)}) do not"
        )
    first, *rest = entry("input", shape)
    behind = "".join(f",{letter}" for letter in rest)
    # p = 0 keeps its name: a bare index would make both axes equally long
    return Spec(
        name="concat",
        text=f"y[{first}{behind}] = x[{first} - p{behind}] + z[{first} - q{behind}]",
        shapes={
            "x": shape,
            "z": second,
            "y": (shape[0] + second[0], *shape[1:]),
            "p": 0,
            "q": shape[0],
        },
        data=("x", "z"),
        slug=f"concat_{geometry.text(shape)}_{geometry.text(second)}",
        title="Two inputs, one behind the other along the first axis",
        meanings={"x": "input", "z": "second input", "y": "output"},
        settings={"input": shape, "other": None if second == shape else second},
        source="Huang et al., arXiv 1608.06993, eq. 2",
    )
