"""Dense, flatten, pad and transposed convolution against loops and matrices, exactly."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from kernels_of import kernel


def integers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).integers(-9, 10, shape)


def test_dense_is_a_matrix_times_the_last_axis() -> None:
    made = kernel("dense", input=(2, 3), units=4)
    x, w, b, dy = integers(5, 2, 3), integers(4, 3), integers(4), integers(5, 2, 4)
    assert np.array_equal(made.forward(x, w, b), x @ w.T + b)
    gradients = made.backward(dy, x, w, b)
    assert np.array_equal(gradients.dx, dy @ w)
    assert np.array_equal(gradients.dw, dy.reshape(10, 4).T @ x.reshape(10, 3))
    assert np.array_equal(gradients.db, dy.sum(axis=(0, 1)))


def test_dense_without_a_bias_has_no_b() -> None:
    assert list(kernel("dense", input=3, units=2, bias=False).SHAPES) == ["x", "w", "y"]


def test_flatten_is_row_major_and_its_gradient_folds_back() -> None:
    made = kernel("flatten", input=(2, 3, 4))
    x = np.arange(48).reshape(2, 2, 3, 4)
    assert made.forward(x).tolist() == [list(range(24)), list(range(24, 48))]
    assert np.array_equal(made.backward(made.forward(x), x).dx, x)


@pytest.mark.parametrize(
    "sides", [((1, 2), (0, 3)), ((0, 0), (2, 0)), ((0, 1), (0, 1)), ((2, 2), (2, 2))], ids=str
)
def test_pad_puts_zeros_around_and_its_gradient_crops(sides) -> None:
    made = kernel("pad", input=(2, 3, 4), padding=sides)
    x = integers(2, 3, 4)
    y = np.pad(x, ((0, 0), *sides))
    assert np.array_equal(made.forward(x), y)
    dy = integers(*y.shape)
    (a, b), (c, d) = sides
    assert np.array_equal(made.backward(dy, x).dx, dy[:, a : y.shape[1] - b, c : y.shape[2] - d])


CASES = [
    {"input": (3, 4), "kernel": (2, 3)},
    {"input": (3, 4), "kernel": (2, 3), "stride": (2, 3), "padding": ((1, 0), (0, 2))},
    {"input": (4, 3), "kernel": (3, 2), "stride": 2, "dilation": (1, 3), "output_padding": 1},
    {"input": (2, 2), "kernel": (3, 3), "stride": 1, "padding": 1},
]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_transposed_convolution_spreads_every_entry_over_a_window(case, groups) -> None:
    C, filters = 4, 6
    made = kernel(
        "conv_transpose",
        **{**case, "input": (C, *case["input"])},
        filters=filters,
        groups=groups,
        bias=True,
    )

    def pairs(value):
        return value if isinstance(value, tuple) else (value, value)

    (sh, sw), (dh, dw) = pairs(case.get("stride", 1)), pairs(case.get("dilation", 1))
    low = [p[0] if isinstance(p, tuple) else p for p in pairs(case.get("padding", 0))]
    x, w, b = (integers(*made.SHAPES[name]) for name in "xwb")
    y = np.zeros(made.SHAPES["y"], int) + b[:, None, None]
    for c, i, j, f, u, v in product(*map(range, (*x.shape, *w.shape[1:]))):
        at = (sh * i + dh * u - low[0], sw * j + dw * v - low[1])
        filter_ = c // (C // groups) * (filters // groups) + f
        if 0 <= at[0] < y.shape[1] and 0 <= at[1] < y.shape[2]:
            y[filter_, *at] += x[c, i, j] * w[c, f, u, v]
    assert np.array_equal(made.forward(x, w, b), y)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_transposed_convolution_is_the_input_gradient_of_the_convolution(case) -> None:
    to = kernel("conv_transpose", **case)
    settings = {k: v for k, v in case.items() if k != "output_padding"} | {"input": to.SHAPES["y"]}
    conv = kernel("conv", **settings)
    assert conv.SHAPES["y"] == to.SHAPES["x"]
    w, small, large = integers(*case["kernel"]), integers(*case["input"]), integers(*to.SHAPES["y"])
    assert np.array_equal(to.forward(small, w), conv.backward(small, large, w).dx)
    gradients = to.backward(large, small, w)
    assert np.array_equal(gradients.dx, conv.forward(large, w))
    assert np.array_equal(gradients.dw, conv.backward(small, large, w).dw)
