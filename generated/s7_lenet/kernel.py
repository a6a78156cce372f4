"""A network of 9 layers.

Layers, with the shape that each gives (without the batch) and its parameters:

    x                                         1x28x28
    conv1           conv 5x5 filters=6 bias   6x24x24  w 6x1x5x5, b 6
    sigmoid1        sigmoid                   6x24x24
    subsample1      subsample 2x2             6x12x12  beta 6, b 6
    conv2           conv 5x5 filters=12 bias  12x8x8   w 12x6x5x5, b 12
    sigmoid2        sigmoid                   12x8x8
    subsample2      subsample 2x2             12x4x4   beta 12, b 12
    flatten1        flatten                   192
    dense1          dense 10                  10       w 10x192, b 10
    cross_entropy1  cross_entropy             ()

3934 numbers are trained. The gradient of a layer's output is what the layer behind it returns
for its input; where several layers read it, theirs add up. What backward reads of the forward
pass is kept, not computed again.

Generated and proved by:

    python -m derive --network 'conv 5x5 filters=6 bias > sigmoid > subsample 2x2 > conv 5x5
        filters=12 bias > sigmoid > subsample 2x2 > flatten > dense 10 > cross_entropy' --input
        1x28x28 --name s7_lenet
"""

import numpy as np

Params = dict[str, np.ndarray]
"""Parameters (or their gradients) by name."""

SHAPES: dict[str, tuple[int, ...]] = {
    "x": (1, 28, 28),
    "t": (),
    "conv1.w": (6, 1, 5, 5),
    "conv1.b": (6,),
    "subsample1.beta": (6,),
    "subsample1.b": (6,),
    "conv2.w": (12, 6, 5, 5),
    "conv2.b": (12,),
    "subsample2.beta": (12,),
    "subsample2.b": (12,),
    "dense1.w": (10, 192),
    "dense1.b": (10,),
    "y": (10,),
}

EQUATIONS = """\
# conv1: x = x
y[n,f,i,j] = sum[c,u,v](x[n,c,i+u,j+v] * w[f,c,u,v]) + b[f]
dx[n,c,q,r] = sum[f,u,v](dy[n,f,q-u,r-v] * w[f,c,u,v])  where 0 <= q - u < 24, 0 <= r - v < 24
dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,i+u,j+v])
db[f] = sum[n,i,j](dy[n,f,i,j])
# sigmoid1: x = conv1
y[n,c,i,j] = sigmoid(x[n,c,i,j])
dx[n,c,i,j] = dy[n,c,i,j] * y[n,c,i,j] * (1 - y[n,c,i,j])
# subsample1: x = sigmoid1
y[n,c,i,j] = beta[c] * mean[u,v](x[n,c,2*i+u,2*j+v]) + b[c]
dx[n,c,q,r] = sum[u,v](dy[n,c,(q - u)/2,(r - v)/2] * beta[c] / 4)  where 2 | q - u, 2 | r - v
dbeta[c] = sum[n,i,j](dy[n,c,i,j] * mean[u,v](x[n,c,2*i+u,2*j+v]))
db[c] = sum[n,i,j](dy[n,c,i,j])
# conv2: x = subsample1
y[n,f,i,j] = sum[c,u,v](x[n,c,i+u,j+v] * w[f,c,u,v]) + b[f]
dx[n,c,q,r] = sum[f,u,v](dy[n,f,q-u,r-v] * w[f,c,u,v])  where 0 <= q - u < 8, 0 <= r - v < 8
dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,i+u,j+v])
db[f] = sum[n,i,j](dy[n,f,i,j])
# sigmoid2: x = conv2
y[n,c,i,j] = sigmoid(x[n,c,i,j])
dx[n,c,i,j] = dy[n,c,i,j] * y[n,c,i,j] * (1 - y[n,c,i,j])
# subsample2: x = sigmoid2
y[n,c,i,j] = beta[c] * mean[u,v](x[n,c,2*i+u,2*j+v]) + b[c]
dx[n,c,q,r] = sum[u,v](dy[n,c,(q - u)/2,(r - v)/2] * beta[c] / 4)  where 2 | q - u, 2 | r - v
dbeta[c] = sum[n,i,j](dy[n,c,i,j] * mean[u,v](x[n,c,2*i+u,2*j+v]))
db[c] = sum[n,i,j](dy[n,c,i,j])
# flatten1: x = subsample2
y[n,(c,i,j)] = x[n,c,i,j]
dx[n,c,i,j] = dy[n,(c,i,j)]
# dense1: x = flatten1
y[n,i] = sum[j](w[i,j] * x[n,j]) + b[i]
dx[n,j] = sum[i](dy[n,i] * w[i,j])
dw[i,j] = sum[n](dy[n,i] * x[n,j])
db[i] = sum[n](dy[n,i])
# cross_entropy1: x = dense1, t = t
m[n] = max[c](x[n,c])
z[n,c] = x[n,c] - m[n]
s[n] = sum[c](exp(z[n,c]))
y = mean[n](log(s[n]) - sum[c]((c == t[n]) * z[n,c]))
ds[n] = 1 / s[n] / N
dz[n,c] = (exp(z[n,c]) / s[n] - (c == t[n])) / N
dm[n] = 0
dx[n,c] = (exp(z[n,c]) / s[n] - (c == t[n])) / N
"""


def forward(x: np.ndarray, params: Params) -> np.ndarray:
    """x (..., 1, 28, 28) -> y (..., 10)."""
    arrays, batch = _arrays(params, x=x)
    x = arrays["x"]
    conv1 = _conv1_forward(x, arrays["conv1.w"], arrays["conv1.b"])
    sigmoid1 = _sigmoid1_forward(conv1)
    subsample1 = _subsample1_forward(sigmoid1, arrays["subsample1.beta"], arrays["subsample1.b"])
    conv2 = _conv2_forward(subsample1, arrays["conv2.w"], arrays["conv2.b"])
    sigmoid2 = _sigmoid2_forward(conv2)
    subsample2 = _subsample2_forward(sigmoid2, arrays["subsample2.beta"], arrays["subsample2.b"])
    flatten1 = _flatten1_forward(subsample2)
    dense1 = _dense1_forward(flatten1, arrays["dense1.w"], arrays["dense1.b"])
    return dense1.reshape(*batch, 10)


def loss(x: np.ndarray, t: np.ndarray, params: Params) -> float:
    """x (..., 1, 28, 28), t (...) -> the loss, one number for the whole batch."""
    arrays, _ = _arrays(params, x=x, t=t)
    x, t = arrays["x"], arrays["t"]
    conv1 = _conv1_forward(x, arrays["conv1.w"], arrays["conv1.b"])
    sigmoid1 = _sigmoid1_forward(conv1)
    subsample1 = _subsample1_forward(sigmoid1, arrays["subsample1.beta"], arrays["subsample1.b"])
    conv2 = _conv2_forward(subsample1, arrays["conv2.w"], arrays["conv2.b"])
    sigmoid2 = _sigmoid2_forward(conv2)
    subsample2 = _subsample2_forward(sigmoid2, arrays["subsample2.beta"], arrays["subsample2.b"])
    flatten1 = _flatten1_forward(subsample2)
    dense1 = _dense1_forward(flatten1, arrays["dense1.w"], arrays["dense1.b"])
    cross_entropy1, _, _ = _cross_entropy1_forward(dense1, t)
    return np.asarray(cross_entropy1).item()


def gradients(x: np.ndarray, t: np.ndarray, params: Params) -> tuple[float, Params]:
    """The loss, and ∂L/∂(each parameter, and x) shaped like the tensor itself."""
    arrays, batch = _arrays(params, x=x, t=t)
    x, t = arrays["x"], arrays["t"]
    conv1 = _conv1_forward(x, arrays["conv1.w"], arrays["conv1.b"])
    sigmoid1 = _sigmoid1_forward(conv1)
    subsample1 = _subsample1_forward(sigmoid1, arrays["subsample1.beta"], arrays["subsample1.b"])
    conv2 = _conv2_forward(subsample1, arrays["conv2.w"], arrays["conv2.b"])
    sigmoid2 = _sigmoid2_forward(conv2)
    subsample2 = _subsample2_forward(sigmoid2, arrays["subsample2.beta"], arrays["subsample2.b"])
    flatten1 = _flatten1_forward(subsample2)
    dense1 = _dense1_forward(flatten1, arrays["dense1.w"], arrays["dense1.b"])
    cross_entropy1, cross_entropy1_z, cross_entropy1_s = _cross_entropy1_forward(dense1, t)
    d_dense1 = _cross_entropy1_backward(t, cross_entropy1_z, cross_entropy1_s)
    d_flatten1, d_dense1_w, d_dense1_b = _dense1_backward(d_dense1, flatten1, arrays["dense1.w"])
    d_subsample2 = _flatten1_backward(d_flatten1)
    d_sigmoid2, d_subsample2_beta, d_subsample2_b = _subsample2_backward(
        d_subsample2, sigmoid2, arrays["subsample2.beta"]
    )
    d_conv2 = _sigmoid2_backward(d_sigmoid2, sigmoid2)
    d_subsample1, d_conv2_w, d_conv2_b = _conv2_backward(d_conv2, subsample1, arrays["conv2.w"])
    d_sigmoid1, d_subsample1_beta, d_subsample1_b = _subsample1_backward(
        d_subsample1, sigmoid1, arrays["subsample1.beta"]
    )
    d_conv1 = _sigmoid1_backward(d_sigmoid1, sigmoid1)
    d_x, d_conv1_w, d_conv1_b = _conv1_backward(d_conv1, x, arrays["conv1.w"])
    return np.asarray(cross_entropy1).item(), {
        "conv1.w": d_conv1_w,
        "conv1.b": d_conv1_b,
        "subsample1.beta": d_subsample1_beta,
        "subsample1.b": d_subsample1_b,
        "conv2.w": d_conv2_w,
        "conv2.b": d_conv2_b,
        "subsample2.beta": d_subsample2_beta,
        "subsample2.b": d_subsample2_b,
        "dense1.w": d_dense1_w,
        "dense1.b": d_dense1_b,
        "x": d_x.reshape(*batch, 1, 28, 28),
    }


def init(seed: int) -> Params:
    """Parameters to start from. conv1.w, conv2.w, dense1.w: normal with standard deviation
    sqrt(2 / fan-in) (He et al. 2015). conv1.b, subsample1.b, conv2.b, subsample2.b, dense1.b:
    zeros. subsample1.beta, subsample2.beta: ones."""
    random = np.random.default_rng(seed)
    return {
        "conv1.w": random.standard_normal((6, 1, 5, 5)) * (2 / 25) ** 0.5,
        "conv1.b": np.zeros((6,)),
        "subsample1.beta": np.ones((6,)),
        "subsample1.b": np.zeros((6,)),
        "conv2.w": random.standard_normal((12, 6, 5, 5)) * (2 / 150) ** 0.5,
        "conv2.b": np.zeros((12,)),
        "subsample2.beta": np.ones((12,)),
        "subsample2.b": np.zeros((12,)),
        "dense1.w": random.standard_normal((10, 192)) * (2 / 192) ** 0.5,
        "dense1.b": np.zeros((10,)),
    }


def sgd_step(params: Params, grads: Params, rate: float) -> Params:
    """Every parameter one step against its gradient, p - rate * ∂L/∂p, in a fresh dict."""
    return {name: value - rate * grads[name] for name, value in params.items()}


def _conv1_forward(x, w, b):
    """conv 5x5 filters=6 bias: from x (..., 1, 28, 28), w (6, 1, 5, 5), b (6,)."""
    N, dtype = len(x), x.dtype
    # y[n,f,i,j] = sum[c,u,v](x[n,c,i+u,j+v] * w[f,c,u,v]) + b[f]
    y = np.zeros((N, 6, 24, 24), dtype)
    for u in range(5):
        for v in range(5):
            y += x[:, 0, None, u : u + 24, v : v + 24] * w[:, 0, u, v, None, None]
    y += b[:, None, None]
    return y


def _conv1_backward(dy, x, w):
    """conv 5x5 filters=6 bias: from dy (..., 6, 24, 24), x (..., 1, 28, 28), w (6, 1, 5, 5)."""
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


def _sigmoid1_forward(x):
    """sigmoid: from x (..., 6, 24, 24)."""
    # y[n,c,i,j] = sigmoid(x[n,c,i,j])
    y = np.exp(-np.logaddexp(0, -x))
    return y


def _sigmoid1_backward(dy, y):
    """sigmoid: from dy (..., 6, 24, 24), y (..., 6, 24, 24)."""
    # dx[n,c,i,j] = dy[n,c,i,j] * y[n,c,i,j] * (1 - y[n,c,i,j])
    dx = dy * y * (1 - y)
    return dx


def _subsample1_forward(x, beta, b):
    """subsample 2x2: from x (..., 6, 24, 24), beta (6,), b (6,)."""
    N, dtype = len(x), x.dtype
    # y[n,c,i,j] = beta[c] * mean[u,v](x[n,c,2*i+u,2*j+v]) + b[c]
    mean_uv = np.zeros((N, 6, 12, 12), dtype)
    for u in range(2):
        for v in range(2):
            mean_uv += x[:, :, u : u + 23 : 2, v : v + 23 : 2]
    mean_uv = mean_uv / 4
    y = beta[:, None, None] * mean_uv + b[:, None, None]
    return y


def _subsample1_backward(dy, x, beta):
    """subsample 2x2: from dy (..., 6, 12, 12), x (..., 6, 24, 24), beta (6,)."""
    N, dtype = len(dy), dy.dtype
    # dx[n,c,2*i+u,2*j+v] += dy[n,c,i,j] * beta[c] / 4
    dx = np.zeros((N, 6, 24, 24), dtype)
    for u in range(2):
        for v in range(2):
            dx[:, :, u : u + 23 : 2, v : v + 23 : 2] += dy * beta[:, None, None] / 4
    # dbeta[c] = sum[n,i,j](dy[n,c,i,j] * mean[u,v](x[n,c,2*i+u,2*j+v]))
    mean_uv = np.zeros((N, 6, 12, 12), dtype)
    for u in range(2):
        for v in range(2):
            mean_uv += x[:, :, u : u + 23 : 2, v : v + 23 : 2]
    mean_uv = mean_uv / 4
    products = np.matmul(dy.reshape(N, 6, 1, 144), mean_uv.reshape(N, 6, 144, 1))
    dbeta = products.reshape(N, 6).sum(axis=0, dtype=dtype)
    # db[c] = sum[n,i,j](dy[n,c,i,j])
    db = dy.sum(axis=(0, 2, 3), dtype=dtype)
    return dx, dbeta, db


def _conv2_forward(x, w, b):
    """conv 5x5 filters=12 bias: from x (..., 6, 12, 12), w (12, 6, 5, 5), b (12,)."""
    N, dtype = len(x), x.dtype
    # y[n,f,i,j] = sum[c,u,v](x[n,c,i+u,j+v] * w[f,c,u,v]) + b[f]
    y = np.zeros((N, 12, 8, 8), dtype)
    for u in range(5):
        for v in range(5):
            window = x[:, :, u : u + 8, v : v + 8]
            tap = np.matmul(w[:, :, u, v], window.reshape(N, 6, 64))
            y += tap.reshape(N, 12, 8, 8)
    y += b[:, None, None]
    return y


def _conv2_backward(dy, x, w):
    """conv 5x5 filters=12 bias: from dy (..., 12, 8, 8), x (..., 6, 12, 12), w (12, 6, 5, 5)."""
    N, dtype = len(dy), dy.dtype
    # dx[n,c,i+u,j+v] += sum[f](dy[n,f,i,j] * w[f,c,u,v])
    dx = np.zeros((N, 6, 12, 12), dtype)
    for u in range(5):
        for v in range(5):
            tap = np.matmul(w[:, :, u, v].T, dy.reshape(N, 12, 64))
            dx[:, :, u : u + 8, v : v + 8] += tap.reshape(N, 6, 8, 8)
    # dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,i+u,j+v])
    dw = np.zeros((12, 6, 5, 5), dtype)
    for u in range(5):
        for v in range(5):
            window = x[:, :, u : u + 8, v : v + 8]
            dw[:, :, u, v] = np.tensordot(dy, window, axes=((0, 2, 3), (0, 2, 3)))
    # db[f] = sum[n,i,j](dy[n,f,i,j])
    db = dy.sum(axis=(0, 2, 3), dtype=dtype)
    return dx, dw, db


def _sigmoid2_forward(x):
    """sigmoid: from x (..., 12, 8, 8)."""
    # y[n,c,i,j] = sigmoid(x[n,c,i,j])
    y = np.exp(-np.logaddexp(0, -x))
    return y


def _sigmoid2_backward(dy, y):
    """sigmoid: from dy (..., 12, 8, 8), y (..., 12, 8, 8)."""
    # dx[n,c,i,j] = dy[n,c,i,j] * y[n,c,i,j] * (1 - y[n,c,i,j])
    dx = dy * y * (1 - y)
    return dx


def _subsample2_forward(x, beta, b):
    """subsample 2x2: from x (..., 12, 8, 8), beta (12,), b (12,)."""
    N, dtype = len(x), x.dtype
    # y[n,c,i,j] = beta[c] * mean[u,v](x[n,c,2*i+u,2*j+v]) + b[c]
    mean_uv = np.zeros((N, 12, 4, 4), dtype)
    for u in range(2):
        for v in range(2):
            mean_uv += x[:, :, u : u + 7 : 2, v : v + 7 : 2]
    mean_uv = mean_uv / 4
    y = beta[:, None, None] * mean_uv + b[:, None, None]
    return y


def _subsample2_backward(dy, x, beta):
    """subsample 2x2: from dy (..., 12, 4, 4), x (..., 12, 8, 8), beta (12,)."""
    N, dtype = len(dy), dy.dtype
    # dx[n,c,2*i+u,2*j+v] += dy[n,c,i,j] * beta[c] / 4
    dx = np.zeros((N, 12, 8, 8), dtype)
    for u in range(2):
        for v in range(2):
            dx[:, :, u : u + 7 : 2, v : v + 7 : 2] += dy * beta[:, None, None] / 4
    # dbeta[c] = sum[n,i,j](dy[n,c,i,j] * mean[u,v](x[n,c,2*i+u,2*j+v]))
    mean_uv = np.zeros((N, 12, 4, 4), dtype)
    for u in range(2):
        for v in range(2):
            mean_uv += x[:, :, u : u + 7 : 2, v : v + 7 : 2]
    mean_uv = mean_uv / 4
    products = np.matmul(dy.reshape(N, 12, 1, 16), mean_uv.reshape(N, 12, 16, 1))
    dbeta = products.reshape(N, 12).sum(axis=0, dtype=dtype)
    # db[c] = sum[n,i,j](dy[n,c,i,j])
    db = dy.sum(axis=(0, 2, 3), dtype=dtype)
    return dx, dbeta, db


def _flatten1_forward(x):
    """flatten: from x (..., 12, 4, 4)."""
    # y[n,(c,i,j)] = x[n,c,i,j]
    y = x.copy()
    return y.reshape(-1, 192)


def _flatten1_backward(dy):
    """flatten: from dy (..., 192)."""
    dy = dy.reshape(-1, 12, 4, 4)
    # dx[n,c,i,j] = dy[n,(c,i,j)]
    dx = dy.copy()
    return dx


def _dense1_forward(x, w, b):
    """dense 10: from x (..., 192), w (10, 192), b (10,)."""
    # y[n,i] = sum[j](w[i,j] * x[n,j]) + b[i]
    y = x @ w.T + b
    return y


def _dense1_backward(dy, x, w):
    """dense 10: from dy (..., 10), x (..., 192), w (10, 192)."""
    dtype = dy.dtype
    # dx[n,j] = sum[i](dy[n,i] * w[i,j])
    dx = dy @ w
    # dw[i,j] = sum[n](dy[n,i] * x[n,j])
    dw = dy.T @ x
    # db[i] = sum[n](dy[n,i])
    db = dy.sum(axis=0, dtype=dtype)
    return dx, dw, db


def _cross_entropy1_forward(x, t):
    """cross_entropy: from x (..., 10), t (...,)."""
    N, dtype = len(x), x.dtype
    # m[n] = max[c](x[n,c])
    m = x.max(axis=1)
    # z[n,c] = x[n,c] - m[n]
    z = x - m[:, None]
    # s[n] = sum[c](exp(z[n,c]))
    s = np.exp(z).sum(axis=1, dtype=dtype)
    # y = mean[n](log(s[n]) - sum[c]((c == t[n]) * z[n,c]))
    sum_c = np.where(np.arange(10) == t[:, None], z, 0).sum(axis=1, dtype=dtype)
    y = (np.log(s) - sum_c).sum(dtype=dtype) / N
    return y, z, s


def _cross_entropy1_backward(t, z, s):
    """cross_entropy: from t (...,), z (..., 10), s (...,)."""
    N, dtype = len(z), z.dtype
    # dx[n,c] = (exp(z[n,c]) / s[n] - (c == t[n])) / N
    dx = (np.exp(z) / s[:, None] - (np.arange(10) == t[:, None]).astype(dtype)) / N
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
        if name in _CLASSES:
            known = np.isin(array, np.arange(_CLASSES[name]))
            if not known.all():
                wrong, last = array[~known][0], _CLASSES[name] - 1
                raise ValueError(f"{name} holds {wrong}, but the classes are 0 to {last}")
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


_PARAMETERS = (
    "conv1.w",
    "conv1.b",
    "subsample1.beta",
    "subsample1.b",
    "conv2.w",
    "conv2.b",
    "subsample2.beta",
    "subsample2.b",
    "dense1.w",
    "dense1.b",
)
_INTEGER = ("t",)
_CLASSES = {"t": 10}
_SHAPE_OF = {}
