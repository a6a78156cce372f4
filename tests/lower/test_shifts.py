"""The strategy ``shifts``: the kernel's gradient, windows overlapping along the first axis."""

from __future__ import annotations

import numpy as np
import pytest
from forced import BATCHES, at_once, awkward, differing, integers, kernels

LAYER = {"input": (2, 9, 8), "kernel": (3, 2), "filters": 4, "padding": 1, "bias": True}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"bias": False},
        {"kernel": (5, 3), "padding": 2},
        {"kernel": (4, 1), "padding": ((0, 3), (1, 0))},
        {"stride": (1, 3), "dilation": (2, 2)},
        {"flip": True, "padding": 2},
        {"input": (2, 5, 6, 4), "kernel": (3, 2, 2), "stride": (1, 1, 2), "padding": (1, 0, 1)},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_gives_what_the_direct_kernel_gives(more, dtype):
    made = kernels("shifts", **LAYER | more)
    assert made
    for module, _ in made:
        for batch in BATCHES:
            assert differing(module, integers(module, batch), dtype) == []


def test_products_with_a_large_result_are_sliced():
    settings = LAYER | {"input": (16, 20, 20), "kernel": (3, 5), "filters": 24, "stride": (1, 4)}
    ((module, _),) = kernels("shifts", **settings)
    assert "(3, 2, 40, " in module.SOURCE  # 16 · 5 rows in two slices of 40
    assert differing(module, integers(module, 2)) == []


def test_arrays_with_gaps_that_cannot_be_written_are_fine():
    for module, _ in kernels("shifts", **LAYER):
        given = integers(module, 3)
        gradients = module.backward(**{name: awkward(array) for name, array in given.items()})
        for found, right in zip(gradients, module.backward(**given), strict=True):
            assert np.array_equal(found, right)


def test_threads_do_not_share_the_columns():
    for module, _ in kernels("shifts", **LAYER):
        assert at_once(module, [integers(module, 5, seed) for seed in range(3)]) == []


@pytest.mark.parametrize(
    "more", [{"kernel": (1, 3)}, {"stride": 2}, {"groups": 2}, {"input": (2, 900, 800)}], ids=str
)
def test_what_it_would_not_help_is_left_to_others(more):
    assert kernels("shifts", **LAYER | more) == ()
