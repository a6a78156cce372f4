"""The strategy ``rows``: windows that overlap along the first axis."""

from __future__ import annotations

import numpy as np
import pytest
from forced import BATCHES, at_once, awkward, differing, integers, kernels

STEM = {"input": (3, 13, 12), "kernel": (5, 4), "filters": 4, "stride": 2, "bias": True}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"bias": False},
        {"kernel": (7, 3), "padding": 3},
        {"kernel": (4, 1), "padding": ((0, 3), (1, 0))},
        {"stride": (1, 3), "dilation": (1, 2)},
        {"stride": 3, "input": (2, 22, 9)},
        {"flip": True, "padding": 2},
        {"input": (2, 5, 6, 4), "kernel": (3, 2, 2), "stride": (2, 1, 2), "padding": (1, 0, 1)},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_gives_what_the_direct_kernel_gives(more, dtype):
    made = kernels("rows", **STEM | more)
    assert made
    for module, _ in made:
        for batch in BATCHES:
            assert differing(module, integers(module, batch), dtype) == []


def test_tiles_that_do_not_divide_the_rows_repeat_some():
    settings = {"input": (16, 118, 74), "kernel": (3, 3), "filters": 16, "stride": 2}
    ((module, _),) = kernels("rows", **settings, padding=1)
    assert "for top in (*range(" in module.SOURCE
    assert differing(module, integers(module, 2)) == []


def test_filters_are_sliced_where_a_product_would_be_large():
    settings = {"input": (3, 64, 224), "kernel": (7, 7), "filters": 64, "stride": 2}
    ((module, _),) = kernels("rows", **settings, padding=3, bias=True)
    assert "kernel.reshape(2, 1, 32, " in module.SOURCE
    assert differing(module, integers(module, 1)) == []


def test_the_gradient_of_x_is_gathered_the_same_way():
    made = kernels("rows", **STEM | {"stride": 1})
    assert {t for _, groups in made for group in groups for t in group} == {"y", "dx"}


def test_each_window_is_written_once_for_all_rows_of_outputs_that_read_it():
    ((module, _),) = kernels("rows", **STEM)
    assert "(7, 25, 5), dtype" in module.SOURCE  # 5 rows and 2 more, 2 · 3 · 4 windows and ones


@pytest.mark.parametrize(
    "more", [{"kernel": (2, 4)}, {"dilation": (2, 1)}, {"groups": 2, "input": (4, 13, 12)}], ids=str
)
def test_it_is_not_offered_where_nothing_overlaps_row_by_row(more):
    assert kernels("rows", **STEM | more) == ()


def test_arrays_with_gaps_that_cannot_be_written_are_fine():
    for module, _ in kernels("rows", **STEM):
        given = integers(module, 3)
        right = module.forward(given["x"], given["w"], given["b"])
        floats = [awkward(given[name].astype("float32")) for name in "xwb"]
        assert np.array_equal(module.forward(*floats), right)


def test_threads_do_not_share_the_blocks():
    for module, _ in kernels("rows", **STEM):
        assert at_once(module, [integers(module, 4, seed) for seed in range(3)]) == []
