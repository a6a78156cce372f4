"""Convolution (cross-correlation) in 2-D.

Forward:

    y[n,f,i,j] = sum[c,u,v](x[n,c,i+u,j+v] * w[f,c,u,v]) + b[f]

Gradient of x, by the chain rule:

    dx[n,c,q,r] = sum[f,u,v](dy[n,f,q-u,r-v] * w[f,c,u,v])  where 0 <= q - u < O_h, 0 <= r - v <
        O_w
    dx[n,c,i+u,j+v] += sum[f](dy[n,f,i,j] * w[f,c,u,v])

Gradient of w, by the chain rule:

    dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,i+u,j+v])

Gradient of b, by the chain rule:

    db[f] = sum[n,i,j](dy[n,f,i,j])

x: input; w: kernel; y: output; b: bias; f: filter; c: input channel; i: output row; u: kernel
row; j: output column; v: kernel column.

Generated and proved by:

    python -m derive --input 1x28x28 --kernel 5x5 --filters 6 --bias
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (1, 28, 28),
    "w": (6, 1, 5, 5),
    "b": (6,),
    "y": (6, 24, 24),
}

EQUATIONS = """\
y[n,f,i,j] = sum[c,u,v](x[n,c,i+u,j+v] * w[f,c,u,v]) + b[f]
dx[n,c,q,r] = sum[f,u,v](dy[n,f,q-u,r-v] * w[f,c,u,v])  where 0 <= q - u < 24, 0 <= r - v < 24
dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,i+u,j+v])
db[f] = sum[n,i,j](dy[n,f,i,j])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dw: np.ndarray
    db: np.ndarray


def forward(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    """x (..., 1, 28, 28), w (6, 1, 5, 5), b (6,) -> y (..., 6, 24, 24)."""
    x, w, b, batch = _arrays(x=x, w=w, b=b)
    N, dtype = len(x), x.dtype
    # y[n,f,i,j] = sum[c,u,v](x[n,c,i+u,j+v] * w[f,c,u,v]) + b[f]
    y = np.zeros((N, 6, 24, 24), dtype)
    for u in range(5):
        for v in range(5):
            y += x[:, 0, None, u : u + 24, v : v + 24] * w[:, 0, u, v, None, None]
    y += b[:, None, None]
    return y.reshape(*batch, 6, 24, 24)


def backward(dy: np.ndarray, x: np.ndarray, w: np.ndarray, b: np.ndarray) -> Gradients:
    """dy (..., 6, 24, 24), x (..., 1, 28, 28), w (6, 1, 5, 5), b (6,) -> dx, dw, db, each shaped
    like its tensor.
    """
    dy, x, w, b, batch = _arrays(dy=dy, x=x, w=w, b=b)
    N, dtype = len(x), x.dtype
    # dx[n,c,i+u,j+v] += sum[f](dy[n,f,i,j] * w[f,c,u,v])
    dx = np.zeros((N, 1, 28, 28), dtype)
    for u in range(5):
        for v in range(5):
            tap = np.matmul(w[:, :, u, v].T, dy.reshape(N, 6, 576))
            dx[:, :, u : u + 24, v : v + 24] += tap.reshape(N, 1, 24, 24)
    # dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,i+u,j+v])
    dw = np.zeros((6, 1, 5, 5), dtype)
    for u in range(5):
        for v in range(5):
            window = x[:, :, u : u + 24, v : v + 24]
            dw[:, :, u, v] = np.tensordot(dy, window, axes=((0, 2, 3), (0, 2, 3)))
    # db[f] = sum[n,i,j](dy[n,f,i,j])
    db = dy.sum(axis=(0, 2, 3), dtype=dtype)
    return Gradients(dx.reshape(*batch, 1, 28, 28), dw, db)


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
