"""Convolution (cross-correlation) in 2-D, 2 groups.

Forward:

    y[n,(g,f),i,j] = sum[c,u,v](x[n,(g,c),i+u,j+v] * w[(g,f),c,u,v])

Gradient of x, by the chain rule:

    dx[n,(g,c),a,b] = sum[f,u,v](dy[n,(g,f),a-u,b-v] * w[(g,f),c,u,v])  where 0 <= a - u < O_h,
        0 <= b - v < O_w
    dx[n,(g,c),i+u,j+v] += sum[f](dy[n,(g,f),i,j] * w[(g,f),c,u,v])

Gradient of w, by the chain rule:

    dw[(g,f),c,u,v] = sum[n,i,j](dy[n,(g,f),i,j] * x[n,(g,c),i+u,j+v])

x: input; w: kernel; y: output; g: group; f: filter within its group; c: input channel within
its group; i: output row; u: kernel row; j: output column; v: kernel column.

Generated and proved by:

    python -m derive --input 4x5x5 --kernel 3x3 --filters 4 --groups 2
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (4, 5, 5),
    "w": (4, 2, 3, 3),
    "y": (4, 3, 3),
}

EQUATIONS = """\
y[n,(g,f),i,j] = sum[c,u,v](x[n,(g,c),i+u,j+v] * w[(g,f),c,u,v])
dx[n,(g,c),a,b] = sum[f,u,v](dy[n,(g,f),a-u,b-v] * w[(g,f),c,u,v])  where 0 <= a - u < 3, 0 <= b - v < 3
dw[(g,f),c,u,v] = sum[n,i,j](dy[n,(g,f),i,j] * x[n,(g,c),i+u,j+v])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dw: np.ndarray


def forward(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """x (..., 4, 5, 5), w (4, 2, 3, 3) -> y (..., 4, 3, 3)."""
    x, w, batch = _arrays(x=x, w=w)
    N, dtype = len(x), x.dtype
    x = x.reshape(-1, 2, 2, 5, 5)
    w = w.reshape(2, 2, 2, 3, 3)
    # y[n,(g,f),i,j] = sum[c,u,v](x[n,(g,c),i+u,j+v] * w[(g,f),c,u,v])
    y = np.zeros((N, 2, 2, 3, 3), dtype)
    for u in range(3):
        for v in range(3):
            window = x[:, :, :, u : u + 3, v : v + 3]
            tap = np.matmul(w[:, :, :, u, v], window.reshape(N, 2, 2, 9))
            y += tap.reshape(N, 2, 2, 3, 3)
    return y.reshape(*batch, 4, 3, 3)


def backward(dy: np.ndarray, x: np.ndarray, w: np.ndarray) -> Gradients:
    """dy (..., 4, 3, 3), x (..., 4, 5, 5), w (4, 2, 3, 3) -> dx, dw, each shaped like its tensor."""
    dy, x, w, batch = _arrays(dy=dy, x=x, w=w)
    N, dtype = len(x), x.dtype
    x = x.reshape(-1, 2, 2, 5, 5)
    w = w.reshape(2, 2, 2, 3, 3)
    dy = dy.reshape(-1, 2, 2, 3, 3)
    # dx[n,(g,c),i+u,j+v] += sum[f](dy[n,(g,f),i,j] * w[(g,f),c,u,v])
    dx = np.zeros((N, 2, 2, 5, 5), dtype)
    for u in range(3):
        for v in range(3):
            tap = np.matmul(w[:, :, :, u, v].transpose(0, 2, 1), dy.reshape(N, 2, 2, 9))
            dx[:, :, :, u : u + 3, v : v + 3] += tap.reshape(N, 2, 2, 3, 3)
    # dw[(g,f),c,u,v] = sum[n,i,j](dy[n,(g,f),i,j] * x[n,(g,c),i+u,j+v])
    dw = np.zeros((2, 2, 2, 3, 3), dtype)
    for u in range(3):
        for v in range(3):
            window = x[:, :, :, u : u + 3, v : v + 3]
            tap = np.matmul(
                dy.reshape(N, 2, 2, 9), window.transpose(0, 1, 3, 4, 2).reshape(N, 2, 9, 2)
            )
            dw[:, :, :, u, v] = tap.sum(axis=0, dtype=dtype)
    return Gradients(dx.reshape(*batch, 4, 5, 5), dw.reshape(4, 2, 3, 3))


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
