"""Dense (fully connected) layer.

Forward:

    y[n,i] = sum[j](w[i,j] * x[n,j]) + b[i]

Gradient of x, by the chain rule:

    dx[n,j] = sum[i](dy[n,i] * w[i,j])

Gradient of w, by the chain rule:

    dw[i,j] = sum[n](dy[n,i] * x[n,j])

Gradient of b, by the chain rule:

    db[i] = sum[n](dy[n,i])

x: input; w: weights; b: bias; y: output; i: unit; j: input feature.

How it is computed, by batch size (float32, float64):

                                               multiply-adds  scratch  estimate
    forward   other dtypes  y         taps
    forward   N >= 1        y         product             12     0 kB    3.9 us
    backward  other dtypes  dx dw db  taps
    backward  N >= 1        dx        product             12     0 kB    3.9 us
    backward  N >= 1        dw        product              0     0 kB    4.5 us
    backward  N >= 1        db        taps                 0     0 kB      3 us

Multiply-adds are those of matrix products, a sample; times are estimated for the least batch of
the branch. What taps computes may take as much memory again as the batch.

Generated and proved by:

    python -m derive --layer dense --input 4 --units 3
"""

import threading
from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (4,),
    "w": (3, 4),
    "b": (3,),
    "y": (3,),
}

EQUATIONS = """\
y[n,i] = sum[j](w[i,j] * x[n,j]) + b[i]
dx[n,j] = sum[i](dy[n,i] * w[i,j])
dw[i,j] = sum[n](dy[n,i] * x[n,j])
db[i] = sum[n](dy[n,i])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dw: np.ndarray
    db: np.ndarray


def forward(x: np.ndarray, w: np.ndarray, b: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """x (..., 4), w (3, 4), b (3,) -> y (..., 3).

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _ready(x, w, b):
        x, w, b, batch = _arrays(x=x, w=w, b=b)
        if x.dtype.char not in "fd":
            y = _forward_taps(x, w, b)
            return y.reshape(*batch, 3)
    if threads > 1 and len(x) >= 156:
        # 78 samples are about as much work as is worth a thread
        shares = min(threads, len(x) // 78)
        y = _split(forward, shares, (np.empty((len(x), 3), x.dtype),), x=x, w=w, b=b)[0]
    else:
        y = _y_product(x, w, b)
    if batch is None:
        return y
    return y.reshape(*batch, 3)


def backward(
    dy: np.ndarray, x: np.ndarray, w: np.ndarray, b: np.ndarray, *, threads: int = 1
) -> Gradients:
    """dy (..., 3), x (..., 4), w (3, 4), b (3,) -> dx, dw, db, each shaped like its tensor.

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _backward_ready(dy, x, w, b):
        dy, x, w, b, batch = _arrays(dy=dy, x=x, w=w, b=b)
        if dy.dtype.char not in "fd":
            dx, dw, db = _backward_taps(dy, x, w)
            return Gradients(dx.reshape(*batch, 4), dw, db)
    if threads > 1 and len(dy) >= 54:
        # 27 samples are about as much work as is worth a thread
        shares = min(threads, len(dy) // 27)
        dx, dw, db = _split(
            backward, shares, (np.empty((len(dy), 4), dy.dtype),), dy=dy, x=x, w=w, b=b
        )
    else:
        dx = _dx_product(dy, w)
        dw = _dw_product(x, dy)
        db = _db_taps(dy)
    if batch is None:
        return Gradients(dx, dw, db)
    return Gradients(dx.reshape(*batch, 4), dw, db)


def _forward_taps(x, w, b):
    """Any type of number, one tap at a time."""
    # y[n,i] = sum[j](w[i,j] * x[n,j]) + b[i]
    y = x @ w.T + b
    return y


def _y_product(x, w, b):
    """y[n] = w · x[n], one matrix product."""
    N = len(x)
    y = np.dot(x.reshape(N, 4), w.transpose(1, 0)) + b.reshape(3)
    return y.reshape(N, 3)


def _backward_taps(dy, x, w):
    """Any type of number, one tap at a time."""
    dtype = dy.dtype
    # dx[n,j] = sum[i](dy[n,i] * w[i,j])
    dx = dy @ w
    # dw[i,j] = sum[n](dy[n,i] * x[n,j])
    dw = dy.T @ x
    # db[i] = sum[n](dy[n,i])
    db = dy.sum(axis=0, dtype=dtype)
    return dx, dw, db


def _dx_product(dy, w):
    """dx[n] = w · dy[n], one matrix product."""
    N = len(dy)
    dx = np.dot(dy.reshape(N, 3), w.reshape(3, 4))
    return dx.reshape(N, 4)


def _dw_product(x, dy):
    """dw = Σ x[n] · dy[n]ᵀ."""
    N = len(dy)
    dy = dy.reshape(N, 3)
    x = x.reshape(N, 4)
    if N == 1:
        # nothing to add up: each entry is one product
        total = dy.T * x
    else:
        total = dy.T @ x
    return total.reshape(3, 4).reshape(3, 4)


def _db_taps(dy):
    """Any type of number, one tap at a time."""
    dtype = dy.dtype
    # db[i] = sum[n](dy[n,i])
    db = dy.sum(axis=0, dtype=dtype)
    return db


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


def _ready(x, w, b):
    """Whether all is as kernels want it: arrays of one float type, with an axis of samples."""
    return (
        type(x) is type(w) is type(b) is np.ndarray
        and x.dtype is w.dtype is b.dtype in _FLOATS
        and x.shape[1:] == (4,)
        and w.shape == (3, 4)
        and b.shape == (3,)
    )


def _backward_ready(dy, x, w, b):
    """The same, and as many samples of the upstream gradient."""
    return (
        _ready(x, w, b)
        and type(dy) is np.ndarray
        and dy.dtype is x.dtype
        and dy.shape == (len(x), 3)
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
