"""Trainable subsampling in 2-D.

Forward:

    y[n,c,i,j] = beta[c] * mean[u,v](x[n,c,s*i+u,s*j+v]) + b[c]

Gradient of x, by the chain rule:

    dx[n,c,q,r] = sum[u,v](dy[n,c,(q - u)/s,(r - v)/s] * beta[c] / (K_h*K_w))  where s | q - u,
        0 <= (q - u)/s < O_h, s | r - v, 0 <= (r - v)/s < O_w
    dx[n,c,s*i+u,s*j+v] += dy[n,c,i,j] * beta[c] / (K_h*K_w)

Gradient of beta, by the chain rule:

    dbeta[c] = sum[n,i,j](dy[n,c,i,j] * mean[u,v](x[n,c,s*i+u,s*j+v]))

Gradient of b, by the chain rule:

    db[c] = sum[n,i,j](dy[n,c,i,j])

x: input; beta: factor; b: bias; y: output; c: channel; i: output row; u: window row; j: output
column; v: window column.

Generated and proved by:

    python -m derive --layer subsample --input 2x4x4 --kernel 2x2
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (2, 4, 4),
    "beta": (2,),
    "b": (2,),
    "y": (2, 2, 2),
}

EQUATIONS = """\
y[n,c,i,j] = beta[c] * mean[u,v](x[n,c,2*i+u,2*j+v]) + b[c]
dx[n,c,q,r] = sum[u,v](dy[n,c,(q - u)/2,(r - v)/2] * beta[c] / 4)  where 2 | q - u, 2 | r - v
dbeta[c] = sum[n,i,j](dy[n,c,i,j] * mean[u,v](x[n,c,2*i+u,2*j+v]))
db[c] = sum[n,i,j](dy[n,c,i,j])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dbeta: np.ndarray
    db: np.ndarray


def forward(x: np.ndarray, beta: np.ndarray, b: np.ndarray) -> np.ndarray:
    """x (..., 2, 4, 4), beta (2,), b (2,) -> y (..., 2, 2, 2)."""
    batch = None
    if not _ready(x, beta, b):
        x, beta, b, batch = _arrays(x=x, beta=beta, b=b)
    N, dtype = len(x), x.dtype
    # y[n,c,i,j] = beta[c] * mean[u,v](x[n,c,2*i+u,2*j+v]) + b[c]
    mean_uv = np.zeros((N, 2, 2, 2), dtype)
    for u in range(2):
        for v in range(2):
            mean_uv += x[:, :, u : u + 3 : 2, v : v + 3 : 2]
    mean_uv = mean_uv / 4
    y = beta[:, None, None] * mean_uv + b[:, None, None]
    if batch is None:
        return y
    return y.reshape(*batch, 2, 2, 2)


def backward(dy: np.ndarray, x: np.ndarray, beta: np.ndarray, b: np.ndarray) -> Gradients:
    """dy (..., 2, 2, 2), x (..., 2, 4, 4), beta (2,), b (2,) -> dx, dbeta, db, each shaped like
    its tensor.
    """
    batch = None
    if not _backward_ready(dy, x, beta, b):
        dy, x, beta, b, batch = _arrays(dy=dy, x=x, beta=beta, b=b)
    N, dtype = len(x), x.dtype
    # dx[n,c,2*i+u,2*j+v] += dy[n,c,i,j] * beta[c] / 4
    dx = np.zeros((N, 2, 4, 4), dtype)
    for u in range(2):
        for v in range(2):
            dx[:, :, u : u + 3 : 2, v : v + 3 : 2] += dy * beta[:, None, None] / 4
    # dbeta[c] = sum[n,i,j](dy[n,c,i,j] * mean[u,v](x[n,c,2*i+u,2*j+v]))
    mean_uv = np.zeros((N, 2, 2, 2), dtype)
    for u in range(2):
        for v in range(2):
            mean_uv += x[:, :, u : u + 3 : 2, v : v + 3 : 2]
    mean_uv = mean_uv / 4
    products = np.matmul(dy.reshape(N, 2, 1, 4), mean_uv.reshape(N, 2, 4, 1))
    dbeta = products.reshape(N, 2).sum(axis=0, dtype=dtype)
    # db[c] = sum[n,i,j](dy[n,c,i,j])
    db = dy.sum(axis=(0, 2, 3), dtype=dtype)
    if batch is None:
        return Gradients(dx, dbeta, db)
    return Gradients(dx.reshape(*batch, 2, 4, 4), dbeta, db)


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


def _ready(x, beta, b):
    """Whether all is as kernels want it: arrays of one float type, with an axis of samples."""
    return (
        type(x) is type(beta) is type(b) is np.ndarray
        and x.dtype is beta.dtype is b.dtype in _FLOATS
        and x.shape[1:] == (2, 4, 4)
        and beta.shape == (2,)
        and b.shape == (2,)
    )


def _backward_ready(dy, x, beta, b):
    """The same, and as many samples of the upstream gradient."""
    return (
        _ready(x, beta, b)
        and type(dy) is np.ndarray
        and dy.dtype is x.dtype
        and dy.shape == (len(x), 2, 2, 2)
    )


_FLOATS = np.dtype(np.float32), np.dtype(np.float64)
