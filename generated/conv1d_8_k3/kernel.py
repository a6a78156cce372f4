"""Convolution (cross-correlation) in 1-D.

Forward:

    y[n,i] = sum[u](x[n,i+u] * w[u])

Gradient of x, by the chain rule:

    dx[n,a] = sum[u](dy[n,a-u] * w[u])  where 0 <= a - u < O
    dx[n,i+u] += dy[n,i] * w[u]

Gradient of w, by the chain rule:

    dw[u] = sum[n,i](dy[n,i] * x[n,i+u])

x: input; w: kernel; y: output; i: output position; u: kernel position.

How it is computed, by batch size (float32, float64):

                                             multiply-adds  scratch  estimate
    forward   other dtypes  y      taps
    forward   N >= 1        y      sparse               48     1 kB      2 us
    backward  other dtypes  dx dw  taps
    backward  N >= 1        dx dw  unrolled              0     0 kB      3 us
    backward  N >= 4        dx     sparse               48     1 kB      2 us
    backward  N >= 4        dw     sparse               48     1 kB    3.7 us

Multiply-adds are those of matrix products, a sample; times are estimated for the least batch of
the branch. Scratch (float32) does not grow with the batch; each thread keeps its own between
calls, at most 1 kB. What unrolled computes may take as much memory again as the batch.

Generated and proved by:

    python -m derive --input 8 --kernel 3
"""

import threading
from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (8,),
    "w": (3,),
    "y": (6,),
}

EQUATIONS = """\
y[n,i] = sum[u](x[n,i+u] * w[u])
dx[n,a] = sum[u](dy[n,a-u] * w[u])  where 0 <= a - u < 6
dw[u] = sum[n,i](dy[n,i] * x[n,i+u])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dw: np.ndarray


def forward(x: np.ndarray, w: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """x (..., 8), w (3,) -> y (..., 6).

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _ready(x, w):
        x, w, batch = _arrays(x=x, w=w)
        if x.dtype.char not in "fd":
            y = _forward_taps(x, w)
            return y.reshape(*batch, 6)
    if threads > 1 and len(x) >= 298:
        # 149 samples are about as much work as is worth a thread
        shares = min(threads, len(x) // 149)
        y = _split(forward, shares, (np.empty((len(x), 6), x.dtype),), x=x, w=w)[0]
    else:
        y = _y_sparse(x, w)
    if batch is None:
        return y
    return y.reshape(*batch, 6)


def backward(dy: np.ndarray, x: np.ndarray, w: np.ndarray, *, threads: int = 1) -> Gradients:
    """dy (..., 6), x (..., 8), w (3,) -> dx, dw, each shaped like its tensor.

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _backward_ready(dy, x, w):
        dy, x, w, batch = _arrays(dy=dy, x=x, w=w)
        if dy.dtype.char not in "fd":
            dx, dw = _backward_taps(dy, x, w)
            return Gradients(dx.reshape(*batch, 8), dw)
    if threads > 1 and len(dy) >= 420:
        # 210 samples are about as much work as is worth a thread
        shares = min(threads, len(dy) // 210)
        dx, dw = _split(backward, shares, (np.empty((len(dy), 8), dy.dtype),), dy=dy, x=x, w=w)
    elif len(dy) < 4:
        dx, dw = _dx_dw_unrolled(dy, w, x)
    else:
        dx = _dx_sparse(dy, w)
        dw = _dw_sparse(dy, x)
    if batch is None:
        return Gradients(dx, dw)
    return Gradients(dx.reshape(*batch, 8), dw)


def _forward_taps(x, w):
    """Any type of number, one tap at a time."""
    N, dtype = len(x), x.dtype
    # y[n,i] = sum[u](x[n,i+u] * w[u])
    y = np.zeros((N, 6), dtype)
    for u in range(3):
        y += x[:, u : u + 6] * w[u]
    return y


def _y_sparse(x, w):
    """y = x · M: the layer as one matrix, each weight along a diagonal of it."""
    N, dtype = len(x), x.dtype
    matrix, weights = _diagonals("y_sparse", (8, 6), dtype, (3, 6), (6, 7))
    weights[...] = w.reshape(3, 1)
    return x.reshape(N, 8).dot(matrix).reshape(N, 6)


def _backward_taps(dy, x, w):
    """Any type of number, one tap at a time."""
    N, dtype = len(dy), dy.dtype
    # dx[n,i+u] += dy[n,i] * w[u]
    dx = np.zeros((N, 8), dtype)
    for u in range(3):
        dx[:, u : u + 6] += dy * w[u]
    # dw[u] = sum[n,i](dy[n,i] * x[n,i+u])
    dw = np.zeros((3,), dtype)
    for u in range(3):
        window = x[:, u : u + 6]
        dw[u] = dy.ravel() @ window.ravel()
    return dx, dw


def _dx_dw_unrolled(dy, w, x):
    """dx, dw: every product written out, in Python's own numbers."""
    dtype = dy.dtype
    w0, w1, w2 = w.ravel().tolist()
    dx = ()
    dw0 = 0.0
    dw1 = 0.0
    dw2 = 0.0
    for dy_sample, x_sample in zip(dy.reshape(-1, 6).tolist(), x.reshape(-1, 8).tolist()):
        dy0, dy1, dy2, dy3, dy4, dy5 = dy_sample
        x0, x1, x2, x3, x4, x5, x6, x7 = x_sample
        dx0 = w0 * dy0
        dx1 = w1 * dy0 + w0 * dy1
        dx2 = w2 * dy0 + w1 * dy1 + w0 * dy2
        dx3 = w2 * dy1 + w1 * dy2 + w0 * dy3
        dx4 = w2 * dy2 + w1 * dy3 + w0 * dy4
        dx5 = w2 * dy3 + w1 * dy4 + w0 * dy5
        dx6 = w2 * dy4 + w1 * dy5
        dx7 = w2 * dy5
        dx += dx0, dx1, dx2, dx3, dx4, dx5, dx6, dx7
        dw0 += x0 * dy0 + x1 * dy1 + x2 * dy2 + x3 * dy3 + x4 * dy4 + x5 * dy5
        dw1 += x1 * dy0 + x2 * dy1 + x3 * dy2 + x4 * dy3 + x5 * dy4 + x6 * dy5
        dw2 += x2 * dy0 + x3 * dy1 + x4 * dy2 + x5 * dy3 + x6 * dy4 + x7 * dy5
    return np.array(dx, dtype).reshape(-1, 8), np.array((dw0, dw1, dw2), dtype)


def _dx_sparse(dy, w):
    """dx = dy · Mᵀ: the layer as one matrix, each weight along a diagonal of it."""
    N, dtype = len(dy), dy.dtype
    matrix, weights = _diagonals("dx_sparse", (8, 6), dtype, (3, 6), (6, 7))
    weights[...] = w.reshape(3, 1)
    dx = dy.reshape(N, 6).dot(matrix.T)
    return dx.reshape(N, 8)


def _dw_sparse(dy, x):
    """dw: all products of an entry of x and one of dy; those of a weight lie along a diagonal."""
    N, dtype = len(x), x.dtype
    pairs, diagonals = _diagonals("dw_sparse", (8, 6), dtype, (3, 6), (6, 7))
    upstream = dy.reshape(N, 6)
    x.reshape(N, 8).T.dot(upstream, out=pairs)
    ones = np.ones(6, dtype)
    dw = diagonals.reshape(3, 6).dot(ones).reshape(3)
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
        and x.shape[1:] == (8,)
        and w.shape == (3,)
    )


def _backward_ready(dy, x, w):
    """The same, and as many samples of the upstream gradient."""
    return (
        _ready(x, w) and type(dy) is np.ndarray and dy.dtype is x.dtype and dy.shape == (len(x), 6)
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
