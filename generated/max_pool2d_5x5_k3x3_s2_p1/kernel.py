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
    backward  N >= 1        dx  places                 0   983 kB     20 us

Multiply-adds are those of matrix products, a sample; times are estimated for the least batch of
the branch. Scratch (float32) does not grow with the batch; each thread keeps its own between
calls, at most 1.5 MB.

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

_DX_PLACES_STARTS = np.arange(65513).reshape(1337, 7, 7)[:, :5:2, :5:2].reshape(-1)
"""Where the windows start in a block of planes."""

_DX_PLACES_ORIGINS = np.add.outer(
    np.add.outer(25 * np.arange(1337), 5 * np.arange(-1, 4, 2)), np.arange(-1, 4, 2)
).reshape(-1)
"""The same in x, where windows may start before it."""

_DX_PLACES_INSIDE = np.add.outer(
    np.add.outer(25 * np.arange(1337), 5 * np.maximum(np.arange(-1, 4, 2), 0)),
    np.maximum(np.arange(-1, 4, 2), 0),
).reshape(-1)
"""The first entry of every window that is inside."""


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
            dx = _backward_taps(dy, x)
            return Gradients(dx.reshape(*batch, 5, 5))
    if threads > 1 and len(dy) >= 30:
        # 15 samples are about as much work as is worth a thread
        shares = min(threads, len(dy) // 15)
        dx = _split(backward, shares, (np.empty((len(dy), 5, 5), dy.dtype),), dy=dy, x=x)[0]
    else:
        dx = _dx_places(dy, x)
    if batch is None:
        return Gradients(dx)
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


def _dx_places(dy, x):
    """Every window hands its gradient to the first of its extremal entries, whose place is found
    as a number, 1337 planes at a time.
    """
    N, dtype = len(x), x.dtype
    planes = x.reshape(N * 1, 5, 5)
    above = dy.reshape(N * 1, 9)
    dx = np.empty((N * 1, 25), dtype)
    blocks = -(-len(planes) // 1337)
    count = -(-len(planes) // max(1, blocks))
    padded, best, spare, code, better, later, first, wins = _room(_dx_places_room, dtype)
    padded = padded[:count]
    run = padded.reshape(-1)
    starts = _DX_PLACES_STARTS[: count * 9]
    origins = _DX_PLACES_ORIGINS[: count * 9]
    inside = _DX_PLACES_INSIDE[: count * 9]
    for number in range(blocks):
        # the last one may repeat some planes of the one before
        start = min(number * count, len(planes) - count)
        padded[:, 1:6, 1:6] = planes[start : start + count]
        size = len(run) - 1
        np.greater(run[1 : 1 + size], run[:size], out=first[:size])
        np.maximum(run[:size], run[1 : 1 + size], out=best[:size])
        size -= 1
        np.greater(best[1 : 1 + size], best[:size], out=wins[:size])
        np.add(code[1 : 1 + size], 1, out=later[:size])
        np.multiply(later[:size], better[:size], out=later[:size])
        np.maximum(code[:size], later[:size], out=code[:size])
        np.maximum(best[:size], best[1 : 1 + size], out=spare[:size])
        size -= 7
        np.greater(spare[7 : 7 + size], spare[:size], out=wins[:size])
        np.add(code[7 : 7 + size], 5, out=later[:size])
        np.multiply(later[:size], better[:size], out=later[:size])
        np.maximum(code[:size], later[:size], out=code[:size])
        np.maximum(spare[:size], spare[7 : 7 + size], out=best[:size])
        size -= 7
        np.greater(best[7 : 7 + size], best[:size], out=wins[:size])
        np.add(code[7 : 7 + size], 5, out=later[:size])
        np.multiply(later[:size], better[:size], out=later[:size])
        np.maximum(code[:size], later[:size], out=code[:size])
        share = above[start : start + count].reshape(-1)
        highest = run[run.argmax()]
        if np.isnan(highest):
            # some are not numbers: their windows hand on nothing
            share = share.copy()
            for u in range(3):
                for v in range(3):
                    share[np.isnan(run.take(starts + 7 * u + v))] = 0
        places = origins + code.take(starts)
        # of infinite entries the first one inside wins
        np.maximum(places, inside, out=places)
        out = dx[start : start + count].reshape(-1)
        out[...] = 0
        np.add.at(out, places, share)
    return dx.reshape(N, 5, 5)


def _dx_places_room(dtype):
    """Buffers of _dx_places, and the views of them that it reads and writes."""
    padded = np.zeros((1337, 7, 7), dtype)
    padded[...] = -np.inf
    best = np.zeros((65513,), dtype)
    spare = np.zeros((65513,), dtype)
    # flags are bytes of 0 or 1: the first are codes as they are, later ones factors
    code, better, later = np.zeros((3, 65513), np.dtype("u1"))
    return padded, best, spare, code, better, later, code.view(bool), better.view(bool)


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


def _ready(x):
    """Whether all is as kernels want it: arrays of one float type, with an axis of samples."""
    return type(x) is np.ndarray and x.dtype in _FLOATS and x.shape[1:] == (5, 5)


def _backward_ready(dy, x):
    """The same, and as many samples of the upstream gradient."""
    return (
        _ready(x) and type(dy) is np.ndarray and dy.dtype is x.dtype and dy.shape == (len(x), 3, 3)
    )


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
