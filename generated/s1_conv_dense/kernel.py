"""A network of 4 layers.

Layers, with the shape that each gives (without the batch) and its parameters:

    x                                        3x3
    conv1                conv 2x2            2x2  w 2x2
    flatten1             flatten             4
    dense1               dense 1             1    w 1x4, b 1
    half_squared_error1  half_squared_error  ()

9 numbers are trained. The gradient of a layer's output is what the layer behind it returns for
its input; where several layers read it, theirs add up. What backward reads of the forward pass
is kept, not computed again.

How layers are computed, from so many samples on (float32, float64):

    conv1                y: sparse
                         dw: unrolled, 4 sparse
                         dx: sparse
    dense1               y: product
                         dx dw: product; db: taps

Scratch (float32) of all layers together is at most 1 kB a thread, kept between calls; layers
use some of it in turn, none of it grows with the batch.

Generated and proved by:

    python -m derive --network 'conv 2x2 > flatten > dense 1 > half_squared_error' --input 3x3
        --name s1_conv_dense
"""

import threading

import numpy as np

Params = dict[str, np.ndarray]
"""Parameters (or their gradients) by name."""

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (3, 3),
    "t": (1,),
    "conv1.w": (2, 2),
    "dense1.w": (1, 4),
    "dense1.b": (1,),
    "y": (1,),
}

EQUATIONS = """\
# conv1: x = x
y[n,i,j] = sum[u,v](x[n,i+u,j+v] * w[u,v])
dx[n,a,b] = sum[u,v](dy[n,a-u,b-v] * w[u,v])  where 0 <= a - u < 2, 0 <= b - v < 2
dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,i+u,j+v])
# flatten1: x = conv1
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


def forward(x: np.ndarray, params: Params) -> np.ndarray:
    """x (..., 3, 3) -> y (..., 1)."""
    arrays, batch = _arrays(params, x=x)
    x = arrays["x"]
    conv1 = _conv1_forward(x, arrays["conv1.w"])
    flatten1 = _flatten1_forward(conv1)
    dense1 = _dense1_forward(flatten1, arrays["dense1.w"], arrays["dense1.b"])
    return dense1.reshape(*batch, 1)


def loss(x: np.ndarray, t: np.ndarray, params: Params) -> float:
    """x (..., 3, 3), t (..., 1) -> the loss, one number for the whole batch."""
    arrays, _ = _arrays(params, x=x, t=t)
    x, t = arrays["x"], arrays["t"]
    conv1 = _conv1_forward(x, arrays["conv1.w"])
    flatten1 = _flatten1_forward(conv1)
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
    flatten1 = _flatten1_forward(conv1)
    dense1 = _dense1_forward(flatten1, arrays["dense1.w"], arrays["dense1.b"])
    half_squared_error1 = _half_squared_error1_forward(dense1, t)
    d_dense1 = _half_squared_error1_backward(dense1, t)
    d_flatten1, d_dense1_w, d_dense1_b = _dense1_backward(d_dense1, flatten1, arrays["dense1.w"])
    d_conv1 = _flatten1_backward(d_flatten1)
    d_conv1_w = _conv1_backward(d_conv1, x)
    grads = {
        "conv1.w": d_conv1_w,
        "dense1.w": d_dense1_w,
        "dense1.b": d_dense1_b,
    }
    if input_gradient:
        d_x = _conv1_backward_x(d_conv1, arrays["conv1.w"])
        grads["x"] = d_x.reshape(*batch, 3, 3)
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
    """conv 2x2: from x (..., 3, 3), w (2, 2)."""
    if x.dtype.char not in "fd":
        y = _conv1_forward_taps(x, w)
    else:
        y = _conv1_y_sparse(x, w)
    return y


def _conv1_backward(dy, x):
    """conv 2x2: from dy (..., 2, 2), x (..., 3, 3)."""
    if dy.dtype.char not in "fd":
        dw = _conv1_backward_taps(dy, x)
    elif len(dy) < 4:
        dw = _conv1_dw_unrolled(dy, x)
    else:
        dw = _conv1_dw_sparse(dy, x)
    return dw


def _conv1_backward_x(dy, w):
    """conv 2x2: from dy (..., 2, 2), w (2, 2)."""
    if dy.dtype.char not in "fd":
        dx = _conv1_backward_x_taps(dy, w)
    else:
        dx = _conv1_dx_sparse(dy, w)
    return dx


def _conv1_forward_taps(x, w):
    """Any type of number, one tap at a time."""
    N, dtype = len(x), x.dtype
    # y[n,i,j] = sum[u,v](x[n,i+u,j+v] * w[u,v])
    y = np.zeros((N, 2, 2), dtype)
    for u in range(2):
        for v in range(2):
            y += x[:, u : u + 2, v : v + 2] * w[u, v]
    return y


def _conv1_y_sparse(x, w):
    """y = x · M: the layer as one matrix, each weight along a diagonal of it."""
    N, dtype = len(x), x.dtype
    matrix, weights = _diagonals("conv1_y_sparse", (9, 4), dtype, (2, 2, 2, 2), (12, 4, 14, 5))
    weights[...] = w.reshape(2, 2, 1, 1)
    return x.reshape(N, 9).dot(matrix).reshape(N, 2, 2)


def _conv1_backward_taps(dy, x):
    """Any type of number, one tap at a time."""
    dtype = dy.dtype
    # dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,i+u,j+v])
    dw = np.zeros((2, 2), dtype)
    for u in range(2):
        for v in range(2):
            window = x[:, u : u + 2, v : v + 2]
            dw[u, v] = dy.ravel() @ window.ravel()
    return dw


def _conv1_dw_unrolled(dy, x):
    """dw: every product written out, in Python's own numbers."""
    dtype = dy.dtype
    dw00 = 0.0
    dw01 = 0.0
    dw10 = 0.0
    dw11 = 0.0
    for dy_sample, x_sample in zip(dy.reshape(-1, 4).tolist(), x.reshape(-1, 9).tolist()):
        dy00, dy01, dy10, dy11 = dy_sample
        x00, x01, x02, x10, x11, x12, x20, x21, x22 = x_sample
        dw00 += x00 * dy00 + x01 * dy01 + x10 * dy10 + x11 * dy11
        dw01 += x01 * dy00 + x02 * dy01 + x11 * dy10 + x12 * dy11
        dw10 += x10 * dy00 + x11 * dy01 + x20 * dy10 + x21 * dy11
        dw11 += x11 * dy00 + x12 * dy01 + x21 * dy10 + x22 * dy11
    return np.array((dw00, dw01, dw10, dw11), dtype).reshape(2, 2)


def _conv1_dw_sparse(dy, x):
    """dw: all products of an entry of x and one of dy; those of a weight lie along a diagonal."""
    N, dtype = len(x), x.dtype
    pairs, diagonals = _diagonals("conv1_dw_sparse", (9, 4), dtype, (2, 2, 2, 2), (12, 4, 14, 5))
    upstream = dy.reshape(N, 4)
    x.reshape(N, 9).T.dot(upstream, out=pairs)
    ones = np.ones(4, dtype)
    dw = diagonals.reshape(4, 4).dot(ones).reshape(2, 2)
    return dw


def _conv1_backward_x_taps(dy, w):
    """Any type of number, one tap at a time."""
    N, dtype = len(dy), dy.dtype
    # dx[n,i+u,j+v] += dy[n,i,j] * w[u,v]
    dx = np.zeros((N, 3, 3), dtype)
    for u in range(2):
        for v in range(2):
            dx[:, u : u + 2, v : v + 2] += dy * w[u, v]
    return dx


def _conv1_dx_sparse(dy, w):
    """dx = dy · Mᵀ: the layer as one matrix, each weight along a diagonal of it."""
    N, dtype = len(dy), dy.dtype
    matrix, weights = _diagonals("conv1_dx_sparse", (9, 4), dtype, (2, 2, 2, 2), (12, 4, 14, 5))
    weights[...] = w.reshape(2, 2, 1, 1)
    dx = dy.reshape(N, 4).dot(matrix.T)
    return dx.reshape(N, 3, 3)


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


_local = threading.local()


def _scratch(name, shape, dtype):
    """A buffer of this thread that is kept between calls: zeros at first, then what was left."""
    key = name, shape, dtype.char
    if (found := getattr(_local, "buffers", {}).get(key)) is None:
        found = np.zeros(shape, dtype)
        _local.__dict__.setdefault("buffers", {})[key] = found
    return found


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
