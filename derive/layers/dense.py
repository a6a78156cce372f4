"""The fully connected layer: every output is a weighted sum of all inputs."""

from __future__ import annotations

from .. import geometry
from ..geometry import Sizes
from ..spatial import boolean
from ..specs import Spec, leading

__all__ = ["dense"]


def dense(*, input: Sizes, units: int, bias: bool = True) -> Spec:
    """y[i] = sum[j](w[i,j] * x[j]) + b[i].

    Shapes: x (..., D), w (units, D), b (units,), y (..., units): it acts on the last axis.
    """
    shape = geometry.sizes("input", input)
    boolean("bias", bias)
    U, D = geometry.integer("units", units, 1), shape[-1]
    rows = leading("input", shape[:-1])
    y, x = ",".join([*rows, "i"]), ",".join([*rows, "j"])
    parts = [f"dense_{geometry.text(shape)}", f"u{U}", *([] if bias else ["nobias"])]
    return Spec(
        name="dense",
        text=f"y[{y}] = sum[j](w[i,j] * x[{x}])" + (" + b[i]" if bias else ""),
        shapes={
            "x": shape,
            "w": (U, D),
            **({"b": (U,)} if bias else {}),
            "y": (*shape[:-1], U),
        },
        axes={"i": "U", "j": "D"},
        slug="_".join(parts),
        title="Dense (fully connected) layer",
        meanings={"x": "input", "w": "weights"}
        | ({"b": "bias"} if bias else {})
        | {"y": "output", "i": "unit", "j": "input feature"},
        settings={"input": shape, "units": U, "bias": bias},
        source="Goodfellow, Bengio, Courville, Deep Learning (2016), eq. 6.36",
    )
