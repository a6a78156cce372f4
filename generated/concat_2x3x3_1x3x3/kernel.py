"""Two inputs, one behind the other along the first axis.

Forward:

    y[n,c,i,j] = x[n,c-p,i,j] + z[n,c-q,i,j]

Gradient of x, by the chain rule:

    dx[n,a,i,j] = dy[n,a+p,i,j]  where 0 <= a + p < C
    dx[n,c-p,i,j] += dy[n,c,i,j]

Gradient of z, by the chain rule:

    dz[n,a,i,j] = dy[n,a+q,i,j]  where 0 <= a + q < C
    dz[n,c-q,i,j] += dy[n,c,i,j]

x: input; z: second input; y: output.

Generated and proved by:

    python -m derive --layer concat --input 2x3x3 --other 1x3x3
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (2, 3, 3),
    "z": (1, 3, 3),
    "y": (3, 3, 3),
}

EQUATIONS = """\
y[n,c,i,j] = x[n,c,i,j] + z[n,c-2,i,j]
dx[n,a,i,j] = dy[n,a,i,j]
dz[n,a,i,j] = dy[n,a+2,i,j]
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dz: np.ndarray


def forward(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """x (..., 2, 3, 3), z (..., 1, 3, 3) -> y (..., 3, 3, 3)."""
    x, z, batch = _arrays(x=x, z=z)
    N, dtype = len(x), x.dtype
    x_padded = np.zeros((N, 3, 3, 3), dtype)
    x_padded[:, 0:2, :, :] = x
    z_padded = np.zeros((N, 3, 3, 3), dtype)
    z_padded[:, 2:3, :, :] = z
    # y[n,c,i,j] = x[n,c,i,j] + z[n,c-2,i,j]
    y = x_padded + z_padded
    return y.reshape(*batch, 3, 3, 3)


def backward(dy: np.ndarray, x: np.ndarray, z: np.ndarray) -> Gradients:
    """dy (..., 3, 3, 3), x (..., 2, 3, 3), z (..., 1, 3, 3) -> dx, dz, each shaped like its
    tensor.
    """
    dy, x, z, batch = _arrays(dy=dy, x=x, z=z)
    # dx[n,a,i,j] = dy[n,a,i,j]
    dx = dy[:, 0:2, :, :].copy()
    # dz[n,a,i,j] = dy[n,a+2,i,j]
    dz = dy[:, 2:3, :, :].copy()
    return Gradients(dx.reshape(*batch, 2, 3, 3), dz.reshape(*batch, 1, 3, 3))


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


_BATCHED = ("dy", "x", "z")
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
