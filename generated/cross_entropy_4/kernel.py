"""Softmax and cross-entropy.

Forward:

    m[n] = max[c](x[n,c])
    z[n,c] = x[n,c] - m[n]
    s[n] = sum[c](exp(z[n,c]))
    y = mean[n](log(s[n]) - sum[c]((c == t[n]) * z[n,c]))

Gradient of s, by the chain rule:

    ds[n] = 1 / s[n] / N

Gradient of z, by the chain rule:

    dz[n,c] = (exp(z[n,c]) / s[n] - (c == t[n])) / N

Gradient of m, by the chain rule:

    dm[n] = 0

Gradient of x, by the chain rule:

    dx[n,c] = (exp(z[n,c]) / s[n] - (c == t[n])) / N

x: input; t: class index; y: loss; n: sample; m: largest logit; z: logit below the largest; s:
sum of exponentials; c: class.

Generated and proved by:

    python -m derive --layer cross_entropy --input 4
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (4,),
    "t": (),
    "y": (),
}

EQUATIONS = """\
m[n] = max[c](x[n,c])
z[n,c] = x[n,c] - m[n]
s[n] = sum[c](exp(z[n,c]))
y = mean[n](log(s[n]) - sum[c]((c == t[n]) * z[n,c]))
ds[n] = 1 / s[n] / N
dz[n,c] = (exp(z[n,c]) / s[n] - (c == t[n])) / N
dm[n] = 0
dx[n,c] = (exp(z[n,c]) / s[n] - (c == t[n])) / N
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dt: None


def forward(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """x (..., 4), t (...,) -> y ()."""
    if not _ready(x, t):
        x, t, _ = _arrays(x=x, t=t)
    N, dtype = len(x), x.dtype
    # m[n] = max[c](x[n,c])
    m = x.max(axis=1)
    # z[n,c] = x[n,c] - m[n]
    z = x - m[:, None]
    # s[n] = sum[c](exp(z[n,c]))
    s = np.exp(z).sum(axis=1, dtype=dtype)
    # y = mean[n](log(s[n]) - sum[c]((c == t[n]) * z[n,c]))
    sum_c = np.where(np.arange(4) == t[:, None], z, 0).sum(axis=1, dtype=dtype)
    y = (np.log(s) - sum_c).sum(dtype=dtype) / N
    return y


def backward(x: np.ndarray, t: np.ndarray) -> Gradients:
    """x (..., 4), t (...,) -> dx, each shaped like its tensor."""
    batch = None
    if not _ready(x, t):
        x, t, batch = _arrays(x=x, t=t)
    N, dtype = len(x), x.dtype
    # m[n] = max[c](x[n,c])
    m = x.max(axis=1)
    # z[n,c] = x[n,c] - m[n]
    z = x - m[:, None]
    # s[n] = sum[c](exp(z[n,c]))
    s = np.exp(z).sum(axis=1, dtype=dtype)
    # dx[n,c] = (exp(z[n,c]) / s[n] - (c == t[n])) / N
    dx = (np.exp(z) / s[:, None] - (np.arange(4) == t[:, None]).astype(dtype)) / N
    if batch is None:
        return Gradients(dx, None)
    return Gradients(dx.reshape(*batch, 4), None)


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
        if name in _CLASSES:
            known = np.isin(array, np.arange(_CLASSES[name]))
            if not known.all():
                wrong, last = array[~known][0], _CLASSES[name] - 1
                raise ValueError(f"{name} holds {wrong}, but the classes are 0 to {last}")
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
_INTEGER = ("t",)
_CLASSES = {"t": 4}
_SHAPE_OF = {}


def _ready(x, t):
    """Whether all is as kernels want it: arrays of one float type, with an axis of samples."""
    return (
        type(x) is type(t) is np.ndarray
        and x.dtype in _FLOATS
        and x.shape[1:] == (4,)
        and t.shape == (len(x),)
        and t.dtype.kind in "iu"
        and t.size > 0
        and 0 <= t.min() <= t.max() < 4
    )


_FLOATS = np.dtype(np.float32), np.dtype(np.float64)
