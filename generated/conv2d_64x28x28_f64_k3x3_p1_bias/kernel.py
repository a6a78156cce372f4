"""Convolution (cross-correlation) in 2-D.

Forward:

    y[n,f,i,j] = sum[c,u,v](x[n,c,i + u - p,j + v - p] * w[f,c,u,v]) + b[f]

Gradient of x, by the chain rule:

    dx[n,c,q,r] = sum[f,u,v](dy[n,f,q + p - u,r + p - v] * w[f,c,u,v])  where 0 <= q + p - u <
        O_h, 0 <= r + p - v < O_w
    dx[n,c,i + u - p,j + v - p] += sum[f](dy[n,f,i,j] * w[f,c,u,v])

Gradient of w, by the chain rule:

    dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,i + u - p,j + v - p])

Gradient of b, by the chain rule:

    db[f] = sum[n,i,j](dy[n,f,i,j])

x: input; w: kernel; y: output; b: bias; f: filter; c: input channel; i: output row; u: kernel
row; j: output column; v: kernel column.

How it is computed, by batch size (float32, float64):

                                                multiply-adds  scratch  estimate
    forward   other dtypes  y         taps
    forward   N >= 1        y         winograd     10,466,304   2.9 MB    400 us
    backward  other dtypes  dx dw db  taps
    backward  N >= 1        dx dw db  winograd     20,179,968   5.9 MB    830 us

Multiply-adds are those of matrix products, a sample; times are estimated for the least batch of
the branch. Scratch (float32) does not grow with the batch; each thread keeps its own between
calls, at most 8.7 MB.

Generated and proved by:

    python -m derive --input 64x28x28 --kernel 3x3 --filters 64 --padding 1 --bias
"""

import threading
from typing import NamedTuple

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (64, 28, 28),
    "w": (64, 64, 3, 3),
    "b": (64,),
    "y": (64, 28, 28),
}

EQUATIONS = """\
y[n,f,i,j] = sum[c,u,v](x[n,c,i + u - 1,j + v - 1] * w[f,c,u,v]) + b[f]
dx[n,c,q,r] = sum[f,u,v](dy[n,f,q + 1 - u,r + 1 - v] * w[f,c,u,v])  where 0 <= q + 1 - u < 28, 0 <= r + 1 - v < 28
dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,i + u - 1,j + v - 1])
db[f] = sum[n,i,j](dy[n,f,i,j])
"""

A43 = np.array(
    ((1, 27, 27, 8, 8, 0), (0, 18, -18, 12, -12, 0), (0, 12, 12, 18, 18, 0), (0, 8, -8, 27, -27, 1))
)
"""Point values of F(4, 3) to its 4 outputs; the points are 0, 2/3, -2/3, 3/2, -3/2, ∞."""

B43 = np.array(
    (
        (36, 0, -97, 0, 36, 0),
        (0, 18, 27, -8, -12, 0),
        (0, -18, 27, 8, -12, 0),
        (0, -12, -8, 27, 18, 0),
        (0, 12, -8, -27, 18, 0),
        (0, 36, 0, -97, 0, 36),
    ),
)
"""6 inputs of F(4, 3) to their point values; the points are 0, 2/3, -2/3, 3/2, -3/2, ∞."""

G43 = np.array(((130, 0, 0), (9, 6, 4), (9, -6, 4), (4, 6, 9), (4, -6, 9), (0, 0, 130))) / 4680
"""3 taps of F(4, 3) to their point values; the points are 0, 2/3, -2/3, 3/2, -3/2, ∞."""

G43_G43 = np.kron(G43, G43)
"""The same along two axes at once: one row for every pair of rows."""


class Gradients(NamedTuple):
    """∂L/∂(each tensor), shaped like the tensor itself."""

    dx: np.ndarray
    dw: np.ndarray
    db: np.ndarray


def forward(x: np.ndarray, w: np.ndarray, b: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """x (..., 64, 28, 28), w (64, 64, 3, 3), b (64,) -> y (..., 64, 28, 28).

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _ready(x, w, b):
        x, w, b, batch = _arrays(x=x, w=w, b=b)
        if x.dtype.char not in "fd":
            y = _forward_taps(x, w, b)
            return y.reshape(*batch, 64, 28, 28)
    if threads > 1 and len(x) >= 2:
        # one sample is about as much work as is worth a thread
        shares = min(threads, len(x))
        y = _split(forward, shares, (np.empty((len(x), 64, 28, 28), x.dtype),), x=x, w=w, b=b)[0]
    else:
        y = _y_winograd(x, w, b)
    if batch is None:
        return y
    return y.reshape(*batch, 64, 28, 28)


def backward(
    dy: np.ndarray, x: np.ndarray, w: np.ndarray, b: np.ndarray, *, threads: int = 1
) -> Gradients:
    """dy (..., 64, 28, 28), x (..., 64, 28, 28), w (64, 64, 3, 3), b (64,) -> dx, dw, db, each
    shaped like its tensor.

    A batch that is worth it is split over so many threads, BLAS held to one in each.
    """
    batch = None
    if not _backward_ready(dy, x, w, b):
        dy, x, w, b, batch = _arrays(dy=dy, x=x, w=w, b=b)
        if dy.dtype.char not in "fd":
            dx, dw, db = _backward_taps(dy, x, w)
            return Gradients(dx.reshape(*batch, 64, 28, 28), dw, db)
    if threads > 1 and len(dy) >= 2:
        # one sample is about as much work as is worth a thread
        shares = min(threads, len(dy))
        dx, dw, db = _split(
            backward, shares, (np.empty((len(dy), 64, 28, 28), dy.dtype),), dy=dy, x=x, w=w, b=b
        )
    else:
        dx, dw, db = _dx_dw_db_winograd(dy, x, w)
    if batch is None:
        return Gradients(dx, dw, db)
    return Gradients(dx.reshape(*batch, 64, 28, 28), dw, db)


def _forward_taps(x, w, b):
    """Any type of number, one tap at a time."""
    N, dtype = len(x), x.dtype
    x_padded = np.zeros((N, 64, 30, 30), dtype)
    x_padded[:, :, 1:29, 1:29] = x
    # y[n,f,i,j] = sum[c,u,v](x[n,c,i + u - 1,j + v - 1] * w[f,c,u,v]) + b[f]
    y = np.zeros((N, 64, 28, 28), dtype)
    for u in range(3):
        for v in range(3):
            window = x_padded[:, :, u : u + 28, v : v + 28]
            tap = np.matmul(w[:, :, u, v], window.reshape(N, 64, 784))
            y += tap.reshape(N, 64, 28, 28)
    y += b[:, None, None]
    return y


def _y_winograd(x, w, b):
    """y by Winograd's F(4, 3) × F(4, 3): 36 multiplications where a direct sum takes 144.

    Sums are taken in another order than written: in float32 results are off by less than 2e-05
    of their largest entry; 3e-06 was the most measured.
    """
    N, dtype = len(x), x.dtype
    B = B43.astype(dtype)
    G = G43_G43.astype(dtype)
    A = A43.astype(dtype)
    # a last column of ones meets the bias
    last = np.ones((4, 7), dtype)
    last[:, :6] = A
    # the kernel at each of 36 points
    taps = w.transpose(2, 3, 1, 0).reshape(9, 4096)
    kernels = _scratch("y_winograd_kernels", (36, 4096), dtype)
    _transform(G, taps, kernels, 2048)
    kernels = kernels.reshape(36, 64, 64)
    padded = _scratch("y_winograd_padded", (2, 30, 30, 64), dtype)
    first = _scratch("y_winograd_first", (225792,), dtype)
    second = _scratch("y_winograd_second", (225792,), dtype)
    every_lines = first[:161280].reshape(30, 6, 896)
    every_points = second.reshape(36, 6272)
    every_sums = first.reshape(36, 6272)
    every_strips = second[:175616].reshape(28, 7, 896)
    y = np.empty((N, 64, 28, 28), dtype)
    for n in range(0, N, 2):
        size = min(2, N - n)
        padded[:size, 1:29, 1:29] = x[n : n + size].transpose(0, 2, 3, 1)
        lines = every_lines[..., : size * 448]
        points = every_points[..., : size * 3136]
        sums = every_sums[..., : size * 3136]
        strips = every_strips[..., : size * 448]
        # to the points of each tile, along one axis and then the other
        np.matmul(
            B,
            _windows(padded, (30, size, 7, 6, 64), (1920, 57600, 256, 64, 1)),
            out=lines.reshape(30, 6, size, 7, 64).transpose(0, 2, 3, 1, 4),
        )
        np.matmul(
            B,
            _windows(every_lines, (7, 6, 6, size * 448), (21504, 896, 5376, 1)),
            out=points.reshape(6, 6, 7, size * 448).transpose(2, 1, 0, 3),
        )
        # at every point a product that sums over channels
        np.matmul(points.reshape(36, -1, 64), kernels, out=sums.reshape(36, -1, 64))
        np.matmul(
            A,
            sums.reshape(6, 6, 7, size * 448).transpose(2, 1, 0, 3),
            out=strips.reshape(7, 4, 7, size * 448)[:, :, :6].swapaxes(1, 2),
        )
        strips.reshape(28, 7, -1, 64)[:, 6] = b
        given = strips.reshape(-1, 7, size, 7, 64)[:28].transpose(0, 2, 3, 4, 1)
        # channels first again
        tiles = y[n : n + size].reshape(size, 64, -1, 7, 4)
        np.matmul(given, last.T, out=tiles.transpose(2, 0, 3, 1, 4))
    return y


def _backward_taps(dy, x, w):
    """Any type of number, one tap at a time."""
    N, dtype = len(dy), dy.dtype
    dy_padded = np.zeros((N, 64, 30, 30), dtype)
    dy_padded[:, :, 1:29, 1:29] = dy
    x_padded = np.zeros((N, 64, 30, 30), dtype)
    x_padded[:, :, 1:29, 1:29] = x
    # dx[n,c,q,r] = sum[f,u,v](dy[n,f,q + 1 - u,r + 1 - v] * w[f,c,u,v])  where 0 <= q + 1 - u < 28,
    #     0 <= r + 1 - v < 28
    dx = np.zeros((N, 64, 28, 28), dtype)
    for u in range(3):
        for v in range(3):
            window = dy_padded[:, :, 2 - u : 30 - u, 2 - v : 30 - v]
            tap = np.matmul(w[:, :, u, v].T, window.reshape(N, 64, 784))
            dx += tap.reshape(N, 64, 28, 28)
    # dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,i + u - 1,j + v - 1])
    dw = np.zeros((64, 64, 3, 3), dtype)
    for u in range(3):
        for v in range(3):
            window = dy_padded[:, :, 1:29, 1:29]
            x_padded_window = x_padded[:, :, u : u + 28, v : v + 28]
            dw[:, :, u, v] = np.tensordot(window, x_padded_window, axes=((0, 2, 3), (0, 2, 3)))
    # db[f] = sum[n,i,j](dy[n,f,i,j])
    db = dy_padded[:, :, 1:29, 1:29].sum(axis=(0, 2, 3), dtype=dtype)
    return dx, dw, db


def _dx_dw_db_winograd(dy, x, w):
    """dx, dw, db by the adjoint of Winograd's F(4, 3) × F(4, 3): 36 multiplications where a
    direct sum takes 144.

    Sums are taken in another order than written: in float32 results are off by less than 2e-05
    of their largest entry; 3e-06 was the most measured.
    """
    N, dtype = len(dy), dy.dtype
    B = B43.astype(dtype)
    G = G43_G43.astype(dtype)
    A_turned = A43.T.astype(dtype, order="C")
    G_turned = G43_G43.T.astype(dtype, order="C")
    B_turned = B43.T.astype(dtype, order="C")
    # the kernel at each of 36 points
    taps = np.ascontiguousarray(w.transpose(2, 3, 0, 1).reshape(9, 4096))
    kernels = _scratch("dx_dw_db_winograd_kernels", (36, 4096), dtype)
    _transform(G, taps, kernels, 2048)
    kernels = kernels.reshape(36, 64, 64)
    padded = _scratch("dx_dw_db_winograd_padded", (2, 30, 30, 64), dtype)
    slopes = _scratch("dx_dw_db_winograd_slopes", (2, 28, 28, 64), dtype)
    grown = _scratch("dx_dw_db_winograd_grown", (2, 30, 30, 64), dtype)
    first = _scratch("dx_dw_db_winograd_first", (225792,), dtype)
    second = _scratch("dx_dw_db_winograd_second", (225792,), dtype)
    third = _scratch("dx_dw_db_winograd_third", (225792,), dtype)
    every_lines = first[:161280].reshape(30, 6, 896)
    every_points = second.reshape(36, 6272)
    every_dstrips = first[:150528].reshape(28, 6, 896)
    every_dsums = third.reshape(36, 6272)
    every_dpoints = first.reshape(36, 6272)
    every_dlines = second[:161280].reshape(30, 6, 896)
    every_beyond = third[:75264].reshape(7, 2, 6, 896)
    every_over = first[:53760].reshape(30, 1792)
    dkernels = _scratch("dx_dw_db_winograd_dkernels", (36, 64, 64), dtype)
    part = _scratch("dx_dw_db_winograd_part", (36, 64, 64), dtype)
    dx = np.empty((N, 64, 28, 28), dtype)
    db = np.zeros(64, dtype)
    ones = np.ones(1568, dtype)
    for n in range(0, N, 2):
        size = min(2, N - n)
        padded[:size, 1:29, 1:29] = x[n : n + size].transpose(0, 2, 3, 1)
        slopes[:size, :28, :28] = dy[n : n + size].transpose(0, 2, 3, 1)
        db += ones[: size * 784] @ slopes[:size].reshape(-1, 64)
        lines = every_lines[..., : size * 448]
        points = every_points[..., : size * 3136]
        dstrips = every_dstrips[..., : size * 448]
        dsums = every_dsums[..., : size * 3136]
        dpoints = every_dpoints[..., : size * 3136]
        dlines = every_dlines[..., : size * 448]
        beyond = every_beyond[..., : size * 448]
        over = every_over[..., : size * 896]
        # to the points of each tile, along one axis and then the other
        np.matmul(
            B,
            _windows(padded, (30, size, 7, 6, 64), (1920, 57600, 256, 64, 1)),
            out=lines.reshape(30, 6, size, 7, 64).transpose(0, 2, 3, 1, 4),
        )
        np.matmul(
            B,
            _windows(every_lines, (7, 6, 6, size * 448), (21504, 896, 5376, 1)),
            out=points.reshape(6, 6, 7, size * 448).transpose(2, 1, 0, 3),
        )
        np.matmul(
            A_turned,
            _windows(slopes, (28, size, 7, 4, 64), (1792, 50176, 256, 64, 1)),
            out=dstrips.reshape(28, 6, size, 7, 64).transpose(0, 2, 3, 1, 4),
        )
        np.matmul(
            A_turned,
            _windows(every_dstrips, (7, 6, 4, size * 448), (21504, 896, 5376, 1)),
            out=dsums.reshape(6, 6, 7, size * 448).transpose(2, 1, 0, 3),
        )
        # at every point a product that sums over tiles
        left = points.reshape(36, -1, 64).swapaxes(-1, -2)
        right = dsums.reshape(36, -1, 64)
        if n:
            np.matmul(left, right, out=part)
            dkernels += part
        else:
            np.matmul(left, right, out=dkernels)
        # at every point a product that sums over filters
        np.matmul(dsums.reshape(36, -1, 64), kernels, out=dpoints.reshape(36, -1, 64))
        # a tile's own lines, and those that reach into the next one
        given = dpoints.reshape(6, 6, 7, size * 448).transpose(2, 1, 0, 3)
        own = dlines[:28].reshape(7, 4, 6, size * 448)
        np.matmul(B_turned[:4], given, out=own.swapaxes(1, 2))
        np.matmul(B_turned[4:], given, out=beyond.swapaxes(1, 2))
        own[1:, :2] += beyond[:-1]
        dlines[28:] = beyond[-1]
        # and of these its own entries, and those that reach into the next one
        tiles, given = (
            _windows(grown, (30, size, 7, 6, 64), (1920, 57600, 256, 64, 1)),
            dlines.reshape(30, 6, size, 7, 64).transpose(0, 2, 3, 1, 4),
        )
        np.matmul(B_turned[:4], given, out=tiles[:, :, :, :4])
        rest = over.reshape(30, size, 7, 2, 64)
        np.matmul(B_turned[4:], given, out=rest)
        tiles[:, :, 1:, :2] += rest[:, :, :-1]
        tiles[:, :, -1, 4:] = rest[:, :, -1]
        dx[n : n + size] = grown[:size, 1:29, 1:29].transpose(0, 3, 1, 2)
    dtaps = np.zeros((9, 4096), dtype)
    if N:
        _transform(G_turned, dkernels.reshape(36, 4096), dtaps, 2048)
    dw = dtaps.reshape(3, 3, 64, 64).transpose(3, 2, 0, 1)
    return dx, dw, db


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
        and x.shape[1:] == (64, 28, 28)
        and w.shape == (64, 64, 3, 3)
        and b.shape == (64,)
    )


def _backward_ready(dy, x, w, b):
    """The same, and as many samples of the upstream gradient."""
    return (
        _ready(x, w, b)
        and type(dy) is np.ndarray
        and dy.dtype is x.dtype
        and dy.shape == (len(x), 64, 28, 28)
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


def _transform(matrix, columns, out, width):
    """out = matrix · columns, ``width`` of them at a time: so few that BLAS need not copy them."""
    parts = columns.shape[1] // width
    given = columns.reshape(len(columns), parts, width).swapaxes(0, 1)
    np.matmul(matrix, given, out=out.reshape(len(out), parts, width).swapaxes(0, 1))
