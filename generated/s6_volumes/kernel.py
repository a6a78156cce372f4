"""A network of 2 layers.

Layers, with the shape that each gives (without the batch) and its parameters:

    x                                            3x4x4
    conv1  conv 3x3 filters=2 padding=same bias  2x4x4  w 2x3x3x3, b 2
    relu1  relu                                  2x4x4

56 numbers are trained. The gradient of a layer's output is what the layer behind it returns for
its input; where several layers read it, theirs add up. What backward reads of the forward pass
is kept, not computed again.

How layers are computed, from so many samples on (float32, float64):

    conv1  y: rows, 2 sparse
           dw db: shifts, 4 sparse
           dx: rows, 2 sparse
    relu1  y: entrywise
           dx: entrywise

Scratch (float32) of all layers together is at most 47 kB a thread, kept between calls; layers
use some of it in turn, none of it grows with the batch.

Generated and proved by:

    python -m derive --network 'conv 3x3 filters=2 padding=same bias > relu' --input 3x4x4
        --name s6_volumes
"""

import threading

import numpy as np

Params = dict[str, np.ndarray]
"""Parameters (or their gradients) by name."""

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (3, 4, 4),
    "conv1.w": (2, 3, 3, 3),
    "conv1.b": (2,),
    "y": (2, 4, 4),
}

EQUATIONS = """\
# conv1: x = x
y[n,f,i,j] = sum[c,u,v](x[n,c,i + u - 1,j + v - 1] * w[f,c,u,v]) + b[f]
dx[n,c,q,r] = sum[f,u,v](dy[n,f,q + 1 - u,r + 1 - v] * w[f,c,u,v])  where 0 <= q + 1 - u < 4, 0 <= r + 1 - v < 4
dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,i + u - 1,j + v - 1])
db[f] = sum[n,i,j](dy[n,f,i,j])
# relu1: x = conv1
y[n,c,i,j] = relu(x[n,c,i,j])
dx[n,c,i,j] = dy[n,c,i,j] * where(x[n,c,i,j] > 0, 1, 0)
"""


def forward(x: np.ndarray, params: Params) -> np.ndarray:
    """x (..., 3, 4, 4) -> y (..., 2, 4, 4)."""
    arrays, batch = _arrays(params, x=x)
    x = arrays["x"]
    conv1 = _conv1_forward(x, arrays["conv1.w"], arrays["conv1.b"])
    relu1 = _relu1_forward(conv1)
    return relu1.reshape(*batch, 2, 4, 4)


def gradients(
    dy: np.ndarray, x: np.ndarray, params: Params, *, input_gradient: bool = True
) -> Params:
    """∂L/∂(each parameter, and x) for a given dy = ∂L/∂y: the network has no loss layer.
    Training needs no ``input_gradient``: without it ∂L/∂x is left out."""
    arrays, batch = _arrays(params, dy=dy, x=x)
    dy, x = arrays["dy"], arrays["x"]
    conv1 = _conv1_forward(x, arrays["conv1.w"], arrays["conv1.b"])
    relu1 = _relu1_forward(conv1)
    d_relu1 = dy
    d_conv1 = _relu1_backward(d_relu1, relu1)
    d_conv1_w, d_conv1_b = _conv1_backward(d_conv1, x)
    grads = {
        "conv1.w": d_conv1_w,
        "conv1.b": d_conv1_b,
    }
    if input_gradient:
        d_x = _conv1_backward_x(d_conv1, arrays["conv1.w"])
        grads["x"] = d_x.reshape(*batch, 3, 4, 4)
    return grads


def init(seed: int) -> Params:
    """Parameters to start from. conv1.w: normal with standard deviation sqrt(2 / fan-in) (He et
    al. 2015). conv1.b: zeros."""
    random = np.random.default_rng(seed)
    return {
        "conv1.w": random.standard_normal((2, 3, 3, 3)) * (2 / 27) ** 0.5,
        "conv1.b": np.zeros((2,)),
    }


def sgd_step(params: Params, grads: Params, rate: float) -> Params:
    """Every parameter one step against its gradient, p - rate * ∂L/∂p, in a fresh dict."""
    return {name: value - rate * grads[name] for name, value in params.items()}


def _conv1_forward(x, w, b):
    """conv 3x3 filters=2 padding=same bias: from x (..., 3, 4, 4), w (2, 3, 3, 3), b (2,)."""
    if x.dtype.char not in "fd":
        y = _conv1_forward_taps(x, w, b)
    elif len(x) < 2:
        y = _conv1_y_rows(x, w, b)
    else:
        y = _conv1_y_sparse(x, w, b)
    return y


def _conv1_backward(dy, x):
    """conv 3x3 filters=2 padding=same bias: from dy (..., 2, 4, 4), x (..., 3, 4, 4)."""
    if dy.dtype.char not in "fd":
        dw, db = _conv1_backward_taps(dy, x)
    elif len(dy) < 4:
        dw, db = _conv1_dw_db_shifts(dy, x)
    else:
        dw, db = _conv1_dw_db_sparse(dy, x)
    return dw, db


def _conv1_backward_x(dy, w):
    """conv 3x3 filters=2 padding=same bias: from dy (..., 2, 4, 4), w (2, 3, 3, 3)."""
    if dy.dtype.char not in "fd":
        dx = _conv1_backward_x_taps(dy, w)
    elif len(dy) < 2:
        dx = _conv1_dx_rows(dy, w)
    else:
        dx = _conv1_dx_sparse(dy, w)
    return dx


def _conv1_forward_taps(x, w, b):
    """Any type of number, one tap at a time."""
    N, dtype = len(x), x.dtype
    x_padded = np.zeros((N, 3, 6, 6), dtype)
    x_padded[:, :, 1:5, 1:5] = x
    # y[n,f,i,j] = sum[c,u,v](x[n,c,i + u - 1,j + v - 1] * w[f,c,u,v]) + b[f]
    y = np.zeros((N, 2, 4, 4), dtype)
    for u in range(3):
        for v in range(3):
            window = x_padded[:, :, u : u + 4, v : v + 4]
            tap = np.matmul(w[:, :, u, v], window.reshape(N, 3, 16))
            y += tap.reshape(N, 2, 4, 4)
    y += b[:, None, None]
    return y


def _conv1_y_rows(x, w, b):
    """y[n] = kernel · blocks(x[n]): every row of the input as the windows along it, each written
    once for all windows that it is in; rows of ones meet the bias.
    """
    N, dtype = len(x), x.dtype
    kernel, taps, bias, inner, copied, windows, matrices = _room(_conv1_y_rows_room, dtype)
    taps[...] = w.reshape(2, 3, 3, 1, 3)
    bias[...] = b
    y = np.empty((N, 2, 4, 4), dtype)
    rows = y.swapaxes(1, 2)
    for n in range(N):
        inner[...] = x[n]
        windows[...] = copied
        np.matmul(kernel, matrices, out=rows[n])
    return y


def _conv1_y_rows_room(dtype):
    """Buffers of _conv1_y_rows, and the views of them that it reads and writes."""
    kernel = np.zeros((2, 3, 10), dtype)
    matrix = kernel.reshape(2, 30)
    taps = kernel[:, :, :9].reshape(2, 3, 1, 3, 3).transpose(0, 3, 1, 2, 4)
    # the first row of ones is enough; the others meet zeros
    bias = kernel[:, 0, 9]
    # only the sample itself is ever written
    padded = np.zeros((3, 6, 6), dtype)
    inner = padded[:, 1:5, 1:5]
    copied = _windows(padded, (6, 1, 3, 3, 4), (6, 6, 36, 1, 1))
    blocks = np.ones((6, 10, 4), dtype)
    windows = blocks[:, :9].reshape(6, 1, 3, 3, 4)
    # the matrices of neighbouring rows overlap
    matrices = _windows(blocks, (4, 30, 4), (40, 4, 1))
    return matrix, taps, bias, inner, copied, windows, matrices


def _conv1_y_sparse(x, w, b):
    """y = x · M: the layer as one matrix, each weight along a diagonal of it."""
    N, dtype = len(x), x.dtype
    matrix, weights = _diagonals(
        "conv1_y_sparse", (3, 6, 6, 32), dtype, (2, 3, 3, 3, 4, 4), (16, 1152, 192, 32, 196, 33)
    )
    weights[...] = w.reshape(2, 3, 3, 3, 1, 1)
    # without the rows of the zeros around
    matrix = matrix[:, 1:5, 1:5].reshape(48, 32)
    y = x.reshape(N, 48).dot(matrix).reshape(N, 2, 16)
    y += b.reshape(2, 1)
    return y.reshape(N, 2, 4, 4)


def _conv1_backward_taps(dy, x):
    """Any type of number, one tap at a time."""
    N, dtype = len(dy), dy.dtype
    x_padded = np.zeros((N, 3, 6, 6), dtype)
    x_padded[:, :, 1:5, 1:5] = x
    # dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,i + u - 1,j + v - 1])
    dw = np.zeros((2, 3, 3, 3), dtype)
    for u in range(3):
        for v in range(3):
            window = x_padded[:, :, u : u + 4, v : v + 4]
            dw[:, :, u, v] = np.tensordot(dy, window, axes=((0, 2, 3), (0, 2, 3)))
    # db[f] = sum[n,i,j](dy[n,f,i,j])
    db = dy.sum(axis=(0, 2, 3), dtype=dtype)
    return dw, db


def _conv1_dw_db_shifts(dy, x):
    """dw, db: windows of x along all axes but the first, then a product for each of its taps."""
    N, dtype = len(dy), dy.dtype
    inner, copied, windows, matrices, parts, ones = _room(_conv1_dw_db_shifts_room, dtype)
    by_place = dy.reshape(N, 2, 16).swapaxes(1, 2)
    sums = np.zeros((3, 1, 9, 2), dtype)
    for n in range(N):
        inner[...] = x[n]
        windows[...] = copied
        np.matmul(matrices, by_place[n], out=parts)
        sums += parts
    dw = sums.reshape(3, 3, 3, 2).transpose(3, 1, 0, 2)
    db = np.add.reduce(dy.reshape(N * 2, 16).dot(ones).reshape(N, 2), axis=0)
    return dw, db


def _conv1_dw_db_shifts_room(dtype):
    """Buffers of _conv1_dw_db_shifts, and the views of them that it reads and writes."""
    padded = np.zeros((3, 6, 6), dtype)
    inner = padded[:, 1:5, 1:5]
    copied = _windows(padded, (3, 3, 6, 4), (36, 1, 6, 1))
    columns = np.zeros((9, 40), dtype)
    windows = columns[:, :24].reshape(3, 3, 6, 4)
    # what every tap of the first axis reads, where it lies, in slices for BLAS
    matrices = _windows(columns, (3, 1, 9, 16), (4, 360, 40, 1))
    parts = np.zeros((3, 1, 9, 2), dtype)
    ones = np.ones((16,), dtype)
    return inner, copied, windows, matrices, parts, ones


def _conv1_dw_db_sparse(dy, x):
    """dw: all products of an entry of x and one of dy; those of a weight lie along a diagonal."""
    N, dtype = len(x), x.dtype
    pairs, diagonals = _diagonals(
        "conv1_dw_db_sparse", (3, 6, 6, 32), dtype, (2, 3, 3, 3, 4, 4), (16, 1152, 192, 32, 196, 33)
    )
    upstream = dy.reshape(N, 32)
    pairs[:, 1:5, 1:5] = x.reshape(N, 48).T.dot(upstream).reshape(3, 4, 4, 32)
    ones = np.ones(16, dtype)
    dw = diagonals.reshape(54, 16).dot(ones).reshape(2, 3, 3, 3)
    db = np.add.reduce(upstream, axis=0).reshape(2, 16).dot(ones).reshape(2)
    return dw, db


def _conv1_backward_x_taps(dy, w):
    """Any type of number, one tap at a time."""
    N, dtype = len(dy), dy.dtype
    dy_padded = np.zeros((N, 2, 6, 6), dtype)
    dy_padded[:, :, 1:5, 1:5] = dy
    # dx[n,c,q,r] = sum[f,u,v](dy[n,f,q + 1 - u,r + 1 - v] * w[f,c,u,v])  where 0 <= q + 1 - u < 4,
    #     0 <= r + 1 - v < 4
    dx = np.zeros((N, 3, 4, 4), dtype)
    for u in range(3):
        for v in range(3):
            window = dy_padded[:, :, 2 - u : 6 - u, 2 - v : 6 - v]
            tap = np.matmul(w[:, :, u, v].T, window.reshape(N, 2, 16))
            dx += tap.reshape(N, 3, 4, 4)
    return dx


def _conv1_dx_rows(dy, w):
    """dx[n] = kernel · blocks(dy[n]): every row of the input as the windows along it, each
    written once for all windows that it is in.
    """
    N, dtype = len(dy), dy.dtype
    kernel, taps, inner, copied, windows, matrices = _room(_conv1_dx_rows_room, dtype)
    taps[...] = w.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1].reshape(3, 2, 9).reshape(3, 2, 3, 1, 3)
    dx = np.empty((N, 3, 4, 4), dtype)
    rows = dx.swapaxes(1, 2)
    for n in range(N):
        inner[...] = dy[n]
        windows[...] = copied
        np.matmul(kernel, matrices, out=rows[n])
    return dx


def _conv1_dx_rows_room(dtype):
    """Buffers of _conv1_dx_rows, and the views of them that it reads and writes."""
    kernel = np.zeros((3, 3, 6), dtype)
    matrix = kernel.reshape(3, 18)
    taps = kernel.reshape(3, 3, 1, 2, 3).transpose(0, 3, 1, 2, 4)
    # only the sample itself is ever written
    padded = np.zeros((2, 6, 6), dtype)
    inner = padded[:, 1:5, 1:5]
    copied = _windows(padded, (6, 1, 2, 3, 4), (6, 6, 36, 1, 1))
    blocks = np.zeros((6, 6, 4), dtype)
    windows = blocks.reshape(6, 1, 2, 3, 4)
    # the matrices of neighbouring rows overlap
    matrices = _windows(blocks, (4, 18, 4), (24, 4, 1))
    return matrix, taps, inner, copied, windows, matrices


def _conv1_dx_sparse(dy, w):
    """dx = dy · Mᵀ: the layer as one matrix, each weight along a diagonal of it."""
    N, dtype = len(dy), dy.dtype
    matrix, weights = _diagonals(
        "conv1_dx_sparse", (3, 6, 6, 32), dtype, (2, 3, 3, 3, 4, 4), (16, 1152, 192, 32, 196, 33)
    )
    weights[...] = w.reshape(2, 3, 3, 3, 1, 1)
    # without the rows of the zeros around
    matrix = matrix[:, 1:5, 1:5].reshape(48, 32)
    dx = dy.reshape(N, 32).dot(matrix.T)
    return dx.reshape(N, 3, 4, 4)


def _relu1_forward(x):
    """relu: from x (..., 2, 4, 4)."""
    if x.dtype.char not in "fd":
        y = _relu1_forward_taps(x)
    else:
        y = _relu1_y_entrywise(x)
    return y


def _relu1_backward(dy, y):
    """relu: from dy (..., 2, 4, 4), y (..., 2, 4, 4)."""
    if dy.dtype.char not in "fd":
        dx = _relu1_backward_taps(dy, y)
    else:
        dx = _relu1_dx_entrywise(dy, y)
    return dx


def _relu1_forward_taps(x):
    """Any type of number, one tap at a time."""
    # y[n,c,i,j] = relu(x[n,c,i,j])
    y = np.maximum(x, 0)
    return y


def _relu1_y_entrywise(x):
    """Entry by entry, over what nobody reads afterwards."""
    # y[n,c,i,j] = relu(x[n,c,i,j])
    np.maximum(x, 0, out=x)
    return x


def _relu1_backward_taps(dy, y):
    """Any type of number, one tap at a time."""
    # dx[n,c,i,j] = dy[n,c,i,j] * where(x[n,c,i,j] > 0, 1, 0)
    dx = np.where(y > 0, dy, 0)
    return dx


def _relu1_dx_entrywise(dy, y):
    """Entry by entry."""
    # dx[n,c,i,j] = dy[n,c,i,j] * where(x[n,c,i,j] > 0, 1, 0)
    # a product of bits: where the mask is 0 so is dx, even if dy is infinite
    bits = dy.dtype.str.replace("f", "i")
    dx = (dy.view(bits) * (y > 0)).view(dy.dtype)
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


_PARAMETERS = ("conv1.w", "conv1.b")
_INTEGER = ()
_SHAPE_OF = {"dy": "y"}


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
