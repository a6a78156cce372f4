"""Winograd's strategy, forced on drawn layers: equal to the direct kernel, close in float32."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from forced import awkward, integers, kernels, results
from kernels import derivation_of

import derive
from derive.lower import lower, patches
from derive.lower.branching import Asked, tasks
from derive.lower.strategies import winograd
from derive.render.kernel import kernel

FLOAT64, FLOAT32 = 1e-10, 2e-5
"""Largest errors, relative to the largest entry."""


def drawn(seed: int) -> dict[str, Any]:
    """A 1-D or 2-D convolution of single steps: any taps, padding, dilation, groups, raggedness."""
    random = Random(seed)
    axes = random.choice((1, 2, 2, 2))
    taps = tuple(random.randint(1, 5) for _ in range(axes))
    taps = (random.randint(2, 5), *taps[1:])
    padding = tuple((random.randint(0, 3), random.randint(0, 3)) for _ in range(axes))
    dilation = tuple(random.randint(1, 3) for _ in range(axes))
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, taps, strict=True)]
    sizes = tuple(
        max(1, s - sum(p)) + random.randint(0, 8) for s, p in zip(spans, padding, strict=True)
    )
    groups = random.choice((1, 1, 1, 2, 3))
    return {
        "input": (groups * random.randint(1, 3), *sizes),
        "kernel": taps,
        "filters": groups * random.randint(1, 3),
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "bias": random.random() < 0.6,
        "flip": random.random() < 0.3,
    }


def worst(made: Any, given: dict[str, np.ndarray], dtype: str) -> float:
    """The largest error of y and all gradients, each relative to its largest entry."""
    expected = dict(results(made, given))  # integers are summed tap by tap, exactly
    errors = [0.0]
    for name, array in results(made, {n: a.astype(dtype) for n, a in given.items()}):
        assert array.dtype == dtype
        assert array.shape == expected[name].shape
        if array.size:
            off = float(np.abs(array - expected[name]).max())
            scale = float(np.abs(expected[name]).max()) or 1.0
            errors.append(off / scale)
    return max(errors)


@pytest.mark.parametrize("seed", range(24))
def test_every_way_to_use_it_equals_the_direct_kernel(seed: int) -> None:
    found = kernels(winograd.NAME, **drawn(seed))
    assert found
    for made, _ in found:
        for batch in (0, 1, 3):
            given = integers(made, batch, seed)
            assert worst(made, given, "float64") < FLOAT64
            assert worst(made, given, "float32") < FLOAT32


@pytest.mark.parametrize("batch", [1, 5, 8, 33])
def test_blocks_of_several_samples_leave_none_out(batch: int) -> None:
    for made, _ in kernels(winograd.NAME, input=(3, 5, 7), kernel=3, filters=4, padding=1):
        assert worst(made, integers(made, batch), "float64") < FLOAT64


def test_blocks_of_rows_leave_none_out_where_rows_are_ragged() -> None:
    settings = {"input": (24, 75, 61), "kernel": (3, 3), "filters": 40, "padding": (0, 2)}
    for made, _ in kernels(winograd.NAME, **settings):
        assert worst(made, integers(made, 2), "float64") < FLOAT64


@pytest.mark.parametrize("large", [0, patches.LARGE])
@pytest.mark.parametrize("kernel_size", [(3, 3), (3, 2), (1, 4)])
def test_a_kernel_that_is_taken_some_filters_at_a_time_leaves_none_out(
    kernel_size: tuple[int, int], large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patches, "CLOSE", 4 * 48 * 36 * 16)  # so that 16 filters are close
    monkeypatch.setattr(patches, "LARGE", large)
    winograd._blocks.cache_clear()
    settings = {"input": (48, 9, 6), "kernel": kernel_size, "filters": 64, "bias": True}
    for made, _ in kernels(winograd.NAME, **settings):
        for batch in (0, 1, 33):
            assert worst(made, integers(made, batch), "float64") < FLOAT64
    winograd._blocks.cache_clear()


def test_transposed_convolutions_use_the_adjoint_forwards() -> None:
    settings = {"input": (4, 6, 9), "kernel": (3, 3), "filters": 5, "padding": 1}
    found = kernels(winograd.NAME, kind="conv_transpose", **settings)
    assert any("y" in targets for _, made in found for targets in made)
    for module, _ in found:
        assert worst(module, integers(module, 3), "float64") < FLOAT64


def test_arrays_that_are_strided_and_cannot_be_written_are_fine() -> None:
    for made, _ in kernels(winograd.NAME, input=(3, 9, 8), kernel=3, filters=4, padding=1):
        given = {n: a.astype("float64") for n, a in integers(made, 3).items()}
        plain = dict(results(made, given))
        for name, array in results(made, {n: awkward(a) for n, a in given.items()}):
            assert np.array_equal(array, plain[name])


def test_a_large_batch_after_a_small_one_finds_no_remains_of_other_samples() -> None:
    for made, _ in kernels(winograd.NAME, input=(3, 5, 7), kernel=3, filters=4, padding=1):
        for batch in (33, 1, 9, 0, 2):
            assert worst(made, integers(made, batch, batch), "float64") < FLOAT64


@pytest.mark.parametrize(
    ("channels", "size", "filters"), [(64, 56, 64), (128, 28, 128), (32, 15, 48)]
)
def test_float32_stays_within_the_bound_on_common_layers(
    channels: int, size: int, filters: int
) -> None:
    settings = {"input": (channels, size, size), "kernel": 3, "filters": filters, "padding": 1}
    made, _ = kernels(winograd.NAME, **settings)[-1]
    random = np.random.default_rng(0)
    given = {name: random.standard_normal(array.shape) for name, array in integers(made, 2).items()}
    exact = dict(results(made, given))  # in float64
    for name, array in results(made, {n: a.astype("float32") for n, a in given.items()}):
        assert np.abs(array - exact[name]).max() < winograd.ERROR / 2 * np.abs(exact[name]).max()


def test_exact_order_leaves_it_out() -> None:
    derivation = derivation_of(derive.conv(input=(64, 56, 56), kernel=3, filters=64, padding=1))
    used, kept = (lower(derivation, exact=exact) for exact in (False, True))
    assert winograd.NAME in {call.strategy for choice in used.choices for call in choice.calls}
    assert winograd.NAME not in {call.strategy for choice in kept.choices for call in choice.calls}


@pytest.mark.parametrize(
    "settings", [{"stride": 2}, {"kernel": (1, 1)}, {"kernel": (7, 7)}, {"kernel": (3, 7)}]
)
def test_it_is_offered_for_single_steps_and_few_taps_only(settings: dict[str, Any]) -> None:
    layer = derive.conv(**{"input": (4, 12, 12), "kernel": (3, 3), "filters": 4, **settings})
    for task in tasks(derivation_of(layer), Asked()):
        assert "y" not in {t for targets in winograd.applies(task) for t in targets}


def test_the_kernel_says_what_it_saves_and_what_error_to_expect() -> None:
    derivation = derivation_of(derive.conv(input=(64, 56, 56), kernel=3, filters=64, padding=1))
    text = kernel(derivation, lower(derivation))
    assert "36 multiplications where a direct sum takes 144" in text
    assert "off by less than 2e-05" in text
    assert "np.kron(G43, G43)" in text
