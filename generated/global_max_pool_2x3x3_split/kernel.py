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
    x, batch = _arrays(x=x)
    # y[n,c] = max[i,j](x[n,c,i,j])
    y = x.max(axis=(2, 3))
    return y.reshape(*batch, 2)


def backward(dy: np.ndarray, x: np.ndarray) -> Gradients:
    """dy (..., 2), x (..., 2, 3, 3) -> dx, each shaped like its tensor."""
    dy, x, batch = _arrays(dy=dy, x=x)
    dtype = x.dtype
    # dx[n,c,i,j] = dy[n,c] * [(i,j) in
    #     argmax[i*,j*](x[n,c,i*,j*])]/count(argmax[i*,j*](x[n,c,i*,j*]))
    max_ij = x.max(axis=(2, 3))
    ties = (x == max_ij[:, :, None, None]).astype(dtype).sum(axis=(2, 3), dtype=dtype)
    dx = np.where(x == max_ij[:, :, None, None], (dy / ties)[:, :, None, None], 0)
    return Gradients(dx.reshape(*batch, 2, 3, 3))


def _arrays(**given):
    """Tensors as arrays of one dtype, data as (N, ...), and the batch axes that data share."""
    if (batch := _ready(given, _BATCHED)) is not None:
        return *given.values(), batch
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
