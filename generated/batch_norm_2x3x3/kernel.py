"""Batch normalisation, training statistics.

Forward:

    m[c] = mean[n,i,j](x[n,c,i,j])
    v[c] = mean[n,i,j]((x[n,c,i,j] - m[c])**2)
    h[n,c,i,j] = (x[n,c,i,j] - m[c]) / sqrt(v[c] + 0.00001)
    y[n,c,i,j] = gamma[c] * h[n,c,i,j] + beta[c]

Gradient of h, by the chain rule:

    dh[n,c,i,j] = dy[n,c,i,j] * gamma[c]

Gradient of v, by the chain rule:

    dv[c] = -(gamma[c] * sum[n,i,j](dy[n,c,i,j] * h[n,c,i,j]) / (2 * (v[c] + 0.00001)))

Gradient of m, by the chain rule:

    dm[c] = -(gamma[c] * sum[n,i,j](dy[n,c,i,j]) / sqrt(v[c] + 0.00001))

Gradient of x, by the chain rule:

    dx[n,c,i,j] = gamma[c] * (dy[n,c,i,j] - mean[n*,i*,j*](dy[n*,c,i*,j*]) -
        mean[n*,i*,j*](dy[n*,c,i*,j*] * h[n*,c,i*,j*]) * h[n,c,i,j]) / sqrt(v[c] + 0.00001)

Gradient of gamma, by the chain rule:

    dgamma[c] = sum[n,i,j](dy[n,c,i,j] * h[n,c,i,j])

Gradient of beta, by the chain rule:

    dbeta[c] = sum[n,i,j](dy[n,c,i,j])

x: input; gamma: scale; beta: shift; m: mean; v: variance; h: normalised input; y: output; n:
sample; c: channel.

Generated and proved by:

    python -m derive --layer batch_norm --input 2x3x3
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (2, 3, 3),
    "gamma": (2,),
    "beta": (2,),
    "y": (2, 3, 3),
}

EQUATIONS = """\
m[c] = mean[n,i,j](x[n,c,i,j])
v[c] = mean[n,i,j]((x[n,c,i,j] - m[c])**2)
h[n,c,i,j] = (x[n,c,i,j] - m[c]) / sqrt(v[c] + 0.00001)
y[n,c,i,j] = gamma[c] * h[n,c,i,j] + beta[c]
dh[n,c,i,j] = dy[n,c,i,j] * gamma[c]
dv[c] = -(gamma[c] * sum[n,i,j](dy[n,c,i,j] * h[n,c,i,j]) / (2 * (v[c] + 0.00001)))
dm[c] = -(gamma[c] * sum[n,i,j](dy[n,c,i,j]) / sqrt(v[c] + 0.00001))
dx[n,c,i,j] = gamma[c] * (dy[n,c,i,j] - mean[n*,i*,j*](dy[n*,c,i*,j*]) - mean[n*,i*,j*](dy[n*,c,i*,j*] * h[n*,c,i*,j*]) * h[n,c,i,j]) / sqrt(v[c] + 0.00001)
dgamma[c] = sum[n,i,j](dy[n,c,i,j] * h[n,c,i,j])
dbeta[c] = sum[n,i,j](dy[n,c,i,j])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dgamma: np.ndarray
    dbeta: np.ndarray


def forward(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """x (..., 2, 3, 3), gamma (2,), beta (2,) -> y (..., 2, 3, 3)."""
    batch = None
    if not _ready(x, gamma, beta):
        x, gamma, beta, batch = _arrays(x=x, gamma=gamma, beta=beta)
    N, dtype = len(x), x.dtype
    # m[c] = mean[n,i,j](x[n,c,i,j])
    m = x.sum(axis=(0, 2, 3), dtype=dtype) / 9 / N
    # v[c] = mean[n,i,j]((x[n,c,i,j] - m[c])**2)
    v = ((x - m[:, None, None]) ** 2).sum(axis=(0, 2, 3), dtype=dtype) / 9 / N
    # h[n,c,i,j] = (x[n,c,i,j] - m[c]) / sqrt(v[c] + 0.00001)
    h = (x - m[:, None, None]) / np.sqrt(v + 1 / 100000)[:, None, None]
    # y[n,c,i,j] = gamma[c] * h[n,c,i,j] + beta[c]
    y = gamma[:, None, None] * h + beta[:, None, None]
    if batch is None:
        return y
    return y.reshape(*batch, 2, 3, 3)


def backward(dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> Gradients:
    """dy (..., 2, 3, 3), x (..., 2, 3, 3), gamma (2,), beta (2,) -> dx, dgamma, dbeta, each shaped
    like its tensor.
    """
    batch = None
    if not _backward_ready(dy, x, gamma, beta):
        dy, x, gamma, beta, batch = _arrays(dy=dy, x=x, gamma=gamma, beta=beta)
    N, dtype = len(x), x.dtype
    # m[c] = mean[n,i,j](x[n,c,i,j])
    m = x.sum(axis=(0, 2, 3), dtype=dtype) / 9 / N
    # v[c] = mean[n,i,j]((x[n,c,i,j] - m[c])**2)
    v = ((x - m[:, None, None]) ** 2).sum(axis=(0, 2, 3), dtype=dtype) / 9 / N
    # h[n,c,i,j] = (x[n,c,i,j] - m[c]) / sqrt(v[c] + 0.00001)
    h = (x - m[:, None, None]) / np.sqrt(v + 1 / 100000)[:, None, None]
    # dx[n,c,i,j] = gamma[c] * (dy[n,c,i,j] - mean[n*,i*,j*](dy[n*,c,i*,j*]) -
    #     mean[n*,i*,j*](dy[n*,c,i*,j*] * h[n*,c,i*,j*]) * h[n,c,i,j]) / sqrt(v[c] + 0.00001)
    mean_nij = dy.sum(axis=(0, 2, 3), dtype=dtype) / 9 / N
    mean_nij_a = (
        np.matmul(dy.reshape(N, 2, 1, 9), h.reshape(N, 2, 9, 1))
        .reshape(N, 2)
        .sum(axis=0, dtype=dtype)
        / 9
        / N
    )
    dx = (
        gamma[:, None, None]
        * (dy - mean_nij[:, None, None] - mean_nij_a[:, None, None] * h)
        / np.sqrt(v + 1 / 100000)[:, None, None]
    )
    # dgamma[c] = sum[n,i,j](dy[n,c,i,j] * h[n,c,i,j])
    products = np.matmul(dy.reshape(N, 2, 1, 9), h.reshape(N, 2, 9, 1))
    dgamma = products.reshape(N, 2).sum(axis=0, dtype=dtype)
    # dbeta[c] = sum[n,i,j](dy[n,c,i,j])
    dbeta = dy.sum(axis=(0, 2, 3), dtype=dtype)
    if batch is None:
        return Gradients(dx, dgamma, dbeta)
    return Gradients(dx.reshape(*batch, 2, 3, 3), dgamma, dbeta)


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


def _ready(x, gamma, beta):
    """Whether all is as kernels want it: arrays of one float type, with an axis of samples."""
    return (
        type(x) is type(gamma) is type(beta) is np.ndarray
        and x.dtype is gamma.dtype is beta.dtype in _FLOATS
        and x.shape[1:] == (2, 3, 3)
        and gamma.shape == (2,)
        and beta.shape == (2,)
    )


def _backward_ready(dy, x, gamma, beta):
    """The same, and as many samples of the upstream gradient."""
    return (
        _ready(x, gamma, beta)
        and type(dy) is np.ndarray
        and dy.dtype is x.dtype
        and dy.shape == (len(x), 2, 3, 3)
    )


_FLOATS = np.dtype(np.float32), np.dtype(np.float64)
