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
    conv1, _ = _conv1_forward(x, arrays["conv1.w"], arrays["conv1.b"], keep=False)
    sigmoid1 = _sigmoid1_forward(conv1)
    subsample1 = _subsample1_forward(sigmoid1, arrays["subsample1.beta"], arrays["subsample1.b"])
    conv2, _ = _conv2_forward(subsample1, arrays["conv2.w"], arrays["conv2.b"], keep=False)
    sigmoid2 = _sigmoid2_forward(conv2)
    subsample2 = _subsample2_forward(sigmoid2, arrays["subsample2.beta"], arrays["subsample2.b"])
    flatten1 = _flatten1_forward(subsample2)
    dense1 = _dense1_forward(flatten1, arrays["dense1.w"], arrays["dense1.b"])
    return dense1.reshape(*batch, 10)


def loss(x: np.ndarray, t: np.ndarray, params: Params) -> float:
    """x (..., 1, 28, 28), t (...) -> the loss, one number for the whole batch."""
    arrays, _ = _arrays(params, x=x, t=t)
    x, t = arrays["x"], arrays["t"]
    conv1, _ = _conv1_forward(x, arrays["conv1.w"], arrays["conv1.b"], keep=False)
    sigmoid1 = _sigmoid1_forward(conv1)
    subsample1 = _subsample1_forward(sigmoid1, arrays["subsample1.beta"], arrays["subsample1.b"])
    conv2, _ = _conv2_forward(subsample1, arrays["conv2.w"], arrays["conv2.b"], keep=False)
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
    conv1, conv1_columns = _conv1_forward(x, arrays["conv1.w"], arrays["conv1.b"], keep=True)
    sigmoid1 = _sigmoid1_forward(conv1)
    subsample1 = _subsample1_forward(sigmoid1, arrays["subsample1.beta"], arrays["subsample1.b"])
    conv2, conv2_columns = _conv2_forward(
        subsample1, arrays["conv2.w"], arrays["conv2.b"], keep=True
    )
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
    d_subsample1, d_conv2_w, d_conv2_b = _conv2_backward(
        d_conv2, subsample1, arrays["conv2.w"], conv2_columns
    )
    d_sigmoid1, d_subsample1_beta, d_subsample1_b = _subsample1_backward(
        d_subsample1, sigmoid1, arrays["subsample1.beta"]
    )
    d_conv1 = _sigmoid1_backward(d_sigmoid1, sigmoid1)
    d_conv1_w, d_conv1_b = _conv1_backward(d_conv1, x, conv1_columns)
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
        grads["x"] = d_x.reshape(*batch, 1, 28, 28)
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


def _conv1_forward(x, w, b, keep):
    """conv 5x5 filters=6 bias: from x (..., 1, 28, 28), w (6, 1, 5, 5), b (6,)."""
    if x.dtype.char not in "fd":
        y = _conv1_forward_taps(x, w, b)
        columns = None
    elif len(x) < 4:
        y, columns = _conv1_y_columns(x, w, b, keep)
    else:
        y = _conv1_y_batch_last(x, w, b)
        columns = None
    return y, columns


def _conv1_backward(dy, x, columns):
    """conv 5x5 filters=6 bias: from dy (..., 6, 24, 24), x (..., 1, 28, 28)."""
    if dy.dtype.char not in "fd":
        dw, db = _conv1_backward_taps(dy, x)
    elif len(dy) < 2:
        dw, db = _conv1_dw_db_correlate(dy, columns)
    elif len(dy) < 8:
        dw, db = _conv1_dw_db_shifts(dy, x)
    else:
        dw, db = _conv1_dw_db_batch_last(dy, x)
    return dw, db


def _conv1_backward_x(dy, w):
    """conv 5x5 filters=6 bias: from dy (..., 6, 24, 24), w (6, 1, 5, 5)."""
    if dy.dtype.char not in "fd":
        dx = _conv1_backward_x_taps(dy, w)
    elif len(dy) < 8:
        dx = _conv1_dx_cascade(dy, w)
    else:
        dx = _conv1_dx_batch_last(dy, w)
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


def _conv1_y_columns(x, w, b, keep):
    """y[n] = kernel · columns(x[n]): all windows of one sample as the columns of a matrix with a
    row for every channel and tap; a row of ones meets the bias.

    With keep, those of all samples are handed on, 59904 bytes each.
    """
    N, dtype = len(x), x.dtype
    kernel = np.empty((6, 26), dtype)
    kernel[:, :25] = w.reshape(6, 25)
    kernel[:, 25] = b
    padded = _scratch("conv1_y_columns_padded", (1, 28, 28), dtype)
    inner = padded[:, 0:28, 0:28]
    shape, steps = (1, 5, 5, 24, 24), (784, 28, 1, 28, 1)
    if keep:
        columns = np.empty((N, 26, 576), dtype)
    else:
        columns = _scratch("conv1_y_columns", (1, 26, 576), dtype)
    columns[:, 25] = 1
    y = np.empty((N, 6, 576), dtype)
    for n in range(N):
        inner[...] = x[n].reshape(inner.shape)
        columns[n * keep, :25].reshape(shape)[...] = _windows(padded, shape, steps)
        np.matmul(kernel, columns[n * keep], out=y[n])
    return y.reshape(N, 6, 24, 24), columns


def _conv1_y_batch_last(x, w, b):
    """y: 8 samples at a time, samples innermost: runs are long."""
    N, dtype = len(x), x.dtype
    made = _scratch("conv1_y_batch_last_made", (6, 4624), dtype)[:, :4608]
    kernel = np.zeros((6, 5, 6), dtype)
    kernel[..., :5] = w.reshape(6, 1, 25).reshape(6, 1, 5, 5).swapaxes(1, 2).reshape(6, 5, 5)
    kernel[:, 0, 5] = b
    kernel = kernel.reshape(6, 30)
    padded = _scratch("conv1_y_batch_last_padded", (1, 28, 28, 8), dtype)
    inner = padded[:, 0:28, 0:28, 0:8]
    shape, steps = (1, 1, 5, 1, 28, 24, 8), (6272, 224, 8, 1, 224, 8, 1)
    copied = _windows(padded, shape, steps).transpose(4, 0, 1, 2, 3, 5, 6)
    blocks = _scratch("conv1_y_batch_last_blocks", (28, 6, 208), dtype)
    blocks[:, 5] = 1
    windows = blocks[:, :5, :192].reshape(copied.shape)
    # the windows of every row of outputs, where they lie
    matrices = _windows(blocks, (24, 30, 192), (1248, 208, 1))
    rows = made.reshape(6, 24, 192).swapaxes(0, 1)
    y = np.empty((N, 6, 576), dtype)
    for n in range(0, N, 8):
        count = min(8, N - n)
        inner[..., :count] = x[n : n + 8].reshape(count, 1, 28, 28).transpose(1, 2, 3, 0)
        inner[..., count:] = 0
        windows[...] = copied
        np.matmul(kernel, matrices, out=rows)
        y[n : n + 8] = made.reshape(6, 576, 8)[..., :count].transpose(2, 0, 1)
    return y.reshape(N, 6, 24, 24)


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


def _conv1_dw_db_correlate(dy, columns):
    """dw = Σ columns(x[n]) · dy[n]ᵀ of the columns that the forward pass kept; a row of ones
    adds up the bias's.
    """
    N, dtype = len(dy), dy.dtype
    by_place = dy.reshape(N, 6, 576).swapaxes(-1, -2)
    part = _scratch("conv1_dw_db_correlate_part", (26, 6), dtype)
    total = np.zeros((26, 6), dtype)
    for n in range(N):
        np.matmul(columns[n], by_place[n], out=part)
        total += part
    dw = total[:25].reshape(1, 5, 5, 6).transpose(3, 0, 1, 2).reshape(6, 1, 5, 5)
    return dw, total[25].reshape(6)


def _conv1_dw_db_shifts(dy, x):
    """dw, db: windows of x along all axes but the first, then a product for each of its taps; 32
    samples at a time.
    """
    N, dtype = len(dy), dy.dtype
    by_place = dy.reshape(N, 1, 1, 6, 576).swapaxes(-1, -2)
    padded = _scratch("conv1_dw_db_shifts_padded", (32, 1, 28, 28), dtype)
    inner = padded[:, :, 0:28, 0:28]
    shape = 32, 1, 5, 28, 24
    copied = _windows(padded, shape, (784, 784, 1, 28, 1))
    columns = _scratch("conv1_dw_db_shifts_columns", (32, 5, 688), dtype)
    windows = columns[..., :672].reshape(shape)
    # what every tap of the first axis reads, where it lies, in slices for BLAS
    matrices = _windows(columns, (32, 5, 1, 5, 576), (3440, 24, 3440, 688, 1))
    parts = _scratch("conv1_dw_db_shifts_parts", (32, 5, 1, 5, 6), dtype)
    sums = np.zeros((5, 1, 5, 6), dtype)
    for n in range(0, N, 32):
        count = min(32, N - n)
        inner[:count] = x[n : n + 32].reshape(count, 1, 28, 28)
        windows[:count] = copied[:count]
        np.matmul(matrices[:count], by_place[n : n + 32], out=parts[:count])
        sums += parts[:count].sum(axis=0, dtype=dtype)
    dw = (
        sums.reshape(5, 1, 5, 6)
        .swapaxes(0, 1)
        .reshape(1, 5, 5, 6)
        .transpose(3, 0, 1, 2)
        .reshape(6, 1, 5, 5)
    )
    return (
        dw,
        (dy.reshape(N * 6, 576) @ np.ones(576, dtype))
        .reshape(N, 6)
        .sum(axis=0, dtype=dtype)
        .reshape(6),
    )


def _conv1_dw_db_batch_last(dy, x):
    """dw, db: 8 samples at a time, samples innermost: runs are long."""
    N, dtype = len(dy), dy.dtype
    upstream = _scratch("conv1_dw_db_batch_last_upstream", (6, 4624), dtype)
    upstream = upstream[:, :4608]
    turned = upstream.reshape(6, 576, 8)
    padded = _scratch("conv1_dw_db_batch_last_padded", (1, 28, 28, 8), dtype)
    inner = padded[:, 0:28, 0:28, 0:8]
    shape, steps = (1, 1, 5, 1, 28, 24, 8), (6272, 224, 8, 1, 224, 8, 1)
    copied = _windows(padded, shape, steps)
    columns = _scratch("conv1_dw_db_batch_last_columns", (5, 5392), dtype)
    windows = columns[:, :5376].reshape(shape)
    # what every tap of the first axis reads, where it lies
    matrices = _windows(columns, (5, 5, 4608), (192, 5392, 1))
    part = _scratch("conv1_dw_db_batch_last_part", (5, 5, 6), dtype)
    sums = np.zeros((5, 5, 6), dtype)
    total = np.zeros(6, dtype)
    for n in range(0, N, 8):
        count = min(8, N - n)
        turned[..., :count] = dy[n : n + 8].reshape(count, 6, 576).transpose(1, 2, 0)
        turned[..., count:] = 0
        inner[..., :count] = x[n : n + 8].reshape(count, 1, 28, 28).transpose(1, 2, 3, 0)
        inner[..., count:] = 0
        windows[...] = copied
        np.matmul(matrices, upstream.T, out=part)
        sums += part
        total += upstream.sum(axis=1, dtype=dtype)
    return (
        sums.reshape(5, 1, 5, 6)
        .swapaxes(0, 1)
        .reshape(1, 5, 5, 6)
        .transpose(3, 0, 1, 2)
        .reshape(6, 1, 5, 5),
        total.reshape(6),
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
    kernel = w.transpose(3, 2, 1, 0).reshape(25, 6)
    rows = _scratch("conv1_dx_cascade_rows", (6, 24, 28), dtype)
    flat = rows.reshape(6, 672)
    products = _scratch("conv1_dx_cascade_products", (25, 784), dtype)
    planes = _scratch("conv1_dx_cascade_planes", (784,), dtype)
    dx = np.empty((N, 1, 28, 28), dtype)
    for n in range(N):
        rows[:, :, :24] = dy[n].reshape(6, 24, 24)
        np.matmul(kernel, flat, out=products[:, :672])
        shares = products.reshape(5, 3920)
        for v in range(1, 5):
            shares[0, v:] += shares[v, : 3920 - v]
        shares = products[:5].reshape(5, 784)
        planes[...] = shares[0]
        for u in range(1, 5):
            planes[28 * u :] += shares[u, : 784 - 28 * u]
        dx[n] = planes.reshape(1, 28, 28)[:, 0:28, 0:28]
    return dx.reshape(N, 1, 28, 28)


def _conv1_dx_batch_last(dy, w):
    """dx: 8 samples at a time, samples innermost: runs are long."""
    N, dtype = len(dy), dy.dtype
    upstream = _scratch("conv1_dx_batch_last_upstream", (6, 4624), dtype)
    upstream = upstream[:, :4608]
    turned = upstream.reshape(6, 576, 8)
    kernel = w.transpose(2, 3, 1, 0).reshape(25, 1, 6).reshape(5, 5, 1, 6).transpose(0, 2, 3, 1)
    kernel = kernel.reshape(5, 30)
    spread = _scratch("conv1_dx_batch_last_spread", (6, 24, 32, 8), dtype)
    shifted = _windows(spread, (6, 5, 24, 224), (6144, -8, 256, 1), 32)
    laid = _scratch("conv1_dx_batch_last_laid", (30, 5392), dtype)
    laid = laid[:, :5376]
    # a plane for every first tap and channel; rows that are not written stay zeros
    products = _scratch("conv1_dx_batch_last_products", (5, 6272), dtype)
    rows = products.reshape(5, 28, 224)[:, :24].swapaxes(0, 1)
    planes = _scratch("conv1_dx_batch_last_planes", (6272,), dtype)
    dx = np.empty((N, 1, 28, 28), dtype)
    for n in range(0, N, 8):
        count = min(8, N - n)
        turned[..., :count] = dy[n : n + 8].reshape(count, 6, 576).transpose(1, 2, 0)
        turned[..., count:] = 0
        spread[:, :, 4:28] = turned.reshape(6, 24, 24, 8)
        laid.reshape(6, 5, 24, 224)[...] = shifted
        np.matmul(kernel, laid.reshape(30, 24, 224).swapaxes(0, 1), out=rows)
        planes[...] = 0
        for u in range(5):
            begin = 224 * u
            planes[begin:] += products[u, : 6272 - begin]
        dx[n : n + 8] = planes.reshape(1, 28, 28, 8)[:, 0:28, 0:28, :count].transpose(3, 0, 1, 2)
    return dx.reshape(N, 1, 28, 28)


def _sigmoid1_forward(x):
    """sigmoid: from x (..., 6, 24, 24)."""
    if x.dtype.char not in "fd":
        y = _sigmoid1_forward_taps(x)
    else:
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


def _conv2_forward(x, w, b, keep):
    """conv 5x5 filters=12 bias: from x (..., 6, 12, 12), w (12, 6, 5, 5), b (12,)."""
    if x.dtype.char not in "fd":
        y = _conv2_forward_taps(x, w, b)
        columns = None
    elif len(x) < 4:
        y, columns = _conv2_y_columns(x, w, b, keep)
    else:
        y = _conv2_y_batch_last(x, w, b)
        columns = None
    return y, columns


def _conv2_backward(dy, x, w, columns):
    """conv 5x5 filters=12 bias: from dy (..., 12, 8, 8), x (..., 6, 12, 12), w (12, 6, 5, 5)."""
    if dy.dtype.char not in "fd":
        dx, dw, db = _conv2_backward_taps(dy, x, w)
    elif len(dy) < 4:
        dx = _conv2_dx_cascade(dy, w)
        dw, db = _conv2_dw_db_correlate(dy, columns)
    else:
        dx, dw, db = _conv2_dx_dw_db_batch_last(dy, w, x)
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


def _conv2_y_columns(x, w, b, keep):
    """y[n] = kernel · columns(x[n]): all windows of one sample as the columns of a matrix with a
    row for every channel and tap; a row of ones meets the bias.

    With keep, those of all samples are handed on, 38656 bytes each.
    """
    N, dtype = len(x), x.dtype
    kernel = np.empty((12, 151), dtype)
    kernel[:, :150] = w.reshape(12, 150)
    kernel[:, 150] = b
    padded = _scratch("conv2_y_columns_padded", (6, 12, 12), dtype)
    inner = padded[:, 0:12, 0:12]
    shape, steps = (6, 5, 5, 8, 8), (144, 12, 1, 12, 1)
    if keep:
        columns = np.empty((N, 151, 64), dtype)
    else:
        columns = _scratch("conv2_y_columns", (1, 151, 64), dtype)
    columns[:, 150] = 1
    y = np.empty((N, 12, 64), dtype)
    for n in range(N):
        inner[...] = x[n].reshape(inner.shape)
        columns[n * keep, :150].reshape(shape)[...] = _windows(padded, shape, steps)
        np.matmul(kernel, columns[n * keep], out=y[n])
    return y.reshape(N, 12, 8, 8), columns


def _conv2_y_batch_last(x, w, b):
    """y: 8 samples at a time, samples innermost: runs are long."""
    N, dtype = len(x), x.dtype
    made = _scratch("conv2_y_batch_last_made", (12, 528), dtype)[:, :512]
    kernel = np.zeros((12, 5, 31), dtype)
    kernel[..., :30] = w.reshape(12, 6, 25).reshape(12, 6, 5, 5).swapaxes(1, 2).reshape(12, 5, 30)
    kernel[:, 0, 30] = b
    kernel = kernel.reshape(12, 155)
    padded = _scratch("conv2_y_batch_last_padded", (6, 12, 12, 8), dtype)
    inner = padded[:, 0:12, 0:12, 0:8]
    shape, steps = (6, 1, 5, 1, 12, 8, 8), (1152, 96, 8, 1, 96, 8, 1)
    copied = _windows(padded, shape, steps).transpose(4, 0, 1, 2, 3, 5, 6)
    blocks = _scratch("conv2_y_batch_last_blocks", (12, 31, 80), dtype)
    blocks[:, 30] = 1
    windows = blocks[:, :30, :64].reshape(copied.shape)
    # the windows of every row of outputs, where they lie
    matrices = _windows(blocks, (8, 155, 64), (2480, 80, 1))
    rows = made.reshape(12, 8, 64).swapaxes(0, 1)
    y = np.empty((N, 12, 64), dtype)
    for n in range(0, N, 8):
        count = min(8, N - n)
        inner[..., :count] = x[n : n + 8].reshape(count, 6, 12, 12).transpose(1, 2, 3, 0)
        inner[..., count:] = 0
        windows[...] = copied
        np.matmul(kernel, matrices, out=rows)
        y[n : n + 8] = made.reshape(12, 64, 8)[..., :count].transpose(2, 0, 1)
    return y.reshape(N, 12, 8, 8)


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
    kernel = w.transpose(3, 2, 1, 0).reshape(150, 12)
    rows = _scratch("conv2_dx_cascade_rows", (12, 8, 12), dtype)
    flat = rows.reshape(12, 96)
    products = _scratch("conv2_dx_cascade_products", (150, 144), dtype)
    planes = _scratch("conv2_dx_cascade_planes", (864,), dtype)
    dx = np.empty((N, 6, 12, 12), dtype)
    for n in range(N):
        rows[:, :, :8] = dy[n].reshape(12, 8, 8)
        np.matmul(kernel, flat, out=products[:, :96])
        shares = products.reshape(5, 4320)
        for v in range(1, 5):
            shares[0, v:] += shares[v, : 4320 - v]
        shares = products[:30].reshape(5, 864)
        planes[...] = shares[0]
        for u in range(1, 5):
            planes[12 * u :] += shares[u, : 864 - 12 * u]
        dx[n] = planes.reshape(6, 12, 12)[:, 0:12, 0:12]
    return dx.reshape(N, 6, 12, 12)


def _conv2_dw_db_correlate(dy, columns):
    """dw = Σ columns(x[n]) · dy[n]ᵀ of the columns that the forward pass kept; a row of ones
    adds up the bias's.
    """
    N, dtype = len(dy), dy.dtype
    by_place = dy.reshape(N, 12, 64).swapaxes(-1, -2)
    part = _scratch("conv2_dw_db_correlate_part", (151, 12), dtype)
    total = np.zeros((151, 12), dtype)
    for n in range(N):
        np.matmul(columns[n], by_place[n], out=part)
        total += part
    dw = total[:150].reshape(6, 5, 5, 12).transpose(3, 0, 1, 2).reshape(12, 6, 5, 5)
    return dw, total[150].reshape(12)


def _conv2_dx_dw_db_batch_last(dy, w, x):
    """dx, dw, db: 8 samples at a time, samples innermost: runs are long."""
    N, dtype = len(dy), dy.dtype
    upstream = _scratch("conv2_dx_dw_db_batch_last_upstream", (12, 528), dtype)
    upstream = upstream[:, :512]
    turned = upstream.reshape(12, 64, 8)
    kernel = w.transpose(2, 3, 1, 0).reshape(25, 6, 12).reshape(5, 5, 6, 12).transpose(0, 2, 3, 1)
    kernel = kernel.reshape(30, 60)
    spread = _scratch("conv2_dx_dw_db_batch_last_spread", (12, 8, 16, 8), dtype)
    shifted = _windows(spread, (12, 5, 8, 96), (1024, -8, 128, 1), 32)
    laid = _scratch("conv2_dx_dw_db_batch_last_laid", (60, 784), dtype)
    laid = laid[:, :768]
    # a plane for every first tap and channel; rows that are not written stay zeros
    products = _scratch("conv2_dx_dw_db_batch_last_products", (5, 6912), dtype)
    rows = products.reshape(30, 12, 96)[:, :8].swapaxes(0, 1)
    planes = _scratch("conv2_dx_dw_db_batch_last_planes", (6912,), dtype)
    dx = np.empty((N, 6, 12, 12), dtype)
    padded = _scratch("conv2_dx_dw_db_batch_last_padded", (6, 12, 12, 8), dtype)
    inner = padded[:, 0:12, 0:12, 0:8]
    shape, steps = (6, 1, 5, 1, 12, 8, 8), (1152, 96, 8, 1, 96, 8, 1)
    copied = _windows(padded, shape, steps)
    columns = _scratch("conv2_dx_dw_db_batch_last_columns", (30, 784), dtype)
    windows = columns[:, :768].reshape(shape)
    # what every tap of the first axis reads, where it lies
    matrices = _windows(columns, (5, 30, 512), (64, 784, 1))
    part = _scratch("conv2_dx_dw_db_batch_last_part", (5, 30, 12), dtype)
    sums = np.zeros((5, 30, 12), dtype)
    total = np.zeros(12, dtype)
    for n in range(0, N, 8):
        count = min(8, N - n)
        turned[..., :count] = dy[n : n + 8].reshape(count, 12, 64).transpose(1, 2, 0)
        turned[..., count:] = 0
        spread[:, :, 4:12] = turned.reshape(12, 8, 8, 8)
        laid.reshape(12, 5, 8, 96)[...] = shifted
        np.matmul(kernel, laid.reshape(60, 8, 96).swapaxes(0, 1), out=rows)
        planes[...] = 0
        for u in range(5):
            begin = 96 * u
            planes[begin:] += products[u, : 6912 - begin]
        dx[n : n + 8] = planes.reshape(6, 12, 12, 8)[:, 0:12, 0:12, :count].transpose(3, 0, 1, 2)
        inner[..., :count] = x[n : n + 8].reshape(count, 6, 12, 12).transpose(1, 2, 3, 0)
        inner[..., count:] = 0
        windows[...] = copied
        np.matmul(matrices, upstream.T, out=part)
        sums += part
        total += upstream.sum(axis=1, dtype=dtype)
    return (
        dx.reshape(N, 6, 12, 12),
        sums.reshape(5, 6, 5, 12)
        .swapaxes(0, 1)
        .reshape(6, 5, 5, 12)
        .transpose(3, 0, 1, 2)
        .reshape(12, 6, 5, 5),
        total.reshape(12),
    )


def _sigmoid2_forward(x):
    """sigmoid: from x (..., 12, 8, 8)."""
    if x.dtype.char not in "fd":
        y = _sigmoid2_forward_taps(x)
    else:
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
    y = x.reshape(N, 192) @ w.transpose(1, 0) + b.reshape(10)
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
    dx = dy.reshape(N, 10) @ w.reshape(10, 192)
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
            known = array.dtype.kind in "iu" and array.size > 0
            if known and array.min() >= 0 and array.max() < _CLASSES[name]:
                continue
            return None
        dtype = array.dtype if dtype is None else dtype
        if array.dtype is not dtype:
            return None
    return batch if batch and dtype in _FLOATS else None


_FLOATS = np.dtype(np.float32), np.dtype(np.float64)


def _sigmoid(z):
    """1 / (1 + exp(-z)), with no power of e above 1, so that nothing overflows."""
    value, total = np.exp(np.minimum(z, 0)), np.exp(-np.abs(z))
    total += 1
    value /= total
    return value


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
