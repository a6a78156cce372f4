"""Dense (fully connected) layer.

Forward:

    y[n,i] = sum[j](w[i,j] * x[n,j]) + b[i]

Gradient of x, by the chain rule:

    dx[n,j] = sum[i](dy[n,i] * w[i,j])

Gradient of w, by the chain rule:

    dw[i,j] = sum[n](dy[n,i] * x[n,j])

Gradient of b, by the chain rule:

    db[i] = sum[n](dy[n,i])

x: input; w: weights; b: bias; y: output; i: unit; j: input feature.

Generated and proved by:

    python -m derive --layer dense --input 4 --units 3
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (4,),
    "w": (3, 4),
    "b": (3,),
    "y": (3,),
}

EQUATIONS = """\
y[n,i] = sum[j](w[i,j] * x[n,j]) + b[i]
dx[n,j] = sum[i](dy[n,i] * w[i,j])
dw[i,j] = sum[n](dy[n,i] * x[n,j])
db[i] = sum[n](dy[n,i])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dw: np.ndarray
    db: np.ndarray


def forward(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    """x (..., 4), w (3, 4), b (3,) -> y (..., 3)."""
    x, w, b, batch = _arrays(x=x, w=w, b=b)
    # y[n,i] = sum[j](w[i,j] * x[n,j]) + b[i]
    y = x @ w.T + b
    return y.reshape(*batch, 3)


def backward(dy: np.ndarray, x: np.ndarray, w: np.ndarray, b: np.ndarray) -> Gradients:
    """dy (..., 3), x (..., 4), w (3, 4), b (3,) -> dx, dw, db, each shaped like its tensor."""
    dy, x, w, b, batch = _arrays(dy=dy, x=x, w=w, b=b)
    dtype = x.dtype
    # dx[n,j] = sum[i](dy[n,i] * w[i,j])
    dx = dy @ w
    # dw[i,j] = sum[n](dy[n,i] * x[n,j])
    dw = dy.T @ x
    # db[i] = sum[n](dy[n,i])
    db = dy.sum(axis=0, dtype=dtype)
    return Gradients(dx.reshape(*batch, 4), dw, db)


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
