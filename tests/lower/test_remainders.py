"""The strategy ``remainders``: the gradient of a strided convolution from moved copies of dy."""

from __future__ import annotations

import numpy as np
import pytest
from forced import BATCHES, at_once, awkward, differing, integers, kernels

STRIDED = {"input": (3, 11, 12), "kernel": (3, 4), "filters": 4, "stride": 2}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"bias": True, "padding": 1},
        {"stride": 3, "kernel": (3, 5), "padding": ((0, 2), (1, 0))},
        {"stride": (1, 2), "padding": (2, 0)},
        {"stride": (2, 1), "kernel": (5, 1), "padding": 3},
        {"flip": True, "padding": 1},
        {"input": (3, 14), "kernel": (5,), "stride": 3},
        {"input": (2, 9, 9), "kernel": (2, 2), "stride": 2},
        {"input": (2, 8, 8), "kernel": (7, 7), "stride": 4, "padding": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_gives_what_the_direct_kernel_gives(more, dtype):
    made = kernels("remainders", **STRIDED | more)
    assert {t for _, groups in made for group in groups for t in group} == {"dx"}
    for module, _ in made:
        for batch in BATCHES:
            assert differing(module, integers(module, batch), dtype) == []


def test_products_are_cut_along_both_sides_where_they_would_be_large():
    settings = {"input": (32, 112, 60), "kernel": (2, 3), "filters": 120, "stride": 2}
    ((module, _),) = kernels("remainders", **settings)
    assert "(high, 7, 1, depth, 240), (30, 240, 0, 1680, 1)" in module.SOURCE
    assert ".reshape(high, 1, 2, 16, depth)" in module.SOURCE
    assert differing(module, integers(module, 2)) == []


@pytest.mark.parametrize(
    "more",
    [
        {"stride": 1},
        {"kernel": (1, 3)},
        {"dilation": 2},
        {"groups": 2, "input": (4, 9, 9)},
        {"input": (2, 5, 6, 7), "kernel": (3, 2, 2)},
    ],
    ids=str,
)
def test_it_is_not_offered_without_a_stride_or_where_a_remainder_is_never_read(more):
    assert kernels("remainders", **STRIDED | more) == ()


def test_the_copies_of_dy_are_one_for_each_place_that_taps_of_a_row_meet():
    settings = STRIDED | {"input": (3, 16, 16), "kernel": (3, 3), "padding": 1}
    ((module, _),) = kernels("remainders", **settings)
    assert '_moved", (2, 4, 9, 8), dtype)' in module.SOURCE


def test_arrays_with_gaps_that_cannot_be_written_are_fine():
    for module, _ in kernels("remainders", **STRIDED):
        given = integers(module, 3)
        right = module.backward(**given).dx
        floats = {name: awkward(array.astype("float32")) for name, array in given.items()}
        assert np.array_equal(module.backward(**floats).dx, right)


def test_threads_do_not_share_the_copies():
    for module, _ in kernels("remainders", **STRIDED):
        assert at_once(module, [integers(module, 4, seed) for seed in range(3)]) == []
