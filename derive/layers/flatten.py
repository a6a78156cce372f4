"""Flattening: all axes as one, row-major."""

from __future__ import annotations

from math import prod

from .. import geometry
from ..geometry import Sizes
from ..specs import Spec, entry

__all__ = ["flatten"]


def flatten(*, input: Sizes) -> Spec:
    """y[(c,i,j)] = x[c,i,j].

    Shapes: x (C, H, W), y (C*H*W,).
    """
    shape = geometry.sizes("input", input)
    letters = entry("input", shape)
    x = ",".join(letters)
    return Spec(
        name="flatten",
        text=f"y[{x if len(letters) == 1 else f'({x})'}] = x[{x}]",
        shapes={"x": shape, "y": (prod(shape),)},
        slug=f"flatten_{geometry.text(shape)}",
        title="Flattening, row-major",
        meanings={"x": "input", "y": "output"},
        settings={"input": shape},
        source="Goodfellow, Bengio, Courville, Deep Learning (2016), section 9.2",
    )
