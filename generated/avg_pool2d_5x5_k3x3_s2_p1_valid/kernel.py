"""Average pooling in 2-D.

Forward:

    y[n,i,j] = sum[u,v](x[n,s*i + u - p,s*j + v - p]) / sum[u,v]([0 <= s*i + u - p < H, 0 <= s*j
        + v - p < W])

Gradient of x, by the chain rule:

    dx[n,a,b] = sum[u,v](dy[n,(a + p - u)/s,(b + p - v)/s] / sum[u*,v*]([0 <= a - u + u* < H, 0
        <= b - v + v* < W]))  where s | a + p - u, 0 <= (a + p - u)/s < O_h, s | b + p - v, 0 <=
        (b + p - v)/s < O_w
    dx[n,s*i + u - p,s*j + v - p] += dy[n,i,j] / sum[u*,v*]([0 <= s*i + u* - p < H, 0 <= s*j +
        v* - p < W])

x: input; y: output; i: output row; u: window row; j: output column; v: window column.

Generated and proved by:

    python -m derive --layer avg_pool --input 5x5 --kernel 3x3 --stride 2 --padding 1
        --no-count-include-pad
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (5, 5),
    "y": (3, 3),
}

EQUATIONS = """\
y[n,i,j] = sum[u,v](x[n,2*i + u - 1,2*j + v - 1]) / sum[u,v]([0 <= 2*i + u - 1 < 5, 0 <= 2*j + v - 1 < 5])
dx[n,a,b] = sum[u,v](dy[n,(a + 1 - u)/2,(b + 1 - v)/2] / sum[u*,v*]([0 <= a - u + u* < 5, 0 <= b - v + v* < 5]))  where 2 | a + 1 - u, 2 | b + 1 - v
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray


def forward(x: np.ndarray) -> np.ndarray:
    """x (..., 5, 5) -> y (..., 3, 3)."""
    x, batch = _arrays(x=x)
    N, dtype = len(x), x.dtype
    x_padded = np.zeros((N, 7, 7), dtype)
    x_padded[:, 1:6, 1:6] = x
    # y[n,i,j] = sum[u,v](x[n,2*i + u - 1,2*j + v - 1]) / sum[u,v]([0 <= 2*i + u - 1 < 5, 0 <= 2*j +
    #     v - 1 < 5])
    sum_uv = np.zeros((N, 3, 3), dtype)
    for u in range(3):
        for v in range(3):
            sum_uv += x_padded[:, u : u + 5 : 2, v : v + 5 : 2]
    place = (2 * np.arange(3))[:, None] + np.arange(3) - 1
    place_jv = (2 * np.arange(3))[:, None] + np.arange(3) - 1
    sum_uv_a = (
        ((place >= 0) & (place < 5))[:, None, :, None]
        & ((place_jv >= 0) & (place_jv < 5))[:, None, :]
    ).sum(axis=(2, 3), dtype=dtype)
    y = sum_uv / sum_uv_a
    return y.reshape(*batch, 3, 3)


def backward(dy: np.ndarray, x: np.ndarray) -> Gradients:
    """dy (..., 3, 3), x (..., 5, 5) -> dx, each shaped like its tensor."""
    dy, x, batch = _arrays(dy=dy, x=x)
    N, dtype = len(x), x.dtype
    # dx[n,2*i + u - 1,2*j + v - 1] += dy[n,i,j] / sum[u*,v*]([0 <= 2*i + u* - 1 < 5, 0 <= 2*j + v*
    #     - 1 < 5])
    place = (2 * np.arange(3))[:, None] + np.arange(3) - 1
    place_jv = (2 * np.arange(3))[:, None] + np.arange(3) - 1
    sum_uv = (
        ((place >= 0) & (place < 5))[:, :, None, None] & ((place_jv >= 0) & (place_jv < 5))
    ).sum(axis=(1, 3), dtype=dtype)
    dx_padded = np.zeros((N, 7, 7), dtype)
    for u in range(3):
        for v in range(3):
            dx_padded[:, u : u + 5 : 2, v : v + 5 : 2] += dy / sum_uv
    dx = dx_padded[:, 1:6, 1:6]
    return Gradients(dx.reshape(*batch, 5, 5))


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
