"""The convolution's own words: which equation, which shapes, which name."""

from __future__ import annotations

from typing import Any

import pytest

from derive.errors import UsageError
from derive.layers import spec


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"input": (3, 3), "kernel": (2, 2)}, "y[i,j] = sum[u,v](x[i + u, j + v] * w[u,v])"),
        ({"input": 5, "kernel": 3, "bias": True}, "y[i] = sum[u](x[i + u] * w[u]) + b"),
        (
            {"input": (3, 8, 8), "kernel": 3, "stride": 2, "padding": 1, "bias": True},
            "y[f,i,j] = sum[c,u,v](x[c, s*i + u - p, s*j + v - p] * w[f,c,u,v]) + b[f]",
        ),
        (
            {"input": (9, 9), "kernel": 3, "stride": (2, 1), "padding": (0, 1), "dilation": 2},
            "y[i,j] = sum[u,v](x[s_h*i + d*u, j + d*v - p_w] * w[u,v])",
        ),
        (
            {"input": (4, 9, 9), "kernel": 3, "filters": 8, "groups": 2, "bias": True},
            "y[(g,f),i,j] = sum[c,u,v](x[(g,c), i + u, j + v] * w[(g,f),c,u,v]) + b[(g,f)]",
        ),
        (
            {"input": (9,), "kernel": (3,), "dilation": 2, "padding": 1, "flip": True},
            "y[i] = sum[u](x[i + d*(K - 1 - u) - p] * w[u])",
        ),
        (
            {"input": (2, 5, 6, 7), "kernel": 2, "filters": 3},
            "y[f,i,j,k] = sum[c,u,v,t](x[c, i + u, j + v, k + t] * w[f,c,u,v,t])",
        ),
        (
            {"input": 9, "kernel": 3, "padding": ((0, 2),)},
            "y[i] = sum[u](x[i + u] * w[u])",
        ),
    ],
)
def test_the_equation_says_only_what_the_settings_say(settings: dict[str, Any], text: str) -> None:
    assert spec("conv", settings).text == text


def test_shapes_are_those_of_the_contract() -> None:
    made = spec(
        "conv",
        {"input": (4, 9, 7), "kernel": (3, 2), "filters": 6, "groups": 2, "bias": True},
    )
    assert made.shapes == {"x": (4, 9, 7), "w": (6, 2, 3, 2), "b": (6,), "y": (6, 7, 6)}


def test_without_channels_and_filters_these_axes_do_not_exist() -> None:
    made = spec("conv", {"input": (3, 3), "kernel": 2, "bias": True})
    assert made.shapes == {"x": (3, 3), "w": (2, 2), "b": (), "y": (2, 2)}


@pytest.mark.parametrize("given", [{"filters": 4}, {"channels": 1, "filters": 4}])
def test_channels_left_out_are_one(given: dict[str, Any]) -> None:
    made = spec("conv", {"input": (3, 3), "kernel": 2, **given})
    assert made.shapes == {"x": (1, 3, 3), "w": (4, 1, 2, 2), "y": (4, 2, 2)}


def test_high_padding_changes_the_output_size_alone() -> None:
    plain = spec("conv", {"input": 9, "kernel": 3})
    padded = spec("conv", {"input": 9, "kernel": 3, "padding": ((0, 2),)})
    assert padded.text == plain.text
    assert (plain.shapes["y"], padded.shapes["y"]) == ((7,), (9,))


@pytest.mark.parametrize(
    ("settings", "slug"),
    [
        ({"input": (3, 3), "kernel": (2, 2)}, "conv2d_3x3_k2x2"),
        (
            {
                "input": (3, 32, 32),
                "kernel": (3, 3),
                "filters": 32,
                "stride": 2,
                "padding": 1,
                "bias": True,
            },
            "conv2d_3x32x32_f32_k3x3_s2_p1_bias",
        ),
        (
            {
                "input": (9, 9),
                "kernel": 3,
                "padding": ((1, 2), (0, 1)),
                "stride": (2, 1),
                "flip": True,
            },
            "conv2d_9x9_k3x3_s2x1_p1_2x0_1_flip",
        ),
        ({"input": 28, "kernel": 5, "channels": 3, "groups": 1}, "conv1d_3x28_f1_k5"),
    ],
)
def test_the_name_says_the_sizes(settings: dict[str, Any], slug: str) -> None:
    assert spec("conv", settings).slug == slug
    assert slug.isidentifier()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"input": (5, 8, 8), "kernel": 3, "groups": 2},
            "channels (=5) must be divisible by groups (=2)",
        ),
        (
            {"input": (4, 8, 8), "kernel": 3, "groups": 2, "filters": 3},
            "filters (=3) must be divisible by groups (=2)",
        ),
        (
            {"input": (3, 3), "kernel": (4, 4)},
            "kernel (=4x4) is larger than the padded input (=3x3): "
            "on axis 0 the kernel is 4, the input is 3",
        ),
        ({"input": (3, 3), "kernel": 2, "stride": 0}, "stride (=0) must be at least 1"),
        ({"input": (3, 3), "kernel": 2, "padding": -1}, "padding (=-1) must be at least 0"),
        ({"input": (3, 3), "kernel": 2.0}, "kernel (=2.0) must be a whole number"),
        ({"input": (3, 3), "kernel": True}, "kernel (=True) must be a whole number"),
        ({"input": (3, 3), "kernel": 2, "filters": 0}, "filters (=0) must be at least 1"),
        (
            {"input": (3, 3), "kernel": 2, "padding": "full"},
            "padding (='full') must be numbers, same or valid",
        ),
        (
            {"input": (3, 3), "kernel": 2, "stride": (1, 1, 1)},
            "stride (=1x1x1) has 3 numbers for 2 spatial axes",
        ),
        ({"input": (3, 3), "kernel": 2, "kernl": 3}, "kernl is no parameter of conv; did you mean"),
        ({"kernel": 2}, "conv needs input"),
        ({"input": (3, 3), "kernel": ()}, "kernel (=) has 0 numbers"),
        ({"input": (2, 2, 2, 2, 2), "kernel": 2}, "at most 3"),
        ({"input": (300, 300), "kernel": 300}, "has 90000 taps: at most 65536"),
    ],
)
def test_refusals_name_the_parameter_the_value_and_the_rule(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as refused:
        spec("conv", settings)
    assert message in str(refused.value)
