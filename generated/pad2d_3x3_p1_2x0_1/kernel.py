"""Zero padding in 2-D.

Forward:

    y[n,i,j] = x[n,i-p_h,j-p_w]

Gradient of x, by the chain rule:

    dx[n,a,b] = dy[n,a+p_h,b+p_w]  where 0 <= a + p_h < I, 0 <= b + p_w < J
    dx[n,i-p_h,j-p_w] += dy[n,i,j]

x: input; y: output; i: output row; j: output column.

Generated and proved by:

    python -m derive --layer pad --input 3x3 --padding 1,2x0,1
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (3, 3),
    "y": (6, 4),
}

EQUATIONS = """\
y[n,i,j] = x[n,i-1,j]
dx[n,a,b] = dy[n,a+1,b]
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray


def forward(x: np.ndarray) -> np.ndarray:
    """x (..., 3, 3) -> y (..., 6, 4)."""
    batch = None
    if not _ready(x):
        x, batch = _arrays(x=x)
    N, dtype = len(x), x.dtype
    x_padded = np.zeros((N, 6, 4), dtype)
    x_padded[:, 1:4, 0:3] = x
    # y[n,i,j] = x[n,i-1,j]
    y = x_padded.copy()
    if batch is None:
        return y
    return y.reshape(*batch, 6, 4)


def backward(dy: np.ndarray, x: np.ndarray) -> Gradients:
    """dy (..., 6, 4), x (..., 3, 3) -> dx, each shaped like its tensor."""
    batch = None
    if not _backward_ready(dy, x):
        dy, x, batch = _arrays(dy=dy, x=x)
    # dx[n,a,b] = dy[n,a+1,b]
    dx = dy[:, 1:4, 0:3].copy()
    if batch is None:
        return Gradients(dx)
    return Gradients(dx.reshape(*batch, 3, 3))


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
    return type(x) is np.ndarray and x.dtype in _FLOATS and x.shape[1:] == (3, 3)


def _backward_ready(dy, x):
    """The same, and as many samples of the upstream gradient."""
    return (
        _ready(x) and type(dy) is np.ndarray and dy.dtype is x.dtype and dy.shape == (len(x), 6, 4)
    )


_FLOATS = np.dtype(np.float32), np.dtype(np.float64)
