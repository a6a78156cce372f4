"""Activations, softmax, norms and losses: stability, known gradients, identities of textbooks."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from kernels_of import kernel

from derive.layers import layers
from derive.layers.elementwise import ROWS

LARGE = np.array([-1e4, -800.0, -30.0, 0.0, 30.0, 800.0, 1e4])

FORMULAS = {
    "abs": abs,
    "elu": lambda z: z if z > 0 else mpmath.expm1(z),
    "exp": mpmath.exp,
    "gelu": lambda z: z * (1 + mpmath.erf(z / mpmath.sqrt(2))) / 2,
    "hardtanh": lambda z: min(max(z, -1), 1),
    "leaky_relu": lambda z: z if z > 0 else z / 100,
    "log_sigmoid": lambda z: -mpmath.log(1 + mpmath.exp(-z)),
    "mish": lambda z: z * mpmath.tanh(mpmath.log(1 + mpmath.exp(z))),
    "relu": lambda z: max(z, 0),
    "relu6": lambda z: min(max(z, 0), 6),
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
    "silu": lambda z: z / (1 + mpmath.exp(-z)),
    "softplus": lambda z: mpmath.log(1 + mpmath.exp(z)),
    "softsign": lambda z: z / (1 + abs(z)),
    "square": lambda z: z * z,
    "tanh": mpmath.tanh,
}
POINTS = np.array([-7.25, -2.5, -0.5, -1e-9, 1e-9, 0.75, 3.0, 6.5])


def test_every_row_of_the_table_is_a_layer_and_has_its_formula_here() -> None:
    assert {row.name for row in ROWS} == set(FORMULAS)
    assert set(FORMULAS) <= set(layers())


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_an_activation_and_its_slope_are_the_mathematical_ones(name) -> None:
    made, formula = kernel(name, input=8), FORMULAS[name]
    with mpmath.workdps(40):
        points = [mpmath.mpf(float(z)) for z in POINTS]
        expected = [float(formula(z)) for z in points]
        slopes = [float(mpmath.diff(formula, z, h=mpmath.mpf(10) ** -15)) for z in points]
    # gelu cancels far left, as its formula says: relative to the argument
    np.testing.assert_allclose(made.forward(POINTS), expected, rtol=1e-14, atol=1e-13)
    dx = made.backward(np.ones(8), POINTS).dx
    np.testing.assert_allclose(dx, slopes, rtol=1e-12, atol=1e-14)


KINKS = [
    ("relu", {}, 0.0, 0.0),
    ("leaky_relu", {"negative_slope": 0.25}, 0.0, 0.25),
    ("elu", {"alpha": 1.5}, 0.0, 1.5),
    ("abs", {}, 0.0, 0.0),
    ("hardtanh", {}, 1.0, 0.0),
    ("hardtanh", {}, -1.0, 0.0),
    ("relu6", {}, 0.0, 0.0),
    ("relu6", {}, 6.0, 0.0),
    ("softsign", {}, 0.0, 1.0),
]


@pytest.mark.parametrize(("name", "options", "at", "slope"), KINKS)
def test_the_derivative_at_a_kink_is_the_stated_one(name, options, at, slope) -> None:
    made = kernel(name, input=1, **options)
    assert made.backward(np.ones(1), np.array([at])).dx.tolist() == [slope]


@pytest.mark.parametrize("name", sorted(set(FORMULAS) - {"exp"}))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_arguments_neither_overflow_nor_leave_their_dtype(name, dtype) -> None:
    made, x = kernel(name, input=7), LARGE.astype(dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = made.forward(x)
        dx = made.backward(np.ones(7, dtype), x).dx
    assert y.dtype == dx.dtype == dtype
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()


def test_an_activation_takes_any_shape_even_none() -> None:
    for shape in ((), (3,), (2, 3), (2, 1, 3), (2, 1, 3, 2)):
        made = kernel("relu", input=shape)
        x = np.random.default_rng(0).normal(size=(4, *shape))
        assert np.array_equal(made.forward(x), np.maximum(x, 0))


@pytest.mark.parametrize("shift", [0.0, 1e4, -1e4])
def test_softmax_is_shift_invariant_and_its_gradient_sums_to_zero(shift) -> None:
    x = np.random.default_rng(0).normal(size=(5, 4, 3))
    g = np.random.default_rng(1).normal(size=(5, 4, 3))
    p = np.exp(x) / np.exp(x).sum(axis=2, keepdims=True)
    soft = kernel("softmax", input=(4, 3), axis=1)
    logarithm = kernel("log_softmax", input=(4, 3), axis=1)
    np.testing.assert_allclose(soft.forward(x + shift), p, rtol=1e-11)
    np.testing.assert_allclose(logarithm.forward(x + shift), np.log(p), rtol=1e-11)
    # J = diag(p) - p p^T, and for the logarithm I - 1 p^T
    expected = p * (g - (g * p).sum(axis=2, keepdims=True))
    np.testing.assert_allclose(soft.backward(g, x + shift).dx, expected, rtol=1e-10)
    expected = g - p * g.sum(axis=2, keepdims=True)
    np.testing.assert_allclose(logarithm.backward(g, x + shift).dx, expected, rtol=1e-10)


def test_ties_at_the_largest_input_leave_softmax_alone() -> None:
    x, g = np.zeros(4), np.array([1.0, 2.0, 3.0, 6.0])
    assert kernel("softmax", input=4).backward(g, x).dx.tolist() == [-0.5, -0.25, 0.0, 0.75]


def test_a_negative_axis_counts_from_the_end() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3))
    assert np.array_equal(
        kernel("softmax", input=(2, 3), axis=-1).forward(x),
        kernel("softmax", input=(2, 3), axis=1).forward(x),
    )


def test_batch_norm_has_mean_beta_and_the_compact_gradient() -> None:
    made = kernel("batch_norm", input=(2, 3, 4), eps=1e-3)
    generator = np.random.default_rng(0)
    x, g = generator.normal(size=(2, 5, 2, 3, 4))
    gamma, beta = generator.normal(size=(2, 2))
    axes, by = (0, 2, 3), (slice(None), None, None)
    sigma = np.sqrt(x.var(axis=axes) + 1e-3)[by]
    hat = (x - x.mean(axis=axes)[by]) / sigma
    np.testing.assert_allclose(made.forward(x, gamma, beta), gamma[by] * hat + beta[by], rtol=1e-12)
    gradients = made.backward(g, x, gamma, beta)
    compact = g - g.mean(axis=axes)[by] - hat * (g * hat).mean(axis=axes)[by]
    np.testing.assert_allclose(gradients.dx, gamma[by] / sigma * compact, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(gradients.dgamma, (g * hat).sum(axis=axes), rtol=1e-12)
    np.testing.assert_allclose(gradients.dbeta, g.sum(axis=axes), rtol=1e-12)
    assert np.abs(gradients.dx.sum(axis=axes)).max() < 1e-12


def test_layer_norm_keeps_gamma_inside_the_means() -> None:
    made = kernel("layer_norm", input=(3, 4))
    generator = np.random.default_rng(0)
    x, g = generator.normal(size=(2, 5, 3, 4))
    gamma, beta = generator.normal(size=(2, 3, 4))
    sigma = np.sqrt(x.var(axis=(1, 2), keepdims=True) + 1e-5)
    hat = (x - x.mean(axis=(1, 2), keepdims=True)) / sigma
    np.testing.assert_allclose(made.forward(x, gamma, beta), gamma * hat + beta, rtol=1e-12)
    inner = gamma * g
    means = [a.mean(axis=(1, 2), keepdims=True) for a in (inner, inner * hat)]
    expected = (inner - means[0] - hat * means[1]) / sigma
    np.testing.assert_allclose(made.backward(g, x, gamma, beta).dx, expected, rtol=1e-10)


LOSSES = {
    "mse": lambda x, t: ((x - t) ** 2).mean(),
    "half_squared_error": lambda x, t: ((x - t) ** 2).sum() / 2 / len(x),
    "l1": lambda x, t: np.abs(x - t).mean(),
    "huber": lambda x, t: np.mean(
        [e * e / 2 if abs(e) <= 1 else abs(e) - 0.5 for e in (x - t).ravel()]
    ),
    "bce_with_logits": lambda x, t: (
        -np.mean(
            [
                b * math.log(1 / (1 + math.exp(-a))) + (1 - b) * math.log(1 / (1 + math.exp(a)))
                for a, b in zip(x.ravel(), t.ravel(), strict=True)
            ]
        )
    ),
}


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_loss_is_one_number_and_takes_no_upstream_gradient(name) -> None:
    made = kernel(name, input=(2, 3))
    x, t = np.random.default_rng(0).normal(size=(2, 5, 2, 3)) * 2
    np.testing.assert_allclose(made.forward(x, t), LOSSES[name](x, t), rtol=1e-13)
    gradients = made.backward(x, t)
    assert gradients._fields == ("dx", "dt")
    for at in ((0, 0, 0), (4, 1, 2)):
        for field, (one, two) in (("dx", (1, 0)), ("dt", (0, 1))):
            step = np.zeros_like(x)
            step[at] = 1e-6
            rise = LOSSES[name](x + one * step, t + two * step)
            fall = LOSSES[name](x - one * step, t - two * step)
            assert abs(getattr(gradients, field)[at] - (rise - fall) / 2e-6) < 1e-8


@pytest.mark.parametrize("name", ["mse", "half_squared_error", "l1", "huber"])
def test_a_loss_of_a_difference_has_opposite_gradients(name) -> None:
    x, t = np.random.default_rng(0).normal(size=(2, 5, 3))
    gradients = kernel(name, input=3).backward(x, t)
    assert np.array_equal(gradients.dx, -gradients.dt)


@pytest.mark.parametrize(("name", "share"), [("mse", 15), ("half_squared_error", 5)])
def test_a_sum_is_the_mean_times_what_it_is_over(name, share) -> None:
    x, t = np.random.default_rng(0).integers(-9, 10, (2, 5, 3)).astype(float)
    total = kernel(name, input=3, reduction="sum")
    mean = kernel(name, input=3)
    np.testing.assert_allclose(total.forward(x, t), share * mean.forward(x, t), rtol=1e-15)
    np.testing.assert_allclose(total.backward(x, t).dx, share * mean.backward(x, t).dx, rtol=1e-15)


@pytest.mark.parametrize("rest", [(), (2,), (2, 3)])
def test_cross_entropy_gradient_is_p_minus_t_over_the_targets(rest) -> None:
    x = np.random.default_rng(0).normal(size=(5, 4, *rest))
    t = np.random.default_rng(1).integers(0, 4, (5, *rest))
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    hot = np.moveaxis(np.eye(4)[t], -1, 1)
    made = kernel("cross_entropy", input=(4, *rest))
    np.testing.assert_allclose(made.forward(x, t), -(hot * np.log(p)).sum() / t.size, rtol=1e-13)
    gradients = made.backward(x, t)
    np.testing.assert_allclose(gradients.dx, (p - hot) / t.size, rtol=1e-12)
    assert gradients.dt is None


def test_cross_entropy_of_weights_that_do_not_sum_to_1_has_their_sum_before_p() -> None:
    x = np.random.default_rng(0).normal(size=(5, 4))
    t = np.random.default_rng(1).uniform(size=(5, 4))
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    made = kernel("cross_entropy", input=4, target="distribution", reduction="sum")
    gradients = made.backward(x, t)
    np.testing.assert_allclose(gradients.dx, t.sum(axis=1, keepdims=True) * p - t, rtol=1e-12)
    np.testing.assert_allclose(gradients.dt, -np.log(p), rtol=1e-12)


def test_losses_of_large_logits_stay_finite() -> None:
    x = np.array([1e4, 0.0, -1e4])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        entropy = kernel("cross_entropy", input=3)
        assert entropy.forward(x, 2) == 2e4
        assert entropy.backward(x, 2).dx.tolist() == [1, 0, -1]
        binary = kernel("bce_with_logits", input=3, reduction="sum")
        t = np.array([0.0, 1.0, 1.0])
        assert binary.forward(x, t) == 2e4 + math.log(2)
        assert binary.backward(x, t).dx.tolist() == [1, -0.5, -1]


@pytest.mark.parametrize("bad", [4, -1, 1.5])
def test_a_target_outside_of_the_classes_is_refused(bad) -> None:
    made = kernel("cross_entropy", input=4)
    with pytest.raises(ValueError, match=rf"^t holds {bad}, but the classes are 0 to 3$"):
        made.forward(np.zeros((2, 4)), np.array([0, bad]))
