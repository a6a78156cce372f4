"""Convolution (cross-correlation) in 1-D.

Forward:

    y[n,i] = sum[u](x[n,i+u] * w[u])

Gradient of x, by the chain rule:

    dx[n,a] = sum[u](dy[n,a-u] * w[u])  where 0 <= a - u < O
    dx[n,i+u] += dy[n,i] * w[u]

Gradient of w, by the chain rule:

    dw[u] = sum[n,i](dy[n,i] * x[n,i+u])

x: input; w: kernel; y: output; i: output position; u: kernel position.

Generated and proved by:

    python -m derive --input 8 --kernel 3
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (8,),
    "w": (3,),
    "y": (6,),
}

EQUATIONS = """\
y[n,i] = sum[u](x[n,i+u] * w[u])
dx[n,a] = sum[u](dy[n,a-u] * w[u])  where 0 <= a - u < 6
dw[u] = sum[n,i](dy[n,i] * x[n,i+u])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dw: np.ndarray


def forward(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """x (..., 8), w (3,) -> y (..., 6)."""
    x, w, batch = _arrays(x=x, w=w)
    N, dtype = len(x), x.dtype
    # y[n,i] = sum[u](x[n,i+u] * w[u])
    y = np.zeros((N, 6), dtype)
    for u in range(3):
        y += x[:, u : u + 6] * w[u]
    return y.reshape(*batch, 6)


def backward(dy: np.ndarray, x: np.ndarray, w: np.ndarray) -> Gradients:
    """dy (..., 6), x (..., 8), w (3,) -> dx, dw, each shaped like its tensor."""
    dy, x, w, batch = _arrays(dy=dy, x=x, w=w)
    N, dtype = len(x), x.dtype
    # dx[n,i+u] += dy[n,i] * w[u]
    dx = np.zeros((N, 8), dtype)
    for u in range(3):
        dx[:, u : u + 6] += dy * w[u]
    # dw[u] = sum[n,i](dy[n,i] * x[n,i+u])
    dw = np.zeros((3,), dtype)
    for u in range(3):
        window = x[:, u : u + 6]
        dw[u] = dy.ravel() @ window.ravel()
    return Gradients(dx.reshape(*batch, 8), dw)


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
