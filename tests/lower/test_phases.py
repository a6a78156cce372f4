"""The strategy ``phases``: the gradient of a strided convolution, gathered."""

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
        {"input": (2, 5, 6, 7), "kernel": (3, 2, 2), "stride": (2, 1, 2), "padding": (1, 0, 1)},
        {"input": (2, 9, 9), "kernel": (2, 2), "stride": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_gives_what_the_direct_kernel_gives(more, dtype):
    made = kernels("phases", **STRIDED | more)
    assert {t for _, groups in made for group in groups for t in group} == {"dx"}
    for module, _ in made:
        for batch in BATCHES:
            assert differing(module, integers(module, batch), dtype) == []


def test_a_tile_of_rows_may_end_in_the_middle_of_the_remainders():
    settings = {"input": (64, 73, 70), "kernel": (4, 4), "filters": 8, "stride": 2, "padding": 1}
    ((module, _),) = kernels("phases", **settings)
    assert "for top in range(0, 37, " in module.SOURCE
    assert differing(module, integers(module, 2)) == []


@pytest.mark.parametrize(
    "more",
    [{"stride": 1}, {"kernel": (1, 3)}, {"dilation": 2}, {"groups": 2, "input": (4, 9, 9)}],
    ids=str,
)
def test_it_is_not_offered_without_a_stride_or_where_a_remainder_is_never_read(more):
    assert kernels("phases", **STRIDED | more) == ()


def test_arrays_with_gaps_that_cannot_be_written_are_fine():
    for module, _ in kernels("phases", **STRIDED):
        given = integers(module, 3)
        right = module.backward(**given).dx
        floats = {name: awkward(array.astype("float32")) for name, array in given.items()}
        assert np.array_equal(module.backward(**floats).dx, right)


def test_threads_do_not_share_the_columns():
    for module, _ in kernels("phases", **STRIDED):
        assert at_once(module, [integers(module, 4, seed) for seed in range(3)]) == []
