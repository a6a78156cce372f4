"""The strategy ``bands``: groups with few channels."""

from __future__ import annotations

import numpy as np
import pytest
from forced import BATCHES, at_once, awkward, differing, drawn, integers, kernels

DEPTHWISE = {"input": (5, 7, 6), "kernel": (3, 3), "filters": 5, "groups": 5, "padding": 1}


def grouped(seed: int) -> dict[str, object]:
    """Settings of some small 2-D convolution with groups and windows of more than one entry."""
    while True:
        settings = drawn(seed)
        if len(settings["kernel"]) == 2 and settings["groups"] > 1 and min(settings["kernel"]) > 1:
            return settings
        seed += 1000


@pytest.mark.parametrize("seed", range(12))
def test_it_gives_what_the_direct_kernel_gives(seed):
    made = kernels("bands", **grouped(seed))
    assert {t for _, groups in made for group in groups for t in group} >= {"y", "dw"}
    for module, _ in made:
        for batch in BATCHES:
            assert differing(module, integers(module, batch, seed)) == []


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"filters": 10, "bias": True},
        {"input": (10, 7, 6), "filters": 10},
        {"stride": (2, 1)},
        {"stride": (1, 2), "dilation": (2, 1), "padding": 2},
        {"padding": ((3, 0), (0, 2))},
        {"kernel": (2, 5), "padding": (0, 2), "flip": True},
        {"input": (5, 1, 9)},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_geometry_and_both_types_are_exact_on_integers(more, dtype):
    made = kernels("bands", **DEPTHWISE | more)
    assert made
    for module, _ in made:
        for batch in (0, 1, 3):
            assert differing(module, integers(module, batch), dtype) == []


def test_the_gradient_of_x_is_gathered_the_same_way():
    made = kernels("bands", **DEPTHWISE)
    assert {t for _, groups in made for group in groups for t in group} == {"y", "dx", "dw"}


def test_blocks_that_do_not_come_out_even_repeat_groups():
    for module, _ in kernels(
        "bands", **DEPTHWISE | {"input": (37, 40, 40), "filters": 37, "groups": 37}
    ):
        assert differing(module, integers(module, 2)) == []


def test_arrays_with_gaps_that_cannot_be_written_are_fine():
    for module, _ in kernels("bands", **DEPTHWISE):
        given = integers(module, 3)
        right = [module.forward(given["x"], given["w"]), *module.backward(**given)]
        floats = {name: awkward(array.astype("float32")) for name, array in given.items()}
        found = [module.forward(floats["x"], floats["w"]), *module.backward(**floats)]
        for one, two in zip(found, right, strict=True):
            assert np.array_equal(one, two)


def test_threads_do_not_share_the_tiles():
    for module, _ in kernels("bands", **DEPTHWISE):
        assert at_once(module, [integers(module, 4, seed) for seed in range(3)]) == []


def test_it_is_not_offered_without_groups():
    assert kernels("bands", **DEPTHWISE | {"filters": 4, "groups": 1}) == ()
