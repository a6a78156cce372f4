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

How layers are computed, from so many samples on (float32, float64):

    conv1           y: rows, 4 innermost
                    dw db: shifts, 8 innermost
                    dx: cascade, 8 innermost_back
    sigmoid1        y: taps
                    dx: entrywise
    conv2           y: rows, 2 innermost
                    dx: cascade, 4 innermost_back; dw db: shifts, 4 innermost
    sigmoid2        y: taps
                    dx: entrywise
    dense1          y: product
                    dx dw: product; db: taps

Scratch (float32) of all layers together is at most 1.5 MB a thread, kept between calls; layers
use some of it in turn, none of it grows with the batch.

Generated and proved by:

    python -m derive --network 'conv 5x5 filters=6 bias > sigmoid > subsample 2x2 > conv 5x5
        filters=12 bias > sigmoid > subsample 2x2 > flatten > dense 10 > cross_entropy' --input
        1x28x28 --name s7_lenet
"""

import threading

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


def gradients(
    x: np.ndarray, t: np.ndarray, params: Params, *, input_gradient: bool = True
) -> tuple[float, Params]:
    """The loss, and ∂L/∂(each parameter, and x) shaped like the tensor itself. Training needs no
    ``input_gradient``: without it ∂L/∂x is left out."""
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
    d_conv1_w, d_conv1_b = _conv1_backward(d_conv1, x)
    grads = {
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
    }
    if input_gradient:
        d_x = _conv1_backward_x(d_conv1, arrays["conv1.w"])
        grads["x"] = np.ascontiguousarray(d_x).reshape(*batch, 1, 28, 28)
    return np.asarray(cross_entropy1).item(), grads


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
    if x.dtype.char not in "fd":
        y = _conv1_forward_taps(x, w, b)
    elif len(x) < 4:
        y = _conv1_y_rows(x, w, b)
    else:
        y = _conv1_y_innermost(x, w, b)
    return y


def _conv1_backward(dy, x):
    """conv 5x5 filters=6 bias: from dy (..., 6, 24, 24), x (..., 1, 28, 28)."""
    if dy.dtype.char not in "fd":
        dw, db = _conv1_backward_taps(dy, x)
    elif len(dy) < 8:
        dw, db = _conv1_dw_db_shifts(dy, x)
    else:
        dw, db = _conv1_dw_db_innermost(dy, x)
    return dw, db


def _conv1_backward_x(dy, w):
    """conv 5x5 filters=6 bias: from dy (..., 6, 24, 24), w (6, 1, 5, 5)."""
    if dy.dtype.char not in "fd":
        dx = _conv1_backward_x_taps(dy, w)
    elif len(dy) < 8:
        dx = _conv1_dx_cascade(dy, w)
    else:
        dx = _conv1_dx_innermost_back(dy, w)
    return dx


def _conv1_forward_taps(x, w, b):
    """Any type of number, one tap at a time."""
    N, dtype = len(x), x.dtype
    # y[n,f,i,j] = sum[c,u,v](x[n,c,i+u,j+v] * w[f,c,u,v]) + b[f]
    y = np.zeros((N, 6, 24, 24), dtype)
    for u in range(5):
        for v in range(5):
            y += x[:, 0, None, u : u + 24, v : v + 24] * w[:, 0, u, v, None, None]
    y += b[:, None, None]
    return y


def _conv1_y_rows(x, w, b):
    """y[n] = kernel · blocks(x[n]): every row of the input as the windows along it, each written
    once for all windows that it is in; rows of ones meet the bias.
    """
    N, dtype = len(x), x.dtype
    kernel, taps, bias, inner, copied, windows, matrices = _room(_conv1_y_rows_room, dtype)
    taps[...] = w.reshape(6, 1, 5, 1, 5)
    bias[...] = b
    y = np.empty((N, 6, 24, 24), dtype)
    rows = y.swapaxes(1, 2)
    for n in range(N):
        inner[...] = x[n]
        windows[...] = copied
        np.matmul(kernel, matrices, out=rows[n])
    return y


def _conv1_y_rows_room(dtype):
    """Buffers of _conv1_y_rows, and the views of them that it reads and writes."""
    kernel = np.zeros((6, 5, 6), dtype)
    matrix = kernel.reshape(6, 30)
    taps = kernel[:, :, :5].reshape(6, 5, 1, 1, 5).transpose(0, 3, 1, 2, 4)
    # the first row of ones is enough; the others meet zeros
    bias = kernel[:, 0, 5]
    # only the sample itself is ever written
    padded = np.zeros((1, 28, 28), dtype)
    inner = padded[:, 0:28, 0:28]
    copied = _windows(padded, (28, 1, 1, 5, 24), (28, 28, 784, 1, 1))
    blocks = np.ones((28, 6, 24), dtype)
    windows = blocks[:, :5].reshape(28, 1, 1, 5, 24)
    # the matrices of neighbouring rows overlap
    matrices = _windows(blocks, (24, 30, 24), (144, 24, 1))
    return matrix, taps, bias, inner, copied, windows, matrices


def _conv1_y_innermost(x, w, b):
    """y: all samples together, up to 32, innermost in memory."""
    N, dtype = len(x), x.dtype
    kernel = np.zeros((6, 5, 6), dtype)
    kernel[..., :5] = w.reshape(6, 5, 5)
    kernel[:, 0, 5] = b
    kernel = kernel.reshape(6, 30)
    held = _shared("windows", 131712, dtype)
    y = np.empty((6, 24, 24, N), dtype)
    for n in range(0, N, 32):
        count = min(32, N - n)
        padded = np.ascontiguousarray(x[n : n + count].transpose(1, 2, 3, 0))
        width, pitch = 24 * count, 24 * count + 16
        blocks = held[: 168 * pitch].reshape(28, 6, pitch)
        blocks[:, 5] = 1
        shape = 28, 1, 5, width
        steps = 28 * count, 784 * count, count, 1
        blocks[:, :5, :width].reshape(shape)[...] = _windows(padded, shape, steps)
        made = y
        if count < N:
            made = np.empty((6, 24, 24, count), dtype)
        # the windows of every row of outputs, where they lie
        matrices = _windows(blocks, (24, 30, width), (6 * pitch, pitch, 1))
        rows = made.reshape(6, 24, width).swapaxes(0, 1)
        np.matmul(kernel, matrices, out=rows)
        if count < N:
            y[..., n : n + count] = made
    return y.transpose(3, 0, 1, 2)


def _conv1_backward_taps(dy, x):
    """Any type of number, one tap at a time."""
    dtype = dy.dtype
    # dw[f,c,u,v] = sum[n,i,j](dy[n,f,i,j] * x[n,c,i+u,j+v])
    dw = np.zeros((6, 1, 5, 5), dtype)
    for u in range(5):
        for v in range(5):
            window = x[:, :, u : u + 24, v : v + 24]
            dw[:, :, u, v] = np.tensordot(dy, window, axes=((0, 2, 3), (0, 2, 3)))
    # db[f] = sum[n,i,j](dy[n,f,i,j])
    db = dy.sum(axis=(0, 2, 3), dtype=dtype)
    return dw, db


def _conv1_dw_db_shifts(dy, x):
    """dw, db: windows of x along all axes but the first, then a product for each of its taps."""
    N, dtype = len(dy), dy.dtype
    inner, copied, windows, matrices, parts, ones = _room(_conv1_dw_db_shifts_room, dtype)
    by_place = dy.reshape(N, 6, 576).swapaxes(1, 2)
    sums = np.zeros((5, 1, 5, 6), dtype)
    for n in range(N):
        inner[...] = x[n]
        windows[...] = copied
        np.matmul(matrices, by_place[n], out=parts)
        sums += parts
    dw = sums.reshape(5, 1, 5, 6).transpose(3, 1, 0, 2)
    db = np.add.reduce(dy.reshape(N * 6, 576).dot(ones).reshape(N, 6), axis=0)
    return dw, db


def _conv1_dw_db_shifts_room(dtype):
    """Buffers of _conv1_dw_db_shifts, and the views of them that it reads and writes."""
    padded = np.zeros((1, 28, 28), dtype)
    inner = padded[:, 0:28, 0:28]
    copied = _windows(padded, (1, 5, 28, 24), (784, 1, 28, 1))
    columns = np.zeros((5, 688), dtype)
    windows = columns[:, :672].reshape(1, 5, 28, 24)
    # what every tap of the first axis reads, where it lies, in slices for BLAS
    matrices = _windows(columns, (5, 1, 5, 576), (24, 3440, 688, 1))
    parts = np.zeros((5, 1, 5, 6), dtype)
    ones = np.ones((576,), dtype)
    return inner, copied, windows, matrices, parts, ones


def _conv1_dw_db_innermost(dy, x):
    """dw, db: all samples together, up to 32, innermost in memory."""
    N, dtype = len(dy), dy.dtype
    held = _shared("windows", 131712, dtype)
    parts = _shared("parts", 4320, dtype)
    parts = parts.reshape(24, 30, 6)
    sums = np.zeros((30, 6), dtype)
    for n in range(0, N, 32):
        count = min(32, N - n)
        padded = np.ascontiguousarray(x[n : n + count].transpose(1, 2, 3, 0))
        width, pitch = 24 * count, 24 * count + 16
        blocks = held[: 168 * pitch].reshape(28, 6, pitch)
        blocks[:, 5] = 1
        shape = 28, 1, 5, width
        steps = 28 * count, 784 * count, count, 1
        blocks[:, :5, :width].reshape(shape)[...] = _windows(padded, shape, steps)
        # the windows of every row of outputs, where they lie
        matrices = _windows(blocks, (24, 30, width), (6 * pitch, pitch, 1))
        upstream = (
            np.ascontiguousarray(dy[n : n + count].transpose(1, 2, 3, 0))
            .reshape(6, 24, width)
            .transpose(1, 2, 0)
        )
        np.matmul(matrices, upstream, out=parts)
        sums += parts.sum(axis=0, dtype=dtype)
    return (
        sums.reshape(5, 6, 6)[:, :5].reshape(5, 1, 5, 6).transpose(3, 1, 0, 2),
        sums[5].reshape(6),
    )


def _conv1_backward_x_taps(dy, w):
    """Any type of number, one tap at a time."""
    N, dtype = len(dy), dy.dtype
    # dx[n,c,i+u,j+v] += sum[f](dy[n,f,i,j] * w[f,c,u,v])
    dx = np.zeros((N, 1, 28, 28), dtype)
    for u in range(5):
        for v in range(5):
            tap = np.matmul(w[:, :, u, v].T, dy.reshape(N, 6, 576))
            dx[:, :, u : u + 24, v : v + 24] += tap.reshape(N, 1, 24, 24)
    return dx


def _conv1_dx_cascade(dy, w):
    """dx = Σ over taps of kernelᵀ · dy, shifted: added up axis by axis, each tap's planes as one
    run.
    """
    N, dtype = len(dy), dy.dtype
    kernel, taps, inner, rows, products, stages, made = _room(_conv1_dx_cascade_room, dtype)
    taps[...] = w.transpose(3, 2, 1, 0)
    dx = np.empty((N, 1, 28, 28), dtype)
    for n in range(N):
        inner[...] = dy[n]
        np.matmul(kernel, rows, out=products)
        for shares, sums in stages:
            np.add(shares[0], shares[1], out=sums)
            for share in shares[2:]:
                sums += share
        dx[n] = made
    return dx


def _conv1_dx_cascade_room(dtype):
    """Buffers of _conv1_dx_cascade, and the views of them that it reads and writes."""
    kernel = np.zeros((25, 6), dtype)
    taps = kernel.reshape(5, 5, 1, 6)
    padded = np.zeros((6, 24, 28), dtype)
    inner = padded[:, :, :24]
    rows = padded.reshape(6, 672)
    taken = np.zeros((25, 784), dtype)
    products = taken[:, :672]
    # a shift is a view that starts earlier, where the share before ends in zeros
    along_v = _windows(taken, (5, 3920), (3919, 1))
    sums_v = np.zeros((3920,), dtype)
    along_u = _windows(sums_v, (5, 784), (756, 1))
    sums_u = np.zeros((784,), dtype)
    stages = (tuple(along_v), sums_v), (tuple(along_u), sums_u)
    made = sums_u.reshape(1, 28, 28)[:, 0:28, 0:28]
    return kernel, taps, inner, rows, products, stages, made


def _conv1_dx_innermost_back(dy, w):
    """dx: all samples together, up to 32, innermost in memory."""
    N, dtype = len(dy), dy.dtype
    kernel = w.transpose(2, 1, 0, 3).reshape(5, 30)
    edged = _shared("edged", 24576, dtype)
    held = _shared("windows", 108000, dtype)
    added = _shared("parts", 107520, dtype)
    dx = np.zeros((1, 28, 28, N), dtype)
    for n in range(0, N, 32):
        count = min(32, N - n)
        width, pitch = 28 * count, 112 * count + 16
        upstream = dy[n : n + count].transpose(1, 2, 3, 0)
        edged_rows = edged[: 768 * count]
        edged_rows = edged_rows.reshape(6, 4, 32, count)
        edged_rows[...] = 0
        inner = edged_rows[:, :, 4:28]
        shape = 6, 5, 4, width
        steps = 128 * count, -count, 32 * count, 1
        shifted = _windows(edged_rows, shape, steps, 4 * count)
        windows = held[: 30 * pitch].reshape(30, pitch)[:, : 4 * width]
        laid = windows.reshape(shape)
        columns = windows.reshape(30, 4, width).swapaxes(0, 1)
        rows = added[: 3360 * count]
        rows = rows.reshape(5, 24, width).swapaxes(0, 1)
        for top in range(0, 24, 4):
            inner[...] = upstream[:, top : top + 4]
            laid[...] = shifted
            np.matmul(kernel, columns, out=rows[top : top + 4])
        shares = added[: 3360 * count]
        shares = shares.reshape(5, 1, 24, 28, count)
        made = dx[..., n : n + count]
        for u in range(5):
            at = u
            made[:, at : at + 24] += shares[u]
    return dx.transpose(3, 0, 1, 2)


def _sigmoid1_forward(x):
    """sigmoid: from x (..., 6, 24, 24)."""
    y = _sigmoid1_forward_taps(x)
    return y


def _sigmoid1_backward(dy, y):
    """sigmoid: from dy (..., 6, 24, 24), y (..., 6, 24, 24)."""
    if dy.dtype.char not in "fd":
        dx = _sigmoid1_backward_taps(dy, y)
    else:
        dx = _sigmoid1_dx_entrywise(dy, y)
    return dx


def _sigmoid1_forward_taps(x):
    """Any type of number, one tap at a time."""
    # y[n,c,i,j] = sigmoid(x[n,c,i,j])
    y = _sigmoid(x)
    return y


def _sigmoid1_backward_taps(dy, y):
    """Any type of number, one tap at a time."""
    # dx[n,c,i,j] = dy[n,c,i,j] * y[n,c,i,j] * (1 - y[n,c,i,j])
    dx = dy * y * (1 - y)
    return dx


def _sigmoid1_dx_entrywise(dy, y):
    """Entry by entry, over what nobody reads afterwards."""
    # dx[n,c,i,j] = dy[n,c,i,j] * y[n,c,i,j] * (1 - y[n,c,i,j])
    dy *= y
    dy *= 1 - y
    return dy


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
    if x.dtype.char not in "fd":
        y = _conv2_forward_taps(x, w, b)
    elif len(x) < 2:
        y = _conv2_y_rows(x, w, b)
    else:
        y = _conv2_y_innermost(x, w, b)
    return y


def _conv2_backward(dy, x, w):
    """conv 5x5 filters=12 bias: from dy (..., 12, 8, 8), x (..., 6, 12, 12), w (12, 6, 5, 5)."""
    if dy.dtype.char not in "fd":
        dx, dw, db = _conv2_backward_taps(dy, x, w)
    elif len(dy) < 4:
        dx = _conv2_dx_cascade(dy, w)
        dw, db = _conv2_dw_db_shifts(dy, x)
    else:
        dx = _conv2_dx_innermost_back(dy, w)
        dw, db = _conv2_dw_db_innermost(dy, x)
    return dx, dw, db


def _conv2_forward_taps(x, w, b):
    """Any type of number, one tap at a time."""
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


def _conv2_y_rows(x, w, b):
    """y[n] = kernel · blocks(x[n]): every row of the input as the windows along it, each written
    once for all windows that it is in; rows of ones meet the bias.
    """
    N, dtype = len(x), x.dtype
    kernel, taps, bias, inner, copied, windows, matrices = _room(_conv2_y_rows_room, dtype)
    taps[...] = w.reshape(12, 6, 5, 1, 5)
    bias[...] = b
    y = np.empty((N, 12, 8, 8), dtype)
    rows = y.swapaxes(1, 2)
    for n in range(N):
        inner[...] = x[n]
        windows[...] = copied
        np.matmul(kernel, matrices, out=rows[n])
    return y


def _conv2_y_rows_room(dtype):
    """Buffers of _conv2_y_rows, and the views of them that it reads and writes."""
    kernel = np.zeros((12, 5, 31), dtype)
    matrix = kernel.reshape(12, 155)
    taps = kernel[:, :, :30].reshape(12, 5, 1, 6, 5).transpose(0, 3, 1, 2, 4)
    # the first row of ones is enough; the others meet zeros
    bias = kernel[:, 0, 30]
    # only the sample itself is ever written
    padded = np.zeros((6, 12, 12), dtype)
    inner = padded[:, 0:12, 0:12]
    copied = _windows(padded, (12, 1, 6, 5, 8), (12, 12, 144, 1, 1))
    blocks = np.ones((12, 31, 8), dtype)
    windows = blocks[:, :30].reshape(12, 1, 6, 5, 8)
    # the matrices of neighbouring rows overlap
    matrices = _windows(blocks, (8, 155, 8), (248, 8, 1))
    return matrix, taps, bias, inner, copied, windows, matrices


def _conv2_y_innermost(x, w, b):
    """y: all samples together, up to 32, innermost in memory."""
    N, dtype = len(x), x.dtype
    kernel = np.zeros((12, 5, 31), dtype)
    kernel[..., :30] = w.transpose(0, 2, 1, 3).reshape(12, 5, 30)
    kernel[:, 0, 30] = b
    kernel = kernel.reshape(12, 155)
    held = _shared("windows", 101184, dtype)
    y = np.empty((12, 8, 8, N), dtype)
    for n in range(0, N, 32):
        count = min(32, N - n)
        padded = np.ascontiguousarray(x[n : n + count].transpose(1, 2, 3, 0))
        width, pitch = 8 * count, 8 * count + 16
        blocks = held[: 372 * pitch].reshape(12, 31, pitch)
        blocks[:, 30] = 1
        shape = 12, 6, 5, width
        steps = 12 * count, 144 * count, count, 1
        blocks[:, :30, :width].reshape(shape)[...] = _windows(padded, shape, steps)
        made = y
        if count < N:
            made = np.empty((12, 8, 8, count), dtype)
        # the windows of every row of outputs, where they lie
        matrices = _windows(blocks, (8, 155, width), (31 * pitch, pitch, 1))
        rows = made.reshape(12, 8, width).swapaxes(0, 1)
        np.matmul(kernel, matrices, out=rows)
        if count < N:
            y[..., n : n + count] = made
    return y.transpose(3, 0, 1, 2)


def _conv2_backward_taps(dy, x, w):
    """Any type of number, one tap at a time."""
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


def _conv2_dx_cascade(dy, w):
    """dx = Σ over taps of kernelᵀ · dy, shifted: added up axis by axis, each tap's planes as one
    run.
    """
    N, dtype = len(dy), dy.dtype
    kernel, taps, inner, rows, products, stages, made = _room(_conv2_dx_cascade_room, dtype)
    taps[...] = w.transpose(3, 2, 1, 0)
    dx = np.empty((N, 6, 12, 12), dtype)
    for n in range(N):
        inner[...] = dy[n]
        np.matmul(kernel, rows, out=products)
        for shares, sums in stages:
            np.add(shares[0], shares[1], out=sums)
            for share in shares[2:]:
                sums += share
        dx[n] = made
    return dx


def _conv2_dx_cascade_room(dtype):
    """Buffers of _conv2_dx_cascade, and the views of them that it reads and writes."""
    kernel = np.zeros((150, 12), dtype)
    taps = kernel.reshape(5, 5, 6, 12)
    padded = np.zeros((12, 8, 12), dtype)
    inner = padded[:, :, :8]
    rows = padded.reshape(12, 96)
    taken = np.zeros((150, 144), dtype)
    products = taken[:, :96]
    # a shift is a view that starts earlier, where the share before ends in zeros
    along_v = _windows(taken, (5, 4320), (4319, 1))
    sums_v = np.zeros((4320,), dtype)
    along_u = _windows(sums_v, (5, 864), (852, 1))
    sums_u = np.zeros((864,), dtype)
    stages = (tuple(along_v), sums_v), (tuple(along_u), sums_u)
    made = sums_u.reshape(6, 12, 12)[:, 0:12, 0:12]
    return kernel, taps, inner, rows, products, stages, made


def _conv2_dw_db_shifts(dy, x):
    """dw, db: windows of x along all axes but the first, then a product for each of its taps."""
    N, dtype = len(dy), dy.dtype
    inner, copied, windows, matrices, parts, ones = _room(_conv2_dw_db_shifts_room, dtype)
    by_place = dy.reshape(N, 12, 64).swapaxes(1, 2)
    sums = np.zeros((5, 1, 30, 12), dtype)
    for n in range(N):
        inner[...] = x[n]
        windows[...] = copied
        np.matmul(matrices, by_place[n], out=parts)
        sums += parts
    dw = sums.reshape(5, 6, 5, 12).transpose(3, 1, 0, 2)
    db = np.add.reduce(dy.reshape(N * 12, 64).dot(ones).reshape(N, 12), axis=0)
    return dw, db


def _conv2_dw_db_shifts_room(dtype):
    """Buffers of _conv2_dw_db_shifts, and the views of them that it reads and writes."""
    padded = np.zeros((6, 12, 12), dtype)
    inner = padded[:, 0:12, 0:12]
    copied = _windows(padded, (6, 5, 12, 8), (144, 1, 12, 1))
    columns = np.zeros((30, 112), dtype)
    windows = columns[:, :96].reshape(6, 5, 12, 8)
    # what every tap of the first axis reads, where it lies, in slices for BLAS
    matrices = _windows(columns, (5, 1, 30, 64), (8, 3360, 112, 1))
    parts = np.zeros((5, 1, 30, 12), dtype)
    ones = np.ones((64,), dtype)
    return inner, copied, windows, matrices, parts, ones


def _conv2_dx_innermost_back(dy, w):
    """dx: all samples together, up to 32, innermost in memory."""
    N, dtype = len(dy), dy.dtype
    kernel = w.transpose(2, 1, 0, 3).reshape(30, 60)
    edged = _shared("edged", 24576, dtype)
    held = _shared("windows", 93120, dtype)
    added = _shared("parts", 92160, dtype)
    dx = np.zeros((6, 12, 12, N), dtype)
    for n in range(0, N, 32):
        count = min(32, N - n)
        width, pitch = 12 * count, 48 * count + 16
        upstream = dy[n : n + count].transpose(1, 2, 3, 0)
        edged_rows = edged[: 768 * count]
        edged_rows = edged_rows.reshape(12, 4, 16, count)
        edged_rows[...] = 0
        inner = edged_rows[:, :, 4:12]
        shape = 12, 5, 4, width
        steps = 64 * count, -count, 16 * count, 1
        shifted = _windows(edged_rows, shape, steps, 4 * count)
        windows = held[: 60 * pitch].reshape(60, pitch)[:, : 4 * width]
        laid = windows.reshape(shape)
        columns = windows.reshape(60, 4, width).swapaxes(0, 1)
        rows = added[: 2880 * count]
        rows = rows.reshape(30, 8, width).swapaxes(0, 1)
        for top in range(0, 8, 4):
            inner[...] = upstream[:, top : top + 4]
            laid[...] = shifted
            np.matmul(kernel, columns, out=rows[top : top + 4])
        shares = added[: 2880 * count]
        shares = shares.reshape(5, 6, 8, 12, count)
        made = dx[..., n : n + count]
        for u in range(5):
            at = u
            made[:, at : at + 8] += shares[u]
    return dx.transpose(3, 0, 1, 2)


def _conv2_dw_db_innermost(dy, x):
    """dw, db: all samples together, up to 32, innermost in memory."""
    N, dtype = len(dy), dy.dtype
    held = _shared("windows", 101184, dtype)
    turned = _shared("turned", 24576, dtype)
    parts = _shared("parts", 14880, dtype)
    parts = parts.reshape(8, 155, 12)
    sums = np.zeros((155, 12), dtype)
    for n in range(0, N, 32):
        count = min(32, N - n)
        padded = np.ascontiguousarray(x[n : n + count].transpose(1, 2, 3, 0))
        width, pitch = 8 * count, 8 * count + 16
        blocks = held[: 372 * pitch].reshape(12, 31, pitch)
        blocks[:, 30] = 1
        shape = 12, 6, 5, width
        steps = 12 * count, 144 * count, count, 1
        blocks[:, :30, :width].reshape(shape)[...] = _windows(padded, shape, steps)
        # the windows of every row of outputs, where they lie
        matrices = _windows(blocks, (8, 155, width), (31 * pitch, pitch, 1))
        laid = turned[: 768 * count].reshape(8, 8, count, 12)
        laid[...] = dy[n : n + count].transpose(2, 3, 0, 1)
        upstream = laid.reshape(8, width, 12)
        np.matmul(matrices, upstream, out=parts)
        sums += parts.sum(axis=0, dtype=dtype)
    return (
        sums.reshape(5, 31, 12)[:, :30].reshape(5, 6, 5, 12).transpose(3, 1, 0, 2),
        sums[30].reshape(12),
    )


def _sigmoid2_forward(x):
    """sigmoid: from x (..., 12, 8, 8)."""
    y = _sigmoid2_forward_taps(x)
    return y


def _sigmoid2_backward(dy, y):
    """sigmoid: from dy (..., 12, 8, 8), y (..., 12, 8, 8)."""
    if dy.dtype.char not in "fd":
        dx = _sigmoid2_backward_taps(dy, y)
    else:
        dx = _sigmoid2_dx_entrywise(dy, y)
    return dx


def _sigmoid2_forward_taps(x):
    """Any type of number, one tap at a time."""
    # y[n,c,i,j] = sigmoid(x[n,c,i,j])
    y = _sigmoid(x)
    return y


def _sigmoid2_backward_taps(dy, y):
    """Any type of number, one tap at a time."""
    # dx[n,c,i,j] = dy[n,c,i,j] * y[n,c,i,j] * (1 - y[n,c,i,j])
    dx = dy * y * (1 - y)
    return dx


def _sigmoid2_dx_entrywise(dy, y):
    """Entry by entry, over what nobody reads afterwards."""
    # dx[n,c,i,j] = dy[n,c,i,j] * y[n,c,i,j] * (1 - y[n,c,i,j])
    dy *= y
    dy *= 1 - y
    return dy


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
    if x.dtype.char not in "fd":
        y = _dense1_forward_taps(x, w, b)
    else:
        y = _dense1_y_product(x, w, b)
    return y


def _dense1_backward(dy, x, w):
    """dense 10: from dy (..., 10), x (..., 192), w (10, 192)."""
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
    y = np.dot(x.reshape(N, 192), w.transpose(1, 0)) + b.reshape(10)
    return y.reshape(N, 10)


def _dense1_backward_taps(dy, x, w):
    """Any type of number, one tap at a time."""
    dtype = dy.dtype
    # dx[n,j] = sum[i](dy[n,i] * w[i,j])
    dx = dy @ w
    # dw[i,j] = sum[n](dy[n,i] * x[n,j])
    dw = dy.T @ x
    # db[i] = sum[n](dy[n,i])
    db = dy.sum(axis=0, dtype=dtype)
    return dx, dw, db


def _dense1_dx_product(dy, w):
    """dx[n] = w · dy[n], one matrix product."""
    N = len(dy)
    dx = np.dot(dy.reshape(N, 10), w.reshape(10, 192))
    return dx.reshape(N, 192)


def _dense1_dw_product(x, dy):
    """dw = Σ x[n] · dy[n]ᵀ."""
    N = len(dy)
    dy = dy.reshape(N, 10)
    x = x.reshape(N, 192)
    if N == 1:
        # nothing to add up: each entry is one product
        total = dy.T * x
    else:
        total = dy.T @ x
    return total.reshape(10, 192).reshape(10, 192)


def _dense1_db_taps(dy):
    """Any type of number, one tap at a time."""
    dtype = dy.dtype
    # db[i] = sum[n](dy[n,i])
    db = dy.sum(axis=0, dtype=dtype)
    return db


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
            known = array.dtype.kind in "iu" and array.size > 0
            if known and array.min() >= 0 and array.max() < _CLASSES[name]:
                continue
            return None
        if array.dtype is not dtype:
            if dtype is not None or array.dtype not in _FLOATS:
                return None
            dtype = array.dtype
    return batch or None


_FLOATS = np.dtype(np.float32), np.dtype(np.float64)


def _sigmoid(z):
    """1 / (1 + exp(-z)), with no power of e above 1, so that nothing overflows."""
    value, total = np.exp(np.minimum(z, 0)), np.exp(-np.abs(z))
    total += 1
    value /= total
    return value


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


class _Shared(threading.local):
    """Buffers of a thread that functions use in turn."""

    def __init__(self):
        self.buffers = {}


_in_turn = _Shared()


def _shared(name, size, dtype):
    """``size`` numbers of a buffer that functions use in turn; what was left there is anything."""
    found = _in_turn.buffers.get((name, dtype))
    if found is None or len(found) < size:
        found = _in_turn.buffers[name, dtype] = np.empty(size, dtype)
    return found[:size]


def _windows(array, shape, steps, start=0):
    """A view of a buffer from its number ``start`` on, ``steps`` numbers apart along each axis."""
    size = array.itemsize
    return np.ndarray(shape, array.dtype, array, start * size, [step * size for step in steps])
