"""Convolution (cross-correlation) in 2-D.

Forward:

    y[n,f,i,j] = sum[c,u,v](x[n,c,s*i + u - p,s*j + v - p] * w[f,c,u,v]) + b[f]

Gradient of x, by the chain rule:

    dx[n,c,q,r] = sum[f,u,v](dy[n,f,(q + p - u)/s,(r + p - v)/s] * w[f,c,u,v])  where s | q + p
        - u, 0 <= (q + p - u)/s < O_h, s | r + p - v, 0 <= (r + p - v)/s < O_w
    dx[n,c,s*i + u - p,s*j + v - p] += sum[f](dy[n,f,i,j] * w[f,c,u,v])

Gradient of w, by the chain rule:

    dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,s*i + u - p,s*j + v - p])

Gradient of b, by the chain rule:

    db[f] = sum[n,i,j](dy[n,f,i,j])

x: input; w: kernel; y: output; b: bias; f: filter; c: input channel; i: output row; u: kernel
row; j: output column; v: kernel column.

Generated and proved by:

    python -m derive --input 3x32x32 --kernel 3x3 --filters 32 --stride 2 --padding 1 --bias
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (3, 32, 32),
    "w": (32, 3, 3, 3),
    "b": (32,),
    "y": (32, 16, 16),
}

EQUATIONS = """\
y[n,f,i,j] = sum[c,u,v](x[n,c,2*i + u - 1,2*j + v - 1] * w[f,c,u,v]) + b[f]
dx[n,c,q,r] = sum[f,u,v](dy[n,f,(q + 1 - u)/2,(r + 1 - v)/2] * w[f,c,u,v])  where 2 | q + 1 - u, 0 <= (q + 1 - u)/2 < 16, 2 | r + 1 - v, 0 <= (r + 1 - v)/2 < 16
dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,2*i + u - 1,2*j + v - 1])
db[f] = sum[n,i,j](dy[n,f,i,j])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dw: np.ndarray
    db: np.ndarray


def forward(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    """x (..., 3, 32, 32), w (32, 3, 3, 3), b (32,) -> y (..., 32, 16, 16)."""
    x, w, b, batch = _arrays(x=x, w=w, b=b)
    N, dtype = len(x), x.dtype
    x_padded = np.zeros((N, 3, 33, 33), dtype)
    x_padded[:, :, 1:33, 1:33] = x
    # y[n,f,i,j] = sum[c,u,v](x[n,c,2*i + u - 1,2*j + v - 1] * w[f,c,u,v]) + b[f]
    y = np.zeros((N, 32, 16, 16), dtype)
    for u in range(3):
        for v in range(3):
            window = x_padded[:, :, u : u + 31 : 2, v : v + 31 : 2]
            tap = np.matmul(w[:, :, u, v], window.reshape(N, 3, 256))
            y += tap.reshape(N, 32, 16, 16)
    y += b[:, None, None]
    return y.reshape(*batch, 32, 16, 16)


def backward(dy: np.ndarray, x: np.ndarray, w: np.ndarray, b: np.ndarray) -> Gradients:
    """dy (..., 32, 16, 16), x (..., 3, 32, 32), w (32, 3, 3, 3), b (32,) -> dx, dw, db, each
    shaped like its tensor.
    """
    dy, x, w, b, batch = _arrays(dy=dy, x=x, w=w, b=b)
    N, dtype = len(x), x.dtype
    x_padded = np.zeros((N, 3, 33, 33), dtype)
    x_padded[:, :, 1:33, 1:33] = x
    # dx[n,c,2*i + u - 1,2*j + v - 1] += sum[f](dy[n,f,i,j] * w[f,c,u,v])
    dx_padded = np.zeros((N, 3, 33, 33), dtype)
    for u in range(3):
        for v in range(3):
            tap = np.matmul(w[:, :, u, v].T, dy.reshape(N, 32, 256))
            dx_padded[:, :, u : u + 31 : 2, v : v + 31 : 2] += tap.reshape(N, 3, 16, 16)
    dx = dx_padded[:, :, 1:33, 1:33]
    # dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,2*i + u - 1,2*j + v - 1])
    dw = np.zeros((32, 3, 3, 3), dtype)
    for u in range(3):
        for v in range(3):
            window = x_padded[:, :, u : u + 31 : 2, v : v + 31 : 2]
            dw[:, :, u, v] = np.tensordot(dy, window, axes=((0, 2, 3), (0, 2, 3)))
    # db[f] = sum[n,i,j](dy[n,f,i,j])
    db = dy.sum(axis=(0, 2, 3), dtype=dtype)
    return Gradients(dx.reshape(*batch, 3, 32, 32), dw, db)


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
