"""Convolution (cross-correlation) in 2-D.

Forward:

    y[n,i,j] = sum[u,v](x[n,i+u,j+v] * w[u,v])

Gradient of x, by the chain rule:

    dx[n,a,b] = sum[u,v](dy[n,a-u,b-v] * w[u,v])  where 0 <= a - u < O_h, 0 <= b - v < O_w
    dx[n,i+u,j+v] += dy[n,i,j] * w[u,v]

Gradient of w, by the chain rule:

    dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,i+u,j+v])

x: input; w: kernel; y: output; i: output row; u: kernel row; j: output column; v: kernel
column.

Generated and proved by:

    python -m derive --input 3x3 --kernel 2x2
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (3, 3),
    "w": (2, 2),
    "y": (2, 2),
}

EQUATIONS = """\
y[n,i,j] = sum[u,v](x[n,i+u,j+v] * w[u,v])
dx[n,a,b] = sum[u,v](dy[n,a-u,b-v] * w[u,v])  where 0 <= a - u < 2, 0 <= b - v < 2
dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,i+u,j+v])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dw: np.ndarray


def forward(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """x (..., 3, 3), w (2, 2) -> y (..., 2, 2)."""
    x, w, batch = _arrays(x=x, w=w)
    N, dtype = len(x), x.dtype
    # y[n,i,j] = sum[u,v](x[n,i+u,j+v] * w[u,v])
    y = np.zeros((N, 2, 2), dtype)
    for u in range(2):
        for v in range(2):
            y += x[:, u : u + 2, v : v + 2] * w[u, v]
    return y.reshape(*batch, 2, 2)


def backward(dy: np.ndarray, x: np.ndarray, w: np.ndarray) -> Gradients:
    """dy (..., 2, 2), x (..., 3, 3), w (2, 2) -> dx, dw, each shaped like its tensor."""
    dy, x, w, batch = _arrays(dy=dy, x=x, w=w)
    N, dtype = len(x), x.dtype
    # dx[n,i+u,j+v] += dy[n,i,j] * w[u,v]
    dx = np.zeros((N, 3, 3), dtype)
    for u in range(2):
        for v in range(2):
            dx[:, u : u + 2, v : v + 2] += dy * w[u, v]
    # dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,i+u,j+v])
    dw = np.zeros((2, 2), dtype)
    for u in range(2):
        for v in range(2):
            window = x[:, u : u + 2, v : v + 2]
            dw[u, v] = dy.ravel() @ window.ravel()
    return Gradients(dx.reshape(*batch, 3, 3), dw)


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
