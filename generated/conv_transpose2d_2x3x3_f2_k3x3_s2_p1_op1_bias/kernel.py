"""Transposed convolution in 2-D.

Forward:

    y[n,f,a,e] = sum[c,i,j,u,v](x[n,c,i,j] * w[c,f,u,v] * [s*i + u - p == a] * [s*j + v - p ==
        e]) + b[f]

Gradient of x, by the chain rule:

    dx[n,c,i,j] = sum[f,u,v](dy[n,f,s*i + u - p,s*j + v - p] * w[c,f,u,v])  where 0 <= s*i + u -
        p < O_h, 0 <= s*j + v - p < O_w

Gradient of w, by the chain rule:

    dw[c,f,u,v] = sum[n,i,j](dy[n,f,s*i + u - p,s*j + v - p] * x[n,c,i,j])  where 0 <= s*i + u -
        p < O_h, 0 <= s*j + v - p < O_w

Gradient of b, by the chain rule:

    db[f] = sum[n,a,e](dy[n,f,a,e])

x: input; w: kernel; y: output; b: bias; f: filter; c: input channel; a: output row; i: input
row; u: kernel row; e: output column; j: input column; v: kernel column.

How it is computed, by batch size (float32, float64):

                                                 multiply-adds  scratch  estimate
    forward   other dtypes  y         taps
    forward   N >= 1        y         taps                   0     0 kB    6.1 us
    backward  other dtypes  dx dw db  taps
    backward  N >= 1        dx        rows                 324     2 kB    3.3 us
    backward  N >= 1        dw        correlate            324     2 kB    5.5 us
    backward  N >= 1        db        taps                   0     0 kB      3 us
    backward  N >= 2        dx        sparse             1,296     8 kB    3.6 us
    backward  N >= 2        dw        sparse             1,296     8 kB    5.3 us
    backward  N >= 2        db        taps                   0     0 kB      3 us

Multiply-adds are those of matrix products, a sample; times are estimated for the least batch of
the branch. Scratch (float32) does not grow with the batch; each thread keeps its own between
calls, at most 17 kB. What taps computes may take as much memory again as the batch.

Generated and proved by:

    python -m derive --layer conv_transpose --input 2x3x3 --kernel 3x3 --filters 2 --stride 2
        --padding 1 --output-padding 1 --bias
"""

import threading
from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (2, 3, 3),
    "w": (2, 2, 3, 3),
    "b": (2,),
    "y": (2, 6, 6),
}

EQUATIONS = """\
y[n,f,a,e] = sum[c,i,j,u,v](x[n,c,i,j] * w[c,f,u,v] * [2*i + u - 1 == a] * [2*j + v - 1 == e]) + b[f]
dx[n,c,i,j] = sum[f,u,v](dy[n,f,2*i + u - 1,2*j + v - 1] * w[c,f,u,v])  where 0 <= 2*i + u - 1 < 6, 0 <= 2*j + v - 1 < 6
dw[c,f,u,v] = sum[n,i,j](dy[n,f,2*i + u - 1,2*j + v - 1] * x[n,c,i,j])  where 0 <= 2*i + u - 1 < 6, 0 <= 2*j + v - 1 < 6
db[f] = sum[n,a,e](dy[n,f,a,e])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dw: np.ndarray
    db: np.ndarray


def forward(x: np.ndarray, w: np.ndarray, b: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """x (..., 2, 3, 3), w (2, 2, 3, 3), b (2,) -> y (..., 2, 6, 6).

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _ready(x, w, b):
        x, w, b, batch = _arrays(x=x, w=w, b=b)
        if x.dtype.char not in "fd":
            y = _forward_taps(x, w, b)
            return y.reshape(*batch, 2, 6, 6)
    if threads > 1 and len(x) >= 100:
        # 50 samples are about as much work as is worth a thread
        shares = min(threads, len(x) // 50)
        y = _split(forward, shares, (np.empty((len(x), 2, 6, 6), x.dtype),), x=x, w=w, b=b)[0]
    else:
        y = _forward_taps(x, w, b)
    if batch is None:
        return y
    return y.reshape(*batch, 2, 6, 6)


def backward(
    dy: np.ndarray, x: np.ndarray, w: np.ndarray, b: np.ndarray, *, threads: int = 1
) -> Gradients:
    """dy (..., 2, 6, 6), x (..., 2, 3, 3), w (2, 2, 3, 3), b (2,) -> dx, dw, db, each shaped like
    its tensor.

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _backward_ready(dy, x, w, b):
        dy, x, w, b, batch = _arrays(dy=dy, x=x, w=w, b=b)
        if dy.dtype.char not in "fd":
            dx, dw, db = _backward_taps(dy, x, w)
            return Gradients(dx.reshape(*batch, 2, 3, 3), dw, db)
    if threads > 1 and len(dy) >= 102:
        # 51 samples are about as much work as is worth a thread
        shares = min(threads, len(dy) // 51)
        dx, dw, db = _split(
            backward, shares, (np.empty((len(dy), 2, 3, 3), dy.dtype),), dy=dy, x=x, w=w, b=b
        )
    elif len(dy) < 2:
        dx = _dx_rows(dy, w)
        dw = _dw_correlate(x, dy)
        db = _db_taps(dy)
    else:
        dx = _dx_sparse(dy, w)
        dw = _dw_sparse(x, dy)
        db = _db_taps(dy)
    if batch is None:
        return Gradients(dx, dw, db)
    return Gradients(dx.reshape(*batch, 2, 3, 3), dw, db)


def _forward_taps(x, w, b):
    """Any type of number, one tap at a time."""
    N, dtype = len(x), x.dtype
    # y[n,f,2*i + u - 1,2*j + v - 1] += sum[c](x[n,c,i,j] * w[c,f,u,v])
    # y[n,f,a,e] += b[f]
    y_padded = np.zeros((N, 2, 7, 7), dtype)
    for i in range(3):
        for j in range(3):
            y_padded[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += np.tensordot(
                x[:, :, i, j], w, axes=((1,), (0,))
            )
    y_padded[:, :, 1:7, 1:7] += b[:, None, None]
    y = y_padded[:, :, 1:7, 1:7]
    return y


def _backward_taps(dy, x, w):
    """Any type of number, one tap at a time."""
    N, dtype = len(dy), dy.dtype
    dy_padded = np.zeros((N, 2, 7, 7), dtype)
    dy_padded[:, :, 1:7, 1:7] = dy
    # dx[n,c,i,j] = sum[f,u,v](dy[n,f,2*i + u - 1,2*j + v - 1] * w[c,f,u,v])  where 0 <= 2*i + u - 1
    #     < 6, 0 <= 2*j + v - 1 < 6
    dx = np.zeros((N, 2, 3, 3), dtype)
    for i in range(3):
        for j in range(3):
            window = dy_padded[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            dx[:, :, i, j] = np.tensordot(window, w, axes=((1, 2, 3), (1, 2, 3)))
    # dw[c,f,u,v] = sum[n,i,j](dy[n,f,2*i + u - 1,2*j + v - 1] * x[n,c,i,j])  where 0 <= 2*i + u - 1
    #     < 6, 0 <= 2*j + v - 1 < 6
    dw = np.zeros((2, 2, 3, 3), dtype)
    for i in range(3):
        for j in range(3):
            window = dy_padded[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            dw += np.tensordot(x[:, :, i, j], window, axes=((0,), (0,)))
    # db[f] = sum[n,a,e](dy[n,f,a,e])
    db = dy_padded[:, :, 1:7, 1:7].sum(axis=(0, 2, 3), dtype=dtype)
    return dx, dw, db


def _dx_rows(dy, w):
    """dx[n] = kernel · blocks(dy[n]): every row of the input as the windows along it, each
    written once for all windows that it is in.
    """
    N, dtype = len(dy), dy.dtype
    kernel, taps, inner, copied, windows, matrices = _room(_dx_rows_room, dtype)
    turned = w.reshape(2, 2, 3, 3)
    taps[:, :, :1] = turned[:, :, :2].reshape(2, 2, 1, 2, 3)
    taps[:, :, 1, :1] = turned[:, :, 2:]
    dx = np.empty((N, 2, 3, 3), dtype)
    rows = dx.swapaxes(1, 2)
    for n in range(N):
        inner[...] = dy[n]
        windows[...] = copied
        np.matmul(kernel, matrices, out=rows[n])
    return dx


def _dx_rows_room(dtype):
    """Buffers of _dx_rows, and the views of them that it reads and writes."""
    kernel = np.zeros((2, 2, 12), dtype)
    matrix = kernel.reshape(2, 24)[..., :18]
    taps = kernel.reshape(2, 2, 2, 2, 3).transpose(0, 3, 1, 2, 4)
    # only the sample itself is ever written
    padded = np.zeros((2, 8, 7), dtype)
    inner = padded[:, 1:7, 1:7]
    copied = _windows(padded, (4, 2, 2, 3, 3), (14, 7, 56, 1, 2))
    blocks = np.zeros((4, 12, 3), dtype)
    windows = blocks.reshape(4, 2, 2, 3, 3)
    # the matrices of neighbouring rows overlap
    matrices = _windows(blocks, (3, 18, 3), (36, 3, 1))
    return matrix, taps, inner, copied, windows, matrices


def _dw_correlate(x, dy):
    """dw = Σ columns(dy[n]) · x[n]ᵀ, one sample at a time."""
    N, dtype = len(dy), dy.dtype
    inner, copied, windows, columns, part = _room(_dw_correlate_room, dtype)
    by_place = x.reshape(N, 2, 9).swapaxes(-1, -2)
    total = np.zeros((18, 2), dtype)
    for n in range(N):
        inner[...] = dy[n]
        windows[...] = copied
        np.matmul(columns, by_place[n], out=part)
        total += part
    dw = total.reshape(2, 3, 3, 2).transpose(3, 0, 1, 2).reshape(2, 2, 3, 3)
    return dw


def _dw_correlate_room(dtype):
    """Buffers of _dw_correlate, and the views of them that it reads and writes."""
    padded = np.zeros((2, 7, 7), dtype)
    inner = padded[:, 1:7, 1:7]
    shape, steps = (2, 3, 3, 3, 3), (49, 7, 1, 14, 2)
    copied = _windows(padded, shape, steps)
    columns = np.zeros((18, 9), dtype)
    windows = columns.reshape(shape)
    part = np.zeros((18, 2), dtype)
    return inner, copied, windows, columns, part


def _db_taps(dy):
    """Any type of number, one tap at a time."""
    dtype = dy.dtype
    # db[f] = sum[n,a,e](dy[n,f,a,e])
    db = dy.sum(axis=(0, 2, 3), dtype=dtype)
    return db


def _dx_sparse(dy, w):
    """dx = dy · M: the layer as one matrix, each weight along a diagonal of it."""
    N, dtype = len(dy), dy.dtype
    matrix, weights = _diagonals(
        "dx_sparse", (2, 7, 7, 18), dtype, (2, 2, 3, 3, 3, 3), (9, 882, 126, 18, 255, 37)
    )
    weights[...] = w.reshape(2, 2, 3, 3, 1, 1)
    # without the rows of the zeros around
    matrix = matrix[:, 1:7, 1:7].reshape(72, 18)
    return dy.reshape(N, 72).dot(matrix).reshape(N, 2, 3, 3)


def _dw_sparse(x, dy):
    """dw: all products of an entry of dy and one of x; those of a weight lie along a diagonal."""
    N, dtype = len(dy), dy.dtype
    pairs, diagonals = _diagonals(
        "dw_sparse", (2, 7, 7, 18), dtype, (2, 2, 3, 3, 3, 3), (9, 882, 126, 18, 255, 37)
    )
    upstream = x.reshape(N, 18)
    pairs[:, 1:7, 1:7] = dy.reshape(N, 72).T.dot(upstream).reshape(2, 6, 6, 18)
    ones = np.ones(9, dtype)
    dw = diagonals.reshape(36, 9).dot(ones).reshape(2, 2, 3, 3)
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


def _ready(x, w, b):
    """Whether all is as kernels want it: arrays of one float type, with an axis of samples."""
    return (
        type(x) is type(w) is type(b) is np.ndarray
        and x.dtype is w.dtype is b.dtype in _FLOATS
        and x.shape[1:] == (2, 3, 3)
        and w.shape == (2, 2, 3, 3)
        and b.shape == (2,)
    )


def _backward_ready(dy, x, w, b):
    """The same, and as many samples of the upstream gradient."""
    return (
        _ready(x, w, b)
        and type(dy) is np.ndarray
        and dy.dtype is x.dtype
        and dy.shape == (len(x), 2, 6, 6)
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
