"""Convolution (cross-correlation) in 2-D.

Forward:

    y[n,i,j] = sum[u,v](x[n,s*i + u - p,s*j + v - p] * w[u,v])

Gradient of x, by the chain rule:

    dx[n,a,b] = sum[u,v](dy[n,(a + p - u)/s,(b + p - v)/s] * w[u,v])  where s | a + p - u, 0 <=
        (a + p - u)/s < O_h, s | b + p - v, 0 <= (b + p - v)/s < O_w
    dx[n,s*i + u - p,s*j + v - p] += dy[n,i,j] * w[u,v]

Gradient of w, by the chain rule:

    dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,s*i + u - p,s*j + v - p])

x: input; w: kernel; y: output; i: output row; u: kernel row; j: output column; v: kernel
column.

Generated and proved by:

    python -m derive --input 5x5 --kernel 3x3 --stride 2 --padding 1
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (5, 5),
    "w": (3, 3),
    "y": (3, 3),
}

EQUATIONS = """\
y[n,i,j] = sum[u,v](x[n,2*i + u - 1,2*j + v - 1] * w[u,v])
dx[n,a,b] = sum[u,v](dy[n,(a + 1 - u)/2,(b + 1 - v)/2] * w[u,v])  where 2 | a + 1 - u, 2 | b + 1 - v
dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,2*i + u - 1,2*j + v - 1])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dw: np.ndarray


def forward(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """x (..., 5, 5), w (3, 3) -> y (..., 3, 3)."""
    x, w, batch = _arrays(x=x, w=w)
    N, dtype = len(x), x.dtype
    x_padded = np.zeros((N, 7, 7), dtype)
    x_padded[:, 1:6, 1:6] = x
    # y[n,i,j] = sum[u,v](x[n,2*i + u - 1,2*j + v - 1] * w[u,v])
    y = np.zeros((N, 3, 3), dtype)
    for u in range(3):
        for v in range(3):
            y += x_padded[:, u : u + 5 : 2, v : v + 5 : 2] * w[u, v]
    return y.reshape(*batch, 3, 3)


def backward(dy: np.ndarray, x: np.ndarray, w: np.ndarray) -> Gradients:
    """dy (..., 3, 3), x (..., 5, 5), w (3, 3) -> dx, dw, each shaped like its tensor."""
    dy, x, w, batch = _arrays(dy=dy, x=x, w=w)
    N, dtype = len(x), x.dtype
    x_padded = np.zeros((N, 7, 7), dtype)
    x_padded[:, 1:6, 1:6] = x
    # dx[n,2*i + u - 1,2*j + v - 1] += dy[n,i,j] * w[u,v]
    dx_padded = np.zeros((N, 7, 7), dtype)
    for u in range(3):
        for v in range(3):
            dx_padded[:, u : u + 5 : 2, v : v + 5 : 2] += dy * w[u, v]
    dx = dx_padded[:, 1:6, 1:6]
    # dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,2*i + u - 1,2*j + v - 1])
    dw = np.zeros((3, 3), dtype)
    for u in range(3):
        for v in range(3):
            window = x_padded[:, u : u + 5 : 2, v : v + 5 : 2]
            dw[u, v] = dy.ravel() @ window.ravel()
    return Gradients(dx.reshape(*batch, 5, 5), dw)


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
