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
    batch = None
    if not _ready(x):
        x, batch = _arrays(x=x)
    # y[n,(c,i,j)] = x[n,c,i,j]
    y = x.copy()
    if batch is None:
        return y.reshape(-1, 18)
    return y.reshape(*batch, 18)


def backward(dy: np.ndarray, x: np.ndarray) -> Gradients:
    """dy (..., 18), x (..., 2, 3, 3) -> dx, each shaped like its tensor."""
    batch = None
    if not _backward_ready(dy, x):
        dy, x, batch = _arrays(dy=dy, x=x)
    dy = dy.reshape(-1, 2, 3, 3)
    # dx[n,c,i,j] = dy[n,(c,i,j)]
    dx = dy.copy()
    if batch is None:
        return Gradients(dx)
    return Gradients(dx.reshape(*batch, 2, 3, 3))


def _arrays(**given):
    """Tensors as arrays of one dtype, data as (N, ...), and the batch axes that data share."""
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


def _ready(x):
    """Whether all is as kernels want it: arrays of one float type, with an axis of samples."""
    return type(x) is np.ndarray and x.dtype in _FLOATS and x.shape[1:] == (2, 3, 3)


def _backward_ready(dy, x):
    """The same, and as many samples of the upstream gradient."""
    return _ready(x) and type(dy) is np.ndarray and dy.dtype is x.dtype and dy.shape == (len(x), 18)


_FLOATS = np.dtype(np.float32), np.dtype(np.float64)
