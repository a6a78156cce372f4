"""The strategy ``abreast``: samples side by side, for kernels larger than their columns."""

from __future__ import annotations

import numpy as np
import pytest
from forced import BATCHES, at_once, awkward, differing, integers, kernels

LAYER = {"input": (3, 6, 5), "kernel": (3, 2), "filters": 4, "padding": 1, "bias": True}
MANY = 41
"""Samples of more than one product: 30 places each, 17 of them in a row of 512."""


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"bias": False},
        {"stride": 2},
        {"stride": (1, 3), "dilation": (2, 1), "padding": ((0, 3), (1, 0))},
        {"input": (2, 3, 4, 3), "kernel": (3, 2, 2), "stride": (1, 1, 2), "padding": (1, 0, 1)},
        {"input": (3, 20), "kernel": (4,), "stride": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_gives_what_the_direct_kernel_gives(more, dtype):
    made = kernels("abreast", **LAYER | more)
    assert made
    for module, _ in made:
        for batch in (*BATCHES, MANY):
            assert differing(module, integers(module, batch), dtype) == []


def test_y_and_all_gradients_but_the_bias_are_made():
    assert sorted(targets for _, targets in kernels("abreast", **LAYER)) == [
        (("dw",),),
        (("dx",),),
        (("y",),),
    ]


def test_the_kernel_is_read_where_it_lies():
    for module, targets in kernels("abreast", **LAYER):
        if ("dw",) not in targets:
            assert "kernel = w.reshape(4, 18)" in module.SOURCE


def test_fewer_samples_than_a_product_takes_leave_no_traces_in_the_next_call():
    for module, _ in kernels("abreast", **LAYER):
        for batch in (MANY, 1, 5, MANY):
            assert differing(module, integers(module, batch)) == []


def test_arrays_with_gaps_that_cannot_be_written_are_fine():
    for module, _ in kernels("abreast", **LAYER):
        given = integers(module, 3)
        gradients = module.backward(**{name: awkward(array) for name, array in given.items()})
        for found, right in zip(gradients, module.backward(**given), strict=True):
            assert np.array_equal(found, right)


def test_threads_do_not_share_the_columns():
    for module, _ in kernels("abreast", **LAYER):
        assert at_once(module, [integers(module, 5, seed) for seed in range(3)]) == []


@pytest.mark.parametrize(
    "more",
    [{"kernel": (1, 1), "padding": 0}, {"groups": 2, "input": (4, 6, 5)}, {"input": (3, 20, 20)}],
    ids=str,
)
def test_what_it_would_not_help_is_left_to_others(more):
    assert kernels("abreast", **LAYER | more) == ()
