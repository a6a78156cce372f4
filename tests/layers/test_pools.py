"""Pools against loops over windows written here, exactly, on fractions."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from kernels_of import kernel

Entry = tuple[int, ...]


def fractions(shape: tuple[int, ...], seed: int = 0, high: int = 3) -> np.ndarray:
    """Few different values, so that ties occur."""
    drawn = np.random.default_rng(seed).integers(-high, high + 1, shape)
    return np.array([Fraction(int(v)) for v in drawn.flat], dtype=object).reshape(shape)


def taps(out: Entry, kernel: Entry, stride: Entry, low: Entry, dilation: Entry) -> Iterator[Entry]:
    """Where the taps of a window lie, row-major, those in the padding included."""
    for tap in product(*map(range, kernel)):
        yield tuple(
            s * i + d * u - p for s, i, d, u, p in zip(stride, out, dilation, tap, low, strict=True)
        )


def within(place: Entry, shape: Entry) -> bool:
    return all(0 <= a < size for a, size in zip(place, shape, strict=True))


CASES: list[dict[str, Any]] = [
    {"input": (5, 6), "kernel": (2, 3)},
    {"input": (5, 6), "kernel": (3, 3), "stride": 1},
    {"input": (5, 6), "kernel": (3, 2), "stride": (2, 1), "padding": (1, 0)},
    {"input": (5, 5), "kernel": (2, 2), "padding": ((1, 0), (0, 1))},
    {"input": (7,), "kernel": (3,), "stride": 2, "padding": 1},
    {"input": (3, 4, 3), "kernel": (2, 2, 2), "stride": 1},
]


def geometry(case: dict[str, Any]) -> tuple[Entry, Entry, Entry, tuple[tuple[int, int], ...]]:
    shape, window = case["input"], case["kernel"]
    rank = len(shape)
    stride = case.get("stride", window)
    stride = (stride,) * rank if isinstance(stride, int) else stride
    padding = case.get("padding", 0)
    padding = (padding,) * rank if isinstance(padding, int) else padding
    return shape, window, stride, tuple((p, p) if isinstance(p, int) else p for p in padding)


def outputs(case: dict[str, Any], dilation: int = 1) -> Iterator[tuple[Entry, list[Entry]]]:
    """Every window with the places of its taps."""
    shape, window, stride, padding = geometry(case)
    counts = [
        (H + sum(p) - dilation * (K - 1) - 1) // s + 1
        for H, K, s, p in zip(shape, window, stride, padding, strict=True)
    ]
    low = tuple(p[0] for p in padding)
    for out in product(*map(range, counts)):
        yield out, list(taps(out, window, stride, low, (dilation,) * len(shape)))


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_max_pool_gives_each_gradient_to_the_first_maximum(case, dilation) -> None:
    made = kernel("max_pool", **case, dilation=dilation)
    x = fractions(case["input"])
    y = made.forward(x)
    dy = fractions(y.shape, seed=1)
    dx = np.full(x.shape, Fraction(0))
    for out, places in outputs(case, dilation):
        inside = [place for place in places if within(place, x.shape)]
        best = max(x[place] for place in inside)
        assert y[out] == best
        dx[next(place for place in inside if x[place] == best)] += dy[out]
    assert np.array_equal(made.backward(dy, x).dx, dx)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_split_ties_share_the_gradient_equally(case) -> None:
    made = kernel("max_pool", **case, ties="split")
    x = fractions(case["input"])
    dy = fractions(made.forward(x).shape, seed=1)
    dx = np.full(x.shape, Fraction(0))
    for out, places in outputs(case):
        inside = [place for place in places if within(place, x.shape)]
        winners = [p for p in inside if x[p] == max(x[place] for place in inside)]
        for place in winners:
            dx[place] += dy[out] / len(winners)
    assert np.array_equal(made.backward(dy, x).dx, dx)


def test_padding_never_wins_against_negative_numbers() -> None:
    made = kernel("max_pool", input=(3, 3), kernel=(3, 3), stride=1, padding=1)
    x = -np.arange(1, 10).reshape(3, 3)
    assert made.forward(x).tolist() == [[-1, -1, -2], [-1, -1, -2], [-4, -4, -5]]


@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_avg_pool_divides_backward_by_what_it_divides_by_forward(case, include) -> None:
    made = kernel("avg_pool", **case, count_include_pad=include)
    x = fractions(case["input"])
    y = made.forward(x)
    dy = fractions(y.shape, seed=1)
    dx = np.full(x.shape, Fraction(0))
    for out, places in outputs(case):
        inside = [place for place in places if within(place, x.shape)]
        count = len(places) if include else len(inside)
        assert y[out] == sum(x[place] for place in inside) / Fraction(count)
        for place in inside:
            dx[place] += dy[out] / count
    assert np.array_equal(made.backward(dy, x).dx, dx)


@pytest.mark.parametrize(
    ("settings", "divisors"),
    [
        # windows from -1, 1, 3, 5 of 3 taps; padded input -1..6: the last one has 2 taps
        ({"input": 6, "kernel": 3, "stride": 2, "padding": 1, "ceil_mode": True}, [3, 3, 3, 2]),
        (
            {
                "input": 6,
                "kernel": 3,
                "stride": 2,
                "padding": 1,
                "ceil_mode": True,
                "count_include_pad": False,
            },
            [2, 3, 3, 1],
        ),
        # windows from 0, 2, 4 of 2 taps; no padding: the last one has 1
        ({"input": 5, "kernel": 2, "ceil_mode": True}, [2, 2, 1]),
        ({"input": 6, "kernel": 2, "ceil_mode": True}, [2, 2, 2]),
    ],
)
def test_cut_off_windows_count_what_is_left_of_them(settings, divisors) -> None:
    made = kernel("avg_pool", **settings)
    x = np.array([Fraction(1)] * settings["input"], dtype=object)
    start = [s * settings.get("stride", 2) - settings.get("padding", 0) for s in range(9)]
    valid = [
        sum(0 <= start[i] + u < len(x) for u in range(settings["kernel"]))
        for i in range(len(divisors))
    ]
    expected = [Fraction(v, d) for v, d in zip(valid, divisors, strict=True)]
    assert made.forward(x).tolist() == expected


@pytest.mark.parametrize("p", [1, 2, 2.5, 3])
def test_lp_pool_is_the_p_norm_of_every_window(p) -> None:
    made = kernel("lp_pool", input=(5, 4), kernel=(2, 2), stride=(1, 2), p=p)
    x = np.random.default_rng(0).normal(size=(5, 4))
    expected = [
        [np.linalg.norm(x[i : i + 2, j : j + 2].ravel(), p) for j in (0, 2)] for i in range(4)
    ]
    np.testing.assert_allclose(made.forward(x), expected, rtol=1e-14)
    dy = np.random.default_rng(1).normal(size=(4, 2))
    # y is homogeneous of degree 1: <x, dx> = <y, dy>
    np.testing.assert_allclose(
        (x * made.backward(dy, x).dx).sum(), (dy * expected).sum(), rtol=1e-13
    )


@pytest.mark.parametrize("p", [1, 2, 2.5, 3])
def test_lp_pool_of_zeros_and_of_negative_sums_is_a_number(p) -> None:
    made = kernel("lp_pool", input=4, kernel=2, p=p)
    x = np.array([0.0, 0.0, -2.0, 0.0])
    assert made.forward(x).tolist() == pytest.approx([0.0, 2.0], rel=1e-15)
    assert made.backward(np.ones(2), x).dx.tolist() == pytest.approx([0, 0, -1, 0], rel=1e-15)


def test_global_pools_leave_one_number_a_channel() -> None:
    x = fractions((2, 3, 2))
    assert np.array_equal(
        kernel("global_avg_pool", input=(2, 3, 2)).forward(x), x.sum(axis=(1, 2)) / Fraction(6)
    )
    made = kernel("global_max_pool", input=(2, 3, 2))
    assert np.array_equal(made.forward(x), x.max(axis=(1, 2)))
    dx = made.backward(np.array([Fraction(5), Fraction(7)]), x).dx
    first = x.reshape(2, 6).argmax(axis=1)
    assert dx.reshape(2, 6)[range(2), first].tolist() == [5, 7]
    assert dx.sum() == 12


def test_without_channels_a_global_pool_gives_one_number() -> None:
    made = kernel("global_avg_pool", input=(2, 3))
    assert made.SHAPES["y"] == ()
    assert made.forward(np.arange(6.0).reshape(2, 3)) == 2.5


def test_subsampling_scales_and_shifts_the_mean_of_every_channel() -> None:
    made = kernel("subsample", input=(2, 4, 6), kernel=(2, 3))
    x, beta, b = fractions((2, 4, 6)), fractions((2,), 1), fractions((2,), 2)
    down = x.reshape(2, 2, 2, 2, 3).sum(axis=(2, 4)) / Fraction(6)
    assert np.array_equal(made.forward(x, beta, b), beta[:, None, None] * down + b[:, None, None])
    dy = fractions((2, 2, 2), 3)
    gradients = made.backward(dy, x, beta, b)
    up = np.kron(dy, np.ones((1, 2, 3), int))
    assert np.array_equal(gradients.dx, beta[:, None, None] * up / Fraction(6))
    assert np.array_equal(gradients.dbeta, (dy * down).sum(axis=(1, 2)))
    assert np.array_equal(gradients.db, dy.sum(axis=(1, 2)))
