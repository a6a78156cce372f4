"""Convolution (cross-correlation) in 2-D.

Forward:

    y[n,i,j] = sum[u,v](x[n,s*i + u - p,s*j + v - p] * w[u,v])

Gradient of x, by the chain rule:

    dx[n,a,b] = sum[u,v](dy[n,(a + p - u)/s,(b + p - v)/s] * w[u,v])  where s | a + p - u, 0 <=
        (a + p - u)/s < O_h, s | b + p - v, 0 <= (b + p - v)/s < O_w
    dx[n,s*i + u - p,s*j + v - p] += dy[n,i,j] * w[u,v]

Gradient of w, by the chain rule:

    dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,s*i + u - p,s*j + v - p])

x: input; w: kernel; y: output; i: output row; u: kernel row; j: output column; v: kernel
column.

How it is computed, by batch size (float32, float64):

                                           multiply-adds  scratch  estimate
    forward   other dtypes  y      taps
    forward   N >= 1        y      sparse            225     2 kB    2.4 us
    backward  other dtypes  dx dw  taps
    backward  N >= 1        dx     sparse            225     2 kB    2.4 us
    backward  N >= 1        dw     sparse            225     2 kB    4.4 us

Multiply-adds are those of matrix products, a sample; times are estimated for the least batch of
the branch. Scratch (float32) does not grow with the batch; each thread keeps its own between
calls, at most 6 kB.

Generated and proved by:

    python -m derive --input 5x5 --kernel 3x3 --stride 2 --padding 1
"""

import threading
from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (5, 5),
    "w": (3, 3),
    "y": (3, 3),
}

EQUATIONS = """\
y[n,i,j] = sum[u,v](x[n,2*i + u - 1,2*j + v - 1] * w[u,v])
dx[n,a,b] = sum[u,v](dy[n,(a + 1 - u)/2,(b + 1 - v)/2] * w[u,v])  where 2 | a + 1 - u, 2 | b + 1 - v
dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,2*i + u - 1,2*j + v - 1])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dw: np.ndarray


def forward(x: np.ndarray, w: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """x (..., 5, 5), w (3, 3) -> y (..., 3, 3).

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _ready(x, w):
        x, w, batch = _arrays(x=x, w=w)
        if x.dtype.char not in "fd":
            y = _forward_taps(x, w)
            return y.reshape(*batch, 3, 3)
    if threads > 1 and len(x) >= 252:
        # 126 samples are about as much work as is worth a thread
        shares = min(threads, len(x) // 126)
        y = _split(forward, shares, (np.empty((len(x), 3, 3), x.dtype),), x=x, w=w)[0]
    else:
        y = _y_sparse(x, w)
    if batch is None:
        return y
    return y.reshape(*batch, 3, 3)


def backward(dy: np.ndarray, x: np.ndarray, w: np.ndarray, *, threads: int = 1) -> Gradients:
    """dy (..., 3, 3), x (..., 5, 5), w (3, 3) -> dx, dw, each shaped like its tensor.

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _backward_ready(dy, x, w):
        dy, x, w, batch = _arrays(dy=dy, x=x, w=w)
        if dy.dtype.char not in "fd":
            dx, dw = _backward_taps(dy, x, w)
            return Gradients(dx.reshape(*batch, 5, 5), dw)
    if threads > 1 and len(dy) >= 90:
        # 45 samples are about as much work as is worth a thread
        shares = min(threads, len(dy) // 45)
        dx, dw = _split(backward, shares, (np.empty((len(dy), 5, 5), dy.dtype),), dy=dy, x=x, w=w)
    else:
        dx = _dx_sparse(dy, w)
        dw = _dw_sparse(dy, x)
    if batch is None:
        return Gradients(dx, dw)
    return Gradients(dx.reshape(*batch, 5, 5), dw)


def _forward_taps(x, w):
    """Any type of number, one tap at a time."""
    N, dtype = len(x), x.dtype
    x_padded = np.zeros((N, 7, 7), dtype)
    x_padded[:, 1:6, 1:6] = x
    # y[n,i,j] = sum[u,v](x[n,2*i + u - 1,2*j + v - 1] * w[u,v])
    y = np.zeros((N, 3, 3), dtype)
    for u in range(3):
        for v in range(3):
            y += x_padded[:, u : u + 5 : 2, v : v + 5 : 2] * w[u, v]
    return y


def _y_sparse(x, w):
    """y = x · M: the layer as one matrix, each weight along a diagonal of it."""
    N, dtype = len(x), x.dtype
    matrix, weights = _diagonals("y_sparse", (7, 7, 9), dtype, (3, 3, 3, 3), (63, 9, 129, 19))
    weights[...] = w.reshape(3, 3, 1, 1)
    # without the rows of the zeros around
    matrix = matrix[1:6, 1:6].reshape(25, 9)
    return x.reshape(N, 25).dot(matrix).reshape(N, 3, 3)


def _backward_taps(dy, x, w):
    """Any type of number, one tap at a time."""
    N, dtype = len(dy), dy.dtype
    x_padded = np.zeros((N, 7, 7), dtype)
    x_padded[:, 1:6, 1:6] = x
    # dx[n,2*i + u - 1,2*j + v - 1] += dy[n,i,j] * w[u,v]
    dx_padded = np.zeros((N, 7, 7), dtype)
    for u in range(3):
        for v in range(3):
            dx_padded[:, u : u + 5 : 2, v : v + 5 : 2] += dy * w[u, v]
    dx = dx_padded[:, 1:6, 1:6]
    # dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,2*i + u - 1,2*j + v - 1])
    dw = np.zeros((3, 3), dtype)
    for u in range(3):
        for v in range(3):
            window = x_padded[:, u : u + 5 : 2, v : v + 5 : 2]
            dw[u, v] = dy.ravel() @ window.ravel()
    return dx, dw


def _dx_sparse(dy, w):
    """dx = dy · Mᵀ: the layer as one matrix, each weight along a diagonal of it."""
    N, dtype = len(dy), dy.dtype
    matrix, weights = _diagonals("dx_sparse", (7, 7, 9), dtype, (3, 3, 3, 3), (63, 9, 129, 19))
    weights[...] = w.reshape(3, 3, 1, 1)
    # without the rows of the zeros around
    matrix = matrix[1:6, 1:6].reshape(25, 9)
    dx = dy.reshape(N, 9).dot(matrix.T)
    return dx.reshape(N, 5, 5)


def _dw_sparse(dy, x):
    """dw: all products of an entry of x and one of dy; those of a weight lie along a diagonal."""
    N, dtype = len(x), x.dtype
    pairs, diagonals = _diagonals("dw_sparse", (7, 7, 9), dtype, (3, 3, 3, 3), (63, 9, 129, 19))
    upstream = dy.reshape(N, 9)
    pairs[1:6, 1:6] = x.reshape(N, 25).T.dot(upstream).reshape(5, 5, 9)
    ones = np.ones(9, dtype)
    dw = diagonals.reshape(9, 9).dot(ones).reshape(3, 3)
    return dw


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


def _ready(x, w):
    """Whether all is as kernels want it: arrays of one float type, with an axis of samples."""
    return (
        type(x) is type(w) is np.ndarray
        and x.dtype is w.dtype in _FLOATS
        and x.shape[1:] == (5, 5)
        and w.shape == (3, 3)
    )


def _backward_ready(dy, x, w):
    """The same, and as many samples of the upstream gradient."""
    return (
        _ready(x, w)
        and type(dy) is np.ndarray
        and dy.dtype is x.dtype
        and dy.shape == (len(x), 3, 3)
    )


_FLOATS = np.dtype(np.float32), np.dtype(np.float64)


_local = threading.local()


def _scratch(name, shape, dtype):
    """A buffer of this thread that is kept between calls: zeros at first, then what was left."""
    key = name, shape, dtype.char
    if (found := getattr(_local, "buffers", {}).get(key)) is None:
        found = np.zeros(shape, dtype)
        _local.__dict__.setdefault("buffers", {})[key] = found
    return found


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


def _windows(array, shape, steps, start=0):
    """A view of a buffer from its number ``start`` on, ``steps`` numbers apart along each axis."""
    size = array.itemsize
    return np.ndarray(shape, array.dtype, array, start * size, [step * size for step in steps])


def _diagonals(name, shape, dtype, view, steps, start=0):
    """A buffer of zeros of this thread, and the view of it that is written along diagonals.

    Entries of the view are ``steps`` numbers apart along each axis, from number ``start`` on.
    """
    key = name, dtype.char
    if (found := getattr(_local, "diagonals", {}).get(key)) is None:
        buffer = _scratch(name, shape, dtype)
        found = buffer, _windows(buffer, view, steps, start)
        _local.__dict__.setdefault("diagonals", {})[key] = found
    return found
