"""Convolution (cross-correlation) in 2-D, depthwise.

Forward:

    y[n,(g,f),i,j] = sum[c,u,v](x[n,(g,c),i + u - p,j + v - p] * w[(g,f),c,u,v])

Gradient of x, by the chain rule:

    dx[n,(g,c),a,b] = sum[f,u,v](dy[n,(g,f),a + p - u,b + p - v] * w[(g,f),c,u,v])  where 0 <= a
        + p - u < O_h, 0 <= b + p - v < O_w
    dx[n,(g,c),i + u - p,j + v - p] += sum[f](dy[n,(g,f),i,j] * w[(g,f),c,u,v])

Gradient of w, by the chain rule:

    dw[(g,f),c,u,v] = sum[n,i,j](dy[n,(g,f),i,j] * x[n,(g,c),i + u - p,j + v - p])

x: input; w: kernel; y: output; g: group; f: filter within its group; c: input channel within
its group; i: output row; u: kernel row; j: output column; v: kernel column.

How it is computed, by batch size (float32, float64):

                                              multiply-adds  scratch  estimate
    forward   other dtypes  y      taps
    forward   N >= 1        y      sparse             5,625    45 kB    5.1 us
    backward  other dtypes  dx dw  taps
    backward  N >= 1        dx     columns              675     4 kB    5.1 us
    backward  N >= 1        dw     correlate            675     4 kB    6.2 us
    backward  N >= 2        dx     sparse             5,625    45 kB    5.2 us
    backward  N >= 2        dw     sparse             5,625    45 kB    6.9 us

Multiply-adds are those of matrix products, a sample; times are estimated for the least batch of
the branch. Scratch (float32) does not grow with the batch; each thread keeps its own between
calls, at most 140 kB.

Generated and proved by:

    python -m derive --input 3x5x5 --kernel 3x3 --filters 3 --padding same --groups 3
"""

import threading
from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (3, 5, 5),
    "w": (3, 1, 3, 3),
    "y": (3, 5, 5),
}

EQUATIONS = """\
y[n,(g,f),i,j] = sum[c,u,v](x[n,(g,c),i + u - 1,j + v - 1] * w[(g,f),c,u,v])
dx[n,(g,c),a,b] = sum[f,u,v](dy[n,(g,f),a + 1 - u,b + 1 - v] * w[(g,f),c,u,v])  where 0 <= a + 1 - u < 5, 0 <= b + 1 - v < 5
dw[(g,f),c,u,v] = sum[n,i,j](dy[n,(g,f),i,j] * x[n,(g,c),i + u - 1,j + v - 1])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dw: np.ndarray


def forward(x: np.ndarray, w: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """x (..., 3, 5, 5), w (3, 1, 3, 3) -> y (..., 3, 5, 5).

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _ready(x, w):
        x, w, batch = _arrays(x=x, w=w)
        if x.dtype.char not in "fd":
            y = _forward_taps(x, w)
            return y.reshape(*batch, 3, 5, 5)
    if threads > 1 and len(x) >= 118:
        # 59 samples are about as much work as is worth a thread
        shares = min(threads, len(x) // 59)
        y = _split(forward, shares, (np.empty((len(x), 3, 5, 5), x.dtype),), x=x, w=w)[0]
    else:
        y = _y_sparse(x, w)
    if batch is None:
        return y
    return y.reshape(*batch, 3, 5, 5)


def backward(dy: np.ndarray, x: np.ndarray, w: np.ndarray, *, threads: int = 1) -> Gradients:
    """dy (..., 3, 5, 5), x (..., 3, 5, 5), w (3, 1, 3, 3) -> dx, dw, each shaped like its tensor.

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _backward_ready(dy, x, w):
        dy, x, w, batch = _arrays(dy=dy, x=x, w=w)
        if dy.dtype.char not in "fd":
            dx, dw = _backward_taps(dy, x, w)
            return Gradients(dx.reshape(*batch, 3, 5, 5), dw)
    if threads > 1 and len(dy) >= 100:
        # 50 samples are about as much work as is worth a thread
        shares = min(threads, len(dy) // 50)
        dx, dw = _split(
            backward, shares, (np.empty((len(dy), 3, 5, 5), dy.dtype),), dy=dy, x=x, w=w
        )
    elif len(dy) < 2:
        dx = _dx_columns(dy, w)
        dw = _dw_correlate(dy, x)
    else:
        dx = _dx_sparse(dy, w)
        dw = _dw_sparse(dy, x)
    if batch is None:
        return Gradients(dx, dw)
    return Gradients(dx.reshape(*batch, 3, 5, 5), dw)


def _forward_taps(x, w):
    """Any type of number, one tap at a time."""
    N, dtype = len(x), x.dtype
    x = x.reshape(-1, 3, 1, 5, 5)
    w = w.reshape(3, 1, 1, 3, 3)
    x_padded = np.zeros((N, 3, 1, 7, 7), dtype)
    x_padded[:, :, :, 1:6, 1:6] = x
    # y[n,(g,f),i,j] = sum[c,u,v](x[n,(g,c),i + u - 1,j + v - 1] * w[(g,f),c,u,v])
    y = np.zeros((N, 3, 1, 5, 5), dtype)
    for u in range(3):
        for v in range(3):
            y += x_padded[:, :, 0, None, u : u + 5, v : v + 5] * w[:, :, 0, u, v, None, None]
    return y.reshape(-1, 3, 5, 5)


def _y_sparse(x, w):
    """y = x · M: the layer as one matrix, each weight along a diagonal of it."""
    N, dtype = len(x), x.dtype
    matrix, weights = _diagonals(
        "y_sparse",
        (3, 1, 7, 7, 75),
        dtype,
        (3, 1, 1, 3, 3, 5, 5),
        (3700, 25, 3675, 525, 75, 530, 76),
    )
    weights[...] = w.reshape(3, 1, 1, 3, 3, 1, 1)
    # without the rows of the zeros around
    matrix = matrix[:, :, 1:6, 1:6].reshape(75, 75)
    return x.reshape(N, 75).dot(matrix).reshape(N, 3, 5, 5)


def _backward_taps(dy, x, w):
    """Any type of number, one tap at a time."""
    N, dtype = len(dy), dy.dtype
    x = x.reshape(-1, 3, 1, 5, 5)
    w = w.reshape(3, 1, 1, 3, 3)
    dy = dy.reshape(-1, 3, 1, 5, 5)
    dy_padded = np.zeros((N, 3, 1, 7, 7), dtype)
    dy_padded[:, :, :, 1:6, 1:6] = dy
    x_padded = np.zeros((N, 3, 1, 7, 7), dtype)
    x_padded[:, :, :, 1:6, 1:6] = x
    # dx[n,(g,c),a,b] = sum[f,u,v](dy[n,(g,f),a + 1 - u,b + 1 - v] * w[(g,f),c,u,v])  where 0 <= a +
    #     1 - u < 5, 0 <= b + 1 - v < 5
    dx = np.zeros((N, 3, 1, 5, 5), dtype)
    for u in range(3):
        for v in range(3):
            dx += (
                dy_padded[:, :, 0, None, 2 - u : 7 - u, 2 - v : 7 - v]
                * w[:, 0, :, u, v, None, None]
            )
    # dw[(g,f),c,u,v] = sum[n,i,j](dy[n,(g,f),i,j] * x[n,(g,c),i + u - 1,j + v - 1])
    dw = np.zeros((3, 1, 1, 3, 3), dtype)
    for u in range(3):
        for v in range(3):
            window = dy_padded[:, :, :, 1:6, 1:6]
            x_padded_window = x_padded[:, :, :, u : u + 5, v : v + 5]
            tap = np.matmul(
                window.reshape(N, 3, 1, 25),
                x_padded_window.transpose(0, 1, 3, 4, 2).reshape(N, 3, 25, 1),
            )
            dw[:, :, :, u, v] = tap.sum(axis=0, dtype=dtype)
    return dx.reshape(-1, 3, 5, 5), dw.reshape(3, 1, 3, 3)


def _dx_columns(dy, w):
    """dx[n] = kernel · columns(dy[n]): all windows of one sample as the columns of a matrix with
    a row for every channel and tap.
    """
    N, dtype = len(dy), dy.dtype
    kernel, taps, inner, copied, windows, columns = _room(_dx_columns_room, dtype)
    taps[...] = w.reshape(3, 1, 1, 3, 3).transpose(0, 2, 1, 3, 4)[:, :, :, ::-1, ::-1]
    dx = np.empty((N, 3, 5, 5), dtype)
    rows = dx.reshape(N, 3, 1, 25)
    for n in range(N):
        inner[...] = dy[n].reshape(3, 1, 5, 5)
        windows[...] = copied
        np.matmul(kernel, columns, out=rows[n])
    return dx


def _dx_columns_room(dtype):
    """Buffers of _dx_columns, and the views of them that it reads and writes."""
    kernel = np.zeros((3, 1, 9), dtype)
    taps = kernel.reshape(3, 1, 1, 3, 3)
    padded = np.zeros((3, 1, 7, 7), dtype)
    inner = padded[:, :, 1:6, 1:6]
    shape, steps = (3, 1, 3, 3, 5, 5), (49, 49, 7, 1, 7, 1)
    copied = _windows(padded, shape, steps)
    columns = np.zeros((3, 9, 25), dtype)
    windows = columns.reshape(shape)
    return kernel.reshape(3, 1, 9), taps, inner, copied, windows, columns


def _dw_correlate(dy, x):
    """dw = Σ columns(x[n]) · dy[n]ᵀ, one sample at a time."""
    N, dtype = len(x), x.dtype
    inner, copied, windows, columns, part = _room(_dw_correlate_room, dtype)
    by_place = dy.reshape(N, 3, 1, 25).swapaxes(-1, -2)
    total = np.zeros((3, 9, 1), dtype)
    for n in range(N):
        inner[...] = x[n].reshape(3, 1, 5, 5)
        windows[...] = copied
        np.matmul(columns, by_place[n], out=part)
        total += part
    dw = total.reshape(3, 1, 3, 3, 1).transpose(0, 4, 1, 2, 3).reshape(3, 1, 3, 3)
    return dw


def _dw_correlate_room(dtype):
    """Buffers of _dw_correlate, and the views of them that it reads and writes."""
    padded = np.zeros((3, 1, 7, 7), dtype)
    inner = padded[:, :, 1:6, 1:6]
    shape, steps = (3, 1, 3, 3, 5, 5), (49, 49, 7, 1, 7, 1)
    copied = _windows(padded, shape, steps)
    columns = np.zeros((3, 9, 25), dtype)
    windows = columns.reshape(shape)
    part = np.zeros((3, 9, 1), dtype)
    return inner, copied, windows, columns, part


def _dx_sparse(dy, w):
    """dx = dy · Mᵀ: the layer as one matrix, each weight along a diagonal of it."""
    N, dtype = len(dy), dy.dtype
    matrix, weights = _diagonals(
        "dx_sparse",
        (3, 1, 7, 7, 75),
        dtype,
        (3, 1, 1, 3, 3, 5, 5),
        (3700, 25, 3675, 525, 75, 530, 76),
    )
    weights[...] = w.reshape(3, 1, 1, 3, 3, 1, 1)
    # without the rows of the zeros around
    matrix = matrix[:, :, 1:6, 1:6].reshape(75, 75)
    dx = dy.reshape(N, 75).dot(matrix.T)
    return dx.reshape(N, 3, 5, 5)


def _dw_sparse(dy, x):
    """dw: all products of an entry of x and one of dy; those of a weight lie along a diagonal."""
    N, dtype = len(x), x.dtype
    pairs, diagonals = _diagonals(
        "dw_sparse",
        (3, 1, 7, 7, 75),
        dtype,
        (3, 1, 1, 3, 3, 5, 5),
        (3700, 25, 3675, 525, 75, 530, 76),
    )
    upstream = dy.reshape(N, 75)
    pairs[:, :, 1:6, 1:6] = x.reshape(N, 75).T.dot(upstream).reshape(3, 1, 5, 5, 75)
    ones = np.ones(25, dtype)
    dw = diagonals.reshape(27, 25).dot(ones).reshape(3, 1, 3, 3)
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
        and x.shape[1:] == (3, 5, 5)
        and w.shape == (3, 1, 3, 3)
    )


def _backward_ready(dy, x, w):
    """The same, and as many samples of the upstream gradient."""
    return (
        _ready(x, w)
        and type(dy) is np.ndarray
        and dy.dtype is x.dtype
        and dy.shape == (len(x), 3, 5, 5)
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


class _Kept(threading.local):
    """What a thread keeps between calls."""

    def __init__(self):
        self.rooms = {}


_kept = _Kept()


def _room(make, dtype):
    """What ``make(dtype)`` makes: buffers and views of them, once in each thread."""
    try:
        return _kept.rooms[make, dtype]
    except KeyError:
        return _kept.rooms.setdefault((make, dtype), make(dtype))


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
