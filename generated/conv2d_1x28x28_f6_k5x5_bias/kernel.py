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
    forward   N >= 1        y         rows              103,680    20 kB    9.8 us
    forward   N >= 8        y         batch_last        103,680   276 kB     54 us
    backward  other dtypes  dx dw db  taps
    backward  N >= 1        dx        cascade           100,800   114 kB     13 us
    backward  N >= 1        dw db     shifts             86,400    20 kB     10 us
    backward  N >= 8        dx dw db  batch_last        187,200   1.2 MB    130 us

Multiply-adds are those of matrix products, a sample; times are estimated for the least batch of
the branch. Scratch (float32) does not grow with the batch; each thread keeps its own between
calls, at most 1.7 MB.

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
    batch = None
    if not _ready(x, w, b):
        x, w, b, batch = _arrays(x=x, w=w, b=b)
        if x.dtype.char not in "fd":
            y = _forward_taps(x, w, b)
            return y.reshape(*batch, 6, 24, 24)
    if threads > 1 and len(x) >= 90:
        # 45 samples are about as much work as is worth a thread
        shares = min(threads, len(x) // 45)
        y = _split(forward, shares, (np.empty((len(x), 6, 24, 24), x.dtype),), x=x, w=w, b=b)[0]
    elif len(x) < 8:
        y = _y_rows(x, w, b)
    else:
        y = _y_batch_last(x, w, b)
    if batch is None:
        return y
    return y.reshape(*batch, 6, 24, 24)


def backward(
    dy: np.ndarray, x: np.ndarray, w: np.ndarray, b: np.ndarray, *, threads: int = 1
) -> Gradients:
    """dy (..., 6, 24, 24), x (..., 1, 28, 28), w (6, 1, 5, 5), b (6,) -> dx, dw, db, each shaped
    like its tensor.

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _backward_ready(dy, x, w, b):
        dy, x, w, b, batch = _arrays(dy=dy, x=x, w=w, b=b)
        if dy.dtype.char not in "fd":
            dx, dw, db = _backward_taps(dy, x, w)
            return Gradients(dx.reshape(*batch, 1, 28, 28), dw, db)
    if threads > 1 and len(dy) >= 38:
        # 19 samples are about as much work as is worth a thread
        shares = min(threads, len(dy) // 19)
        dx, dw, db = _split(
            backward, shares, (np.empty((len(dy), 1, 28, 28), dy.dtype),), dy=dy, x=x, w=w, b=b
        )
    elif len(dy) < 8:
        dx = _dx_cascade(dy, w)
        dw, db = _dw_db_shifts(dy, x)
    else:
        dx, dw, db = _dx_dw_db_batch_last(dy, w, x)
    if batch is None:
        return Gradients(dx, dw, db)
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


def _y_rows(x, w, b):
    """y[n] = kernel · blocks(x[n]): every row of the input as the windows along it, each written
    once for all windows that it is in; rows of ones meet the bias.
    """
    N, dtype = len(x), x.dtype
    kernel, taps, bias, inner, copied, windows, matrices = _room(_y_rows_room, dtype)
    taps[...] = w.reshape(6, 1, 5, 1, 5)
    bias[...] = b
    y = np.empty((N, 6, 24, 24), dtype)
    rows = y.swapaxes(1, 2)
    for n in range(N):
        inner[...] = x[n]
        windows[...] = copied
        np.matmul(kernel, matrices, out=rows[n])
    return y


def _y_rows_room(dtype):
    """Buffers of _y_rows, and the views of them that it reads and writes."""
    kernel = np.zeros((6, 5, 6), dtype)
    matrix = kernel.reshape(6, 30)
    taps = kernel[:, :, :5].reshape(6, 5, 1, 1, 5).transpose(0, 3, 1, 2, 4)
    # the first row of ones is enough; the others meet zeros
    bias = kernel[:, 0, 5]
    # only the sample itself is ever written
    padded = np.zeros((1, 28, 28), dtype)
    inner = padded[:, 0:28, 0:28]
    copied = _windows(padded, (28, 1, 1, 5, 24), (28, 28, 784, 1, 1))
    blocks = np.ones((28, 6, 24), dtype)
    windows = blocks[:, :5].reshape(28, 1, 1, 5, 24)
    # the matrices of neighbouring rows overlap
    matrices = _windows(blocks, (24, 30, 24), (144, 24, 1))
    return matrix, taps, bias, inner, copied, windows, matrices


def _y_batch_last(x, w, b):
    """y: 8 samples at a time, samples innermost: runs are long."""
    N, dtype = len(x), x.dtype
    made = _scratch("y_batch_last_made", (6, 4624), dtype)[:, :4608]
    kernel = np.zeros((6, 5, 6), dtype)
    kernel[..., :5] = w.reshape(6, 5, 5)
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
    kernel, taps, inner, rows, products, stages, made = _room(_dx_cascade_room, dtype)
    taps[...] = w.transpose(3, 2, 1, 0)
    dx = np.empty((N, 1, 28, 28), dtype)
    for n in range(N):
        inner[...] = dy[n]
        np.matmul(kernel, rows, out=products)
        for shares, sums in stages:
            np.add(shares[0], shares[1], out=sums)
            for share in shares[2:]:
                sums += share
        dx[n] = made
    return dx


def _dx_cascade_room(dtype):
    """Buffers of _dx_cascade, and the views of them that it reads and writes."""
    kernel = np.zeros((25, 6), dtype)
    taps = kernel.reshape(5, 5, 1, 6)
    padded = np.zeros((6, 24, 28), dtype)
    inner = padded[:, :, :24]
    rows = padded.reshape(6, 672)
    taken = np.zeros((25, 784), dtype)
    products = taken[:, :672]
    # a shift is a view that starts earlier, where the share before ends in zeros
    along_v = _windows(taken, (5, 3920), (3919, 1))
    sums_v = np.zeros((3920,), dtype)
    along_u = _windows(sums_v, (5, 784), (756, 1))
    sums_u = np.zeros((784,), dtype)
    stages = (tuple(along_v), sums_v), (tuple(along_u), sums_u)
    made = sums_u.reshape(1, 28, 28)[:, 0:28, 0:28]
    return kernel, taps, inner, rows, products, stages, made


def _dw_db_shifts(dy, x):
    """dw, db: windows of x along all axes but the first, then a product for each of its taps."""
    N, dtype = len(dy), dy.dtype
    inner, copied, windows, matrices, parts, ones = _room(_dw_db_shifts_room, dtype)
    by_place = dy.reshape(N, 6, 576).swapaxes(1, 2)
    sums = np.zeros((5, 1, 5, 6), dtype)
    for n in range(N):
        inner[...] = x[n]
        windows[...] = copied
        np.matmul(matrices, by_place[n], out=parts)
        sums += parts
    dw = sums.reshape(5, 1, 5, 6).transpose(3, 1, 0, 2)
    db = np.add.reduce(dy.reshape(N * 6, 576).dot(ones).reshape(N, 6), axis=0)
    return dw, db


def _dw_db_shifts_room(dtype):
    """Buffers of _dw_db_shifts, and the views of them that it reads and writes."""
    padded = np.zeros((1, 28, 28), dtype)
    inner = padded[:, 0:28, 0:28]
    copied = _windows(padded, (1, 5, 28, 24), (784, 1, 28, 1))
    columns = np.zeros((5, 688), dtype)
    windows = columns[:, :672].reshape(1, 5, 28, 24)
    # what every tap of the first axis reads, where it lies, in slices for BLAS
    matrices = _windows(columns, (5, 1, 5, 576), (24, 3440, 688, 1))
    parts = np.zeros((5, 1, 5, 6), dtype)
    ones = np.ones((576,), dtype)
    return inner, copied, windows, matrices, parts, ones


def _dx_dw_db_batch_last(dy, w, x):
    """dx, dw, db: 8 samples at a time, samples innermost: runs are long."""
    N, dtype = len(dy), dy.dtype
    upstream = _scratch("dx_dw_db_batch_last_upstream", (6, 4624), dtype)
    upstream = upstream[:, :4608]
    turned = upstream.reshape(6, 576, 8)
    kernel = w.transpose(2, 1, 0, 3).reshape(5, 30)
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
        sums.reshape(5, 1, 5, 6).transpose(3, 1, 0, 2),
        total.reshape(6),
    )


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
        and x.shape[1:] == (1, 28, 28)
        and w.shape == (6, 1, 5, 5)
        and b.shape == (6,)
    )


def _backward_ready(dy, x, w, b):
    """The same, and as many samples of the upstream gradient."""
    return (
        _ready(x, w, b)
        and type(dy) is np.ndarray
        and dy.dtype is x.dtype
        and dy.shape == (len(x), 6, 24, 24)
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
