"""Convolution (cross-correlation) in 3-D.

Forward:

    y[n,i,j,k] = sum[u,v,t](x[n,i+u,j+v,k+t] * w[u,v,t])

Gradient of x, by the chain rule:

    dx[n,a,b,e] = sum[u,v,t](dy[n,a-u,b-v,e-t] * w[u,v,t])  where 0 <= a - u < O_d, 0 <= b - v <
        O_h, 0 <= e - t < O_w
    dx[n,i+u,j+v,k+t] += dy[n,i,j,k] * w[u,v,t]

Gradient of w, by the chain rule:

    dw[u,v,t] = sum[n,i,j,k](dy[n,i,j,k] * x[n,i+u,j+v,k+t])

x: input; w: kernel; y: output; i: output depth; u: kernel depth; j: output row; v: kernel row;
k: output column; t: kernel column.

Generated and proved by:

    python -m derive --input 4x4x4 --kernel 2x2x2
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (4, 4, 4),
    "w": (2, 2, 2),
    "y": (3, 3, 3),
}

EQUATIONS = """\
y[n,i,j,k] = sum[u,v,t](x[n,i+u,j+v,k+t] * w[u,v,t])
dx[n,a,b,e] = sum[u,v,t](dy[n,a-u,b-v,e-t] * w[u,v,t])  where 0 <= a - u < 3, 0 <= b - v < 3, 0 <= e - t < 3
dw[u,v,t] = sum[n,i,j,k](dy[n,i,j,k] * x[n,i+u,j+v,k+t])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dw: np.ndarray


def forward(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """x (..., 4, 4, 4), w (2, 2, 2) -> y (..., 3, 3, 3)."""
    x, w, batch = _arrays(x=x, w=w)
    N, dtype = len(x), x.dtype
    # y[n,i,j,k] = sum[u,v,t](x[n,i+u,j+v,k+t] * w[u,v,t])
    y = np.zeros((N, 3, 3, 3), dtype)
    for u in range(2):
        for v in range(2):
            for t in range(2):
                y += x[:, u : u + 3, v : v + 3, t : t + 3] * w[u, v, t]
    return y.reshape(*batch, 3, 3, 3)


def backward(dy: np.ndarray, x: np.ndarray, w: np.ndarray) -> Gradients:
    """dy (..., 3, 3, 3), x (..., 4, 4, 4), w (2, 2, 2) -> dx, dw, each shaped like its tensor."""
    dy, x, w, batch = _arrays(dy=dy, x=x, w=w)
    N, dtype = len(x), x.dtype
    # dx[n,i+u,j+v,k+t] += dy[n,i,j,k] * w[u,v,t]
    dx = np.zeros((N, 4, 4, 4), dtype)
    for u in range(2):
        for v in range(2):
            for t in range(2):
                dx[:, u : u + 3, v : v + 3, t : t + 3] += dy * w[u, v, t]
    # dw[u,v,t] = sum[n,i,j,k](dy[n,i,j,k] * x[n,i+u,j+v,k+t])
    dw = np.zeros((2, 2, 2), dtype)
    for u in range(2):
        for v in range(2):
            for t in range(2):
                window = x[:, u : u + 3, v : v + 3, t : t + 3]
                dw[u, v, t] = dy.ravel() @ window.ravel()
    return Gradients(dx.reshape(*batch, 4, 4, 4), dw)


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
