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
    batch = None
    if not _ready(x, z):
        x, z, batch = _arrays(x=x, z=z)
    N, dtype = len(x), x.dtype
    x_padded = np.zeros((N, 3, 3, 3), dtype)
    x_padded[:, 0:2, :, :] = x
    z_padded = np.zeros((N, 3, 3, 3), dtype)
    z_padded[:, 2:3, :, :] = z
    # y[n,c,i,j] = x[n,c,i,j] + z[n,c-2,i,j]
    y = x_padded + z_padded
    if batch is None:
        return y
    return y.reshape(*batch, 3, 3, 3)


def backward(dy: np.ndarray, x: np.ndarray, z: np.ndarray) -> Gradients:
    """dy (..., 3, 3, 3), x (..., 2, 3, 3), z (..., 1, 3, 3) -> dx, dz, each shaped like its
    tensor.
    """
    batch = None
    if not _backward_ready(dy, x, z):
        dy, x, z, batch = _arrays(dy=dy, x=x, z=z)
    # dx[n,a,i,j] = dy[n,a,i,j]
    dx = dy[:, 0:2, :, :].copy()
    # dz[n,a,i,j] = dy[n,a+2,i,j]
    dz = dy[:, 2:3, :, :].copy()
    if batch is None:
        return Gradients(dx, dz)
    return Gradients(dx.reshape(*batch, 2, 3, 3), dz.reshape(*batch, 1, 3, 3))


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


_BATCHED = ("dy", "x", "z")
_INTEGER = ()
_SHAPE_OF = {"dy": "y"}


def _ready(x, z):
    """Whether all is as kernels want it: arrays of one float type, with an axis of samples."""
    return (
        type(x) is type(z) is np.ndarray
        and x.dtype is z.dtype in _FLOATS
        and x.shape[1:] == (2, 3, 3)
        and z.shape == (len(x), 1, 3, 3)
    )


def _backward_ready(dy, x, z):
    """The same, and as many samples of the upstream gradient."""
    return (
        _ready(x, z)
        and type(dy) is np.ndarray
        and dy.dtype is x.dtype
        and dy.shape == (len(x), 3, 3, 3)
    )


_FLOATS = np.dtype(np.float32), np.dtype(np.float64)
