"""Max pooling in 2-D.

Forward:

    y[n,i,j] = max[u,v](x[n,s*i + u - p,s*j + v - p])

Gradient of x, by the chain rule:

    dx[n,a,b] = sum[u,v](dy[n,(a + p - u)/s,(b + p - v)/s] * [(u,v) == argmax[u*,v*](x[n,a - u +
        u*,b - v + v*])])  where s | a + p - u, 0 <= (a + p - u)/s < O_h, s | b + p - v, 0 <= (b
        + p - v)/s < O_w
    dx[n,s*i + u - p,s*j + v - p] += dy[n,i,j] * [(u,v) == argmax[u*,v*](x[n,s*i + u* - p,s*j +
        v* - p])]

x: input; y: output; i: output row; u: window row; j: output column; v: window column.

How it is computed, by batch size (float32, float64):

                                           multiply-adds  scratch  estimate
    forward   other dtypes  y   taps
    forward   N >= 1        y   separable              0   501 kB     16 us
    backward  other dtypes  dx  taps
    backward  N >= 1        dx  winners                0   1.5 MB     53 us

Multiply-adds are those of matrix products, a sample; times are estimated for the least batch of
the branch. Scratch (float32) does not grow with the batch; each thread keeps its own between
calls, at most 2.0 MB.

Generated and proved by:

    python -m derive --layer max_pool --input 5x5 --kernel 3x3 --stride 2 --padding 1
"""

import threading
from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (5, 5),
    "y": (3, 3),
}

EQUATIONS = """\
y[n,i,j] = max[u,v](x[n,2*i + u - 1,2*j + v - 1])
dx[n,a,b] = sum[u,v](dy[n,(a + 1 - u)/2,(b + 1 - v)/2] * [(u,v) == argmax[u*,v*](x[n,a - u + u*,b - v + v*])])  where 2 | a + 1 - u, 2 | b + 1 - v
"""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray


def forward(x: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """x (..., 5, 5) -> y (..., 3, 3).

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    x, batch = _arrays(x=x)
    if threads > 1 and len(x) >= 38:
        # 19 samples are about as much work as is worth a thread
        shares = min(threads, len(x) // 19)
        y = _split(forward, shares, (np.empty((len(x), 3, 3), x.dtype),), x=x)[0]
    elif x.dtype.char not in "fd":
        y = _forward_taps(x)
    else:
        y = _y_separable(x)
    return y.reshape(*batch, 3, 3)


def backward(dy: np.ndarray, x: np.ndarray, *, threads: int = 1) -> Gradients:
    """dy (..., 3, 3), x (..., 5, 5) -> dx, each shaped like its tensor.

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    dy, x, batch = _arrays(dy=dy, x=x)
    if threads > 1 and len(dy) >= 12:
        # 6 samples are about as much work as is worth a thread
        shares = min(threads, len(dy) // 6)
        dx = _split(backward, shares, (np.empty((len(dy), 5, 5), dy.dtype),), dy=dy, x=x)[0]
    elif dy.dtype.char not in "fd":
        dx = _backward_taps(dy, x)
    else:
        dx = _dx_winners(dy, x)
    return Gradients(dx.reshape(*batch, 5, 5))


def _forward_taps(x):
    """Any type of number, one tap at a time."""
    N, dtype = len(x), x.dtype
    x_padded = np.full((N, 7, 7), _lowest(dtype), dtype)
    x_padded[:, 1:6, 1:6] = x
    # y[n,i,j] = max[u,v](x[n,2*i + u - 1,2*j + v - 1])
    y = np.full((N, 3, 3), _lowest(dtype), dtype)
    for u in range(3):
        for v in range(3):
            y = np.maximum(y, x_padded[:, u : u + 5 : 2, v : v + 5 : 2])
    return y


def _y_separable(x):
    """The maximum of every window, axis by axis, of 2978 planes at a time: columns are reduced
    for every start of a window in one run, then picked.
    """
    N, dtype = len(x), x.dtype
    planes = x.reshape(N * 1, 5, 5)
    y = np.empty((N * 1, 3, 3), dtype)
    blocks = -(-len(planes) // 2978)
    count = -(-len(planes) // max(1, blocks))
    rows = _scratch("y_separable_rows", (62538,), dtype)[: count * 21]
    rows = rows.reshape(count, 3, 7)
    reduced = _scratch("y_separable_reduced", (62538,), dtype)[: count * 21]
    reduced = reduced.reshape(count, 3, 7)
    # what lies outside changes nothing
    rows[...] = -np.inf
    inner = rows[..., 1:6]
    size = rows.size - 2
    run, into = rows.reshape(-1), reduced.reshape(-1)[:size]
    for number in range(blocks):
        # the last one may repeat some planes of the one before
        start = min(number * count, len(planes) - count)
        block = planes[start : start + count]
        np.maximum(block[:, 2:5:2], block[:, 1:4:2], out=inner[:, 1:3])
        inner[:, 0:1] = block[:, 0:1:2]
        np.maximum(inner[:, 0:2], block[:, 1:4:2], out=inner[:, 0:2])
        np.maximum(run[:size], run[1 : 1 + size], out=into)
        for v in range(2, 3):
            np.maximum(into, run[v : v + size], out=into)
        y[start : start + count] = reduced[..., 0:5:2]
    return y.reshape(N, 3, 3)


def _backward_taps(dy, x):
    """Any type of number, one tap at a time."""
    N, dtype = len(dy), dy.dtype
    x_padded = np.full((N, 7, 7), _lowest(dtype), dtype)
    x_padded[:, 1:6, 1:6] = x
    # dx[n,2*i + u - 1,2*j + v - 1] += dy[n,i,j] * [(u,v) == argmax[u*,v*](x[n,2*i + u* - 1,2*j + v*
    #     - 1])]
    max_uv = np.full((N, 3, 3), _lowest(dtype), dtype)
    for u in range(3):
        for v in range(3):
            max_uv = np.maximum(max_uv, x_padded[:, u : u + 5 : 2, v : v + 5 : 2])
    dx_padded = np.zeros((N, 7, 7), dtype)
    taken = np.zeros((N, 3, 3), bool)
    for u in range(3):
        for v in range(3):
            place = 2 * np.arange(3) + (u - 1)
            inside = (place >= 0) & (place < 5)
            place_j = 2 * np.arange(3) + (v - 1)
            inside_j = (place_j >= 0) & (place_j < 5)
            wins = (
                (x_padded[:, u : u + 5 : 2, v : v + 5 : 2] == max_uv)
                & (inside[:, None] & inside_j)
                & ~taken
            )
            taken |= wins
            dx_padded[:, u : u + 5 : 2, v : v + 5 : 2] += np.where(wins, dy, 0)
    dx = dx_padded[:, 1:6, 1:6]
    return dx


def _dx_winners(dy, x):
    """Every window hands its gradient to the first of its extremal entries, axis by axis, 1337
    planes at a time.
    """
    N, dtype = len(x), x.dtype
    planes = x.reshape(N * 1, 5, 5)
    above = dy.reshape(N * 1, 3, 3)
    dx = np.empty((N * 1, 5, 5), dtype)
    blocks = -(-len(planes) // 1337)
    count = -(-len(planes) // max(1, blocks))
    columns = _scratch("dx_winners_columns", (2, 37436), dtype)
    columns = columns[:, : count * 28]
    columns[...] = -np.inf
    spaced = columns.reshape(2, 7, count, 4)
    rows = _scratch("dx_winners_rows", (37436,), dtype)
    rows = rows[: count * 28].reshape(7, count, 4)
    peak = _scratch("dx_winners_peak", (16044,), dtype)
    peak = peak[: count * 12].reshape(3, count, 4)
    flags = _scratch("dx_winners_flags", (2, 37436), np.dtype(bool))
    flags = flags[:, : count * 28]
    parts = _scratch("dx_winners_parts", (1, 37436), dtype)
    parts = parts[:, : count * 28]
    size = rows.size - 1
    bits = dtype.str.replace("f", "i")
    d_rows = _scratch("dx_winners_d_rows", (37436,), dtype)
    d_rows = d_rows[: count * 28].reshape(7, count, 4)
    d_peak = _scratch("dx_winners_d_peak", (16044,), dtype)
    d_peak = d_peak[: count * 12].reshape(3, count, 4)
    d_peak[...] = 0
    d_columns = _scratch("dx_winners_d_columns", (2, 37436), dtype)
    d_columns = d_columns[:, : count * 28]
    d_spaced = d_columns.reshape(2, 7, count, 4)
    for number in range(blocks):
        # the last one may repeat some planes of the one before
        start = min(number * count, len(planes) - count)
        spaced[0, ..., :1] = -np.inf
        spaced[0, ..., 3:] = -np.inf
        spaced[1, ..., 3:] = -np.inf
        block = planes[start : start + count].transpose(1, 0, 2)
        spaced[0, 1:6, :, 1:3] = block[..., 1::2]
        spaced[1, 1:6, :, 0:3] = block[..., ::2]
        np.maximum(columns[0, :size], columns[1, :size], out=rows.reshape(-1)[:size])
        for v in range(2, 3):
            np.maximum(
                rows.reshape(-1)[:size],
                columns[v % 2, v // 2 : v // 2 + size],
                out=rows.reshape(-1)[:size],
            )
        np.maximum(rows[0:5:2], rows[1:6:2], out=peak)
        for u in range(2, 3):
            np.maximum(peak, rows[u : u + 5 : 2], out=peak)
        # what lies outside attains nothing
        spaced[0, ..., :1] = np.nan
        spaced[0, ..., 3:] = np.nan
        spaced[1, ..., 3:] = np.nan
        rows[:1] = np.nan
        rows[6:] = np.nan
        d_peak[..., :3] = above[start : start + count].transpose(1, 0, 2)
        wins, taken = flags[:, : peak.size].reshape((2, *peak.shape))
        part = parts[0, : peak.size].reshape(peak.shape)
        taken[...] = False
        d_rows[6:] = 0
        for u in range(2):
            np.equal(rows[u : u + 5 : 2], peak, out=wins)
            np.greater(wins, taken, out=wins)
            np.logical_or(taken, wins, out=taken)
            np.multiply(d_peak.view(bits), wins, out=d_rows[u : u + 5 : 2].view(bits))
        for u in range(2, 3):
            np.equal(rows[u : u + 5 : 2], peak, out=wins)
            np.greater(wins, taken, out=wins)
            np.logical_or(taken, wins, out=taken)
            np.multiply(d_peak.view(bits), wins, out=part.view(bits))
            d_rows[u : u + 5 : 2] += part
        out = dx[start : start + count].transpose(1, 0, 2)
        wins, taken = flags[:, :size]
        run, d_run = rows.reshape(-1)[:size], d_rows.reshape(-1)[:size].view(bits)
        taken[...] = False
        part = parts[0, :size]
        d_columns[:, size:] = 0
        for v in range(2):
            np.equal(columns[v % 2, v // 2 : v // 2 + size], run, out=wins)
            np.greater(wins, taken, out=wins)
            np.logical_or(taken, wins, out=taken)
            np.multiply(d_run, wins, out=d_columns[v % 2, v // 2 : v // 2 + size].view(bits))
        for v in range(2, 3):
            np.equal(columns[v % 2, v // 2 : v // 2 + size], run, out=wins)
            np.greater(wins, taken, out=wins)
            np.logical_or(taken, wins, out=taken)
            np.multiply(d_run, wins, out=part.view(bits))
            d_columns[v % 2, v // 2 : v // 2 + size] += part
        out[..., 1::2] = d_spaced[0, 1:6, :, 1:3]
        out[..., ::2] = d_spaced[1, 1:6, :, 0:3]
    return dx.reshape(N, 5, 5)


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


def _lowest(dtype):
    """What loses every comparison for the maximum."""
    return np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf


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
