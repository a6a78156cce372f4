"""The strategy ``sheared``: groups with few channels."""

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
    made = kernels("sheared", **grouped(seed))
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
    made = kernels("sheared", **DEPTHWISE | more)
    assert made
    for module, _ in made:
        for batch in (0, 1, 3):
            assert differing(module, integers(module, batch), dtype) == []


def test_all_gradients_can_be_made_together():
    made = kernels("sheared", **DEPTHWISE, bias=True)
    assert ("dx", "dw", "db") in {group for _, groups in made for group in groups}


def test_the_gradient_of_x_with_a_stride_takes_each_remainder_as_a_filter():
    for more in ({"stride": 2}, {"stride": (3, 2), "dilation": (2, 3)}, {"stride": (1, 4)}):
        made = kernels("sheared", **DEPTHWISE | {"input": (10, 11, 9), "filters": 10} | more)
        assert ("dx",) in {group for _, groups in made for group in groups}
        for module, _ in made:
            for batch in (0, 2, 9):
                assert differing(module, integers(module, batch)) == []


def test_transposed_convolutions_are_made_forward_and_backward():
    for stride in (1, 2, (2, 3)):
        made = kernels("sheared", "conv_transpose", **DEPTHWISE, stride=stride)
        assert {t for _, groups in made for group in groups for t in group} == {"y", "dx", "dw"}
        for module, _ in made:
            for batch in (0, 3):
                assert differing(module, integers(module, batch)) == []


def test_with_a_stride_the_gradient_of_the_kernel_is_made_alone():
    made = kernels("sheared", **DEPTHWISE, bias=True, stride=2)
    groups = {group for _, groups in made for group in groups}
    assert groups >= {("dx",), ("dw", "db")}
    assert ("dx", "dw") not in groups


@pytest.mark.parametrize(
    "more",
    [
        {"dilation": 2, "padding": 1},  # no tap reads where the output lies
        {"stride": (1, 2), "dilation": (1, 2), "padding": 1},  # nor an even column
        {"stride": (3, 3), "kernel": (2, 2)},
        {"padding": 6},
        {"kernel": (2, 7), "padding": ((0, 0), (7, 1))},
    ],
    ids=str,
)
def test_shifts_may_skip_places_and_be_longer_than_a_row(more):
    made = kernels("sheared", **DEPTHWISE | {"filters": 10, "bias": True} | more)
    assert made
    for module, _ in made:
        for batch in (0, 1, 3):
            assert differing(module, integers(module, batch)) == []


def test_what_is_no_number_spoils_the_windows_that_hold_it_and_no_others():
    module, groups = kernels("sheared", **DEPTHWISE)[0]
    assert ("y",) in groups
    x, w = np.zeros((1, 5, 7, 6), np.float32), np.ones((5, 1, 3, 3), np.float32)
    x[0, 1, 2, 0] = x[0, 1, 6, 5] = x[0, 4, 0, 3] = 1
    held = module.forward(x, w) > 0
    for value in (np.nan, np.inf):
        with np.errstate(invalid="ignore"):
            y = module.forward(np.where(x, np.float32(value), np.float32(2)), w)
        assert np.array_equal(~np.isfinite(y), held)


def test_blocks_that_do_not_come_out_even_repeat_groups():
    for module, _ in kernels(
        "sheared", **DEPTHWISE | {"input": (37, 40, 40), "filters": 37, "groups": 37}
    ):
        assert differing(module, integers(module, 2)) == []


@pytest.mark.parametrize("batch", [1, 5, 8, 9, 17])
def test_small_planes_of_some_samples_lie_together(batch):
    for module, _ in kernels("sheared", **DEPTHWISE, bias=True):
        assert " * count" in module.SOURCE
        differing(module, integers(module, 8, 1))  # leaves its numbers behind
        assert differing(module, integers(module, batch)) == []


def test_numbers_of_an_earlier_batch_are_not_read_again():
    for module, _ in kernels("sheared", **DEPTHWISE, bias=True):
        first, then = integers(module, 8, 1), integers(module, 3)
        spoiled = {name: array.astype("float32") for name, array in first.items()}
        spoiled["x"][:], spoiled["dy"][:] = np.nan, np.inf
        with np.errstate(invalid="ignore"):
            module.forward(spoiled["x"], spoiled["w"], spoiled["b"])
            module.backward(**spoiled)
        assert differing(module, then) == []


def test_large_products_are_made_in_slices():
    groups = {"input": (36, 26, 26), "filters": 36, "groups": 2, "bias": True}
    for module, _ in kernels("sheared", **DEPTHWISE | groups):
        assert "in slices small enough" in module.SOURCE
        assert differing(module, integers(module, 2)) == []


def test_arrays_with_gaps_that_cannot_be_written_are_fine():
    for module, _ in kernels("sheared", **DEPTHWISE):
        given = integers(module, 3)
        right = [module.forward(given["x"], given["w"]), *module.backward(**given)]
        floats = {name: awkward(array.astype("float32")) for name, array in given.items()}
        found = [module.forward(floats["x"], floats["w"]), *module.backward(**floats)]
        for one, two in zip(found, right, strict=True):
            assert np.array_equal(one, two)


def test_threads_do_not_share_the_tiles():
    for module, _ in kernels("sheared", **DEPTHWISE):
        assert at_once(module, [integers(module, 4, seed) for seed in range(3)]) == []


@pytest.mark.parametrize("seed", range(6))
def test_one_group_is_a_group(seed):
    random = 0
    settings = drawn(seed)
    while len(settings["kernel"]) != 2 or settings["groups"] > 1 or min(settings["kernel"]) == 1:
        random += 1000
        settings = drawn(seed + random)
    made = kernels("sheared", **settings)
    assert made
    for module, _ in made:
        for batch in (0, 1, 9):
            assert differing(module, integers(module, batch, seed)) == []
