"""Average pooling in 2-D.

Forward:

    y[n,i,j] = sum[u,v](x[n,s*i + u - p,s*j + v - p]) / sum[u,v]([0 <= s*i + u - p < H, 0 <= s*j
        + v - p < W])

Gradient of x, by the chain rule:

    dx[n,a,b] = sum[u,v](dy[n,(a + p - u)/s,(b + p - v)/s] / sum[u*,v*]([0 <= a - u + u* < H, 0
        <= b - v + v* < W]))  where s | a + p - u, 0 <= (a + p - u)/s < O_h, s | b + p - v, 0 <=
        (b + p - v)/s < O_w
    dx[n,s*i + u - p,s*j + v - p] += dy[n,i,j] / sum[u*,v*]([0 <= s*i + u* - p < H, 0 <= s*j +
        v* - p < W])

x: input; y: output; i: output row; u: window row; j: output column; v: window column.

How it is computed, by batch size (float32, float64):

                                           multiply-adds  scratch  estimate
    forward   other dtypes  y   taps
    forward   N >= 1        y   separable              0   501 kB     16 us
    backward  other dtypes  dx  taps
    backward  N >= 1        dx  spread                 0   600 kB     20 us

Multiply-adds are those of matrix products, a sample; times are estimated for the least batch of
the branch. Scratch (float32) does not grow with the batch; each thread keeps its own between
calls, at most 1.1 MB.

Generated and proved by:

    python -m derive --layer avg_pool --input 5x5 --kernel 3x3 --stride 2 --padding 1
        --no-count-include-pad
"""

import threading
from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (5, 5),
    "y": (3, 3),
}

EQUATIONS = """\
y[n,i,j] = sum[u,v](x[n,2*i + u - 1,2*j + v - 1]) / sum[u,v]([0 <= 2*i + u - 1 < 5, 0 <= 2*j + v - 1 < 5])
dx[n,a,b] = sum[u,v](dy[n,(a + 1 - u)/2,(b + 1 - v)/2] / sum[u*,v*]([0 <= a - u + u* < 5, 0 <= b - v + v* < 5]))  where 2 | a + 1 - u, 2 | b + 1 - v
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray


def forward(x: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """x (..., 5, 5) -> y (..., 3, 3).

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _ready(x):
        x, batch = _arrays(x=x)
        if x.dtype.char not in "fd":
            y = _forward_taps(x)
            return y.reshape(*batch, 3, 3)
    if threads > 1 and len(x) >= 38:
        # 19 samples are about as much work as is worth a thread
        shares = min(threads, len(x) // 19)
        y = _split(forward, shares, (np.empty((len(x), 3, 3), x.dtype),), x=x)[0]
    else:
        y = _y_separable(x)
    if batch is None:
        return y
    return y.reshape(*batch, 3, 3)


def backward(dy: np.ndarray, x: np.ndarray, *, threads: int = 1) -> Gradients:
    """dy (..., 3, 3), x (..., 5, 5) -> dx, each shaped like its tensor.

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _backward_ready(dy, x):
        dy, x, batch = _arrays(dy=dy, x=x)
        if dy.dtype.char not in "fd":
            dx = _backward_taps(dy)
            return Gradients(dx.reshape(*batch, 5, 5))
    if threads > 1 and len(dy) >= 32:
        # 16 samples are about as much work as is worth a thread
        shares = min(threads, len(dy) // 16)
        dx = _split(backward, shares, (np.empty((len(dy), 5, 5), dy.dtype),), dy=dy, x=x)[0]
    else:
        dx = _dx_spread(dy)
    if batch is None:
        return Gradients(dx)
    return Gradients(dx.reshape(*batch, 5, 5))


def _forward_taps(x):
    """Any type of number, one tap at a time."""
    N, dtype = len(x), x.dtype
    x_padded = np.zeros((N, 7, 7), dtype)
    x_padded[:, 1:6, 1:6] = x
    # y[n,i,j] = sum[u,v](x[n,2*i + u - 1,2*j + v - 1]) / sum[u,v]([0 <= 2*i + u - 1 < 5, 0 <= 2*j +
    #     v - 1 < 5])
    sum_uv = np.zeros((N, 3, 3), dtype)
    for u in range(3):
        for v in range(3):
            sum_uv += x_padded[:, u : u + 5 : 2, v : v + 5 : 2]
    place = (2 * np.arange(3))[:, None] + np.arange(3) - 1
    place_jv = (2 * np.arange(3))[:, None] + np.arange(3) - 1
    sum_uv_a = (
        ((place >= 0) & (place < 5))[:, None, :, None]
        & ((place_jv >= 0) & (place_jv < 5))[:, None, :]
    ).sum(axis=(2, 3), dtype=dtype)
    y = sum_uv / sum_uv_a
    return y


def _y_separable(x):
    """The sum of every window, axis by axis, of 2978 planes at a time: columns are reduced for
    every start of a window in one run, then picked.
    """
    N, dtype = len(x), x.dtype
    planes = x.reshape(N * 1, 5, 5)
    y = np.empty((N * 1, 3, 3), dtype)
    blocks = -(-len(planes) // 2978)
    count = -(-len(planes) // max(1, blocks))
    inside = np.multiply.outer(np.array((2, 3, 2)), np.array((2, 3, 2))).astype(dtype)
    rows = _scratch("y_separable_rows", (62538,), dtype)[: count * 21]
    rows = rows.reshape(count, 3, 7)
    reduced = _scratch("y_separable_reduced", (62538,), dtype)[: count * 21]
    reduced = reduced.reshape(count, 3, 7)
    # what lies outside changes nothing
    rows[...] = 0
    inner = rows[..., 1:6]
    size = rows.size - 2
    run, into = rows.reshape(-1), reduced.reshape(-1)[:size]
    for number in range(blocks):
        # the last one may repeat some planes of the one before
        start = min(number * count, len(planes) - count)
        block = planes[start : start + count]
        np.add(block[:, 2:5:2], block[:, 1:4:2], out=inner[:, 1:3])
        inner[:, 0:1] = block[:, 0:1:2]
        np.add(inner[:, 0:2], block[:, 1:4:2], out=inner[:, 0:2])
        np.add(run[:size], run[1 : 1 + size], out=into)
        for v in range(2, 3):
            np.add(into, run[v : v + size], out=into)
        np.divide(reduced[..., 0:5:2], inside, out=y[start : start + count])
    return y.reshape(N, 3, 3)


def _backward_taps(dy):
    """Any type of number, one tap at a time."""
    N, dtype = len(dy), dy.dtype
    # dx[n,2*i + u - 1,2*j + v - 1] += dy[n,i,j] / sum[u*,v*]([0 <= 2*i + u* - 1 < 5, 0 <= 2*j + v*
    #     - 1 < 5])
    place = (2 * np.arange(3))[:, None] + np.arange(3) - 1
    place_jv = (2 * np.arange(3))[:, None] + np.arange(3) - 1
    sum_uv = (
        ((place >= 0) & (place < 5))[:, :, None, None] & ((place_jv >= 0) & (place_jv < 5))
    ).sum(axis=(1, 3), dtype=dtype)
    dx_padded = np.zeros((N, 7, 7), dtype)
    for u in range(3):
        for v in range(3):
            dx_padded[:, u : u + 5 : 2, v : v + 5 : 2] += dy / sum_uv
    dx = dx_padded[:, 1:6, 1:6]
    return dx


def _dx_spread(dy):
    """Every window hands its gradient to all of its entries, axis by axis, 1560 planes at a
    time.
    """
    N, dtype = len(dy), dy.dtype
    above = dy.reshape(N * 1, 3, 3)
    dx = np.empty((N * 1, 5, 5), dtype)
    blocks = -(-len(above) // 1560)
    count = -(-len(above) // max(1, blocks))
    inside = (
        np.multiply.outer(np.array((2, 3, 2)), np.array((2, 3, 2))).astype(dtype).reshape(3, 1, 3)
    )
    d_y = _scratch("dx_spread_d_y", (18720,), dtype)
    d_y = d_y[: count * 12].reshape(3, count, 4)
    d_y[...] = 0
    d_rows = _scratch("dx_spread_d_rows", (43680,), dtype)
    d_rows = d_rows[: count * 28].reshape(7, count, 4)
    d_columns = _scratch("dx_spread_d_columns", (2, 43680), dtype)
    d_columns = d_columns[:, : count * 28]
    d_spaced = d_columns.reshape(2, 7, count, 4)
    size = d_rows.size - 1
    run = d_rows.reshape(-1)[:size]
    for number in range(blocks):
        # the last one may repeat some planes of the one before
        start = min(number * count, len(above) - count)
        np.divide(above[start : start + count].transpose(1, 0, 2), inside, out=d_y[..., :3])
        d_rows[6:] = 0
        for u in range(2):
            d_rows[u : u + 5 : 2] = d_y
        for u in range(2, 3):
            d_rows[u : u + 5 : 2] += d_y
        out = dx[start : start + count].transpose(1, 0, 2)
        d_columns[:, size:] = 0
        for v in range(2):
            d_columns[v % 2, v // 2 : v // 2 + size] = run
        for v in range(2, 3):
            d_columns[v % 2, v // 2 : v // 2 + size] += run
        out[..., 1::2] = d_spaced[0, 1:6, :, 1:3]
        out[..., ::2] = d_spaced[1, 1:6, :, 0:3]
    return dx.reshape(N, 5, 5)


def _arrays(**given):
    """Tensors as arrays of one dtype, data as (N, ...), and the batch axes that data share."""
    arrays = {name: np.asarray(value) for name, value in given.items()}
    dtype = np.result_type(*(arrays[name] for name in arrays if name not in _INTEGER))
    if dtype.kind in "iu":  # divisions and functions leave the integers
        dtype = np.dtype(np.float64)
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
    return type(x) is np.ndarray and x.dtype in _FLOATS and x.shape[1:] == (5, 5)


def _backward_ready(dy, x):
    """The same, and as many samples of the upstream gradient."""
    return (
        _ready(x) and type(dy) is np.ndarray and dy.dtype is x.dtype and dy.shape == (len(x), 3, 3)
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
