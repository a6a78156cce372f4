"""A network of 5 layers.

Layers, with the shape that each gives (without the batch) and its parameters:

    x                                        4x4
    conv1                conv 2x2            3x3  w 2x2
    conv2                conv 2x2            2x2  w 2x2
    flatten1             flatten             4
    dense1               dense 1             1    w 1x4, b 1
    half_squared_error1  half_squared_error  ()

13 numbers are trained. The gradient of a layer's output is what the layer behind it returns for
its input; where several layers read it, theirs add up. What backward reads of the forward pass
is kept, not computed again.

Generated and proved by:

    python -m derive --network 'conv 2x2 > conv 2x2 > flatten > dense 1 > half_squared_error'
        --input 4x4 --name s2_two_convs
"""

import numpy as np

Params = dict[str, np.ndarray]
"""Parameters (or their gradients) by name."""

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (4, 4),
    "t": (1,),
    "conv1.w": (2, 2),
    "conv2.w": (2, 2),
    "dense1.w": (1, 4),
    "dense1.b": (1,),
    "y": (1,),
}

EQUATIONS = """\
# conv1: x = x
y[n,i,j] = sum[u,v](x[n,i+u,j+v] * w[u,v])
dx[n,a,b] = sum[u,v](dy[n,a-u,b-v] * w[u,v])  where 0 <= a - u < 3, 0 <= b - v < 3
dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,i+u,j+v])
# conv2: x = conv1
y[n,i,j] = sum[u,v](x[n,i+u,j+v] * w[u,v])
dx[n,a,b] = sum[u,v](dy[n,a-u,b-v] * w[u,v])  where 0 <= a - u < 2, 0 <= b - v < 2
dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,i+u,j+v])
# flatten1: x = conv2
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
    """x (..., 4, 4) -> y (..., 1)."""
    arrays, batch = _arrays(params, x=x)
    x = arrays["x"]
    conv1 = _conv1_forward(x, arrays["conv1.w"])
    conv2 = _conv2_forward(conv1, arrays["conv2.w"])
    flatten1 = _flatten1_forward(conv2)
    dense1 = _dense1_forward(flatten1, arrays["dense1.w"], arrays["dense1.b"])
    return dense1.reshape(*batch, 1)


def loss(x: np.ndarray, t: np.ndarray, params: Params) -> float:
    """x (..., 4, 4), t (..., 1) -> the loss, one number for the whole batch."""
    arrays, _ = _arrays(params, x=x, t=t)
    x, t = arrays["x"], arrays["t"]
    conv1 = _conv1_forward(x, arrays["conv1.w"])
    conv2 = _conv2_forward(conv1, arrays["conv2.w"])
    flatten1 = _flatten1_forward(conv2)
    dense1 = _dense1_forward(flatten1, arrays["dense1.w"], arrays["dense1.b"])
    half_squared_error1 = _half_squared_error1_forward(dense1, t)
    return np.asarray(half_squared_error1).item()


def gradients(x: np.ndarray, t: np.ndarray, params: Params) -> tuple[float, Params]:
    """The loss, and ∂L/∂(each parameter, and x) shaped like the tensor itself."""
    arrays, batch = _arrays(params, x=x, t=t)
    x, t = arrays["x"], arrays["t"]
    conv1 = _conv1_forward(x, arrays["conv1.w"])
    conv2 = _conv2_forward(conv1, arrays["conv2.w"])
    flatten1 = _flatten1_forward(conv2)
    dense1 = _dense1_forward(flatten1, arrays["dense1.w"], arrays["dense1.b"])
    half_squared_error1 = _half_squared_error1_forward(dense1, t)
    d_dense1 = _half_squared_error1_backward(dense1, t)
    d_flatten1, d_dense1_w, d_dense1_b = _dense1_backward(d_dense1, flatten1, arrays["dense1.w"])
    d_conv2 = _flatten1_backward(d_flatten1)
    d_conv1, d_conv2_w = _conv2_backward(d_conv2, conv1, arrays["conv2.w"])
    d_x, d_conv1_w = _conv1_backward(d_conv1, x, arrays["conv1.w"])
    return np.asarray(half_squared_error1).item(), {
        "conv1.w": d_conv1_w,
        "conv2.w": d_conv2_w,
        "dense1.w": d_dense1_w,
        "dense1.b": d_dense1_b,
        "x": d_x.reshape(*batch, 4, 4),
    }


def init(seed: int) -> Params:
    """Parameters to start from. conv1.w, conv2.w, dense1.w: normal with standard deviation
    sqrt(2 / fan-in) (He et al. 2015). dense1.b: zeros."""
    random = np.random.default_rng(seed)
    return {
        "conv1.w": random.standard_normal((2, 2)) * (2 / 4) ** 0.5,
        "conv2.w": random.standard_normal((2, 2)) * (2 / 4) ** 0.5,
        "dense1.w": random.standard_normal((1, 4)) * (2 / 4) ** 0.5,
        "dense1.b": np.zeros((1,)),
    }


def sgd_step(params: Params, grads: Params, rate: float) -> Params:
    """Every parameter one step against its gradient, p - rate * ∂L/∂p, in a fresh dict."""
    return {name: value - rate * grads[name] for name, value in params.items()}


def _conv1_forward(x, w):
    """conv 2x2: from x (..., 4, 4), w (2, 2)."""
    N, dtype = len(x), x.dtype
    # y[n,i,j] = sum[u,v](x[n,i+u,j+v] * w[u,v])
    y = np.zeros((N, 3, 3), dtype)
    for u in range(2):
        for v in range(2):
            y += x[:, u : u + 3, v : v + 3] * w[u, v]
    return y


def _conv1_backward(dy, x, w):
    """conv 2x2: from dy (..., 3, 3), x (..., 4, 4), w (2, 2)."""
    N, dtype = len(dy), dy.dtype
    # dx[n,i+u,j+v] += dy[n,i,j] * w[u,v]
    dx = np.zeros((N, 4, 4), dtype)
    for u in range(2):
        for v in range(2):
            dx[:, u : u + 3, v : v + 3] += dy * w[u, v]
    # dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,i+u,j+v])
    dw = np.zeros((2, 2), dtype)
    for u in range(2):
        for v in range(2):
            window = x[:, u : u + 3, v : v + 3]
            dw[u, v] = dy.ravel() @ window.ravel()
    return dx, dw


def _conv2_forward(x, w):
    """conv 2x2: from x (..., 3, 3), w (2, 2)."""
    N, dtype = len(x), x.dtype
    # y[n,i,j] = sum[u,v](x[n,i+u,j+v] * w[u,v])
    y = np.zeros((N, 2, 2), dtype)
    for u in range(2):
        for v in range(2):
            y += x[:, u : u + 2, v : v + 2] * w[u, v]
    return y


def _conv2_backward(dy, x, w):
    """conv 2x2: from dy (..., 2, 2), x (..., 3, 3), w (2, 2)."""
    N, dtype = len(dy), dy.dtype
    # dx[n,i+u,j+v] += dy[n,i,j] * w[u,v]
    dx = np.zeros((N, 3, 3), dtype)
    for u in range(2):
        for v in range(2):
            dx[:, u : u + 2, v : v + 2] += dy * w[u, v]
    # dw[u,v] = sum[n,i,j](dy[n,i,j] * x[n,i+u,j+v])
    dw = np.zeros((2, 2), dtype)
    for u in range(2):
        for v in range(2):
            window = x[:, u : u + 2, v : v + 2]
            dw[u, v] = dy.ravel() @ window.ravel()
    return dx, dw


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
    # y[n,i] = sum[j](w[i,j] * x[n,j]) + b[i]
    y = x @ w.T + b
    return y


def _dense1_backward(dy, x, w):
    """dense 1: from dy (..., 1), x (..., 4), w (1, 4)."""
    dtype = dy.dtype
    # dx[n,j] = sum[i](dy[n,i] * w[i,j])
    dx = dy[:, 0, None] * w[0, :]
    # dw[i,j] = sum[n](dy[n,i] * x[n,j])
    dw = dy.T @ x
    # db[i] = sum[n](dy[n,i])
    db = dy.sum(axis=0, dtype=dtype)
    return dx, dw, db


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
    arrays = {name: np.asarray(value) for name, value in {**given, **params}.items()}
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


_PARAMETERS = ("conv1.w", "conv2.w", "dense1.w", "dense1.b")
_INTEGER = ()
_SHAPE_OF = {}
