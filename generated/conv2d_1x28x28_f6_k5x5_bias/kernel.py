"""Convolution (cross-correlation) in 2-D.

Forward:

    y[n,f,i,j] = sum[c,u,v](x[n,c,i+u,j+v] * w[f,c,u,v]) + b[f]

Gradient of x, by the chain rule:

    dx[n,c,q,r] = sum[f,u,v](dy[n,f,q-u,r-v] * w[f,c,u,v])  where 0 <= q - u < O_h, 0 <= r - v <
        O_w
    dx[n,c,i+u,j+v] += sum[f](dy[n,f,i,j] * w[f,c,u,v])

Gradient of w, by the chain rule:

    dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,i+u,j+v])

Gradient of b, by the chain rule:

    db[f] = sum[n,i,j](dy[n,f,i,j])

x: input; w: kernel; y: output; b: bias; f: filter; c: input channel; i: output row; u: kernel
row; j: output column; v: kernel column.

How it is computed, by batch size (float32, float64):

                                                  multiply-adds  scratch  estimate
    forward   other dtypes  y         taps
    forward   N >= 1        y         columns            89,856    64 kB     13 us
    forward   N >= 4        y         batch_last        207,360   276 kB     42 us
    backward  other dtypes  dx dw db  taps
    backward  N >= 1        dx        cascade           100,800    98 kB     22 us
    backward  N >= 1        dw db     correlate         110,592    78 kB     17 us
    backward  N >= 4        dx dw db  batch_last        374,400   1.2 MB    120 us

Multiply-adds are those of matrix products, a sample; times are estimated for the least batch of
the branch. Scratch (float32) does not grow with the batch; each thread keeps its own between
calls, at most 1.8 MB.

Generated and proved by:

    python -m derive --input 1x28x28 --kernel 5x5 --filters 6 --bias
"""

import threading
from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (1, 28, 28),
    "w": (6, 1, 5, 5),
    "b": (6,),
    "y": (6, 24, 24),
}

EQUATIONS = """\
y[n,f,i,j] = sum[c,u,v](x[n,c,i+u,j+v] * w[f,c,u,v]) + b[f]
dx[n,c,q,r] = sum[f,u,v](dy[n,f,q-u,r-v] * w[f,c,u,v])  where 0 <= q - u < 24, 0 <= r - v < 24
dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,i+u,j+v])
db[f] = sum[n,i,j](dy[n,f,i,j])
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dw: np.ndarray
    db: np.ndarray


def forward(x: np.ndarray, w: np.ndarray, b: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """x (..., 1, 28, 28), w (6, 1, 5, 5), b (6,) -> y (..., 6, 24, 24).

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    x, w, b, batch = _arrays(x=x, w=w, b=b)
    if threads > 1 and len(x) >= 58:
        # 29 samples are about as much work as is worth a thread
        shares = min(threads, len(x) // 29)
        y = _split(forward, shares, (np.empty((len(x), 6, 24, 24), x.dtype),), x=x, w=w, b=b)[0]
    elif x.dtype.char not in "fd":
        y = _forward_taps(x, w, b)
    elif len(x) < 4:
        y = _y_columns(x, w, b)
    else:
        y = _y_batch_last(x, w, b)
    return y.reshape(*batch, 6, 24, 24)


def backward(
    dy: np.ndarray, x: np.ndarray, w: np.ndarray, b: np.ndarray, *, threads: int = 1
) -> Gradients:
    """dy (..., 6, 24, 24), x (..., 1, 28, 28), w (6, 1, 5, 5), b (6,) -> dx, dw, db, each shaped
    like its tensor.

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    dy, x, w, b, batch = _arrays(dy=dy, x=x, w=w, b=b)
    if threads > 1 and len(dy) >= 22:
        # 11 samples are about as much work as is worth a thread
        shares = min(threads, len(dy) // 11)
        dx, dw, db = _split(
            backward, shares, (np.empty((len(dy), 1, 28, 28), dy.dtype),), dy=dy, x=x, w=w, b=b
        )
    elif dy.dtype.char not in "fd":
        dx, dw, db = _backward_taps(dy, x, w)
    elif len(dy) < 4:
        dx = _dx_cascade(dy, w)
        dw, db = _dw_db_correlate(dy, x)
    else:
        dx, dw, db = _dx_dw_db_batch_last(dy, w, x)
    return Gradients(dx.reshape(*batch, 1, 28, 28), dw, db)


def _forward_taps(x, w, b):
    """Any type of number, one tap at a time."""
    N, dtype = len(x), x.dtype
    # y[n,f,i,j] = sum[c,u,v](x[n,c,i+u,j+v] * w[f,c,u,v]) + b[f]
    y = np.zeros((N, 6, 24, 24), dtype)
    for u in range(5):
        for v in range(5):
            y += x[:, 0, None, u : u + 24, v : v + 24] * w[:, 0, u, v, None, None]
    y += b[:, None, None]
    return y


def _y_columns(x, w, b):
    """y[n] = kernel · columns(x[n]): all windows of one sample as the columns of a matrix with a
    row for every channel and tap; a row of ones meets the bias.
    """
    N, dtype = len(x), x.dtype
    kernel = np.empty((6, 26), dtype)
    kernel[:, :25] = w.reshape(6, 25)
    kernel[:, 25] = b
    padded = _scratch("y_columns_padded", (1, 28, 28), dtype)
    inner = padded[:, 0:28, 0:28]
    shape, steps = (1, 5, 5, 24, 24), (784, 28, 1, 28, 1)
    columns = _scratch("y_columns", (26, 576), dtype)
    columns[25] = 1
    y = np.empty((N, 6, 576), dtype)
    for n in range(N):
        inner[...] = x[n].reshape(inner.shape)
        columns[:25].reshape(shape)[...] = _windows(padded, shape, steps)
        np.matmul(kernel, columns, out=y[n])
    return y.reshape(N, 6, 24, 24)


def _y_batch_last(x, w, b):
    """y: 8 samples at a time, samples innermost: runs are long."""
    N, dtype = len(x), x.dtype
    made = _scratch("y_batch_last_made", (6, 4624), dtype)[:, :4608]
    kernel = np.zeros((6, 5, 6), dtype)
    kernel[..., :5] = w.reshape(6, 1, 25).reshape(6, 1, 5, 5).swapaxes(1, 2).reshape(6, 5, 5)
    kernel[:, 0, 5] = b
    kernel = kernel.reshape(6, 30)
    padded = _scratch("y_batch_last_padded", (1, 28, 28, 8), dtype)
    inner = padded[:, 0:28, 0:28, 0:8]
    shape, steps = (1, 1, 5, 1, 28, 24, 8), (6272, 224, 8, 1, 224, 8, 1)
    copied = _windows(padded, shape, steps).transpose(4, 0, 1, 2, 3, 5, 6)
    blocks = _scratch("y_batch_last_blocks", (28, 6, 208), dtype)
    blocks[:, 5] = 1
    windows = blocks[:, :5, :192].reshape(copied.shape)
    # the windows of every row of outputs, where they lie
    matrices = _windows(blocks, (24, 30, 192), (1248, 208, 1))
    rows = made.reshape(6, 24, 192).swapaxes(0, 1)
    y = np.empty((N, 6, 576), dtype)
    for n in range(0, N, 8):
        count = min(8, N - n)
        inner[..., :count] = x[n : n + 8].reshape(count, 1, 28, 28).transpose(1, 2, 3, 0)
        inner[..., count:] = 0
        windows[...] = copied
        np.matmul(kernel, matrices, out=rows)
        y[n : n + 8] = made.reshape(6, 576, 8)[..., :count].transpose(2, 0, 1)
    return y.reshape(N, 6, 24, 24)


def _backward_taps(dy, x, w):
    """Any type of number, one tap at a time."""
    N, dtype = len(dy), dy.dtype
    # dx[n,c,i+u,j+v] += sum[f](dy[n,f,i,j] * w[f,c,u,v])
    dx = np.zeros((N, 1, 28, 28), dtype)
    for u in range(5):
        for v in range(5):
            tap = np.matmul(w[:, :, u, v].T, dy.reshape(N, 6, 576))
            dx[:, :, u : u + 24, v : v + 24] += tap.reshape(N, 1, 24, 24)
    # dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,i+u,j+v])
    dw = np.zeros((6, 1, 5, 5), dtype)
    for u in range(5):
        for v in range(5):
            window = x[:, :, u : u + 24, v : v + 24]
            dw[:, :, u, v] = np.tensordot(dy, window, axes=((0, 2, 3), (0, 2, 3)))
    # db[f] = sum[n,i,j](dy[n,f,i,j])
    db = dy.sum(axis=(0, 2, 3), dtype=dtype)
    return dx, dw, db


def _dx_cascade(dy, w):
    """dx = Σ over taps of kernelᵀ · dy, shifted: added up axis by axis, each tap's planes as one
    run.
    """
    N, dtype = len(dy), dy.dtype
    kernel = w.transpose(3, 2, 1, 0).reshape(25, 6)
    rows = _scratch("dx_cascade_rows", (6, 24, 28), dtype)
    flat = rows.reshape(6, 672)
    products = _scratch("dx_cascade_products", (25, 784), dtype)
    planes = _scratch("dx_cascade_planes", (784,), dtype)
    dx = np.empty((N, 1, 28, 28), dtype)
    for n in range(N):
        rows[:, :, :24] = dy[n].reshape(6, 24, 24)
        np.matmul(kernel, flat, out=products[:, :672])
        shares = products.reshape(5, 3920)
        for v in range(1, 5):
            shares[0, v:] += shares[v, : 3920 - v]
        shares = products[:5].reshape(5, 784)
        planes[...] = shares[0]
        for u in range(1, 5):
            planes[28 * u :] += shares[u, : 784 - 28 * u]
        dx[n] = planes.reshape(1, 28, 28)[:, 0:28, 0:28]
    return dx.reshape(N, 1, 28, 28)


def _dw_db_correlate(dy, x):
    """dw = Σ columns(x[n]) · dy[n]ᵀ, one sample at a time; a row of ones adds up the bias's."""
    N, dtype = len(x), x.dtype
    by_place = dy.reshape(N, 6, 576).swapaxes(-1, -2)
    padded = _scratch("dw_db_correlate_padded", (1, 28, 28), dtype)
    inner = padded[:, 0:28, 0:28]
    shape, steps = (1, 5, 5, 24, 24), (784, 28, 1, 28, 1)
    columns = _scratch("dw_db_correlate", (32, 576), dtype)
    columns[25] = 1
    part = _scratch("dw_db_correlate_part", (32, 6), dtype)
    total = np.zeros((32, 6), dtype)
    for n in range(N):
        inner[...] = x[n].reshape(inner.shape)
        columns[:25].reshape(shape)[...] = _windows(padded, shape, steps)
        # in slices small enough for BLAS to read them where they are
        slices = columns.reshape(4, 8, 576)
        np.matmul(slices, by_place[n], out=part.reshape(4, 8, 6))
        total += part
    dw = total[:25].reshape(1, 5, 5, 6).transpose(3, 0, 1, 2).reshape(6, 1, 5, 5)
    return dw, total[25].reshape(6)


def _dx_dw_db_batch_last(dy, w, x):
    """dx, dw, db: 8 samples at a time, samples innermost: runs are long."""
    N, dtype = len(dy), dy.dtype
    upstream = _scratch("dx_dw_db_batch_last_upstream", (6, 4624), dtype)
    upstream = upstream[:, :4608]
    turned = upstream.reshape(6, 576, 8)
    kernel = w.transpose(2, 3, 1, 0).reshape(25, 1, 6).reshape(5, 5, 1, 6).transpose(0, 2, 3, 1)
    kernel = kernel.reshape(5, 30)
    spread = _scratch("dx_dw_db_batch_last_spread", (6, 24, 32, 8), dtype)
    shifted = _windows(spread, (6, 5, 24, 224), (6144, -8, 256, 1), 32)
    laid = _scratch("dx_dw_db_batch_last_laid", (30, 5392), dtype)
    laid = laid[:, :5376]
    # a plane for every first tap and channel; rows that are not written stay zeros
    products = _scratch("dx_dw_db_batch_last_products", (5, 6272), dtype)
    rows = products.reshape(5, 28, 224)[:, :24].swapaxes(0, 1)
    planes = _scratch("dx_dw_db_batch_last_planes", (6272,), dtype)
    dx = np.empty((N, 1, 28, 28), dtype)
    padded = _scratch("dx_dw_db_batch_last_padded", (1, 28, 28, 8), dtype)
    inner = padded[:, 0:28, 0:28, 0:8]
    shape, steps = (1, 1, 5, 1, 28, 24, 8), (6272, 224, 8, 1, 224, 8, 1)
    copied = _windows(padded, shape, steps)
    columns = _scratch("dx_dw_db_batch_last_columns", (5, 5392), dtype)
    windows = columns[:, :5376].reshape(shape)
    # what every tap of the first axis reads, where it lies
    matrices = _windows(columns, (5, 5, 4608), (192, 5392, 1))
    part = _scratch("dx_dw_db_batch_last_part", (5, 5, 6), dtype)
    sums = np.zeros((5, 5, 6), dtype)
    total = np.zeros(6, dtype)
    for n in range(0, N, 8):
        count = min(8, N - n)
        turned[..., :count] = dy[n : n + 8].reshape(count, 6, 576).transpose(1, 2, 0)
        turned[..., count:] = 0
        spread[:, :, 4:28] = turned.reshape(6, 24, 24, 8)
        laid.reshape(6, 5, 24, 224)[...] = shifted
        np.matmul(kernel, laid.reshape(30, 24, 224).swapaxes(0, 1), out=rows)
        planes[...] = 0
        for u in range(5):
            begin = 224 * u
            planes[begin:] += products[u, : 6272 - begin]
        dx[n : n + 8] = planes.reshape(1, 28, 28, 8)[:, 0:28, 0:28, :count].transpose(3, 0, 1, 2)
        inner[..., :count] = x[n : n + 8].reshape(count, 1, 28, 28).transpose(1, 2, 3, 0)
        inner[..., count:] = 0
        windows[...] = copied
        np.matmul(matrices, upstream.T, out=part)
        sums += part
        total += upstream.sum(axis=1, dtype=dtype)
    return (
        dx.reshape(N, 1, 28, 28),
        sums.reshape(5, 1, 5, 6)
        .swapaxes(0, 1)
        .reshape(1, 5, 5, 6)
        .transpose(3, 0, 1, 2)
        .reshape(6, 1, 5, 5),
        total.reshape(6),
    )


def _arrays(**given):
    """Tensors as arrays of one dtype, data as (N, ...), and the batch axes that data share."""
    if (batch := _ready(given, _BATCHED)) is not None:
        return *given.values(), batch
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


def _ready(arrays, batched):
    """The batch axes if all is as kernels want it: one float type, one axis of samples; or None."""
    batch = dtype = None
    for name, array in arrays.items():
        if type(array) is not np.ndarray:
            return None
        shape = array.shape
        if name in batched:
            lead, shape = shape[:1], shape[1:]
            batch = lead if batch is None else batch
            if lead != batch:
                return None
        if shape != SHAPES[_SHAPE_OF.get(name, name)]:
            return None
        if name in _INTEGER:
            return None
        dtype = array.dtype if dtype is None else dtype
        if array.dtype is not dtype:
            return None
    return batch if batch and dtype in _FLOATS else None


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
