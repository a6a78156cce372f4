"""What layers refuse: every message names the parameter, its value and the rule."""

from __future__ import annotations

import re
from typing import Any

import pytest

from derive.errors import UsageError
from derive.layers import spec

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (
        "max_pool",
        {"input": 4, "kernel": 2, "padding": 2},
        "a pool window has no valid read: on axis 0 window 0 reads 2 entries from -2 in steps of "
        "1, but the input (=4) has those from 0 to 3: less padding (=2,2) or a larger kernel (=2)",
    ),
    (
        "avg_pool",
        {"input": (4, 4), "kernel": 2, "stride": 1, "padding": ((0, 0), (0, 2))},
        "a pool window has no valid read: on axis 1 window 4 reads 2 entries from 4 in steps of 1, "
        "but the input (=4) has those from 0 to 3: less padding (=0,2) or a larger kernel (=2)",
    ),
    (
        "max_pool",
        {"input": 1, "kernel": 2, "dilation": 2, "padding": 1},
        "a pool window has no valid read: on axis 0 window 0 reads 2 entries from -1 in steps of "
        "2, but the input (=1) has those from 0 to 0: less padding (=1,1) or a larger kernel (=2)",
    ),
    (
        "max_pool",
        {"input": (3, 3), "kernel": (4, 2)},
        "kernel (=4x2) is larger than the padded input (=3x3): on axis 0 the kernel is 4, the "
        "input is 3",
    ),
    (
        "max_pool",
        {"input": 4, "kernel": 2, "ties": "last"},
        "ties (='last') must be first or split",
    ),
    ("max_pool", {"input": 4, "kernel": 2, "ceil_mode": 1}, "ceil_mode (=1) must be True or False"),
    ("lp_pool", {"input": 4, "kernel": 2, "p": 0.5}, "p (=0.5) must be a number from 1 to 64"),
    (
        "conv_transpose",
        {"input": 4, "kernel": 2, "stride": 2, "output_padding": 2},
        "output_padding (=2) must be below max(stride, dilation) (=2) on axis 0",
    ),
    (
        "conv_transpose",
        {"input": (4, 2), "kernel": (2, 1), "padding": (0, 1)},
        "padding (=1,1) leaves nothing of the 2 outputs on axis 1",
    ),
    (
        "conv_transpose",
        {"input": (3, 4, 4), "kernel": 2, "filters": 4, "groups": 2},
        "channels (=3) must be divisible by groups (=2)",
    ),
    (
        "conv_transpose",
        {"input": 4, "kernel": 2, "padding": "same"},
        "padding (='same') has no meaning here: give numbers",
    ),
    (
        "softmax",
        {"input": (3, 4), "axis": 2},
        "axis (=2) is none of the 2 axes of input (=3x4): they are 0 to 1",
    ),
    ("log_softmax", {"input": 3, "axis": 0.0}, "axis (=0.0) must be a whole number"),
    ("dense", {"input": 3, "units": 0}, "units (=0) must be at least 1"),
    ("dense", {"input": 3, "units": 2, "bias": 1}, "bias (=1) must be True or False"),
    (
        "pad",
        {"input": 3, "padding": "same"},
        "padding (='same') must be numbers: 1, 1x2 or 1,2x0,1",
    ),
    ("batch_norm", {"input": 3, "eps": 0}, "eps (=0) must be above 0: it keeps the root from 0"),
    ("layer_norm", {"input": 3, "eps": "x"}, "eps (='x') must be a number"),
    ("huber", {"input": 3, "delta": -1}, "delta (=-1) must be above 0"),
    ("mse", {"input": 3, "reduction": "none"}, "reduction (='none') must be mean or sum"),
    (
        "cross_entropy",
        {"input": 3, "target": "hot"},
        "target (='hot') must be index or distribution",
    ),
    (
        "hardtanh",
        {"input": 3, "min_val": 2},
        "min_val (=2) must be below max_val (=1.0)",
    ),
    ("elu", {"input": 3, "alpha": 1e7}, "alpha (=10000000.0) is not between -1000000 and 1000000"),
    ("relu", {"input": (2, 2, 2, 2, 2)}, "input (=2x2x2x2x2) has 5 axes: at most 4 are derived"),
]


@pytest.mark.parametrize(("name", "settings", "message"), REFUSED, ids=lambda v: str(v)[:50])
def test_the_message_names_parameter_value_and_rule(name, settings, message) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        spec(name, settings)


@pytest.mark.parametrize(
    ("name", "settings", "slug"),
    [
        ("max_pool", {"input": (4, 4), "kernel": (2, 2)}, "max_pool2d_4x4_k2x2"),
        (
            "max_pool",
            {"input": (2, 7, 7), "kernel": 3, "stride": 2, "padding": 1, "ceil_mode": True},
            "max_pool2d_2x7x7_k3x3_s2_p1_ceil",
        ),
        (
            "avg_pool",
            {"input": 9, "kernel": 3, "padding": 1, "count_include_pad": False},
            "avg_pool1d_9_k3_p1_valid",
        ),
        ("lp_pool", {"input": 8, "kernel": 2, "p": 2.5}, "lp_pool1d_8_k2_p2_5"),
        (
            "conv_transpose",
            {"input": (2, 3, 3), "kernel": 2, "filters": 4, "stride": 2, "output_padding": 1},
            "conv_transpose2d_2x3x3_f4_k2x2_s2_op1",
        ),
        ("relu", {"input": (3, 8, 8)}, "relu_3x8x8"),
        ("leaky_relu", {"input": 3, "negative_slope": 0.2}, "leaky_relu_3_n0_2"),
        ("softmax", {"input": (3, 4), "axis": -1}, "softmax_3x4_axis1"),
        ("dense", {"input": 4, "units": 3}, "dense_4_u3"),
        ("flatten", {"input": (2, 3, 3)}, "flatten_2x3x3"),
        ("pad", {"input": (3, 3), "padding": ((1, 2), (0, 1))}, "pad2d_3x3_p1_2x0_1"),
        ("global_avg_pool", {"input": (2, 3, 3)}, "global_avg_pool_2x3x3"),
        ("subsample", {"input": (2, 4, 4), "kernel": 2}, "subsample2d_2x4x4_k2x2"),
        ("batch_norm", {"input": (2, 3, 3)}, "batch_norm_2x3x3"),
        ("mse", {"input": ()}, "mse_scalar"),
        (
            "cross_entropy",
            {"input": (3, 2), "target": "distribution", "reduction": "sum"},
            "cross_entropy_3x2_distribution_sum",
        ),
    ],
    ids=str,
)
def test_the_folders_name_says_the_sizes(name, settings, slug) -> None:
    assert spec(name, settings).slug == slug
