"""The strategy ``unrolled``: every product of a tiny layer written out."""

from __future__ import annotations

import numpy as np
import pytest
from forced import BATCHES, at_once, awkward, differing, integers, kernels

TOY = {"input": (1, 3, 3), "kernel": (2, 2), "filters": 1, "bias": True}
TINY = [
    TOY,
    {"input": (3, 3), "kernel": (2, 2)},
    {"input": (1, 4, 3), "kernel": (2, 3), "filters": 1, "flip": True, "padding": (1, 0)},
    {"input": (2, 4), "kernel": (2,), "filters": 2, "padding": 1, "stride": 2, "bias": True},
    {"input": (4, 3), "kernel": (2,), "filters": 2, "groups": 2, "bias": True},
    {"input": (1, 12), "kernel": (3,), "filters": 1, "dilation": 2, "flip": True},
    {"input": (1, 3, 4), "kernel": (2, 2), "filters": 2, "stride": (2, 3), "bias": True},
    {"input": (1, 1), "kernel": (1,), "filters": 2, "padding": (1,)},
    {"input": (2, 3, 2), "kernel": (2, 1), "filters": 2, "bias": True},
]


@pytest.mark.parametrize("settings", TINY, ids=str)
def test_it_gives_what_the_direct_kernel_gives(settings):
    made = kernels("unrolled", **settings)
    assert {t for _, groups in made for group in groups for t in group} >= {"y", "dx", "dw"}
    for module, _ in made:
        for batch in BATCHES:
            assert differing(module, integers(module, batch)) == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_transposed_convolution_has_the_same_sides(dtype):
    made = kernels("unrolled", "conv_transpose", input=(1, 2, 1), kernel=(2, 2), stride=2)
    assert {t for _, groups in made for group in groups for t in group} == {"y", "dx", "dw"}
    for module, _ in made:
        assert differing(module, integers(module, 3), dtype) == []


def test_arrays_with_gaps_that_cannot_be_written_are_fine():
    for module, _ in kernels("unrolled", **TOY):
        given = {name: awkward(array) for name, array in integers(module, 3).items()}
        floats = {name: awkward(array.astype("float32")) for name, array in given.items()}
        y = module.forward(floats["x"], floats["w"], floats["b"])
        assert np.array_equal(y, module.forward(given["x"], given["w"], given["b"]))
        gradients = module.backward(**floats)
        for found, right in zip(gradients, module.backward(**given), strict=True):
            assert np.array_equal(found, right)


def test_threads_do_not_disturb_each_other():
    for module, _ in kernels("unrolled", **TOY):
        assert at_once(module, [integers(module, 5, seed) for seed in range(3)]) == []


def test_only_a_few_products_are_written_out():
    assert kernels("unrolled", input=(1, 5, 5), kernel=(3, 3), filters=1) == ()  # 81 of them
