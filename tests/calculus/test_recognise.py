"""Textbook forms: the numbers that are named, against formulas by hand and against arrays.

The formulas (Dumoulin & Visin 2016, section 4, with dilation added), for one axis of
y[i] = Σ_u x[s·i + d·u − p]·w[u] with H entries, K taps and L outputs:

    dw: x padded by p and s(L−1) + 1 − H + d(K−1) − p, stride d, dilation s;
    dx: dy with s − 1 zeros between its entries, padded by d(K−1) − p and H + p − s(L−1) − 1,
        with w turned by 180° and dilated by d.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from by_hand import conv_equation, pool_equation
from hypothesis import given
from hypothesis import strategies as st
from reference import Geometry, conv_backward, geometries

import derive
from derive.calculus import differentiate
from derive.calculus.recognise import recognise

ONE_CHANNEL = st.sampled_from([1, 2]).flatmap(lambda rank: geometries(ranks=(rank,), grouped=False))


def single(geometry: Geometry) -> Geometry:
    """The same geometry with one channel and one filter."""
    return Geometry(
        1,
        1,
        1,
        geometry.sizes,
        geometry.kernel,
        geometry.stride,
        geometry.padding,
        geometry.dilation,
    )


def form_of(equation, tensor):
    """The form recognised at the equation's sizes."""
    equation = equation.at_sizes()
    return recognise(differentiate(equation, tensor), equation)


def conv_form(geometry, tensor):
    equation = conv_equation(
        (geometry.channels, *geometry.sizes),
        geometry.kernel,
        geometry.filters,
        **geometry.settings,
    )
    return form_of(equation, tensor)


# -- textbook operations in plain NumPy --------------------------------------------------------


def stuffed(array, axis, spread):
    """Spread − 1 zeros between neighbours."""
    shape = list(array.shape)
    shape[axis] = spread * (shape[axis] - 1) + 1
    result = np.zeros(shape, array.dtype)
    result[(slice(None),) * axis + (slice(None, None, spread),)] = array
    return result


def padded(array, axis, low, high):
    """Zeros on both sides; less than none is cropped."""
    width = [(0, 0)] * array.ndim
    width[axis] = (max(low, 0), max(high, 0))
    array = np.pad(array, width)
    stop = array.shape[axis] + min(high, 0)
    return array[(slice(None),) * axis + (slice(max(-low, 0), stop),)]


def textbook(source, kernel, form):
    """The correlation that a form describes: stuff, pad, turn, dilate, stride."""
    for k, axis in enumerate(form.axes):
        source = stuffed(source, k, axis.spread.number)
        source = padded(source, k, axis.low.number, axis.high.number)
        kernel = np.flip(kernel, k) if axis.flipped else kernel
        kernel = stuffed(kernel, k, axis.dilation.number)
    places = [
        range(0, length - taps + 1, axis.stride.number)
        for length, taps, axis in zip(source.shape, kernel.shape, form.axes, strict=True)
    ]
    result = np.zeros([len(p) for p in places], int)
    for index in product(*(range(len(p)) for p in places)):
        window = tuple(
            slice(p[i], p[i] + taps) for p, i, taps in zip(places, index, kernel.shape, strict=True)
        )
        result[index] = (source[window] * kernel).sum()
    return result


@given(geometry=ONE_CHANNEL.map(single), seed=st.integers(0, 99))
def test_the_named_textbook_form_computes_the_gradients(geometry, seed):
    arrays = geometry.arrays(seed, batch=1)
    x, w, dy = arrays["x"], arrays["w"], arrays["dy"]
    dx, dw, _ = conv_backward(dy, x, w, **geometry.settings)
    named = {"x": x[0, 0], "dy": dy[0, 0], "w": w[0, 0]}
    for tensor, expected in (("x", dx), ("w", dw)):
        form = conv_form(geometry, tensor)
        assert len(form.axes) == geometry.rank
        found = textbook(named[form.source], named[form.kernel], form)
        assert np.array_equal(found, expected[0, 0]), tensor


# -- the numbers ------------------------------------------------------------------------------


def expected_axes(geometry):
    """(H, K, L, s, d, p) of every axis."""
    return zip(
        geometry.sizes,
        geometry.kernel,
        geometry.outputs,
        geometry.stride,
        geometry.dilation,
        (low for low, _ in geometry.padding),
        strict=True,
    )


@given(geometry=geometries())
def test_dw_correlates_x_with_dy_stride_and_dilation_swapped(geometry):
    form = conv_form(geometry, "w")
    assert (form.kind, form.source, form.kernel) == ("correlation", "x", "dy")
    for axis, (H, K, L, s, d, p) in zip(form.axes, expected_axes(geometry), strict=True):
        assert (axis.low.number, axis.high.number) == (p, s * (L - 1) + 1 - H + d * (K - 1) - p)
        assert axis.stride.number == d
        assert axis.dilation.number == (s if L > 1 else 1)
        assert axis.spread.number == 1
        assert not axis.flipped  # only dx turns its filter


@given(geometry=geometries())
def test_dx_correlates_the_stuffed_dy_with_the_turned_kernel(geometry):
    form = conv_form(geometry, "x")
    assert (form.source, form.kernel) == ("dy", "w")
    for axis, (H, K, L, s, d, p) in zip(form.axes, expected_axes(geometry), strict=True):
        assert (axis.low.number, axis.high.number) == (d * (K - 1) - p, H + p - s * (L - 1) - 1)
        assert axis.stride.number == 1
        assert axis.dilation.number == (d if K > 1 else 1)
        assert axis.spread.number == (s if L > 1 else 1)
        assert axis.flipped


@given(geometry=geometries())
def test_full_convolution_is_said_exactly_where_it_holds(geometry):
    whole = [
        (s == 1 or L == 1)
        and (d == 1 or K == 1)
        and d * (K - 1) - p == K - 1 == H + p - s * (L - 1) - 1
        for H, K, L, s, d, p in expected_axes(geometry)
    ]
    kind = conv_form(geometry, "x").kind
    assert kind == ("full_convolution" if all(whole) else "convolution")


@pytest.mark.parametrize(
    ("setting", "kind", "reasons"),
    [
        ({}, "full_convolution", set()),
        ({"kernel": (1,)}, "full_convolution", set()),
        ({"kernel": (1,), "dilation": 3}, "full_convolution", set()),
        ({"kernel": (7,)}, "full_convolution", set()),
        ({"kernel": (7,), "stride": 4}, "full_convolution", set()),
        ({"stride": 2}, "convolution", {"stride"}),
        ({"stride": 3}, "convolution", {"stride", "remainder"}),
        ({"dilation": 2}, "convolution", {"dilation"}),
        ({"padding": 1}, "convolution", {"padding"}),
        ({"padding": 2}, "convolution", {"padding"}),
        (
            {"stride": 2, "dilation": 2, "padding": 1},
            "convolution",
            {"stride", "dilation", "padding"},
        ),
    ],
    ids=str,
)
def test_dx_is_a_full_convolution_only_where_it_is_proved(setting, kind, reasons):
    form = form_of(conv_equation((7,), **{"kernel": (3,)} | setting), "x")
    assert form.kind == kind
    assert {key for key, _ in form.reasons} == reasons


@pytest.mark.parametrize(("padding", "high"), [(1, 1), (2, 0)])
def test_half_padding_gives_half_padding_and_full_padding_a_valid_one(padding, high):
    (axis,) = form_of(conv_equation((7,), (3,), padding=padding), "x").axes
    assert (axis.low.number, axis.high.number) == (high, high)


def test_with_names_for_sizes_the_numbers_are_formulas():
    equation = conv_equation((9,), (3,), stride=2, padding=1, dilation=2)
    (of_x,) = recognise(differentiate(equation, "x"), equation).axes
    (of_w,) = recognise(differentiate(equation, "w"), equation).axes
    numbers = dict(equation.values)
    H, K, L, s, d, p = (numbers[name] for name in ("H", "K", "O", "s", "d", "p"))
    assert [a.evaluate(numbers) for a in (of_x.low, of_x.high)] == [
        d * (K - 1) - p,
        H + p - s * (L - 1) - 1,
    ]
    assert [a.evaluate(numbers) for a in (of_w.low, of_w.high)] == [
        p,
        s * (L - 1) + 1 - H + d * (K - 1) - p,
    ]
    assert {"H", "O", "p", "s"} <= set(of_x.high.names)


def test_groups_are_named_beside_the_form():
    layer = derive.conv(input=(4, 5), kernel=(3,), filters=2, groups=2)
    form = form_of(layer.equation, "x")
    assert form.kind == "full_convolution"
    assert ("groups", ()) in form.reasons


def test_a_true_convolution_turns_neither_kernel_in_dx():
    layer = derive.conv(input=(7,), kernel=(3,), flip=True)
    form = form_of(layer.equation, "x")
    assert form.kind == "correlation"
    assert [axis.flipped for axis in form.axes] == [False]


@given(geometry=ONE_CHANNEL.map(single), seed=st.integers(0, 9))
def test_the_named_forms_of_a_true_convolution_compute_its_gradients(geometry, seed):
    setting = {k: v for k, v in geometry.settings.items() if k != "groups"}
    layer = derive.conv(input=geometry.sizes, kernel=geometry.kernel, flip=True, **setting)
    arrays = geometry.arrays(seed, batch=1)
    x, dy = arrays["x"], arrays["dy"]
    turned = np.flip(arrays["w"], axis=tuple(range(2, 2 + geometry.rank)))
    dx, dw, _ = conv_backward(dy, x, turned, **geometry.settings)
    dw = np.flip(dw, axis=tuple(range(2, 2 + geometry.rank)))
    named = {"x": x[0, 0], "dy": dy[0, 0], "w": arrays["w"][0, 0]}
    for tensor, expected in (("x", dx), ("w", dw)):
        form = form_of(layer.equation, tensor)
        found = textbook(named[form.source], named[form.kernel], form)
        backwards = [k for k, axis in enumerate(form.axes) if axis.reversed]
        assert np.array_equal(np.flip(found, backwards), expected[0, 0]), tensor


@pytest.mark.parametrize(
    ("equation", "tensor", "kind"),
    [
        (conv_equation((3, 3), (2, 2), 2, bias=True), "b", "sum"),
        (pool_equation((1, 4), (2,), "max"), "x", "none"),
        (
            derive.equation("y[i] = sum[j](w[i,j]*x[j])", {"x": 3, "w": (2, 3)}).equation,
            "x",
            "product",
        ),
        (derive.equation("y[i] = tanh(x[i])", {"x": 3}).equation, "x", "none"),
        (derive.equation("y[i] = x[i]*x[i+1]", {"x": 3}).equation, "x", "none"),
    ],
    ids=["bias", "max pool", "dense", "tanh", "neighbours"],
)
def test_other_gradients_get_no_name_that_is_not_theirs(equation, tensor, kind):
    assert form_of(equation, tensor).kind == kind
