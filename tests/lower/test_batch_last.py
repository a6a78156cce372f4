"""The strategy ``batch_last``: samples innermost."""

from __future__ import annotations

import numpy as np
import pytest
from forced import BATCHES, at_once, awkward, differing, drawn, integers, kernels

SEEDS = [seed for seed in range(24) if drawn(seed)["groups"] == 1]
EVERY = ("dx", "dw", "db")
LAYER = {"input": (2, 5, 6), "kernel": (3, 2), "filters": 4, "padding": 1, "bias": True}
TRANSPOSED = {"input": (2, 3, 4), "kernel": (2, 3), "filters": 3, "stride": (2, 1), "padding": 1}


@pytest.mark.parametrize("seed", SEEDS)
def test_it_gives_what_the_direct_kernel_gives(seed):
    settings = drawn(seed)
    made = kernels("batch_last", **settings)
    found = {t for _, groups in made for group in groups for t in group}
    # a stride along the rows would tear the runs of dx apart
    assert found >= ({"y", "dw"} if settings["stride"][-1] > 1 else {"y", "dx", "dw"})
    for module, _ in made:
        for batch in BATCHES:
            assert differing(module, integers(module, batch, seed)) == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_transposed_convolution_has_the_same_sides(dtype):
    made = kernels("batch_last", "conv_transpose", **TRANSPOSED)
    assert {t for _, groups in made for group in groups for t in group} == {"y", "dx", "dw"}
    for module, _ in made:
        assert differing(module, integers(module, 3), dtype) == []


def test_arrays_with_gaps_that_cannot_be_written_are_fine():
    for module, _ in kernels("batch_last", **LAYER):
        given = {name: awkward(array) for name, array in integers(module, 3).items()}
        floats = {name: awkward(array.astype("float32")) for name, array in given.items()}
        y = module.forward(floats["x"], floats["w"], floats["b"])
        assert np.array_equal(y, module.forward(given["x"], given["w"], given["b"]))
        gradients = module.backward(**floats)
        for found, right in zip(gradients, module.backward(**given), strict=True):
            assert np.array_equal(found, right)


def test_threads_do_not_share_the_matrix():
    for module, _ in kernels("batch_last", **LAYER):
        points = [integers(module, 5, seed) for seed in range(3)]
        assert at_once(module, points) == []


def test_the_buffers_of_one_call_leave_nothing_for_the_next():
    for module, _ in kernels("batch_last", **LAYER):
        for seed in range(3):
            assert differing(module, integers(module, 2, seed)) == []


def test_all_gradients_are_made_together_or_each_alone():
    ways = [LAYER, LAYER | {"stride": (2, 1)}]  # where dx is cheaper with the others, and alone
    groups = {g for way in ways for _, made in kernels("batch_last", **way) for g in made}
    assert groups == {("y",), ("dx",), ("dw", "db"), EVERY}


def test_groups_and_large_layers_are_left_to_others():
    assert kernels("batch_last", **LAYER | {"groups": 2}) == ()
    assert kernels("batch_last", input=(64, 56, 56), kernel=(7, 7), filters=64, padding=3) == ()
