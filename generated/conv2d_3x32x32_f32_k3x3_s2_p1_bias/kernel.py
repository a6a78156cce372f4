"""Convolution (cross-correlation) in 2-D.

Forward:

    y[n,f,i,j] = sum[c,u,v](x[n,c,s*i + u - p,s*j + v - p] * w[f,c,u,v]) + b[f]

Gradient of x, by the chain rule:

    dx[n,c,q,r] = sum[f,u,v](dy[n,f,(q + p - u)/s,(r + p - v)/s] * w[f,c,u,v])  where s | q + p
        - u, 0 <= (q + p - u)/s < O_h, s | r + p - v, 0 <= (r + p - v)/s < O_w
    dx[n,c,s*i + u - p,s*j + v - p] += sum[f](dy[n,f,i,j] * w[f,c,u,v])

Gradient of w, by the chain rule:

    dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,s*i + u - p,s*j + v - p])

Gradient of b, by the chain rule:

    db[f] = sum[n,i,j](dy[n,f,i,j])

x: input; w: kernel; y: output; b: bias; f: filter; c: input channel; i: output row; u: kernel
row; j: output column; v: kernel column.

How it is computed, by batch size (float32, float64):

                                                 multiply-adds  scratch  estimate
    forward   other dtypes  y         taps
    forward   N >= 1        y         columns          229,376    46 kB     13 us
    backward  other dtypes  dx dw db  taps
    backward  N >= 1        dx        abreast          221,184    27 kB     36 us
    backward  N >= 1        dw db     correlate        262,144    50 kB     14 us
    backward  N >= 4        dx        taps             221,184     0 kB     98 us
    backward  N >= 4        dw db     correlate        262,144    50 kB     48 us

Multiply-adds are those of matrix products, a sample; times are estimated for the least batch of
the branch. Scratch (float32) does not grow with the batch; each thread keeps its own between
calls, at most 122 kB. What taps computes may take as much memory again as the batch.

Generated and proved by:

    python -m derive --input 3x32x32 --kernel 3x3 --filters 32 --stride 2 --padding 1 --bias
"""

import threading
from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (3, 32, 32),
    "w": (32, 3, 3, 3),
    "b": (32,),
    "y": (32, 16, 16),
}

EQUATIONS = """\
y[n,f,i,j] = sum[c,u,v](x[n,c,2*i + u - 1,2*j + v - 1] * w[f,c,u,v]) + b[f]
dx[n,c,q,r] = sum[f,u,v](dy[n,f,(q + 1 - u)/2,(r + 1 - v)/2] * w[f,c,u,v])  where 2 | q + 1 - u, 0 <= (q + 1 - u)/2 < 16, 2 | r + 1 - v, 0 <= (r + 1 - v)/2 < 16
dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,2*i + u - 1,2*j + v - 1])
db[f] = sum[n,i,j](dy[n,f,i,j])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dw: np.ndarray
    db: np.ndarray


def forward(x: np.ndarray, w: np.ndarray, b: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """x (..., 3, 32, 32), w (32, 3, 3, 3), b (32,) -> y (..., 32, 16, 16).

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _ready(x, w, b):
        x, w, b, batch = _arrays(x=x, w=w, b=b)
        if x.dtype.char not in "fd":
            y = _forward_taps(x, w, b)
            return y.reshape(*batch, 32, 16, 16)
    if threads > 1 and len(x) >= 46:
        # 23 samples are about as much work as is worth a thread
        shares = min(threads, len(x) // 23)
        y = _split(forward, shares, (np.empty((len(x), 32, 16, 16), x.dtype),), x=x, w=w, b=b)[0]
    else:
        y = _y_columns(x, w, b)
    if batch is None:
        return y
    return y.reshape(*batch, 32, 16, 16)


def backward(
    dy: np.ndarray, x: np.ndarray, w: np.ndarray, b: np.ndarray, *, threads: int = 1
) -> Gradients:
    """dy (..., 32, 16, 16), x (..., 3, 32, 32), w (32, 3, 3, 3), b (32,) -> dx, dw, db, each
    shaped like its tensor.

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _backward_ready(dy, x, w, b):
        dy, x, w, b, batch = _arrays(dy=dy, x=x, w=w, b=b)
        if dy.dtype.char not in "fd":
            dx, dw, db = _backward_taps(dy, x, w)
            return Gradients(dx.reshape(*batch, 3, 32, 32), dw, db)
    if threads > 1 and len(dy) >= 18:
        # 9 samples are about as much work as is worth a thread
        shares = min(threads, len(dy) // 9)
        dx, dw, db = _split(
            backward, shares, (np.empty((len(dy), 3, 32, 32), dy.dtype),), dy=dy, x=x, w=w, b=b
        )
    elif len(dy) < 4:
        dx = _dx_abreast(dy, w)
        dw, db = _dw_db_correlate(dy, x)
    else:
        dx = _dx_taps(dy, w)
        dw, db = _dw_db_correlate(dy, x)
    if batch is None:
        return Gradients(dx, dw, db)
    return Gradients(dx.reshape(*batch, 3, 32, 32), dw, db)


def _forward_taps(x, w, b):
    """Any type of number, one tap at a time."""
    N, dtype = len(x), x.dtype
    x_padded = np.zeros((N, 3, 33, 33), dtype)
    x_padded[:, :, 1:33, 1:33] = x
    # y[n,f,i,j] = sum[c,u,v](x[n,c,2*i + u - 1,2*j + v - 1] * w[f,c,u,v]) + b[f]
    y = np.zeros((N, 32, 16, 16), dtype)
    for u in range(3):
        for v in range(3):
            window = x_padded[:, :, u : u + 31 : 2, v : v + 31 : 2]
            tap = np.matmul(w[:, :, u, v], window.reshape(N, 3, 256))
            y += tap.reshape(N, 32, 16, 16)
    y += b[:, None, None]
    return y


def _y_columns(x, w, b):
    """y[n] = kernel · columns(x[n]): all windows of one sample as the columns of a matrix with a
    row for every channel and tap; a row of ones meets the bias.
    """
    N, dtype = len(x), x.dtype
    kernel, taps, bias, inner, copied, windows, columns = _room(_y_columns_room, dtype)
    taps[...] = w
    bias[...] = b
    y = np.empty((N, 32, 16, 16), dtype)
    rows = y.reshape(N, 32, 256)
    for n in range(N):
        inner[...] = x[n]
        windows[...] = copied
        np.matmul(kernel, columns, out=rows[n])
    return y


def _y_columns_room(dtype):
    """Buffers of _y_columns, and the views of them that it reads and writes."""
    kernel = np.zeros((32, 28), dtype)
    taps = kernel[:, :27].reshape(32, 3, 3, 3)
    bias = kernel[:, 27]
    padded = np.zeros((3, 33, 33), dtype)
    inner = padded[:, 1:33, 1:33]
    shape, steps = (3, 3, 3, 16, 16), (1089, 33, 1, 66, 2)
    copied = _windows(padded, shape, steps)
    columns = np.ones((28, 256), dtype)
    windows = columns[:27].reshape(shape)
    return kernel.reshape(32, 28), taps, bias, inner, copied, windows, columns


def _backward_taps(dy, x, w):
    """Any type of number, one tap at a time."""
    N, dtype = len(dy), dy.dtype
    x_padded = np.zeros((N, 3, 33, 33), dtype)
    x_padded[:, :, 1:33, 1:33] = x
    # dx[n,c,2*i + u - 1,2*j + v - 1] += sum[f](dy[n,f,i,j] * w[f,c,u,v])
    dx_padded = np.zeros((N, 3, 33, 33), dtype)
    for u in range(3):
        for v in range(3):
            tap = np.matmul(w[:, :, u, v].T, dy.reshape(N, 32, 256))
            dx_padded[:, :, u : u + 31 : 2, v : v + 31 : 2] += tap.reshape(N, 3, 16, 16)
    dx = dx_padded[:, :, 1:33, 1:33]
    # dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,2*i + u - 1,2*j + v - 1])
    dw = np.zeros((32, 3, 3, 3), dtype)
    for u in range(3):
        for v in range(3):
            window = x_padded[:, :, u : u + 31 : 2, v : v + 31 : 2]
            dw[:, :, u, v] = np.tensordot(dy, window, axes=((0, 2, 3), (0, 2, 3)))
    # db[f] = sum[n,i,j](dy[n,f,i,j])
    db = dy.sum(axis=(0, 2, 3), dtype=dtype)
    return dx, dw, db


def _dx_abreast(dy, w):
    """dx = kernelᵀ · dy, each product added to the entry that its tap reads, 2 samples side by
    side in one product.
    """
    N, dtype = len(dy), dy.dtype
    kept, room, sums, inner = _room(_dx_abreast_room, dtype)
    kernel = w.reshape(32, 27)
    dx = np.empty((N, 3, 32, 32), dtype)
    for n in range(0, N, 2):
        count = min(2, N - n)
        rows = kept[: 8192 * count].reshape(32, 256 * count)
        rows.reshape(32, count, 256)[...] = dy[n : n + count].reshape(count, 32, 256).swapaxes(0, 1)
        products = room[: 6912 * count].reshape(27, 256 * count)
        np.matmul(kernel.T, rows, out=products)
        shares = products.reshape(3, 3, 3, count, 16, 16)
        sums[:count] = 0
        for u in range(3):
            for v in range(3):
                sums[:count, :, u : u + 31 : 2, v : v + 31 : 2] += shares[:, u, v].swapaxes(0, 1)
        dx[n : n + count] = inner[:count]
    return dx


def _dx_abreast_room(dtype):
    """Buffers of _dx_abreast, and the views of them that it reads and writes."""
    sums = np.zeros((2, 3, 33, 33), dtype)
    inner = sums[:, :, 1:33, 1:33]
    room = np.zeros(27 * 512, dtype)
    kept = np.zeros(32 * 512, dtype)
    return kept, room, sums, inner


def _dw_db_correlate(dy, x):
    """dw = Σ columns(x[n]) · dy[n]ᵀ, one sample at a time; a row of ones adds up the bias's."""
    N, dtype = len(x), x.dtype
    inner, copied, windows, columns, part, slices = _room(_dw_db_correlate_room, dtype)
    by_place = dy.reshape(N, 32, 256).swapaxes(-1, -2)
    total = np.zeros((32, 32), dtype)
    for n in range(N):
        inner[...] = x[n]
        windows[...] = copied
        np.matmul(columns, by_place[n], out=slices)
        total += part
    dw = total[:27].reshape(3, 3, 3, 32).transpose(3, 0, 1, 2).reshape(32, 3, 3, 3)
    return dw, total[27].reshape(32)


def _dw_db_correlate_room(dtype):
    """Buffers of _dw_db_correlate, and the views of them that it reads and writes."""
    padded = np.zeros((3, 33, 33), dtype)
    inner = padded[:, 1:33, 1:33]
    shape, steps = (3, 3, 3, 16, 16), (1089, 33, 1, 66, 2)
    copied = _windows(padded, shape, steps)
    columns = np.zeros((32, 256), dtype)
    columns[27] = 1
    windows = columns[:27].reshape(shape)
    part = np.zeros((32, 32), dtype)
    # slices small enough for BLAS to read them where they are
    slices = part.reshape(4, 8, 32)
    return inner, copied, windows, columns.reshape(4, 8, 256), part, slices


def _dx_taps(dy, w):
    """Any type of number, one tap at a time."""
    N, dtype = len(dy), dy.dtype
    # dx[n,c,2*i + u - 1,2*j + v - 1] += sum[f](dy[n,f,i,j] * w[f,c,u,v])
    dx_padded = np.zeros((N, 3, 33, 33), dtype)
    for u in range(3):
        for v in range(3):
            tap = np.matmul(w[:, :, u, v].T, dy.reshape(N, 32, 256))
            dx_padded[:, :, u : u + 31 : 2, v : v + 31 : 2] += tap.reshape(N, 3, 16, 16)
    dx = dx_padded[:, :, 1:33, 1:33]
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


def _ready(x, w, b):
    """Whether all is as kernels want it: arrays of one float type, with an axis of samples."""
    return (
        type(x) is type(w) is type(b) is np.ndarray
        and x.dtype is w.dtype is b.dtype in _FLOATS
        and x.shape[1:] == (3, 32, 32)
        and w.shape == (32, 3, 3, 3)
        and b.shape == (32,)
    )


def _backward_ready(dy, x, w, b):
    """The same, and as many samples of the upstream gradient."""
    return (
        _ready(x, w, b)
        and type(dy) is np.ndarray
        and dy.dtype is x.dtype
        and dy.shape == (len(x), 32, 16, 16)
    )


_FLOATS = np.dtype(np.float32), np.dtype(np.float64)


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
