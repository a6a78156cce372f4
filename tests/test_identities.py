"""Identities that every gradient obeys: generated kernels against each other, exactly."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kernels import backward, conv_layer, forward, integers, kernel_of
from reference import Geometry, geometries

import derive

FEW = settings(max_examples=16)


SMALL = geometries(ranks=(1, 2))


def run_both(layer, arrays):
    """(y, gradients) of a layer's kernel."""
    made = kernel_of(layer)
    return forward(made, arrays), backward(made, arrays)


def dot(a, b):
    return (a * b).sum()


def over_places(array, channel=1):
    """The sum over the batch and every axis but the channels'."""
    return array.sum(axis=tuple(a for a in range(array.ndim) if a != channel))


def transpose_of(geometry, bias=False):
    """The transposed convolution that goes the geometry's way backwards."""
    axes = zip(
        geometry.sizes,
        geometry.kernel,
        geometry.stride,
        geometry.padding,
        geometry.dilation,
        strict=True,
    )
    left_over = tuple((H + sum(p) - d * (K - 1) - 1) % s for H, K, s, p, d in axes)
    return derive.conv_transpose(
        input=(geometry.filters, *geometry.outputs),
        kernel=geometry.kernel,
        filters=geometry.channels,
        output_padding=left_over,
        bias=bias,
        **geometry.settings,
    )


# -- products of a tensor and its gradient ------------------------------------------------


def assert_bilinear(layer, seed, channel=1):
    """⟨x, dx⟩ = ⟨w, dw⟩ = ⟨y, dy⟩ − ⟨b, db⟩ and db = Σ dy."""
    arrays = integers(layer, seed)
    y, gradients = run_both(layer, arrays)
    assert np.array_equal(gradients.db, over_places(arrays["dy"], channel))
    both = dot(y, arrays["dy"]) - dot(arrays["b"], gradients.db)
    assert dot(arrays["x"], gradients.dx) == both
    assert dot(arrays["w"], gradients.dw) == both


@FEW
@given(SMALL, st.integers(0, 99))
def test_x_times_dx_is_w_times_dw_is_the_output_without_bias_times_dy(geometry, seed):
    assert_bilinear(conv_layer(geometry), seed)


@pytest.mark.parametrize(
    ("taps", "step", "padding"), [(2, 2, (0, 2)), (2, 3, (0, 3)), (3, 2, (2, 2)), (3, 3, (3, 3))]
)
def test_x_times_dx_is_w_times_dw_for_one_input_and_one_output(taps, step, padding):
    axis = ((1,), (taps,), (step,), (padding,), (step,))
    assert_bilinear(conv_layer(Geometry(1, 1, 1, *axis)), seed=0)


@FEW
@given(SMALL, st.integers(0, 99))
def test_x_times_dx_is_w_times_dw_for_a_transposed_convolution(geometry, seed):
    assert_bilinear(transpose_of(geometry, bias=True), seed)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 1, 4)])
def test_x_times_dx_is_w_times_dw_for_a_dense_layer(shape):
    layer = derive.dense(input=shape, units=2)
    assert_bilinear(layer, seed=0, channel=len(shape))


@st.composite
def pools(draw, dilated):
    """Settings of a pool with a valid read in every window."""
    axes = []
    for _ in range(draw(st.integers(1, 2))):
        taps, s = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        d = draw(st.integers(1, 2)) if dilated else 1
        size, low, high = draw(st.integers(2, 5)), draw(st.integers(0, 2)), draw(st.integers(0, 2))
        starts = range(-low, size + high - d * (taps - 1), s)
        assume(starts)
        assume(all(any(0 <= a + d * u < size for u in range(taps)) for a in starts))
        axes.append((size, taps, s, (low, high), d))
    sizes, kernel, stride, padding, dilation = (tuple(a) for a in zip(*axes, strict=True))
    named = {"input": (2, *sizes), "kernel": kernel, "stride": stride, "padding": padding}
    return named | ({"dilation": dilation} if dilated else {})


@FEW
@given(pools(dilated=True), st.sampled_from(["first", "split"]), st.integers(0, 99))
def test_a_max_pool_loses_no_gradient_even_where_maxima_tie(setting, ties, seed):
    layer = derive.max_pool(**setting, ties=ties)
    arrays = integers(layer, seed)
    # three different values, so that most windows have a tie; parts of a gradient stay exact
    arrays["x"] = arrays["x"] // 4
    arrays["dy"] = np.array([Fraction(int(v)) for v in arrays["dy"].flat]).reshape(
        arrays["dy"].shape
    )
    y, gradients = run_both(layer, arrays)
    assert np.array_equal(over_places(gradients.dx), over_places(arrays["dy"]))
    assert dot(arrays["x"], gradients.dx) == dot(y, arrays["dy"])


@FEW
@given(pools(dilated=False), st.booleans(), st.integers(0, 99))
def test_x_times_dx_is_y_times_dy_for_an_average_pool(setting, include, seed):
    layer = derive.avg_pool(**setting, count_include_pad=include)
    # 2520 is a multiple of every divisor up to 9: all quotients are whole, the sums exact
    arrays = {name: 2520 * a for name, a in integers(layer, seed).items()}
    y, gradients = run_both(layer, arrays)
    assert dot(arrays["x"], gradients.dx) == dot(y, arrays["dy"])
    if not include:  # every divisor is the number of reads, so the parts of dy add up to it
        assert np.array_equal(over_places(gradients.dx), over_places(arrays["dy"]))


def test_an_average_over_the_reads_keeps_fractions_exact():
    setting = {"input": (1, 3), "kernel": (3,), "stride": 1, "padding": ((0, 2),)}
    made = kernel_of(derive.avg_pool(**setting, count_include_pad=False))
    dy = np.array([[Fraction(1), Fraction(1), Fraction(1)]])
    dx = made.backward(dy, dy).dx.ravel().tolist()
    assert dx == [Fraction(1, 3), Fraction(5, 6), Fraction(11, 6)]


@pytest.mark.parametrize("shape", [(5,), (2, 3)])
def test_x_times_dx_is_y_times_dy_for_relu(shape):
    layer = derive.relu(input=shape)
    arrays = integers(layer, batch=(4,))
    y, gradients = run_both(layer, arrays)
    assert dot(arrays["x"], gradients.dx) == dot(y, arrays["dy"]) != 0


# -- sums that vanish ---------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_dx_of_softmax_and_of_its_logarithm_sums_to_0_over_the_classes(name, axis):
    layer = getattr(derive, name)(input=(3, 4), axis=axis)
    arrays = {k: v / 4 for k, v in integers(layer).items()}
    dx = backward(kernel_of(layer), arrays).dx
    assert np.abs(dx).max() > 0.01
    assert np.abs(dx.sum(axis=1 + axis)).max() < 1e-12


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_dx_of_cross_entropy_sums_to_0_over_the_classes(reduction):
    made = kernel_of(derive.cross_entropy(input=(4,), reduction=reduction))
    x = np.random.default_rng(0).normal(size=(3, 4))
    dx = made.backward(x, np.array([0, 3, 1])).dx
    assert np.abs(dx).max() > 0.01
    assert np.abs(dx.sum(axis=1)).max() < 1e-12


@pytest.mark.parametrize("sizes", [(), (3,), (2, 3)])
def test_dx_of_a_batch_norm_sums_to_0_in_every_channel(sizes):
    layer = derive.batch_norm(input=sizes or 2, channels=2 if sizes else None)
    arrays = {k: v / 4 for k, v in integers(layer, batch=(4,)).items()}
    dx = backward(kernel_of(layer), arrays).dx
    assert np.abs(dx).max() > 0.01
    assert np.abs(over_places(dx)).max() < 1e-9


@FEW
@given(SMALL, st.integers(0, 99))
def test_without_padding_dx_sums_to_the_sum_of_dy_times_the_sum_of_w(geometry, seed):
    assume(all(d * (K - 1) < H for d, K, H in zip(*extents_of(geometry), strict=True)))
    layer = derive.conv(
        input=(geometry.channels, *geometry.sizes),
        kernel=geometry.kernel,
        filters=geometry.filters,
        stride=geometry.stride,
        dilation=geometry.dilation,
    )
    arrays = integers(layer, seed)
    dx = backward(kernel_of(layer), arrays).dx
    places = tuple(range(2, dx.ndim))
    expected = arrays["dy"].sum(axis=places) @ arrays["w"].sum(axis=places)
    assert np.array_equal(dx.sum(axis=places), expected)


def extents_of(geometry):
    return geometry.dilation, geometry.kernel, geometry.sizes


# -- two layers that are one --------------------------------------------------------------


@FEW
@given(SMALL, st.integers(0, 99))
def test_a_batch_in_two_parts_gives_the_same_outputs_and_its_parameters_add_up(geometry, seed):
    layer = conv_layer(geometry)
    whole = integers(layer, seed, batch=(5,))
    y, gradients = run_both(layer, whole)
    halves = [whole | {k: whole[k][part] for k in ("x", "dy")} for part in np.s_[:2, 2:]]
    (y0, first), (y1, second) = (run_both(layer, half) for half in halves)
    assert np.array_equal(y, np.concatenate([y0, y1]))
    assert np.array_equal(gradients.dx, np.concatenate([first.dx, second.dx]))
    assert np.array_equal(gradients.dw, first.dw + second.dw)
    assert np.array_equal(gradients.db, first.db + second.db)


@FEW
@given(SMALL.filter(lambda g: g.groups > 1), st.integers(0, 99))
def test_groups_are_block_diagonal_weights(geometry, seed):
    grouped = conv_layer(geometry)
    dense = derive.conv(
        input=(geometry.channels, *geometry.sizes),
        kernel=geometry.kernel,
        filters=geometry.filters,
        bias=True,
        **(geometry.settings | {"groups": 1}),
    )
    arrays = integers(grouped, seed)
    mine, own = geometry.channels // geometry.groups, geometry.filters // geometry.groups
    blocks = [np.s_[f, f // own * mine : (f // own + 1) * mine] for f in range(geometry.filters)]
    diagonal = np.zeros((geometry.filters, geometry.channels, *geometry.kernel), int)
    for f, block in enumerate(blocks):
        diagonal[block] = arrays["w"][f]
    y, gradients = run_both(grouped, arrays)
    same, full = run_both(dense, arrays | {"w": diagonal})
    assert np.array_equal(y, same)
    assert np.array_equal(gradients.dx, full.dx)
    assert np.array_equal(gradients.dw, np.stack([full.dw[block] for block in blocks]))


@FEW
@given(SMALL.filter(lambda g: max(g.dilation) > 1 and max(g.kernel) > 1), st.integers(0, 99))
def test_dilation_is_a_kernel_with_zeros_between_its_taps(geometry, seed):
    wide = tuple(d * (K - 1) + 1 for d, K in zip(geometry.dilation, geometry.kernel, strict=True))
    stuffed = derive.conv(
        input=(geometry.channels, *geometry.sizes),
        kernel=wide,
        filters=geometry.filters,
        bias=True,
        **(geometry.settings | {"dilation": 1}),
    )
    dilated = conv_layer(geometry)
    arrays = integers(dilated, seed)
    taps = (slice(None), slice(None), *(slice(None, None, d) for d in geometry.dilation))
    w = np.zeros((*arrays["w"].shape[:2], *wide), int)
    w[taps] = arrays["w"]
    y, gradients = run_both(dilated, arrays)
    same, full = run_both(stuffed, arrays | {"w": w})
    assert np.array_equal(y, same)
    assert np.array_equal(gradients.dx, full.dx)
    assert np.array_equal(gradients.dw, full.dw[taps])


@FEW
@given(SMALL, st.integers(0, 99))
def test_a_transposed_convolution_is_the_adjoint_of_the_convolution_with_the_same_w(geometry, seed):
    conv, back = conv_layer(geometry, bias=False), transpose_of(geometry)
    arrays = integers(conv, seed)
    x, w, dy = (arrays[name] for name in ("x", "w", "dy"))
    spread = kernel_of(back).forward(dy, w)
    assert np.array_equal(spread, kernel_of(conv).backward(dy, x, w).dx)
    assert dot(spread, x) == dot(dy, kernel_of(conv).forward(x, w))


@pytest.mark.parametrize("sizes", [(4,), (3, 2)])
def test_a_convolution_with_one_tap_is_a_dense_layer_at_every_pixel(sizes):
    conv = derive.conv(input=(3, *sizes), kernel=(1,) * len(sizes), filters=2, bias=True)
    dense = derive.dense(input=(*sizes, 3), units=2)
    arrays = integers(conv)
    y, gradients = run_both(conv, arrays)
    last = {name: np.moveaxis(arrays[name], 1, -1) for name in ("x", "dy")}
    same, flat = run_both(dense, arrays | last | {"w": arrays["w"].reshape(2, 3)})
    assert np.array_equal(np.moveaxis(y, 1, -1), same)
    assert np.array_equal(np.moveaxis(gradients.dx, 1, -1), flat.dx)
    assert np.array_equal(gradients.dw.reshape(2, 3), flat.dw)


@pytest.mark.parametrize("sizes", [(4,), (3, 2)])
def test_a_kernel_as_large_as_the_input_is_a_dense_layer_on_the_flattened_input(sizes):
    conv = derive.conv(input=(2, *sizes), kernel=sizes, filters=3, bias=True)
    dense = derive.dense(input=2 * int(np.prod(sizes)), units=3)
    arrays = integers(conv)
    y, gradients = run_both(conv, arrays)
    flat = {"x": (2, -1), "w": (3, -1), "dy": (2, 3)}
    same, rows = run_both(dense, arrays | {k: arrays[k].reshape(s) for k, s in flat.items()})
    assert np.array_equal(y.reshape(2, 3), same)
    assert np.array_equal(gradients.dx.reshape(2, -1), rows.dx)
    assert np.array_equal(gradients.dw.reshape(3, -1), rows.dw)
