"""Global max pooling.

Forward:

    y[n,c] = max[i,j](x[n,c,i,j])

Gradient of x, by the chain rule:

    dx[n,c,i,j] = dy[n,c] * [(i,j) in
        argmax[i*,j*](x[n,c,i*,j*])]/count(argmax[i*,j*](x[n,c,i*,j*]))

x: input; y: output; c: channel; i: input row; j: input column.

Generated and proved by:

    python -m derive --layer global_max_pool --input 2x3x3 --ties split
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (2, 3, 3),
    "y": (2,),
}

EQUATIONS = """\
y[n,c] = max[i,j](x[n,c,i,j])
dx[n,c,i,j] = dy[n,c] * [(i,j) in argmax[i*,j*](x[n,c,i*,j*])]/count(argmax[i*,j*](x[n,c,i*,j*]))
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray


def forward(x: np.ndarray) -> np.ndarray:
    """x (..., 2, 3, 3) -> y (..., 2)."""
    batch = None
    if not _ready(x):
        x, batch = _arrays(x=x)
    # y[n,c] = max[i,j](x[n,c,i,j])
    y = x.max(axis=(2, 3))
    if batch is None:
        return y
    return y.reshape(*batch, 2)


def backward(dy: np.ndarray, x: np.ndarray) -> Gradients:
    """dy (..., 2), x (..., 2, 3, 3) -> dx, each shaped like its tensor."""
    batch = None
    if not _backward_ready(dy, x):
        dy, x, batch = _arrays(dy=dy, x=x)
    dtype = x.dtype
    # dx[n,c,i,j] = dy[n,c] * [(i,j) in
    #     argmax[i*,j*](x[n,c,i*,j*])]/count(argmax[i*,j*](x[n,c,i*,j*]))
    max_ij = x.max(axis=(2, 3))
    ties = (x == max_ij[:, :, None, None]).astype(dtype).sum(axis=(2, 3), dtype=dtype)
    dx = np.where(x == max_ij[:, :, None, None], (dy / ties)[:, :, None, None], 0)
    if batch is None:
        return Gradients(dx)
    return Gradients(dx.reshape(*batch, 2, 3, 3))


def _arrays(**given):
    """Tensors as arrays of one dtype, data as (N, ...), and the batch axes that data share."""
    arrays = {name: np.asarray(value) for name, value in given.items()}
    dtype = np.result_type(*(arrays[name] for name in arrays if name not in _INTEGER))
    if dtype.kind in "iu":  # divisions and functions leave the integers
        dtype = np.dtype(np.float64)
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
    return _ready(x) and type(dy) is np.ndarray and dy.dtype is x.dtype and dy.shape == (len(x), 2)


_FLOATS = np.dtype(np.float32), np.dtype(np.float64)
