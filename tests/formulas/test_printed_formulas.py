"""The formulas printed in the notes, read back from print and compared with the kernel.

Nothing of the printer is used: the reader knows mathematics as it is typeset. So a sign, an
index, a range or a bracket that is printed wrong is found here, whatever the kernel does.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from layers_of import check_layer
from test_layers import LAYERS, geometries
from world import OFFSET

import derive
from derive import pipeline
from derive.explicit import terms
from derive.layers import spec
from derive.specs import Style

DRAWN = settings(
    max_examples=2,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
ALL = Style(full=True)
UNREAD = {OFFSET}
"""Why a row of full notes may be left unread."""


@LAYERS
@DRAWN
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_every_row_of_a_layers_notes_is_true_of_its_kernel(
    name: str, data: st.DataObject, seed: int
) -> None:
    layer = pipeline.layer(spec(name, data.draw(geometries(name))))
    assume(terms(layer.equation) <= 80)
    good, unread = check_layer(layer, style=ALL, seed=seed)
    assert set(unread) <= UNREAD
    assert good >= 2


CONVOLUTIONS: dict[str, dict[str, object]] = {
    "plain": {"input": (3, 3), "kernel": (2, 2)},
    "asymmetric": {"input": (4, 3), "kernel": (2, 2), "padding": ((1, 0), (0, 2)), "stride": 2},
    "dilated": {"input": (5, 4), "kernel": (2, 2), "dilation": (2, 1), "padding": 1},
    "grouped": {"input": (4, 3, 3), "kernel": (2, 2), "filters": 2, "groups": 2, "bias": True},
    "flipped": {"input": (3, 4), "kernel": (2, 2), "stride": (1, 2), "flip": True},
    "line": {"input": (7,), "kernel": (3,), "stride": 2, "padding": 2, "dilation": 2},
    "volume": {"input": (2, 2, 3), "kernel": (2, 1, 2), "padding": (0, 0, 1)},
    "cropped": {"input": (6, 4), "kernel": (2, 2), "stride": 3},
}
POOLS: dict[str, dict[str, object]] = {
    "overlapping": {"input": (5, 5), "kernel": 3, "stride": 2, "padding": 1},
    "split": {"input": (4, 5), "kernel": 3, "stride": 1, "ties": "split"},
    "dilated": {"input": (2, 5), "kernel": (2,), "stride": 1, "dilation": 2, "ties": "split"},
}
OTHERS = {
    "transposed": ("conv_transpose", {"input": (2, 3), "kernel": 2, "stride": 3, "padding": 1}),
    "output padding": (
        "conv_transpose",
        {"input": (1, 2, 2), "kernel": 2, "filters": 2, "stride": 2, "output_padding": 1}
        | {"bias": True},
    ),
    "average": ("avg_pool", {"input": (4, 4), "kernel": 3, "stride": 2, "padding": 1}),
    "ceiling": ("avg_pool", {"input": (6,), "kernel": (3,), "stride": 2, "ceil_mode": True}),
    "index": ("cross_entropy", {"input": (3, 2), "reduction": "sum"}),
}
GEOMETRIES = {
    **{f"conv {name}": ("conv", given) for name, given in CONVOLUTIONS.items()},
    **{f"max pool {name}": ("max_pool", given) for name, given in POOLS.items()},
    **OTHERS,
}


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("base", [0, 1])
def test_every_row_is_true_for_geometries_that_go_wrong(name: str, base: int) -> None:
    kind, given_ = GEOMETRIES[name]
    layer = pipeline.layer(spec(kind, given_))
    good, unread = check_layer(layer, style=Style(full=True, index_base=base), seed=3)
    assert set(unread) <= UNREAD
    assert good > 15


@pytest.mark.xfail(reason="PROSE: the display of the matrix leaves the bias out", strict=True)
def test_the_matrix_display_of_a_layer_with_a_bias_is_true() -> None:
    check_layer(derive.conv(input=(3, 3), kernel=(2, 2), bias=True), strict=True)
