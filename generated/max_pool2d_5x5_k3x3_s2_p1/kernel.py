"""Max pooling in 2-D.

Forward:

    y[n,i,j] = max[u,v](x[n,s*i + u - p,s*j + v - p])

Gradient of x, by the chain rule:

    dx[n,a,b] = sum[u,v](dy[n,(a + p - u)/s,(b + p - v)/s] * [(u,v) == argmax[u*,v*](x[n,a - u +
        u*,b - v + v*])])  where s | a + p - u, 0 <= (a + p - u)/s < O_h, s | b + p - v, 0 <= (b
        + p - v)/s < O_w
    dx[n,s*i + u - p,s*j + v - p] += dy[n,i,j] * [(u,v) == argmax[u*,v*](x[n,s*i + u* - p,s*j +
        v* - p])]

x: input; y: output; i: output row; u: window row; j: output column; v: window column.

Generated and proved by:

    python -m derive --layer max_pool --input 5x5 --kernel 3x3 --stride 2 --padding 1
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (5, 5),
    "y": (3, 3),
}

EQUATIONS = """\
y[n,i,j] = max[u,v](x[n,2*i + u - 1,2*j + v - 1])
dx[n,a,b] = sum[u,v](dy[n,(a + 1 - u)/2,(b + 1 - v)/2] * [(u,v) == argmax[u*,v*](x[n,a - u + u*,b - v + v*])])  where 2 | a + 1 - u, 2 | b + 1 - v
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray


def forward(x: np.ndarray) -> np.ndarray:
    """x (..., 5, 5) -> y (..., 3, 3)."""
    x, batch = _arrays(x=x)
    N, dtype = len(x), x.dtype
    x_padded = np.full((N, 7, 7), _lowest(dtype), dtype)
    x_padded[:, 1:6, 1:6] = x
    # y[n,i,j] = max[u,v](x[n,2*i + u - 1,2*j + v - 1])
    y = np.full((N, 3, 3), _lowest(dtype), dtype)
    for u in range(3):
        for v in range(3):
            y = np.maximum(y, x_padded[:, u : u + 5 : 2, v : v + 5 : 2])
    return y.reshape(*batch, 3, 3)


def backward(dy: np.ndarray, x: np.ndarray) -> Gradients:
    """dy (..., 3, 3), x (..., 5, 5) -> dx, each shaped like its tensor."""
    dy, x, batch = _arrays(dy=dy, x=x)
    N, dtype = len(x), x.dtype
    x_padded = np.full((N, 7, 7), _lowest(dtype), dtype)
    x_padded[:, 1:6, 1:6] = x
    # dx[n,2*i + u - 1,2*j + v - 1] += dy[n,i,j] * [(u,v) == argmax[u*,v*](x[n,2*i + u* - 1,2*j + v*
    #     - 1])]
    max_uv = np.full((N, 3, 3), _lowest(dtype), dtype)
    for u in range(3):
        for v in range(3):
            max_uv = np.maximum(max_uv, x_padded[:, u : u + 5 : 2, v : v + 5 : 2])
    dx_padded = np.zeros((N, 7, 7), dtype)
    taken = np.zeros((N, 3, 3), bool)
    for u in range(3):
        for v in range(3):
            place = 2 * np.arange(3) + (u - 1)
            inside = (place >= 0) & (place < 5)
            place_j = 2 * np.arange(3) + (v - 1)
            inside_j = (place_j >= 0) & (place_j < 5)
            wins = (
                (x_padded[:, u : u + 5 : 2, v : v + 5 : 2] == max_uv)
                & (inside[:, None] & inside_j)
                & ~taken
            )
            taken |= wins
            dx_padded[:, u : u + 5 : 2, v : v + 5 : 2] += np.where(wins, dy, 0)
    dx = dx_padded[:, 1:6, 1:6]
    return Gradients(dx.reshape(*batch, 5, 5))


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


def _lowest(dtype):
    """What loses every comparison for the maximum."""
    return np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf
