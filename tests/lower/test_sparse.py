"""The strategy ``sparse``: the layer's own matrix."""

from __future__ import annotations

import numpy as np
import pytest
from forced import BATCHES, at_once, awkward, differing, drawn, integers, kernels

SEEDS = range(14)
LAYER = {"input": (2, 5, 6), "kernel": (3, 2), "filters": 4, "padding": 1, "bias": True}
TRANSPOSED = {"input": (2, 3, 4), "kernel": (2, 3), "filters": 3, "stride": (2, 1), "padding": 1}


@pytest.mark.parametrize("seed", SEEDS)
def test_it_gives_what_the_direct_kernel_gives(seed):
    made = kernels("sparse", **drawn(seed))
    assert {t for _, groups in made for group in groups for t in group} >= {"y", "dx", "dw"}
    for module, _ in made:
        for batch in BATCHES:
            assert differing(module, integers(module, batch, seed)) == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_transposed_convolution_is_the_same_matrix_the_other_way(dtype):
    made = kernels("sparse", "conv_transpose", **TRANSPOSED)
    assert {t for _, groups in made for group in groups for t in group} == {"y", "dx", "dw"}
    for module, _ in made:
        assert differing(module, integers(module, 3), dtype) == []


def test_arrays_with_gaps_that_cannot_be_written_are_fine():
    for module, _ in kernels("sparse", **LAYER):
        given = {name: awkward(array) for name, array in integers(module, 3).items()}
        floats = {name: awkward(array.astype("float32")) for name, array in given.items()}
        y = module.forward(floats["x"], floats["w"], floats["b"])
        assert np.array_equal(y, module.forward(given["x"], given["w"], given["b"]))
        gradients = module.backward(**floats)
        for found, right in zip(gradients, module.backward(**given), strict=True):
            assert np.array_equal(found, right)


def test_threads_do_not_share_the_matrix():
    for module, _ in kernels("sparse", **LAYER):
        points = [integers(module, 5, seed) for seed in range(3)]
        assert at_once(module, points) == []


def test_the_matrix_of_one_call_leaves_nothing_for_the_next():
    for module, _ in kernels("sparse", **LAYER):
        for seed in range(3):
            assert differing(module, integers(module, 2, seed)) == []


def test_a_matrix_that_would_leave_the_cache_is_not_offered():
    assert kernels("sparse", input=(6, 12, 12), kernel=(5, 5), filters=16) == ()


@pytest.mark.parametrize("strategy", ["sparse", "unrolled", "batch_last"])
def test_a_weight_without_axes_is_a_kernel_too(strategy):
    made = kernels(strategy, "equation", text="y[i] = s*x[i]", shapes={"x": (4,), "s": ()})
    assert {t for _, groups in made for group in groups for t in group} >= {"y", "ds"}
    for module, _ in made:
        assert differing(module, integers(module, 3)) == []
