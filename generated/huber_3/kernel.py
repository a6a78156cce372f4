"""Huber loss.

Forward:

    z[n,i] = x[n,i] - t[n,i]
    y = mean[n,i](where(abs(z[n,i]) <= 1, z[n,i]**2 / 2, abs(z[n,i]) - 1 / 2))

Gradient of z, by the chain rule:

    dz[n,i] = (where(abs(z[n,i]) <= 1, 1, 0) * z[n,i] + where(abs(z[n,i]) <= 1, 0, 1) *
        sign(z[n,i])) / (N * I)

Gradient of x, by the chain rule:

    dx[n,i] = dz[n,i]

Gradient of t, by the chain rule:

    dt[n,i] = -dz[n,i]

x: input; t: target; y: loss; n: sample; z: error.

Generated and proved by:

    python -m derive --layer huber --input 3
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (3,),
    "t": (3,),
    "y": (),
}

EQUATIONS = """\
z[n,i] = x[n,i] - t[n,i]
y = mean[n,i](where(abs(z[n,i]) <= 1, z[n,i]**2 / 2, abs(z[n,i]) - 1 / 2))
dz[n,i] = (where(abs(z[n,i]) <= 1, 1, 0) * z[n,i] / 3 + where(abs(z[n,i]) <= 1, 0, 1) * sign(z[n,i]) / 3) / N
dx[n,i] = dz[n,i]
dt[n,i] = -dz[n,i]
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dt: np.ndarray


def forward(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """x (..., 3), t (..., 3) -> y ()."""
    if not _ready(x, t):
        x, t, _ = _arrays(x=x, t=t)
    N, dtype = len(x), x.dtype
    # z[n,i] = x[n,i] - t[n,i]
    z = x - t
    # y = mean[n,i](where(abs(z[n,i]) <= 1, z[n,i]**2 / 2, abs(z[n,i]) - 1 / 2))
    y = np.where(np.abs(z) <= 1, z**2 / 2, np.abs(z) - 1 / 2).sum(dtype=dtype) / 3 / N
    return y


def backward(x: np.ndarray, t: np.ndarray) -> Gradients:
    """x (..., 3), t (..., 3) -> dx, dt, each shaped like its tensor."""
    batch = None
    if not _ready(x, t):
        x, t, batch = _arrays(x=x, t=t)
    N = len(x)
    # z[n,i] = x[n,i] - t[n,i]
    z = x - t
    # dz[n,i] = (where(abs(z[n,i]) <= 1, 1, 0) * z[n,i] / 3 + where(abs(z[n,i]) <= 1, 0, 1) *
    #     sign(z[n,i]) / 3) / N
    dz = (np.where(np.abs(z) <= 1, z, 0) / 3 + np.where(~(np.abs(z) <= 1), np.sign(z), 0) / 3) / N
    # dx[n,i] = dz[n,i]
    dx = dz.copy()
    # dt[n,i] = -dz[n,i]
    dt = -dz
    if batch is None:
        return Gradients(dx, dt)
    return Gradients(dx.reshape(*batch, 3), dt.reshape(*batch, 3))


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


_BATCHED = ("x", "t")
_INTEGER = ()
_SHAPE_OF = {}


def _ready(x, t):
    """Whether all is as kernels want it: arrays of one float type, with an axis of samples."""
    return (
        type(x) is type(t) is np.ndarray
        and x.dtype is t.dtype in _FLOATS
        and x.shape[1:] == (3,)
        and t.shape == (len(x), 3)
    )


_FLOATS = np.dtype(np.float32), np.dtype(np.float64)
