"""Convolution (cross-correlation) in 2-D.

Forward:

    y[n,i,j] = sum[u,v](x[n,i+u,j+v] * w[u,v])

Gradient of x, by the chain rule:

    dx[n,a,b] = sum[u,v](dy[n,a-u,b-v] * w[u,v])  where 0 <= a - u < O_h, 0 <= b - v < O_w
    dx[n,i+u,j+v] += dy[n,i,j] * w[u,v]

Gradient of w, by the chain rule:

    dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,i+u,j+v])

x: input; w: kernel; y: output; i: output row; u: kernel row; j: output column; v: kernel
column.

How it is computed, by batch size (float32, float64):

                                             multiply-adds  scratch  estimate
    forward   other dtypes  y      taps
    forward   N >= 1        y      sparse               36     1 kB      2 us
    backward  other dtypes  dx dw  taps
    backward  N >= 1        dx dw  unrolled              0     0 kB    2.9 us
    backward  N >= 4        dx     sparse               36     1 kB    2.1 us
    backward  N >= 4        dw     sparse               36     1 kB    3.7 us

Multiply-adds are those of matrix products, a sample; times are estimated for the least batch of
the branch. Scratch (float32) does not grow with the batch; each thread keeps its own between
calls, at most 1 kB. What unrolled computes may take as much memory again as the batch.

Generated and proved by:

    python -m derive --input 3x3 --kernel 2x2
"""

import threading
from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (3, 3),
    "w": (2, 2),
    "y": (2, 2),
}

EQUATIONS = """\
y[n,i,j] = sum[u,v](x[n,i+u,j+v] * w[u,v])
dx[n,a,b] = sum[u,v](dy[n,a-u,b-v] * w[u,v])  where 0 <= a - u < 2, 0 <= b - v < 2
dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,i+u,j+v])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dw: np.ndarray


def forward(x: np.ndarray, w: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """x (..., 3, 3), w (2, 2) -> y (..., 2, 2).

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _ready(x, w):
        x, w, batch = _arrays(x=x, w=w)
        if x.dtype.char not in "fd":
            y = _forward_taps(x, w)
            return y.reshape(*batch, 2, 2)
    if threads > 1 and len(x) >= 296:
        # 148 samples are about as much work as is worth a thread
        shares = min(threads, len(x) // 148)
        y = _split(forward, shares, (np.empty((len(x), 2, 2), x.dtype),), x=x, w=w)[0]
    else:
        y = _y_sparse(x, w)
    if batch is None:
        return y
    return y.reshape(*batch, 2, 2)


def backward(dy: np.ndarray, x: np.ndarray, w: np.ndarray, *, threads: int = 1) -> Gradients:
    """dy (..., 2, 2), x (..., 3, 3), w (2, 2) -> dx, dw, each shaped like its tensor.

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _backward_ready(dy, x, w):
        dy, x, w, batch = _arrays(dy=dy, x=x, w=w)
        if dy.dtype.char not in "fd":
            dx, dw = _backward_taps(dy, x, w)
            return Gradients(dx.reshape(*batch, 3, 3), dw)
    if threads > 1 and len(dy) >= 418:
        # 209 samples are about as much work as is worth a thread
        shares = min(threads, len(dy) // 209)
        dx, dw = _split(backward, shares, (np.empty((len(dy), 3, 3), dy.dtype),), dy=dy, x=x, w=w)
    elif len(dy) < 4:
        dx, dw = _dx_dw_unrolled(dy, w, x)
    else:
        dx = _dx_sparse(dy, w)
        dw = _dw_sparse(dy, x)
    if batch is None:
        return Gradients(dx, dw)
    return Gradients(dx.reshape(*batch, 3, 3), dw)


def _forward_taps(x, w):
    """Any type of number, one tap at a time."""
    N, dtype = len(x), x.dtype
    # y[n,i,j] = sum[u,v](x[n,i+u,j+v] * w[u,v])
    y = np.zeros((N, 2, 2), dtype)
    for u in range(2):
        for v in range(2):
            y += x[:, u : u + 2, v : v + 2] * w[u, v]
    return y


def _y_sparse(x, w):
    """y = x · M: the layer as one matrix, each weight along a diagonal of it."""
    N, dtype = len(x), x.dtype
    matrix, weights = _diagonals("y_sparse", (9, 4), dtype, (2, 2, 2, 2), (12, 4, 14, 5))
    weights[...] = w.reshape(2, 2, 1, 1)
    return x.reshape(N, 9).dot(matrix).reshape(N, 2, 2)


def _backward_taps(dy, x, w):
    """Any type of number, one tap at a time."""
    N, dtype = len(dy), dy.dtype
    # dx[n,i+u,j+v] += dy[n,i,j] * w[u,v]
    dx = np.zeros((N, 3, 3), dtype)
    for u in range(2):
        for v in range(2):
            dx[:, u : u + 2, v : v + 2] += dy * w[u, v]
    # dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,i+u,j+v])
    dw = np.zeros((2, 2), dtype)
    for u in range(2):
        for v in range(2):
            window = x[:, u : u + 2, v : v + 2]
            dw[u, v] = dy.ravel() @ window.ravel()
    return dx, dw


def _dx_dw_unrolled(dy, w, x):
    """dx, dw: every product written out, in Python's own numbers."""
    dtype = dy.dtype
    w00, w01, w10, w11 = w.ravel().tolist()
    dx = ()
    dw00 = 0.0
    dw01 = 0.0
    dw10 = 0.0
    dw11 = 0.0
    for dy_sample, x_sample in zip(dy.reshape(-1, 4).tolist(), x.reshape(-1, 9).tolist()):
        dy00, dy01, dy10, dy11 = dy_sample
        x00, x01, x02, x10, x11, x12, x20, x21, x22 = x_sample
        dx00 = w00 * dy00
        dx01 = w01 * dy00 + w00 * dy01
        dx02 = w01 * dy01
        dx10 = w10 * dy00 + w00 * dy10
        dx11 = w11 * dy00 + w10 * dy01 + w01 * dy10 + w00 * dy11
        dx12 = w11 * dy01 + w01 * dy11
        dx20 = w10 * dy10
        dx21 = w11 * dy10 + w10 * dy11
        dx22 = w11 * dy11
        dx += dx00, dx01, dx02, dx10, dx11, dx12, dx20, dx21, dx22
        dw00 += x00 * dy00 + x01 * dy01 + x10 * dy10 + x11 * dy11
        dw01 += x01 * dy00 + x02 * dy01 + x11 * dy10 + x12 * dy11
        dw10 += x10 * dy00 + x11 * dy01 + x20 * dy10 + x21 * dy11
        dw11 += x11 * dy00 + x12 * dy01 + x21 * dy10 + x22 * dy11
    return (
        np.array(dx, dtype).reshape(-1, 3, 3),
        np.array((dw00, dw01, dw10, dw11), dtype).reshape(2, 2),
    )


def _dx_sparse(dy, w):
    """dx = dy · Mᵀ: the layer as one matrix, each weight along a diagonal of it."""
    N, dtype = len(dy), dy.dtype
    matrix, weights = _diagonals("dx_sparse", (9, 4), dtype, (2, 2, 2, 2), (12, 4, 14, 5))
    weights[...] = w.reshape(2, 2, 1, 1)
    dx = dy.reshape(N, 4).dot(matrix.T)
    return dx.reshape(N, 3, 3)


def _dw_sparse(dy, x):
    """dw: all products of an entry of x and one of dy; those of a weight lie along a diagonal."""
    N, dtype = len(x), x.dtype
    pairs, diagonals = _diagonals("dw_sparse", (9, 4), dtype, (2, 2, 2, 2), (12, 4, 14, 5))
    upstream = dy.reshape(N, 4)
    x.reshape(N, 9).T.dot(upstream, out=pairs)
    ones = np.ones(4, dtype)
    dw = diagonals.reshape(4, 4).dot(ones).reshape(2, 2)
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
        and x.shape[1:] == (3, 3)
        and w.shape == (2, 2)
    )


def _backward_ready(dy, x, w):
    """The same, and as many samples of the upstream gradient."""
    return (
        _ready(x, w)
        and type(dy) is np.ndarray
        and dy.dtype is x.dtype
        and dy.shape == (len(x), 2, 2)
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
