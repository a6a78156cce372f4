"""A network of 2 layers.

Layers, with the shape that each gives (without the batch) and its parameters:

    x                                            3x4x4
    conv1  conv 3x3 filters=2 padding=same bias  2x4x4  w 2x3x3x3, b 2
    relu1  relu                                  2x4x4

56 numbers are trained. The gradient of a layer's output is what the layer behind it returns for
its input; where several layers read it, theirs add up. What backward reads of the forward pass
is kept, not computed again.

Generated and proved by:

    python -m derive --network 'conv 3x3 filters=2 padding=same bias > relu' --input 3x4x4
        --name s6_volumes
"""

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


def gradients(dy: np.ndarray, x: np.ndarray, params: Params) -> Params:
    """∂L/∂(each parameter, and x) for a given dy = ∂L/∂y: the network has no loss layer."""
    arrays, batch = _arrays(params, dy=dy, x=x)
    dy, x = arrays["dy"], arrays["x"]
    conv1 = _conv1_forward(x, arrays["conv1.w"], arrays["conv1.b"])
    d_relu1 = dy
    d_conv1 = _relu1_backward(d_relu1, conv1)
    d_x, d_conv1_w, d_conv1_b = _conv1_backward(d_conv1, x, arrays["conv1.w"])
    return {
        "conv1.w": d_conv1_w,
        "conv1.b": d_conv1_b,
        "x": d_x.reshape(*batch, 3, 4, 4),
    }


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


def _conv1_backward(dy, x, w):
    """conv 3x3 filters=2 padding=same bias: from dy (..., 2, 4, 4), x (..., 3, 4, 4), w (2, 3,
    3, 3)."""
    N, dtype = len(dy), dy.dtype
    dy_padded = np.zeros((N, 2, 6, 6), dtype)
    dy_padded[:, :, 1:5, 1:5] = dy
    x_padded = np.zeros((N, 3, 6, 6), dtype)
    x_padded[:, :, 1:5, 1:5] = x
    # dx[n,c,q,r] = sum[f,u,v](dy[n,f,q + 1 - u,r + 1 - v] * w[f,c,u,v])  where 0 <= q + 1 - u < 4,
    #     0 <= r + 1 - v < 4
    dx = np.zeros((N, 3, 4, 4), dtype)
    for u in range(3):
        for v in range(3):
            window = dy_padded[:, :, 2 - u : 6 - u, 2 - v : 6 - v]
            tap = np.matmul(w[:, :, u, v].T, window.reshape(N, 2, 16))
            dx += tap.reshape(N, 3, 4, 4)
    # dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,i + u - 1,j + v - 1])
    dw = np.zeros((2, 3, 3, 3), dtype)
    for u in range(3):
        for v in range(3):
            window = dy_padded[:, :, 1:5, 1:5]
            x_padded_window = x_padded[:, :, u : u + 4, v : v + 4]
            dw[:, :, u, v] = np.tensordot(window, x_padded_window, axes=((0, 2, 3), (0, 2, 3)))
    # db[f] = sum[n,i,j](dy[n,f,i,j])
    db = dy_padded[:, :, 1:5, 1:5].sum(axis=(0, 2, 3), dtype=dtype)
    return dx, dw, db


def _relu1_forward(x):
    """relu: from x (..., 2, 4, 4)."""
    # y[n,c,i,j] = relu(x[n,c,i,j])
    y = np.maximum(x, 0)
    return y


def _relu1_backward(dy, x):
    """relu: from dy (..., 2, 4, 4), x (..., 2, 4, 4)."""
    # dx[n,c,i,j] = dy[n,c,i,j] * where(x[n,c,i,j] > 0, 1, 0)
    dx = np.where(x > 0, dy, 0)
    return dx


def _arrays(params, **given):
    """All tensors by name, of one dtype, data as (N, ...), and the batch axes that data share."""
    if params.keys() != set(_PARAMETERS):
        lacking = [name for name in _PARAMETERS if name not in params]
        unknown = [name for name in params if name not in _PARAMETERS]
        raise ValueError(f"params lacks {lacking}" if lacking else f"params has unknown {unknown}")
    arrays = {name: np.asarray(value) for name, value in {**given, **params}.items()}
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
