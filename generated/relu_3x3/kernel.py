"""Rectified linear unit.

Forward:

    y[n,i,j] = relu(x[n,i,j])

Gradient of x, by the chain rule:

    dx[n,i,j] = dy[n,i,j] * where(x[n,i,j] > 0, 1, 0)

x: input; y: output.

How it is computed, by batch size (float32, float64):

                                           multiply-adds  scratch  estimate
    forward   other dtypes  y   taps
    forward   N >= 1        y   taps                   0     0 kB      3 us
    backward  other dtypes  dx  taps
    backward  N >= 1        dx  entrywise              0     0 kB    2.3 us

Multiply-adds are those of matrix products, a sample; times are estimated for the least batch of
the branch. What taps computes may take as much memory again as the batch.

Generated and proved by:

    python -m derive --layer relu --input 3x3
"""

import threading
from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (3, 3),
    "y": (3, 3),
}

EQUATIONS = """\
y[n,i,j] = relu(x[n,i,j])
dx[n,i,j] = dy[n,i,j] * where(x[n,i,j] > 0, 1, 0)
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray


def forward(x: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """x (..., 3, 3) -> y (..., 3, 3).

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _ready(x):
        x, batch = _arrays(x=x)
        if x.dtype.char not in "fd":
            y = _forward_taps(x)
            return y.reshape(*batch, 3, 3)
    if threads > 1 and len(x) >= 200:
        # 100 samples are about as much work as is worth a thread
        shares = min(threads, len(x) // 100)
        y = _split(forward, shares, (np.empty((len(x), 3, 3), x.dtype),), x=x)[0]
    else:
        y = _forward_taps(x)
    if batch is None:
        return y
    return y.reshape(*batch, 3, 3)


def backward(dy: np.ndarray, x: np.ndarray, *, threads: int = 1) -> Gradients:
    """dy (..., 3, 3), x (..., 3, 3) -> dx, each shaped like its tensor.

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _backward_ready(dy, x):
        dy, x, batch = _arrays(dy=dy, x=x)
        if dy.dtype.char not in "fd":
            dx = _backward_taps(dy, x)
            return Gradients(dx.reshape(*batch, 3, 3))
    if threads > 1 and len(dy) >= 268:
        # 134 samples are about as much work as is worth a thread
        shares = min(threads, len(dy) // 134)
        dx = _split(backward, shares, (np.empty((len(dy), 3, 3), dy.dtype),), dy=dy, x=x)[0]
    else:
        dx = _dx_entrywise(dy, x)
    if batch is None:
        return Gradients(dx)
    return Gradients(dx.reshape(*batch, 3, 3))


def _forward_taps(x):
    """Any type of number, one tap at a time."""
    # y[n,i,j] = relu(x[n,i,j])
    y = np.maximum(x, 0)
    return y


def _backward_taps(dy, x):
    """Any type of number, one tap at a time."""
    # dx[n,i,j] = dy[n,i,j] * where(x[n,i,j] > 0, 1, 0)
    dx = np.where(x > 0, dy, 0)
    return dx


def _dx_entrywise(dy, x):
    """Entry by entry."""
    # dx[n,i,j] = dy[n,i,j] * where(x[n,i,j] > 0, 1, 0)
    # a product of bits: where the mask is 0 so is dx, even if dy is infinite
    bits = dy.dtype.str.replace("f", "i")
    dx = (dy.view(bits) * (x > 0)).view(dy.dtype)
    return dx


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


def _ready(x):
    """Whether all is as kernels want it: arrays of one float type, with an axis of samples."""
    return type(x) is np.ndarray and x.dtype in _FLOATS and x.shape[1:] == (3, 3)


def _backward_ready(dy, x):
    """The same, and as many samples of the upstream gradient."""
    return (
        _ready(x) and type(dy) is np.ndarray and dy.dtype is x.dtype and dy.shape == (len(x), 3, 3)
    )


_FLOATS = np.dtype(np.float32), np.dtype(np.float64)


def _split(function, shares, filled, **arrays):
    """``function`` on so many shares of the batch, each in a thread of its own.

    ``filled`` are the results with a batch axis: every share writes its own samples. The others
    are added up in the order of the shares, so that the same call gives the same numbers.
    """
    batch = next(len(array) for name, array in arrays.items() if name in _BATCHED)
    ends = [batch * k // shares for k in range(shares + 1)]

    def share(start, end):
        some = slice(start, end)
        own = (a[some] if name in _BATCHED else a for name, a in arrays.items())
        found = function(*own)
        found = found if isinstance(found, tuple) else (found,)
        for whole, part in zip(filled, found):
            whole[some] = part
        return found[len(filled) :]

    workers = _workers(shares)
    _hold_blas(1)
    try:
        found = list(workers.map(share, ends, ends[1:]))
    finally:
        _hold_blas(-1)
    return *filled, *(sum(parts[1:], parts[0]) for parts in zip(*found))


def _workers(count):
    """Threads that stay, and their scratch with them; after a fork, those of the new process."""
    from concurrent.futures import ThreadPoolExecutor
    from os import getpid

    with _threads:
        if (getpid(), count) not in _pools:
            _pools[getpid(), count] = ThreadPoolExecutor(count)
        return _pools[getpid(), count]


def _hold_blas(more):
    """BLAS at one thread while any call is split, where threadpoolctl is there to do it."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return
    with _threads:
        if not _blas:
            _blas.update(calls=0, found=ThreadpoolController())
        _blas["calls"] += more
        if more > 0 and _blas["calls"] == 1:
            _blas["limit"] = _blas["found"].limit(limits=1, user_api="blas")
        elif _blas["calls"] == 0:
            _blas["limit"].restore_original_limits()


_threads, _pools, _blas = threading.Lock(), {}, {}
