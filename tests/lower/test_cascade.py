"""The strategy ``cascade``: products added up axis by axis."""

from __future__ import annotations

import numpy as np
import pytest
from forced import BATCHES, at_once, awkward, differing, drawn, integers, kernels

SEEDS = range(40)
DENSE = [s for s in SEEDS if drawn(s)["groups"] == 1]
LAYER = {"input": (2, 5, 6), "kernel": (3, 2), "filters": 4, "padding": 1, "bias": True}
TRANSPOSED = {"input": (2, 3, 4), "kernel": (2, 3), "filters": 3, "stride": (2, 1), "padding": 1}


@pytest.mark.parametrize("seed", DENSE)
def test_it_gives_what_the_direct_kernel_gives(seed):
    # without a stride; a kernel of one entry has nothing to add up
    settings = drawn(seed) | {"stride": 1}
    made = kernels("cascade", **settings)
    assert {t for _, groups in made for group in groups for t in group} == (
        {"dx"} if np.prod(settings["kernel"]) > 1 else set()
    )
    for module, _ in made:
        for batch in BATCHES:
            assert differing(module, integers(module, batch, seed)) == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernel", [(2, 1, 3), (1, 3, 1), (3, 2, 2)])
def test_three_axes_are_added_up_one_after_another(kernel, dtype):
    made = kernels("cascade", input=(2, 4, 5, 4), kernel=kernel, filters=3, padding=(1, 0, 2))
    assert [groups for _, groups in made] == [(("dx",),)]
    assert differing(made[0][0], integers(made[0][0], 3), dtype) == []


def test_channels_are_taken_some_at_a_time_where_planes_are_large():
    made = kernels("cascade", input=(6, 40, 40), kernel=(5, 5), filters=2, padding=2)
    ((module, _),) = made
    assert "for part in range(2):" in module.SOURCE
    for batch in (1, 3):
        assert differing(module, integers(module, batch)) == []


def test_planes_of_a_power_of_two_lie_apart():
    ((module, _),) = kernels("cascade", input=(2, 14, 30), kernel=(3, 3), filters=2, padding=1)
    assert "reshape(2, 528)[:, :512]" in module.SOURCE
    assert differing(module, integers(module, 3)) == []


def test_arrays_with_gaps_that_cannot_be_written_are_fine():
    for module, _ in kernels("cascade", **LAYER):
        given = {name: awkward(array) for name, array in integers(module, 3).items()}
        floats = {name: awkward(array.astype("float32")) for name, array in given.items()}
        y = module.forward(floats["x"], floats["w"], floats["b"])
        assert np.array_equal(y, module.forward(given["x"], given["w"], given["b"]))
        gradients = module.backward(**floats)
        for found, right in zip(gradients, module.backward(**given), strict=True):
            assert np.array_equal(found, right)


def test_threads_do_not_share_the_matrix():
    for module, _ in kernels("cascade", **LAYER):
        points = [integers(module, 5, seed) for seed in range(3)]
        assert at_once(module, points) == []


def test_the_buffers_of_one_call_leave_nothing_for_the_next():
    for module, _ in kernels("cascade", **LAYER):
        for seed in range(3):
            assert differing(module, integers(module, 2, seed)) == []
