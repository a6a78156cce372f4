"""Transposed convolution in 2-D.

Forward:

    y[n,f,a,e] = sum[c,i,j,u,v](x[n,c,i,j] * w[c,f,u,v] * [s*i + u - p == a] * [s*j + v - p ==
        e]) + b[f]

Gradient of x, by the chain rule:

    dx[n,c,i,j] = sum[f,u,v](dy[n,f,s*i + u - p,s*j + v - p] * w[c,f,u,v])  where 0 <= s*i + u -
        p < O_h, 0 <= s*j + v - p < O_w

Gradient of w, by the chain rule:

    dw[c,f,u,v] = sum[n,i,j](dy[n,f,s*i + u - p,s*j + v - p] * x[n,c,i,j])  where 0 <= s*i + u -
        p < O_h, 0 <= s*j + v - p < O_w

Gradient of b, by the chain rule:

    db[f] = sum[n,a,e](dy[n,f,a,e])

x: input; w: kernel; y: output; b: bias; f: filter; c: input channel; a: output row; i: input
row; u: kernel row; e: output column; j: input column; v: kernel column.

Generated and proved by:

    python -m derive --layer conv_transpose --input 2x3x3 --kernel 3x3 --filters 2 --stride 2
        --padding 1 --output-padding 1 --bias
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (2, 3, 3),
    "w": (2, 2, 3, 3),
    "b": (2,),
    "y": (2, 6, 6),
}

EQUATIONS = """\
y[n,f,a,e] = sum[c,i,j,u,v](x[n,c,i,j] * w[c,f,u,v] * [2*i + u - 1 == a] * [2*j + v - 1 == e]) + b[f]
dx[n,c,i,j] = sum[f,u,v](dy[n,f,2*i + u - 1,2*j + v - 1] * w[c,f,u,v])  where 0 <= 2*i + u - 1 < 6, 0 <= 2*j + v - 1 < 6
dw[c,f,u,v] = sum[n,i,j](dy[n,f,2*i + u - 1,2*j + v - 1] * x[n,c,i,j])  where 0 <= 2*i + u - 1 < 6, 0 <= 2*j + v - 1 < 6
db[f] = sum[n,a,e](dy[n,f,a,e])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dw: np.ndarray
    db: np.ndarray


def forward(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    """x (..., 2, 3, 3), w (2, 2, 3, 3), b (2,) -> y (..., 2, 6, 6)."""
    x, w, b, batch = _arrays(x=x, w=w, b=b)
    N, dtype = len(x), x.dtype
    # y[n,f,2*i + u - 1,2*j + v - 1] += sum[c](x[n,c,i,j] * w[c,f,u,v])
    # y[n,f,a,e] += b[f]
    y_padded = np.zeros((N, 2, 7, 7), dtype)
    for i in range(3):
        for j in range(3):
            y_padded[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += np.tensordot(
                x[:, :, i, j], w, axes=((1,), (0,))
            )
    y_padded[:, :, 1:7, 1:7] += b[:, None, None]
    y = y_padded[:, :, 1:7, 1:7]
    return y.reshape(*batch, 2, 6, 6)


def backward(dy: np.ndarray, x: np.ndarray, w: np.ndarray, b: np.ndarray) -> Gradients:
    """dy (..., 2, 6, 6), x (..., 2, 3, 3), w (2, 2, 3, 3), b (2,) -> dx, dw, db, each shaped like
    its tensor.
    """
    dy, x, w, b, batch = _arrays(dy=dy, x=x, w=w, b=b)
    N, dtype = len(x), x.dtype
    dy_padded = np.zeros((N, 2, 7, 7), dtype)
    dy_padded[:, :, 1:7, 1:7] = dy
    # dx[n,c,i,j] = sum[f,u,v](dy[n,f,2*i + u - 1,2*j + v - 1] * w[c,f,u,v])  where 0 <= 2*i + u - 1
    #     < 6, 0 <= 2*j + v - 1 < 6
    dx = np.zeros((N, 2, 3, 3), dtype)
    for i in range(3):
        for j in range(3):
            window = dy_padded[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            dx[:, :, i, j] = np.tensordot(window, w, axes=((1, 2, 3), (1, 2, 3)))
    # dw[c,f,u,v] = sum[n,i,j](dy[n,f,2*i + u - 1,2*j + v - 1] * x[n,c,i,j])  where 0 <= 2*i + u - 1
    #     < 6, 0 <= 2*j + v - 1 < 6
    dw = np.zeros((2, 2, 3, 3), dtype)
    for i in range(3):
        for j in range(3):
            window = dy_padded[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            dw += np.tensordot(x[:, :, i, j], window, axes=((0,), (0,)))
    # db[f] = sum[n,a,e](dy[n,f,a,e])
    db = dy_padded[:, :, 1:7, 1:7].sum(axis=(0, 2, 3), dtype=dtype)
    return Gradients(dx.reshape(*batch, 2, 3, 3), dw, db)


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
