"""Convolution (cross-correlation) in 2-D, depthwise.

Forward:

    y[n,(g,f),i,j] = sum[c,u,v](x[n,(g,c),i + u - p,j + v - p] * w[(g,f),c,u,v])

Gradient of x, by the chain rule:

    dx[n,(g,c),a,b] = sum[f,u,v](dy[n,(g,f),a + p - u,b + p - v] * w[(g,f),c,u,v])  where 0 <= a
        + p - u < O_h, 0 <= b + p - v < O_w
    dx[n,(g,c),i + u - p,j + v - p] += sum[f](dy[n,(g,f),i,j] * w[(g,f),c,u,v])

Gradient of w, by the chain rule:

    dw[(g,f),c,u,v] = sum[n,i,j](dy[n,(g,f),i,j] * x[n,(g,c),i + u - p,j + v - p])

x: input; w: kernel; y: output; g: group; f: filter within its group; c: input channel within
its group; i: output row; u: kernel row; j: output column; v: kernel column.

Generated and proved by:

    python -m derive --input 3x5x5 --kernel 3x3 --filters 3 --padding same --groups 3
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (3, 5, 5),
    "w": (3, 1, 3, 3),
    "y": (3, 5, 5),
}

EQUATIONS = """\
y[n,(g,f),i,j] = sum[c,u,v](x[n,(g,c),i + u - 1,j + v - 1] * w[(g,f),c,u,v])
dx[n,(g,c),a,b] = sum[f,u,v](dy[n,(g,f),a + 1 - u,b + 1 - v] * w[(g,f),c,u,v])  where 0 <= a + 1 - u < 5, 0 <= b + 1 - v < 5
dw[(g,f),c,u,v] = sum[n,i,j](dy[n,(g,f),i,j] * x[n,(g,c),i + u - 1,j + v - 1])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dw: np.ndarray


def forward(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """x (..., 3, 5, 5), w (3, 1, 3, 3) -> y (..., 3, 5, 5)."""
    x, w, batch = _arrays(x=x, w=w)
    N, dtype = len(x), x.dtype
    x = x.reshape(-1, 3, 1, 5, 5)
    w = w.reshape(3, 1, 1, 3, 3)
    x_padded = np.zeros((N, 3, 1, 7, 7), dtype)
    x_padded[:, :, :, 1:6, 1:6] = x
    # y[n,(g,f),i,j] = sum[c,u,v](x[n,(g,c),i + u - 1,j + v - 1] * w[(g,f),c,u,v])
    y = np.zeros((N, 3, 1, 5, 5), dtype)
    for u in range(3):
        for v in range(3):
            y += x_padded[:, :, 0, None, u : u + 5, v : v + 5] * w[:, :, 0, u, v, None, None]
    return y.reshape(*batch, 3, 5, 5)


def backward(dy: np.ndarray, x: np.ndarray, w: np.ndarray) -> Gradients:
    """dy (..., 3, 5, 5), x (..., 3, 5, 5), w (3, 1, 3, 3) -> dx, dw, each shaped like its tensor."""
    dy, x, w, batch = _arrays(dy=dy, x=x, w=w)
    N, dtype = len(x), x.dtype
    x = x.reshape(-1, 3, 1, 5, 5)
    w = w.reshape(3, 1, 1, 3, 3)
    dy = dy.reshape(-1, 3, 1, 5, 5)
    dy_padded = np.zeros((N, 3, 1, 7, 7), dtype)
    dy_padded[:, :, :, 1:6, 1:6] = dy
    x_padded = np.zeros((N, 3, 1, 7, 7), dtype)
    x_padded[:, :, :, 1:6, 1:6] = x
    # dx[n,(g,c),a,b] = sum[f,u,v](dy[n,(g,f),a + 1 - u,b + 1 - v] * w[(g,f),c,u,v])  where 0 <= a +
    #     1 - u < 5, 0 <= b + 1 - v < 5
    dx = np.zeros((N, 3, 1, 5, 5), dtype)
    for u in range(3):
        for v in range(3):
            dx += (
                dy_padded[:, :, 0, None, 2 - u : 7 - u, 2 - v : 7 - v]
                * w[:, 0, :, u, v, None, None]
            )
    # dw[(g,f),c,u,v] = sum[n,i,j](dy[n,(g,f),i,j] * x[n,(g,c),i + u - 1,j + v - 1])
    dw = np.zeros((3, 1, 1, 3, 3), dtype)
    for u in range(3):
        for v in range(3):
            window = dy_padded[:, :, :, 1:6, 1:6]
            x_padded_window = x_padded[:, :, :, u : u + 5, v : v + 5]
            tap = np.matmul(
                window.reshape(N, 3, 1, 25),
                x_padded_window.transpose(0, 1, 3, 4, 2).reshape(N, 3, 25, 1),
            )
            dw[:, :, :, u, v] = tap.sum(axis=0, dtype=dtype)
    return Gradients(dx.reshape(*batch, 3, 5, 5), dw.reshape(3, 1, 3, 3))


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
