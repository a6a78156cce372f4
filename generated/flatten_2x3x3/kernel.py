"""Flattening, row-major.

Forward:

    y[n,(c,i,j)] = x[n,c,i,j]

Gradient of x, by the chain rule:

    dx[n,c,i,j] = dy[n,(c,i,j)]

x: input; y: output.

Generated and proved by:

    python -m derive --layer flatten --input 2x3x3
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (2, 3, 3),
    "y": (18,),
}

EQUATIONS = """\
y[n,(c,i,j)] = x[n,c,i,j]
dx[n,c,i,j] = dy[n,(c,i,j)]
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray


def forward(x: np.ndarray) -> np.ndarray:
    """x (..., 2, 3, 3) -> y (..., 18)."""
    x, batch = _arrays(x=x)
    # y[n,(c,i,j)] = x[n,c,i,j]
    y = x.copy()
    return y.reshape(*batch, 18)


def backward(dy: np.ndarray, x: np.ndarray) -> Gradients:
    """dy (..., 18), x (..., 2, 3, 3) -> dx, each shaped like its tensor."""
    dy, x, batch = _arrays(dy=dy, x=x)
    dy = dy.reshape(-1, 2, 3, 3)
    # dx[n,c,i,j] = dy[n,(c,i,j)]
    dx = dy.copy()
    return Gradients(dx.reshape(*batch, 2, 3, 3))


def _arrays(**given):
    """Tensors as arrays of one dtype, data as (N, ...), and the batch axes that data share."""
    if (batch := _ready(given, _BATCHED)) is not None:
        return *given.values(), batch
    arrays = {name: np.asarray(value) for name, value in given.items()}
    dtype = np.result_type(*(arrays[name] for name in arrays if name not in _INTEGER))
    batch = None
    for name, array in arrays.items():
        shape = SHAPES[_SHAPE_OF.get(name, name)]
        lead = array.ndim - len(shape)
        if array.dtype.kind not in "iufcO":
            raise TypeError(f"{name} has dtype {array.dtype}; numbers are needed")
        if lead < 0 or (lead and name not in _BATCHED):
            raise ValueError(f"{name} has {array.ndim} axes, shape {array.shape}; need {shape}")
        for axis, (size, wanted) in enumerate(zip(array.shape[lead:], shape)):
            if size != wanted:
                raise ValueError(f"{name}: axis {lead + axis} has size {size}, not {wanted}")
        if name in _BATCHED:
            if batch is None:
                first, batch = name, array.shape[:lead]
            if array.shape[:lead] != batch:
                raise ValueError(
                    f"{name} has batch axes {array.shape[:lead]}, but {first} has {batch}"
                )
            array = array.reshape(-1, *shape)
        arrays[name] = array if name in _INTEGER else array.astype(dtype, copy=False)
    return *arrays.values(), batch


_BATCHED = ("dy", "x")
_INTEGER = ()
_SHAPE_OF = {"dy": "y"}


def _ready(arrays, batched):
    """The batch axes if all is as kernels want it: one float type, one axis of samples; or None."""
    batch = dtype = None
    for name, array in arrays.items():
        if type(array) is not np.ndarray:
            return None
        shape = array.shape
        if name in batched:
            lead, shape = shape[:1], shape[1:]
            batch = lead if batch is None else batch
            if lead != batch:
                return None
        if shape != SHAPES[_SHAPE_OF.get(name, name)]:
            return None
        if name in _INTEGER:
            return None
        dtype = array.dtype if dtype is None else dtype
        if array.dtype is not dtype:
            return None
    return batch if batch and dtype in _FLOATS else None


_FLOATS = np.dtype(np.float32), np.dtype(np.float64)
