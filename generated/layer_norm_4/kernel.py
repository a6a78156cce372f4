"""Layer normalisation.

Forward:

    m[n] = mean[i](x[n,i])
    v[n] = mean[i]((x[n,i] - m[n])**2)
    h[n,i] = (x[n,i] - m[n]) / sqrt(v[n] + 0.00001)
    y[n,i] = gamma[i] * h[n,i] + beta[i]

Gradient of h, by the chain rule:

    dh[n,i] = dy[n,i] * gamma[i]

Gradient of v, by the chain rule:

    dv[n] = -(sum[i](dy[n,i] * gamma[i] * h[n,i]) / (2 * (v[n] + 0.00001)))

Gradient of m, by the chain rule:

    dm[n] = -(sum[i](dy[n,i] * gamma[i]) / sqrt(v[n] + 0.00001))

Gradient of x, by the chain rule:

    dx[n,i] = (dy[n,i] * gamma[i] - mean[i*](dy[n,i*] * gamma[i*]) - mean[i*](dy[n,i*] *
        gamma[i*] * h[n,i*]) * h[n,i]) / sqrt(v[n] + 0.00001)

Gradient of gamma, by the chain rule:

    dgamma[i] = sum[n](dy[n,i] * h[n,i])

Gradient of beta, by the chain rule:

    dbeta[i] = sum[n](dy[n,i])

x: input; gamma: scale; beta: shift; m: mean; v: variance; h: normalised input; y: output.

Generated and proved by:

    python -m derive --layer layer_norm --input 4
"""

from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (4,),
    "gamma": (4,),
    "beta": (4,),
    "y": (4,),
}

EQUATIONS = """\
m[n] = mean[i](x[n,i])
v[n] = mean[i]((x[n,i] - m[n])**2)
h[n,i] = (x[n,i] - m[n]) / sqrt(v[n] + 0.00001)
y[n,i] = gamma[i] * h[n,i] + beta[i]
dh[n,i] = dy[n,i] * gamma[i]
dv[n] = -(sum[i](dy[n,i] * gamma[i] * h[n,i]) / (2 * (v[n] + 0.00001)))
dm[n] = -(sum[i](dy[n,i] * gamma[i]) / sqrt(v[n] + 0.00001))
dx[n,i] = (dy[n,i] * gamma[i] - mean[i*](dy[n,i*] * gamma[i*]) - mean[i*](dy[n,i*] * gamma[i*] * h[n,i*]) * h[n,i]) / sqrt(v[n] + 0.00001)
dgamma[i] = sum[n](dy[n,i] * h[n,i])
dbeta[i] = sum[n](dy[n,i])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dgamma: np.ndarray
    dbeta: np.ndarray


def forward(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """x (..., 4), gamma (4,), beta (4,) -> y (..., 4)."""
    batch = None
    if not _ready(x, gamma, beta):
        x, gamma, beta, batch = _arrays(x=x, gamma=gamma, beta=beta)
    dtype = x.dtype
    # m[n] = mean[i](x[n,i])
    m = x.sum(axis=1, dtype=dtype) / 4
    # v[n] = mean[i]((x[n,i] - m[n])**2)
    v = ((x - m[:, None]) ** 2).sum(axis=1, dtype=dtype) / 4
    # h[n,i] = (x[n,i] - m[n]) / sqrt(v[n] + 0.00001)
    h = (x - m[:, None]) / np.sqrt(v + 1 / 100000)[:, None]
    # y[n,i] = gamma[i] * h[n,i] + beta[i]
    y = gamma * h + beta
    if batch is None:
        return y
    return y.reshape(*batch, 4)


def backward(dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> Gradients:
    """dy (..., 4), x (..., 4), gamma (4,), beta (4,) -> dx, dgamma, dbeta, each shaped like its
    tensor.
    """
    batch = None
    if not _backward_ready(dy, x, gamma, beta):
        dy, x, gamma, beta, batch = _arrays(dy=dy, x=x, gamma=gamma, beta=beta)
    N, dtype = len(x), x.dtype
    # m[n] = mean[i](x[n,i])
    m = x.sum(axis=1, dtype=dtype) / 4
    # v[n] = mean[i]((x[n,i] - m[n])**2)
    v = ((x - m[:, None]) ** 2).sum(axis=1, dtype=dtype) / 4
    # h[n,i] = (x[n,i] - m[n]) / sqrt(v[n] + 0.00001)
    h = (x - m[:, None]) / np.sqrt(v + 1 / 100000)[:, None]
    # dx[n,i] = (dy[n,i] * gamma[i] - mean[i*](dy[n,i*] * gamma[i*]) - mean[i*](dy[n,i*] * gamma[i*]
    #     * h[n,i*]) * h[n,i]) / sqrt(v[n] + 0.00001)
    mean_i = dy @ gamma / 4
    mean_i_a = np.matmul((dy * gamma).reshape(N, 1, 4), h.reshape(N, 4, 1)).reshape(N) / 4
    dx = (dy * gamma - mean_i[:, None] - mean_i_a[:, None] * h) / np.sqrt(v + 1 / 100000)[:, None]
    # dgamma[i] = sum[n](dy[n,i] * h[n,i])
    dgamma = (dy * h).sum(axis=0, dtype=dtype)
    # dbeta[i] = sum[n](dy[n,i])
    dbeta = dy.sum(axis=0, dtype=dtype)
    if batch is None:
        return Gradients(dx, dgamma, dbeta)
    return Gradients(dx.reshape(*batch, 4), dgamma, dbeta)


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
        and x.shape[1:] == (4,)
        and gamma.shape == (4,)
        and beta.shape == (4,)
    )


def _backward_ready(dy, x, gamma, beta):
    """The same, and as many samples of the upstream gradient."""
    return (
        _ready(x, gamma, beta)
        and type(dy) is np.ndarray
        and dy.dtype is x.dtype
        and dy.shape == (len(x), 4)
    )


_FLOATS = np.dtype(np.float32), np.dtype(np.float64)
