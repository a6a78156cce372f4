"""Softmax.

Forward:

    m[n] = max[c](x[n,c])
    e[n,c] = exp(x[n,c] - m[n])
    s[n] = sum[c](e[n,c])
    y[n,c] = e[n,c] / s[n]

Gradient of s, by the chain rule:

    ds[n] = -(sum[c](dy[n,c] * y[n,c]) / s[n])

Gradient of e, by the chain rule:

    de[n,c] = (dy[n,c] - sum[c*](dy[n,c*] * y[n,c*])) / s[n]

Gradient of m, by the chain rule:

    dm[n] = 0

Gradient of x, by the chain rule:

    dx[n,c] = y[n,c] * (dy[n,c] - sum[c*](dy[n,c*] * y[n,c*]))

x: input; m: largest input; e: exponential; s: their sum; y: output; c: class.

Generated and proved by:

    python -m derive --layer softmax --input 4
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (4,),
    "y": (4,),
}

EQUATIONS = """\
m[n] = max[c](x[n,c])
e[n,c] = exp(x[n,c] - m[n])
s[n] = sum[c](e[n,c])
y[n,c] = e[n,c] / s[n]
ds[n] = -(sum[c](dy[n,c] * y[n,c]) / s[n])
de[n,c] = (dy[n,c] - sum[c*](dy[n,c*] * y[n,c*])) / s[n]
dm[n] = 0
dx[n,c] = y[n,c] * (dy[n,c] - sum[c*](dy[n,c*] * y[n,c*]))
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray


def forward(x: np.ndarray) -> np.ndarray:
    """x (..., 4) -> y (..., 4)."""
    batch = None
    if not _ready(x):
        x, batch = _arrays(x=x)
    dtype = x.dtype
    # m[n] = max[c](x[n,c])
    m = x.max(axis=1)
    # e[n,c] = exp(x[n,c] - m[n])
    e = np.exp(x - m[:, None])
    # s[n] = sum[c](e[n,c])
    s = e.sum(axis=1, dtype=dtype)
    # y[n,c] = e[n,c] / s[n]
    y = e / s[:, None]
    if batch is None:
        return y
    return y.reshape(*batch, 4)


def backward(dy: np.ndarray, x: np.ndarray) -> Gradients:
    """dy (..., 4), x (..., 4) -> dx, each shaped like its tensor."""
    batch = None
    if not _backward_ready(dy, x):
        dy, x, batch = _arrays(dy=dy, x=x)
    N, dtype = len(x), x.dtype
    # m[n] = max[c](x[n,c])
    m = x.max(axis=1)
    # e[n,c] = exp(x[n,c] - m[n])
    e = np.exp(x - m[:, None])
    # s[n] = sum[c](e[n,c])
    s = e.sum(axis=1, dtype=dtype)
    # y[n,c] = e[n,c] / s[n]
    y = e / s[:, None]
    # dx[n,c] = y[n,c] * (dy[n,c] - sum[c*](dy[n,c*] * y[n,c*]))
    sum_c = np.matmul(dy.reshape(N, 1, 4), y.reshape(N, 4, 1)).reshape(N)
    dx = y * (dy - sum_c[:, None])
    if batch is None:
        return Gradients(dx)
    return Gradients(dx.reshape(*batch, 4))


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
    return type(x) is np.ndarray and x.dtype in _FLOATS and x.shape[1:] == (4,)


def _backward_ready(dy, x):
    """The same, and as many samples of the upstream gradient."""
    return _ready(x) and type(dy) is np.ndarray and dy.dtype is x.dtype and dy.shape == (len(x), 4)


_FLOATS = np.dtype(np.float32), np.dtype(np.float64)
