"""A network of 5 layers.

Layers, with the shape that each gives (without the batch) and its parameters:

    x                                        5x5
    conv1                conv 2x2            4x4  w 2x2
    max_pool1            max_pool 2x2        2x2
    flatten1             flatten             4
    dense1               dense 1             1    w 1x4, b 1
    half_squared_error1  half_squared_error  ()

9 numbers are trained. The gradient of a layer's output is what the layer behind it returns for
its input; where several layers read it, theirs add up. What backward reads of the forward pass
is kept, not computed again.

How layers are computed, from so many samples on (float32, float64):

    conv1                y: sparse
                         dw: shifts, 2 sparse
                         dx: sparse
    max_pool1            y: innermost_pools
                         dx: places
    dense1               y: product
                         dx dw: product; db: taps

Scratch (float32) of all layers together is at most 464 kB a thread, kept between calls; layers
use some of it in turn, none of it grows with the batch.

Generated and proved by:

    python -m derive --network 'conv 2x2 > max_pool 2x2 > flatten > dense 1 >
        half_squared_error' --input 5x5 --name s3_max_pool
"""

import threading

import numpy as np

Params = dict[str, np.ndarray]
"""Parameters (or their gradients) by name."""

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (5, 5),
    "t": (1,),
    "conv1.w": (2, 2),
    "dense1.w": (1, 4),
    "dense1.b": (1,),
    "y": (1,),
}

EQUATIONS = """\
# conv1: x = x
y[n,i,j] = sum[u,v](x[n,i+u,j+v] * w[u,v])
dx[n,a,b] = sum[u,v](dy[n,a-u,b-v] * w[u,v])  where 0 <= a - u < 4, 0 <= b - v < 4
dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,i+u,j+v])
# max_pool1: x = conv1
y[n,i,j] = max[u,v](x[n,2*i+u,2*j+v])
dx[n,a,b] = sum[u,v](dy[n,(a - u)/2,(b - v)/2] * [(u,v) == argmax[u*,v*](x[n,a - u + u*,b - v + v*])])  where 2 | a - u, 2 | b - v
# flatten1: x = max_pool1
y[n,(i,j)] = x[n,i,j]
dx[n,i,j] = dy[n,(i,j)]
# dense1: x = flatten1
y[n,i] = sum[j](w[i,j] * x[n,j]) + b[i]
dx[n,j] = sum[i](dy[n,i] * w[i,j])
dw[i,j] = sum[n](dy[n,i] * x[n,j])
db[i] = sum[n](dy[n,i])
# half_squared_error1: x = dense1, t = t
y = mean[n](sum[i]((x[n,i] - t[n,i])**2) / 2)
dx[n,i] = (x[n,i] - t[n,i]) / N
"""

_MAX_POOL1_DX_PLACES_STARTS = np.arange(65536).reshape(4096, 4, 4)[:, :3:2, :3:2].reshape(-1)
"""Where the windows start in a block of planes."""


def forward(x: np.ndarray, params: Params) -> np.ndarray:
    """x (..., 5, 5) -> y (..., 1)."""
    arrays, batch = _arrays(params, x=x)
    x = arrays["x"]
    conv1 = _conv1_forward(x, arrays["conv1.w"])
    max_pool1 = _max_pool1_forward(conv1)
    flatten1 = _flatten1_forward(max_pool1)
    dense1 = _dense1_forward(flatten1, arrays["dense1.w"], arrays["dense1.b"])
    return dense1.reshape(*batch, 1)


def loss(x: np.ndarray, t: np.ndarray, params: Params) -> float:
    """x (..., 5, 5), t (..., 1) -> the loss, one number for the whole batch."""
    arrays, _ = _arrays(params, x=x, t=t)
    x, t = arrays["x"], arrays["t"]
    conv1 = _conv1_forward(x, arrays["conv1.w"])
    max_pool1 = _max_pool1_forward(conv1)
    flatten1 = _flatten1_forward(max_pool1)
    dense1 = _dense1_forward(flatten1, arrays["dense1.w"], arrays["dense1.b"])
    half_squared_error1 = _half_squared_error1_forward(dense1, t)
    return np.asarray(half_squared_error1).item()


def gradients(
    x: np.ndarray, t: np.ndarray, params: Params, *, input_gradient: bool = True
) -> tuple[float, Params]:
    """The loss, and ∂L/∂(each parameter, and x) shaped like the tensor itself. Training needs no
    ``input_gradient``: without it ∂L/∂x is left out."""
    arrays, batch = _arrays(params, x=x, t=t)
    x, t = arrays["x"], arrays["t"]
    conv1 = _conv1_forward(x, arrays["conv1.w"])
    max_pool1 = _max_pool1_forward(conv1)
    flatten1 = _flatten1_forward(max_pool1)
    dense1 = _dense1_forward(flatten1, arrays["dense1.w"], arrays["dense1.b"])
    half_squared_error1 = _half_squared_error1_forward(dense1, t)
    d_dense1 = _half_squared_error1_backward(dense1, t)
    d_flatten1, d_dense1_w, d_dense1_b = _dense1_backward(d_dense1, flatten1, arrays["dense1.w"])
    d_max_pool1 = _flatten1_backward(d_flatten1)
    d_conv1 = _max_pool1_backward(d_max_pool1, conv1, max_pool1)
    d_conv1_w = _conv1_backward(d_conv1, x)
    grads = {
        "conv1.w": d_conv1_w,
        "dense1.w": d_dense1_w,
        "dense1.b": d_dense1_b,
    }
    if input_gradient:
        d_x = _conv1_backward_x(d_conv1, arrays["conv1.w"])
        grads["x"] = d_x.reshape(*batch, 5, 5)
    return np.asarray(half_squared_error1).item(), grads


def init(seed: int) -> Params:
    """Parameters to start from. conv1.w, dense1.w: normal with standard deviation sqrt(2 /
    fan-in) (He et al. 2015). dense1.b: zeros."""
    random = np.random.default_rng(seed)
    return {
        "conv1.w": random.standard_normal((2, 2)) * (2 / 4) ** 0.5,
        "dense1.w": random.standard_normal((1, 4)) * (2 / 4) ** 0.5,
        "dense1.b": np.zeros((1,)),
    }


def sgd_step(params: Params, grads: Params, rate: float) -> Params:
    """Every parameter one step against its gradient, p - rate * ∂L/∂p, in a fresh dict."""
    return {name: value - rate * grads[name] for name, value in params.items()}


def _conv1_forward(x, w):
    """conv 2x2: from x (..., 5, 5), w (2, 2)."""
    if x.dtype.char not in "fd":
        y = _conv1_forward_taps(x, w)
    else:
        y = _conv1_y_sparse(x, w)
    return y


def _conv1_backward(dy, x):
    """conv 2x2: from dy (..., 4, 4), x (..., 5, 5)."""
    if dy.dtype.char not in "fd":
        dw = _conv1_backward_taps(dy, x)
    elif len(dy) < 2:
        dw = _conv1_dw_shifts(dy, x)
    else:
        dw = _conv1_dw_sparse(dy, x)
    return dw


def _conv1_backward_x(dy, w):
    """conv 2x2: from dy (..., 4, 4), w (2, 2)."""
    if dy.dtype.char not in "fd":
        dx = _conv1_backward_x_taps(dy, w)
    else:
        dx = _conv1_dx_sparse(dy, w)
    return dx


def _conv1_forward_taps(x, w):
    """Any type of number, one tap at a time."""
    N, dtype = len(x), x.dtype
    # y[n,i,j] = sum[u,v](x[n,i+u,j+v] * w[u,v])
    y = np.zeros((N, 4, 4), dtype)
    for u in range(2):
        for v in range(2):
            y += x[:, u : u + 4, v : v + 4] * w[u, v]
    return y


def _conv1_y_sparse(x, w):
    """y = x · M: the layer as one matrix, each weight along a diagonal of it."""
    N, dtype = len(x), x.dtype
    matrix, weights = _diagonals("conv1_y_sparse", (25, 16), dtype, (2, 2, 4, 4), (80, 16, 84, 17))
    weights[...] = w.reshape(2, 2, 1, 1)
    return x.reshape(N, 25).dot(matrix).reshape(N, 4, 4)


def _conv1_backward_taps(dy, x):
    """Any type of number, one tap at a time."""
    dtype = dy.dtype
    # dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,i+u,j+v])
    dw = np.zeros((2, 2), dtype)
    for u in range(2):
        for v in range(2):
            window = x[:, u : u + 4, v : v + 4]
            dw[u, v] = dy.ravel() @ window.ravel()
    return dw


def _conv1_dw_shifts(dy, x):
    """dw: windows of x along all axes but the first, then a product for each of its taps."""
    N, dtype = len(dy), dy.dtype
    inner, copied, windows, matrices, parts = _room(_conv1_dw_shifts_room, dtype)
    by_place = dy.reshape(N, 1, 16).swapaxes(1, 2)
    sums = np.zeros((2, 1, 2, 1), dtype)
    for n in range(N):
        inner[...] = x[n].reshape(1, 5, 5)
        windows[...] = copied
        np.matmul(matrices, by_place[n], out=parts)
        sums += parts
    dw = sums.reshape(2, 2)
    return dw


def _conv1_dw_shifts_room(dtype):
    """Buffers of _conv1_dw_shifts, and the views of them that it reads and writes."""
    padded = np.zeros((1, 5, 5), dtype)
    inner = padded[:, 0:5, 0:5]
    copied = _windows(padded, (1, 2, 5, 4), (25, 1, 5, 1))
    columns = np.zeros((2, 36), dtype)
    windows = columns[:, :20].reshape(1, 2, 5, 4)
    # what every tap of the first axis reads, where it lies, in slices for BLAS
    matrices = _windows(columns, (2, 1, 2, 16), (4, 72, 36, 1))
    parts = np.zeros((2, 1, 2, 1), dtype)
    return inner, copied, windows, matrices, parts


def _conv1_dw_sparse(dy, x):
    """dw: all products of an entry of x and one of dy; those of a weight lie along a diagonal."""
    N, dtype = len(x), x.dtype
    pairs, diagonals = _diagonals(
        "conv1_dw_sparse", (25, 16), dtype, (2, 2, 4, 4), (80, 16, 84, 17)
    )
    upstream = dy.reshape(N, 16)
    x.reshape(N, 25).T.dot(upstream, out=pairs)
    ones = np.ones(16, dtype)
    dw = diagonals.reshape(4, 16).dot(ones).reshape(2, 2)
    return dw


def _conv1_backward_x_taps(dy, w):
    """Any type of number, one tap at a time."""
    N, dtype = len(dy), dy.dtype
    # dx[n,i+u,j+v] += dy[n,i,j] * w[u,v]
    dx = np.zeros((N, 5, 5), dtype)
    for u in range(2):
        for v in range(2):
            dx[:, u : u + 4, v : v + 4] += dy * w[u, v]
    return dx


def _conv1_dx_sparse(dy, w):
    """dx = dy · Mᵀ: the layer as one matrix, each weight along a diagonal of it."""
    N, dtype = len(dy), dy.dtype
    matrix, weights = _diagonals("conv1_dx_sparse", (25, 16), dtype, (2, 2, 4, 4), (80, 16, 84, 17))
    weights[...] = w.reshape(2, 2, 1, 1)
    dx = dy.reshape(N, 16).dot(matrix.T)
    return dx.reshape(N, 5, 5)


def _max_pool1_forward(x):
    """max_pool 2x2: from x (..., 4, 4)."""
    if x.dtype.char not in "fd":
        y = _max_pool1_forward_taps(x)
    else:
        y = _max_pool1_y_innermost_pools(x)
    return y


def _max_pool1_backward(dy, x, y):
    """max_pool 2x2: from dy (..., 2, 2), x (..., 4, 4), y (..., 2, 2)."""
    if dy.dtype.char not in "fd":
        dx = _max_pool1_backward_taps(dy, x, y)
    else:
        dx = _max_pool1_dx_places(dy, x)
    return dx


def _max_pool1_forward_taps(x):
    """Any type of number, one tap at a time."""
    N, dtype = len(x), x.dtype
    # y[n,i,j] = max[u,v](x[n,2*i+u,2*j+v])
    y = np.full((N, 2, 2), _lowest(dtype), dtype)
    for u in range(2):
        for v in range(2):
            y = np.maximum(y, x[:, u : u + 3 : 2, v : v + 3 : 2])
    return y


def _max_pool1_y_innermost_pools(x):
    """y: every entry of a plane is a run of all samples."""
    N, dtype = len(x), x.dtype
    # no copies where samples lie innermost already
    x = np.ascontiguousarray(x.reshape(N, 1, 4, 4).transpose(1, 2, 3, 0))
    y = np.empty((1, 2, 2, N), dtype)
    rows = np.maximum(x[:, 0:3:2], x[:, 1:4:2])
    np.maximum(rows[:, :, 0:3:2], rows[:, :, 1:4:2], out=y)
    return y.transpose(3, 0, 1, 2).reshape(N, 2, 2)


def _max_pool1_backward_taps(dy, x, y):
    """Any type of number, one tap at a time."""
    N, dtype = len(dy), dy.dtype
    # dx[n,2*i+u,2*j+v] += dy[n,i,j] * [(u,v) == argmax[u*,v*](x[n,2*i+u*,2*j+v*])]
    dx = np.zeros((N, 4, 4), dtype)
    taken = np.zeros((N, 2, 2), bool)
    for u in range(2):
        for v in range(2):
            wins = (x[:, u : u + 3 : 2, v : v + 3 : 2] == y) & ~taken
            taken |= wins
            dx[:, u : u + 3 : 2, v : v + 3 : 2] += np.where(wins, dy, 0)
    return dx


def _max_pool1_dx_places(dy, x):
    """Every window hands its gradient to the first of its extremal entries, whose place is found
    as a number, 4096 planes at a time.
    """
    N, dtype = len(x), x.dtype
    planes = x.reshape(N * 1, 16)
    above = dy.reshape(N * 1, 4)
    dx = np.empty((N * 1, 16), dtype)
    blocks = -(-len(planes) // 4096)
    count = -(-len(planes) // max(1, blocks))
    best, code, better, later, first, wins = _room(_max_pool1_dx_places_room, dtype)
    starts = _MAX_POOL1_DX_PLACES_STARTS[: count * 4]
    for number in range(blocks):
        # the last one may repeat some planes of the one before
        start = min(number * count, len(planes) - count)
        run = planes[start : start + count].reshape(-1)
        size = len(run) - 1
        np.greater(run[1 : 1 + size], run[:size], out=first[:size])
        np.maximum(run[:size], run[1 : 1 + size], out=best[:size])
        size -= 4
        np.greater(best[4 : 4 + size], best[:size], out=wins[:size])
        np.add(code[4 : 4 + size], 4, out=later[:size])
        np.multiply(later[:size], better[:size], out=later[:size])
        np.maximum(code[:size], later[:size], out=code[:size])
        share = above[start : start + count].reshape(-1)
        highest = run[run.argmax()]
        if np.isnan(highest):
            # some are not numbers: their windows hand on nothing
            share = share.copy()
            for u in range(2):
                for v in range(2):
                    share[np.isnan(run.take(starts + 4 * u + v))] = 0
        places = starts + code.take(starts)
        out = dx[start : start + count].reshape(-1)
        out[...] = 0
        out[places] = share
    return dx.reshape(N, 4, 4)


def _max_pool1_dx_places_room(dtype):
    """Buffers of _max_pool1_dx_places, and the views of them that it reads and writes."""
    best = np.zeros((65536,), dtype)
    # flags are bytes of 0 or 1: the first are codes as they are, later ones factors
    code, better, later = np.zeros((3, 65536), np.dtype("u1"))
    return best, code, better, later, code.view(bool), better.view(bool)


def _flatten1_forward(x):
    """flatten: from x (..., 2, 2)."""
    # y[n,(i,j)] = x[n,i,j]
    y = x.copy()
    return y.reshape(-1, 4)


def _flatten1_backward(dy):
    """flatten: from dy (..., 4)."""
    dy = dy.reshape(-1, 2, 2)
    # dx[n,i,j] = dy[n,(i,j)]
    dx = dy.copy()
    return dx


def _dense1_forward(x, w, b):
    """dense 1: from x (..., 4), w (1, 4), b (1,)."""
    if x.dtype.char not in "fd":
        y = _dense1_forward_taps(x, w, b)
    else:
        y = _dense1_y_product(x, w, b)
    return y


def _dense1_backward(dy, x, w):
    """dense 1: from dy (..., 1), x (..., 4), w (1, 4)."""
    if dy.dtype.char not in "fd":
        dx, dw, db = _dense1_backward_taps(dy, x, w)
    else:
        dx = _dense1_dx_product(dy, w)
        dw = _dense1_dw_product(x, dy)
        db = _dense1_db_taps(dy)
    return dx, dw, db


def _dense1_forward_taps(x, w, b):
    """Any type of number, one tap at a time."""
    # y[n,i] = sum[j](w[i,j] * x[n,j]) + b[i]
    y = x @ w.T + b
    return y


def _dense1_y_product(x, w, b):
    """y[n] = w · x[n], one matrix product."""
    N = len(x)
    y = np.dot(x.reshape(N, 4), w.reshape(4, 1)) + b.reshape(1)
    return y.reshape(N, 1)


def _dense1_backward_taps(dy, x, w):
    """Any type of number, one tap at a time."""
    dtype = dy.dtype
    # dx[n,j] = sum[i](dy[n,i] * w[i,j])
    dx = dy[:, 0, None] * w[0, :]
    # dw[i,j] = sum[n](dy[n,i] * x[n,j])
    dw = dy.T @ x
    # db[i] = sum[n](dy[n,i])
    db = dy.sum(axis=0, dtype=dtype)
    return dx, dw, db


def _dense1_dx_product(dy, w):
    """dx[n] = w · dy[n], one matrix product."""
    N = len(dy)
    dx = np.dot(dy.reshape(N, 1), w.reshape(1, 4))
    return dx.reshape(N, 4)


def _dense1_dw_product(x, dy):
    """dw = Σ x[n] · dy[n]ᵀ."""
    N = len(dy)
    dy = dy.reshape(N, 1)
    x = x.reshape(N, 4)
    if N == 1:
        # nothing to add up: each entry is one product
        total = dy.T * x
    else:
        total = dy.T @ x
    return total.reshape(1, 4).reshape(1, 4)


def _dense1_db_taps(dy):
    """Any type of number, one tap at a time."""
    dtype = dy.dtype
    # db[i] = sum[n](dy[n,i])
    db = dy.sum(axis=0, dtype=dtype)
    return db


def _half_squared_error1_forward(x, t):
    """half_squared_error: from x (..., 1), t (..., 1)."""
    N, dtype = len(x), x.dtype
    # y = mean[n](sum[i]((x[n,i] - t[n,i])**2) / 2)
    sum_i = (x[:, 0] - t[:, 0]) ** 2
    y = sum_i.sum(dtype=dtype) / 2 / N
    return y


def _half_squared_error1_backward(x, t):
    """half_squared_error: from x (..., 1), t (..., 1)."""
    N = len(x)
    # dx[n,i] = (x[n,i] - t[n,i]) / N
    dx = (x - t) / N
    return dx


def _arrays(params, **given):
    """All tensors by name, of one dtype, data as (N, ...), and the batch axes that data share."""
    if params.keys() != set(_PARAMETERS):
        lacking = [name for name in _PARAMETERS if name not in params]
        unknown = [name for name in params if name not in _PARAMETERS]
        raise ValueError(f"params lacks {lacking}" if lacking else f"params has unknown {unknown}")
    arrays = {**given, **params}
    if (batch := _ready(arrays, given)) is not None:
        return arrays, batch
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    dtype = np.result_type(*(arrays[name] for name in arrays if name not in _INTEGER))
    if dtype.kind in "iu":  # divisions and functions leave the integers
        dtype = np.dtype(np.float64)
    batch = None
    for name, array in arrays.items():
        shape = SHAPES[_SHAPE_OF.get(name, name)]
        lead = array.ndim - len(shape)
        if array.dtype.kind not in "iufcO":
            raise TypeError(f"{name} has dtype {array.dtype}; numbers are needed")
        if lead < 0 or (lead and name not in given):
            raise ValueError(f"{name} has {array.ndim} axes, shape {array.shape}; need {shape}")
        for axis, (size, wanted) in enumerate(zip(array.shape[lead:], shape)):
            if size != wanted:
                raise ValueError(f"{name}: axis {lead + axis} has size {size}, not {wanted}")
        if name in given:
            if batch is None:
                first, batch = name, array.shape[:lead]
            if array.shape[:lead] != batch:
                raise ValueError(
                    f"{name} has batch axes {array.shape[:lead]}, but {first} has {batch}"
                )
            array = array.reshape(-1, *shape)
        arrays[name] = array if name in _INTEGER else array.astype(dtype, copy=False)
    return arrays, batch


_PARAMETERS = ("conv1.w", "dense1.w", "dense1.b")
_INTEGER = ()
_SHAPE_OF = {}


def _ready(arrays, data):
    """The batch axes if all is as kernels want it: one float type, one axis of samples; or None."""
    batch = dtype = None
    for name, array in arrays.items():
        if type(array) is not np.ndarray:
            return None
        shape = array.shape
        if name in data:
            lead, shape = shape[:1], shape[1:]
            if batch is None:
                batch = lead
            elif lead != batch:
                return None
        if shape != SHAPES[_SHAPE_OF.get(name, name)]:
            return None
        if name in _INTEGER:
            return None
        if array.dtype is not dtype:
            if dtype is not None or array.dtype not in _FLOATS:
                return None
            dtype = array.dtype
    return batch or None


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
