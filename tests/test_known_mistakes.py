"""Mistakes that are made again and again: each is written out, and the kernels differ from it."""

from __future__ import annotations

import numpy as np
from kernels import backward, integers, kernel_of

import derive

X5 = np.array([3, 1, 4, 1, 5])


def signal(**settings):
    """The kernel of a 1-D convolution without channels."""
    return kernel_of(derive.conv(**settings))


def stuffed(g, stride):
    """Entries of g with stride − 1 zeros between them."""
    wide = np.zeros(stride * (len(g) - 1) + 1, int)
    wide[::stride] = g
    return wide


# -- convolutions -------------------------------------------------------------------------


def test_dx_is_the_full_convolution_of_dy_only_at_stride_1():
    g, w = np.array([2, 7]), np.array([1, 8])
    assert signal(input=3, kernel=2).backward(g, X5[:3], w).dx.tolist() == [*np.convolve(g, w)]
    dx = signal(input=4, kernel=2, stride=2).backward(g, X5[:4], w).dx
    mistaken = np.convolve(g, w)
    assert mistaken.shape != dx.shape
    assert dx.tolist() == np.convolve(stuffed(g, 2), w).tolist()


def test_dx_turns_the_kernel_but_dw_turns_nothing():
    g, w = np.array([2, 7, 1]), np.array([1, 8, 2])
    gradients = signal(input=5, kernel=3).backward(g, X5, w)
    assert gradients.dx.tolist() == np.convolve(g, w).tolist()
    assert gradients.dw.tolist() == np.correlate(X5, g, "valid").tolist()
    mistaken = np.convolve(X5, g, "valid")
    assert mistaken.tolist() != gradients.dw.tolist()


def test_the_scatter_loop_takes_the_kernel_as_it_is_and_sums_do_not_notice():
    layer = derive.conv(input=(4, 4), kernel=(2, 2))
    arrays = integers(layer, batch=())
    right, mistaken = np.zeros((2, 4, 4), int)
    for i, j in np.ndindex(3, 3):
        right[i : i + 2, j : j + 2] += arrays["dy"][i, j] * arrays["w"]
        mistaken[i : i + 2, j : j + 2] += arrays["dy"][i, j] * arrays["w"][::-1, ::-1]
    dx = backward(kernel_of(layer), arrays).dx
    assert np.array_equal(dx, right)
    assert not np.array_equal(dx, mistaken)
    assert dx.sum() == mistaken.sum()


def test_stride_and_dilation_change_places_in_dw():
    x, g = np.array([3, 1, 4, 1, 5, 9]), np.array([2, 7])
    s, d, K = 3, 1, 3
    dw = signal(input=6, kernel=K, stride=s, dilation=d).backward(g, x, np.ones(K, int)).dw
    # a correlation of x with g whose dilation is s and whose stride is d
    assert dw.tolist() == [sum(g[i] * x[s * i + d * u] for i in range(2)) for u in range(K)]
    mistaken = [sum(g[i] * np.pad(x, (0, 9))[d * i + s * u] for i in range(2)) for u in range(K)]
    assert dw.tolist() != mistaken


def test_inputs_that_no_window_reaches_have_gradient_0_and_do_not_lengthen_dw():
    g, w, stride = np.array([2, 7]), np.array([1, 8]), 2
    gradients = signal(input=5, kernel=2, stride=stride).backward(g, X5, w)
    mistaken_dx = np.convolve(stuffed(g, stride), w)
    assert gradients.dx.tolist() == [*mistaken_dx, 0]
    mistaken_dw = np.correlate(X5, stuffed(g, stride), "valid")
    assert gradients.dw.tolist() == mistaken_dw[:2].tolist()
    assert len(mistaken_dw) == 3


def test_dw_of_a_group_reads_the_channels_of_that_group():
    layer = derive.conv(input=(4, 3), kernel=(2,), filters=2, groups=2)
    arrays = integers(layer, batch=())
    x, g = arrays["x"], arrays["dy"]
    dw = backward(kernel_of(layer), arrays).dw
    for f, c in np.ndindex(2, 2):
        assert dw[f, c].tolist() == np.correlate(x[2 * f + c], g[f], "valid").tolist()
    mistaken = np.correlate(x[0], g[1], "valid")
    assert dw[1, 0].tolist() != mistaken.tolist()


def test_parameters_gradients_are_sums_over_batch_and_places_not_means():
    layer = derive.conv(input=(1, 4), kernel=(2,), filters=1, bias=True)
    arrays = integers(layer, batch=(3,))
    x, g = arrays["x"][:, 0], arrays["dy"][:, 0]
    gradients = backward(kernel_of(layer), arrays)
    total = sum(np.correlate(x[n], g[n], "valid") for n in range(3))
    assert gradients.dw.ravel().tolist() == total.tolist()
    assert gradients.db.tolist() == [g.sum()]
    for mistaken in (total / 3, total / g.size):
        assert gradients.dw.ravel().tolist() != mistaken.tolist()
    assert g.sum() != g.mean()


def test_a_gradient_of_the_flipped_convolution_is_none_of_the_correlation():
    g, w = np.array([2, 7, 1, 8]), np.array([1, 8])
    plain, flipped = (signal(input=5, kernel=2, flip=flip) for flip in (False, True))
    # either belongs to its own forward, and to no other
    for made in (plain, flipped):
        assert made.forward(X5, w) @ g == made.backward(g, X5, w).dx @ X5
    mistaken = flipped.backward(g, X5, w).dx
    assert plain.forward(X5, w) @ g != mistaken @ X5


def test_a_transposed_convolution_does_not_invert_the_convolution():
    w = np.array([1, 8])
    y = signal(input=5, kernel=2).forward(X5, w)
    back = kernel_of(derive.conv_transpose(input=4, kernel=2)).forward(y, w)
    assert back.shape == X5.shape
    assert back.tolist() != X5.tolist()
    assert back.tolist() == np.convolve(y, w).tolist()


def test_without_output_padding_the_size_of_a_strided_convolution_is_not_restored():
    for size in (5, 6):
        outputs = signal(input=size, kernel=3, stride=2).SHAPES["y"]
        spread = {"input": outputs, "kernel": 3, "stride": 2}
        left_over = (size - 3) % 2
        made = kernel_of(derive.conv_transpose(**spread, output_padding=left_over))
        assert made.SHAPES["y"] == (size,)
        mistaken = kernel_of(derive.conv_transpose(**spread)).SHAPES["y"]
        assert mistaken == (5,)


# -- pools --------------------------------------------------------------------------------


def test_windows_of_a_max_pool_that_share_a_maximum_add_up_in_it():
    x, g = np.array([1, 9, 2]), np.array([3, 4])
    made = kernel_of(derive.max_pool(input=3, kernel=2, stride=1))
    mistaken = np.zeros(3, int)
    for i in range(2):
        mistaken[i + np.argmax(x[i : i + 2])] = g[i]
    assert mistaken.tolist() == [0, 4, 0]
    assert made.backward(g, x).dx.tolist() == [0, 7, 0]


def test_tied_maxima_do_not_each_get_the_whole_gradient():
    x, g = np.array([5, 5, 5, 2]), np.array([12])
    mistaken = g * (x == x.max())
    for ties, expected in (("first", [12, 0, 0, 0]), ("split", [4, 4, 4, 0])):
        made = kernel_of(derive.max_pool(input=4, kernel=4, ties=ties))
        assert made.backward(g, x).dx.tolist() == expected
        assert sum(expected) == g.sum() != mistaken.sum()


def test_under_a_maximum_the_padding_neither_wins_nor_takes_gradient():
    x, g = np.array([-3, -1, -2]), np.array([4, 5, 6])
    made = kernel_of(derive.max_pool(input=3, kernel=3, stride=1, padding=1))
    padded = np.pad(x, 1)
    mistaken = [padded[i : i + 3].max() for i in range(3)]
    assert mistaken == [0, -1, 0]
    assert made.forward(x).tolist() == [-1, -1, -1]
    assert made.backward(g, x).dx.tolist() == [0, 15, 0]


def test_a_central_difference_across_a_tie_is_no_derivative_of_the_maximum():
    made = kernel_of(derive.max_pool(input=2, kernel=2))
    x, step = np.array([5.0, 5.0]), np.array([0.25, 0.0])
    mistaken = (made.forward(x + step) - made.forward(x - step)) / 0.5
    assert mistaken.tolist() == [0.5]
    assert made.backward(np.ones(1), x).dx.tolist() == [1, 0]


def test_an_average_over_the_reads_divides_backward_by_the_reads():
    x, g = np.array([4.0, 8.0, 6.0, 2.0]), np.array([6.0, 6.0])
    setting = {"input": 4, "kernel": 3, "stride": 3, "padding": 1}
    reads = kernel_of(derive.avg_pool(**setting, count_include_pad=False))
    whole = kernel_of(derive.avg_pool(**setting, count_include_pad=True))
    assert reads.forward(x).tolist() == [6, 4]
    assert whole.forward(x).tolist() == [4, 8 / 3]
    mistaken = np.array([2.0, 2.0, 2.0, 2.0])
    assert reads.backward(g, x).dx.tolist() == [3, 3, 3, 3]
    np.testing.assert_allclose(whole.backward(g, x).dx, mistaken, rtol=1e-15)


# -- losses -------------------------------------------------------------------------------


def test_p_minus_t_is_the_gradient_only_where_the_targets_add_up_to_1():
    made = kernel_of(derive.cross_entropy(input=2, target="distribution", reduction="sum"))
    x, p = np.zeros(2), np.array([0.5, 0.5])
    for t in (np.array([0.25, 0.75]), np.array([1.0, 2.0])):
        dx, mistaken = made.backward(x, t).dx, p - t
        np.testing.assert_allclose(dx, t.sum() * p - t, atol=1e-15)
        assert np.allclose(dx, mistaken) == (t.sum() == 1)


def test_a_mean_of_losses_divides_the_gradient_by_the_batch_and_a_sum_does_not():
    x, t = np.zeros((4, 2)), np.array([0, 1, 1, 0])
    each = np.array([[-0.5, 0.5], [0.5, -0.5], [0.5, -0.5], [-0.5, 0.5]])
    for reduction, divisor in (("sum", 1), ("mean", 4)):
        made = kernel_of(derive.cross_entropy(input=2, reduction=reduction))
        np.testing.assert_allclose(made.backward(x, t).dx, each / divisor, rtol=1e-15)
