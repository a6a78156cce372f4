"""Power-average pooling in 2-D, p = 2.

Forward:

    q[n,i,j] = sum[u,v](x[n,s*i+u,s*j+v]**2)
    r[n,i,j] = where(q[n,i,j] > 0, q[n,i,j], 1)
    y[n,i,j] = where(q[n,i,j] > 0, r[n,i,j]**(1/2), 0)

Gradient of r, by the chain rule:

    dr[n,i,j] = dy[n,i,j] * where(q[n,i,j] > 0, 1, 0) * 1/2 * r[n,i,j]**(-1/2)

Gradient of q, by the chain rule:

    dq[n,i,j] = dy[n,i,j] * where(q[n,i,j] > 0, 1, 0)**2 * r[n,i,j]**(-1/2) / 2

Gradient of x, by the chain rule:

    dx[n,a,b] = sum[u,v](dq[n,(a - u)/s,(b - v)/s] * 2 * x[n,a,b])  where s | a - u, 0 <= (a -
        u)/s < O_h, s | b - v, 0 <= (b - v)/s < O_w
    dx[n,s*i+u,s*j+v] += dq[n,i,j] * 2 * x[n,s*i+u,s*j+v]

x: input; q: sum of powers; r: the same, 1 where it is 0; y: output; i: output row; u: window
row; j: output column; v: window column.

Generated and proved by:

    python -m derive --layer lp_pool --input 4x4 --kernel 2x2
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (4, 4),
    "y": (2, 2),
}

EQUATIONS = """\
q[n,i,j] = sum[u,v](x[n,2*i+u,2*j+v]**2)
r[n,i,j] = where(q[n,i,j] > 0, q[n,i,j], 1)
y[n,i,j] = where(q[n,i,j] > 0, r[n,i,j]**(1/2), 0)
dr[n,i,j] = dy[n,i,j] * where(q[n,i,j] > 0, 1, 0) * 1/2 * r[n,i,j]**(-1/2)
dq[n,i,j] = dy[n,i,j] * where(q[n,i,j] > 0, 1, 0)**2 * r[n,i,j]**(-1/2) / 2
dx[n,a,b] = sum[u,v](dq[n,(a - u)/2,(b - v)/2] * 2 * x[n,a,b])  where 2 | a - u, 2 | b - v
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray


def forward(x: np.ndarray) -> np.ndarray:
    """x (..., 4, 4) -> y (..., 2, 2)."""
    batch = None
    if not _ready(x):
        x, batch = _arrays(x=x)
    N, dtype = len(x), x.dtype
    # q[n,i,j] = sum[u,v](x[n,2*i+u,2*j+v]**2)
    q = np.zeros((N, 2, 2), dtype)
    for u in range(2):
        for v in range(2):
            q += x[:, u : u + 3 : 2, v : v + 3 : 2] ** 2
    # r[n,i,j] = where(q[n,i,j] > 0, q[n,i,j], 1)
    r = np.where(q > 0, q, 1)
    # y[n,i,j] = where(q[n,i,j] > 0, r[n,i,j]**(1/2), 0)
    y = np.where(q > 0, r ** (1 / 2), 0)
    if batch is None:
        return y
    return y.reshape(*batch, 2, 2)


def backward(dy: np.ndarray, x: np.ndarray) -> Gradients:
    """dy (..., 2, 2), x (..., 4, 4) -> dx, each shaped like its tensor."""
    batch = None
    if not _backward_ready(dy, x):
        dy, x, batch = _arrays(dy=dy, x=x)
    N, dtype = len(x), x.dtype
    # q[n,i,j] = sum[u,v](x[n,2*i+u,2*j+v]**2)
    q = np.zeros((N, 2, 2), dtype)
    for u in range(2):
        for v in range(2):
            q += x[:, u : u + 3 : 2, v : v + 3 : 2] ** 2
    # r[n,i,j] = where(q[n,i,j] > 0, q[n,i,j], 1)
    r = np.where(q > 0, q, 1)
    # dq[n,i,j] = dy[n,i,j] * where(q[n,i,j] > 0, 1, 0)**2 * r[n,i,j]**(-1/2) / 2
    dq = dy * (q > 0).astype(dtype) ** 2 * r ** (-1 / 2) / 2
    # dx[n,2*i+u,2*j+v] += dq[n,i,j] * 2 * x[n,2*i+u,2*j+v]
    dx = np.zeros((N, 4, 4), dtype)
    for u in range(2):
        for v in range(2):
            dx[:, u : u + 3 : 2, v : v + 3 : 2] += 2 * (dq * x[:, u : u + 3 : 2, v : v + 3 : 2])
    if batch is None:
        return Gradients(dx)
    return Gradients(dx.reshape(*batch, 4, 4))


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


def _ready(x):
    """Whether all is as kernels want it: arrays of one float type, with an axis of samples."""
    return type(x) is np.ndarray and x.dtype in _FLOATS and x.shape[1:] == (4, 4)


def _backward_ready(dy, x):
    """The same, and as many samples of the upstream gradient."""
    return (
        _ready(x) and type(dy) is np.ndarray and dy.dtype is x.dtype and dy.shape == (len(x), 2, 2)
    )


_FLOATS = np.dtype(np.float32), np.dtype(np.float64)
