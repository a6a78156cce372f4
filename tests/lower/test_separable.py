"""The strategies of pools: ``separable``, ``runs``, ``winners``, ``places`` and ``spread``."""

from __future__ import annotations

from math import lcm
from random import Random
from typing import Any

import numpy as np
import pytest
from forced import awkward, differing, integers, kernels, results
from kernels import derivation_of

import derive
from derive.errors import UsageError
from derive.lower import lower
from derive.render.kernel import kernel
from derive.verify.running import module

BATCHES = (0, 1, 3)
SHARES = lcm(*range(1, 33))
"""Gradients that can be split evenly among so many entries keep every sum exact."""


def pool(seed: int, kind: str) -> dict[str, Any]:
    """The settings of some small pool that is not refused, along one to three axes."""
    random = Random(seed)
    while True:
        axes = random.choice((1, 2, 2, 2, 3))

        def each(low: int, high: int, axes: int = axes) -> tuple[int, ...]:
            return tuple(random.randint(low, high) for _ in range(axes))

        settings: dict[str, Any] = {
            "input": (*random.choice(((), (2,), (5,))), *each(3, 9)),
            "kernel": (random.randint(2, 4), *each(1, 3)[1:]),
            "stride": each(1, 3),
            "ceil_mode": random.random() < 0.3,
        }
        settings["padding"] = tuple(random.randint(0, k // 2) for k in settings["kernel"])
        if kind == "max_pool":
            settings["dilation"] = each(1, 2)
        else:
            settings["count_include_pad"] = random.random() < 0.5
        try:
            getattr(derive, kind)(**settings)
        except UsageError:
            continue
        return settings


def many(seed: int, kind: str, strategy: str, wanted: int, **more: Any) -> list[Any]:
    """Kernels of so many drawn pools that the strategy serves."""
    found: list[Any] = []
    while len(found) < wanted:
        made = kernels(strategy, kind, **pool(seed, kind), **more)
        found += [one for one, _ in made]
        seed += 1000
    return found


def tied(made: Any, batch: int, seed: int) -> dict[str, np.ndarray]:
    """Entries between -1 and 1 only, so that most windows have several extrema."""
    given = integers(made, batch, seed)
    given["x"] = given["x"] % 3 - 1
    return given


@pytest.mark.parametrize("strategy", ["separable", "runs", "winners", "places"])
@pytest.mark.parametrize("seed", range(6))
def test_a_maximum_and_its_gradient_are_those_of_the_direct_kernel(strategy, seed):
    for made in many(seed, "max_pool", strategy, 2):
        for batch in BATCHES:
            assert differing(made, tied(made, batch, seed)) == []


@pytest.mark.parametrize("seed", range(6))
def test_ties_that_are_split_give_what_the_direct_kernel_gives(seed):
    for made in many(seed, "max_pool", "winners", 2, ties="split"):
        for batch in BATCHES:
            given = tied(made, batch, seed)
            given["dy"] = given["dy"].astype(float) * SHARES
            right = dict(results(made, {n: a.astype(object) for n, a in given.items()}))
            for name, found in results(made, given | {"x": given["x"].astype(float)}):
                assert np.array_equal(found, right[name].astype(float))


@pytest.mark.parametrize("strategy", ["separable", "runs", "spread"])
@pytest.mark.parametrize("seed", range(6))
def test_a_mean_and_its_gradient_are_those_of_the_direct_kernel(strategy, seed):
    for made in many(seed, "avg_pool", strategy, 2):
        for batch in BATCHES:
            given = {name: SHARES * array for name, array in integers(made, batch, seed).items()}
            assert differing(made, given, "float64") == []


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("y[c,i] = min[u](x[c, 2*i + u])", {"x": (2, 9), "y": (2, 4)}),
        ("y[c,i,j] = min[u,v](x[c, 2*i + u, j + v])", {"x": (2, 9, 8), "y": (2, 4, 6)}),
        ("y[i,j] = max[u,v](x[3*i + u, 2*j + 2*v])", {"x": (9, 9), "y": (2, 3)}),
        ("y[c,i,j] = max[u](x[c, 2*i + u, j])", {"x": (2, 9, 4), "y": (2, 4, 4)}),
    ],
)
def test_it_is_recognised_in_the_equation_of_anybody(text, shapes):
    for strategy in ("separable", "winners"):
        (made, _), *_ = kernels(strategy, "equation", text=text, shapes=shapes)
        assert differing(made, tied(made, 3, 0)) == []


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("y[i] = max[u](x[i + u] * w[u])", {"x": (6,), "w": (3,), "y": (4,)}),
        ("y[i] = max[u](x[i, u])", {"x": (6, 3)}),
        ("y[i,c] = max[u](x[i + u, c])", {"x": (6, 3), "y": (4, 3)}),
        ("y[i] = max[u](x[i + u, u])", {"x": (6, 3), "y": (4,)}),
    ],
)
def test_only_windows_of_one_tensor_are_pools(text, shapes):
    made = kernels("separable", "equation", text=text, shapes=shapes)
    assert len(made) == ("c" in text)  # with nothing that slides behind it, c is an axis of rows
    for one, _ in made:
        assert differing(one, tied(one, 3, 0)) == []


@pytest.mark.parametrize("strategy", ["separable", "runs", "winners", "places"])
def test_entries_that_are_minus_infinity_win_against_padding(strategy):
    for made in many(3, "max_pool", strategy, 3):
        given = {n: a.astype(float) for n, a in tied(made, 3, 0).items()}
        given["x"][given["x"] < 1] = -np.inf
        right = _direct(made, given)
        for name, found in results(made, given):
            assert np.array_equal(found, right[name])


@pytest.mark.parametrize("strategy", ["winners", "places"])
def test_an_infinite_gradient_leaves_the_losers_at_zero(strategy):
    for made in many(5, "max_pool", strategy, 2):
        given = {n: a.astype(float) for n, a in tied(made, 3, 0).items()}
        given["dy"][...] = np.inf
        assert set(np.unique(made.backward(given["dy"], given["x"]).dx)) <= {0, np.inf}


def _direct(made: Any, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By comparison with the whole window of every entry, one by one."""
    objects = {name: array.astype(object) for name, array in given.items()}
    return {name: array.astype(float) for name, array in results(made, objects)}


@pytest.mark.parametrize("kind", ["max_pool", "avg_pool"])
def test_arrays_with_gaps_that_cannot_be_written_are_fine(kind):
    derivation = derivation_of(getattr(derive, kind)(input=(3, 9, 8), kernel=(3, 2), stride=2))
    made = module(kernel(derivation, lower(derivation)), "kernel")
    given = {name: 6 * awkward(array) for name, array in integers(made, 3).items()}
    right = dict(results(made, given))
    floats = {name: awkward(array.astype(float)) for name, array in given.items()}
    for name, found in results(made, floats):
        assert np.array_equal(found, right[name])


@pytest.mark.parametrize("kernel_", [(2, 2), (3, 5), (1, 4)])
@pytest.mark.parametrize("padding", [0, 1])
def test_windows_on_rows_too_long_for_a_byte_are_found_too(kernel_, padding):
    padding = (padding if kernel_[0] > 1 else 0, padding)
    settings = {"input": (2, 5, 300), "kernel": kernel_, "stride": (2, 3), "padding": padding}
    ((made, _),) = kernels("places", "max_pool", **settings)
    for batch in BATCHES:
        assert differing(made, tied(made, batch, 0)) == []


@pytest.mark.parametrize("strategy", ["winners", "places"])
def test_windows_with_what_is_not_a_number_hand_on_nothing(strategy):
    for made in many(11, "max_pool", strategy, 3):
        given = {n: a.astype(float) for n, a in tied(made, 3, 0).items()}
        given["dy"][...] = 1
        whole = made.backward(given["dy"], given["x"]).dx.sum()
        random = np.random.default_rng(0)
        given["x"][random.random(given["x"].shape) < 0.05] = np.nan
        lost = np.isnan(made.forward(given["x"])).sum()
        assert 0 < lost < whole
        assert made.backward(given["dy"], given["x"]).dx.sum() == whole - lost


@pytest.mark.parametrize("kind", ["max_pool", "avg_pool"])
@pytest.mark.parametrize("padding", [1, 2])
def test_windows_over_the_edges_are_mended(kind, padding):
    settings = {"input": (3, 9, 12), "kernel": (5, 5), "stride": 1, "padding": padding}
    ((made, _),) = kernels("runs", kind, **settings)
    given = {name: SHARES * array for name, array in integers(made, 3).items()}
    assert differing(made, given, "float64") == []


def test_blocks_that_do_not_come_out_even_repeat_planes():
    derivation = derivation_of(
        derive.max_pool(input=(7, 60, 60), kernel=(3, 3), stride=2, padding=1)
    )
    for y, dx in (("separable", "winners"), ("runs", "places")):
        program = lower(derivation, wanted={"y": y, "dx": dx})
        made = module(kernel(derivation, program), "kernel")
        for batch in (1, 2, 5):
            assert differing(made, tied(made, batch, 0)) == []
