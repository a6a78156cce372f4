"""Gradients through intermediates come out as textbooks print them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

import derive
from derive.render.language import equation_text

SOFTMAX = "m = max[j](x[j])\ne[i] = exp(x[i]-m)\ns = sum[j](e[j])\ny[i] = e[i]/s"
LOG_SOFTMAX = "m = max[j](x[j])\ns = sum[j](exp(x[j]-m))\ny[i] = x[i]-m-log(s)"
CROSS_ENTROPY = (
    "m = max[j](x[j])\ne[j] = exp(x[j]-m)\ns = sum[j](e[j])\np[j] = e[j]/s\n"
    "y = -sum[j](t[j]*log(p[j]))"
)
CLASSES = CROSS_ENTROPY.replace("t[j]*log", "delta(j,t)*log")
BATCH_NORM = (
    "mu[c] = mean[n,i](x[n,c,i])\nv[c] = mean[n,i]((x[n,c,i]-mu[c])**2)\n"
    "h[n,c,i] = (x[n,c,i]-mu[c])/sqrt(v[c]+0.001)\ny[n,c,i] = gamma[c]*h[n,c,i]+beta[c]"
)
LAYER_NORM = (
    "mu = mean[i](x[i])\nv = mean[i]((x[i]-mu)**2)\n"
    "h[i] = (x[i]-mu)/sqrt(v+0.001)\ny[i] = gamma[i]*h[i]+beta[i]"
)
ATTENTION = (
    "s[i,j] = sum[d](q[i,d]*k[j,d])/2\nm[i] = max[j](s[i,j])\ne[i,j] = exp(s[i,j]-m[i])\n"
    "z[i] = sum[j](e[i,j])\na[i,j] = e[i,j]/z[i]\ny[i,d] = sum[j](a[i,j]*v[j,d])"
)

Shapes = Mapping[str, tuple[int, ...] | int]


def derived(text: str, shapes: Shapes, data: tuple[str, ...] = ()) -> derive.Derivation:
    return derive.derive(derive.equation(text, shapes=shapes, data=data))


def gather(derivation: derive.Derivation, tensor: str) -> str:
    every = (*derivation.inner, *derivation.gradients)
    return equation_text(next(g for g in every if g.of == tensor).gather)


def test_softmax_is_p_times_g_minus_its_mean_under_p() -> None:
    expected = "dx[n,q] = y[n,q] * (dy[n,q] - sum[i](dy[n,i] * y[n,i]))"
    assert gather(derived(SOFTMAX, {"x": (4,)}), "x") == expected


@pytest.mark.parametrize("text", [SOFTMAX, LOG_SOFTMAX, CROSS_ENTROPY])
def test_the_gradient_through_the_stabilising_maximum_is_zero(text: str) -> None:
    data = ("x", "t") if "t[" in text else ()
    derivation = derived(text, {"x": (4,), **({"t": (4,)} if data else {})}, data)
    assert gather(derivation, "m") == "dm[n] = 0"
    assert "argmax" not in gather(derivation, "x")


def test_log_softmax_is_g_minus_p_times_the_sum_of_g() -> None:
    expected = "dx[n,a] = dy[n,a] - sum[i](dy[n,i]) * exp(x[n,a] - m[n]) / s[n]"
    assert gather(derived(LOG_SOFTMAX, {"x": (4,)}), "x") == expected


def test_cross_entropy_keeps_the_sum_of_the_targets() -> None:
    derivation = derived(CROSS_ENTROPY, {"x": (4,), "t": (4,)}, ("x", "t"))
    expected = "dx[n,j] = dy[n] * (sum[j*](t[n,j*]) * p[n,j] - t[n,j])"
    assert gather(derivation, "x") == expected


def test_with_class_indices_the_sum_of_the_targets_is_one() -> None:
    derivation = derived(CLASSES, {"x": (4,), "t": ()}, ("x", "t"))
    assert "sum" not in gather(derivation, "x")
    assert "p[n,j]" in gather(derivation, "x")


def test_batch_norm_has_its_three_terms_under_one_factor() -> None:
    expected = (
        "dx[n,c,i] = gamma[c] * (dy[n,c,i] - mean[n*,i*](dy[n*,c,i*]) - "
        "mean[n*,i*](dy[n*,c,i*] * h[n*,c,i*]) * h[n,c,i]) / sqrt(v[c] + 0.001)"
    )
    assert gather(derived(BATCH_NORM, {"x": (3, 4)}), "x") == expected


def test_layer_norm_keeps_gamma_inside_the_means() -> None:
    expected = (
        "dx[n,i] = (dy[n,i] * gamma[i] - mean[i*](dy[n,i*] * gamma[i*]) - "
        "mean[i*](dy[n,i*] * gamma[i*] * h[n,i*]) * h[n,i]) / sqrt(v[n] + 0.001)"
    )
    assert gather(derived(LAYER_NORM, {"x": (4,)}), "x") == expected


def test_attention_written_by_a_user_has_the_softmax_form_inside() -> None:
    shapes = {"q": (3, 4), "k": (3, 4), "v": (3, 4)}
    derivation = derived(ATTENTION, shapes, ("q", "k", "v"))
    expected = "ds[n,i,j] = a[n,i,j] * (da[n,i,j] - sum[j*](da[n,i,j*] * a[n,i,j*]))"
    assert gather(derivation, "s") == expected
    assert gather(derivation, "q") == "dq[n,i,d] = sum[j](ds[n,i,j] * k[n,j,d] / 2)"


def test_symbolic_sizes_give_the_same_form_as_numbers() -> None:
    sized, symbolic = derived(SOFTMAX, {"x": (4,)}), derived(SOFTMAX, {})
    assert gather(sized, "x") == gather(symbolic, "x")
    assert equation_text(sized.instance[0].gather) == gather(sized, "x")


CASES = [
    (SOFTMAX, {"x": (4,)}, ()),
    (LOG_SOFTMAX, {"x": (4,)}, ()),
    (CROSS_ENTROPY, {"x": (4,), "t": (4,)}, ("x", "t")),
    (CLASSES, {"x": (4,), "t": ()}, ("x", "t")),
    (BATCH_NORM, {"x": (3, 4)}, ()),
    (LAYER_NORM, {"x": (4,)}, ()),
    (ATTENTION, {"q": (3, 4), "k": (3, 4), "v": (3, 4)}, ("q", "k", "v")),
]


@pytest.mark.parametrize(("text", "shapes", "data"), CASES)
def test_compact_and_raw_kernels_agree_and_are_certified(
    text: str, shapes: Shapes, data: tuple[str, ...]
) -> None:
    derivation = derived(text, shapes, data)
    every = (*derivation.inner_instance, *derivation.instance)
    assert any(gradient.raw != gradient.gather for gradient in every)
    kinds = {claim.kind for claim in derivation.certificate().claims}
    assert "numeric" in kinds
    assert "agreement" in kinds or "t" in shapes  # class indices have no agreement claim


def test_steps_of_the_compact_form_follow_the_raw_ones() -> None:
    gradient = derived(SOFTMAX, {"x": (4,)}).gradient("x")
    rules = [step.rule for step in gradient.steps]
    assert rules[-4:] == ["inline", "simplify", "fold", "factor"]
    assert gradient.raw == gradient.steps[-5].after


def test_sums_over_different_ranges_are_not_taken_for_each_other() -> None:
    text = "a = sum[u](x[u]*w[u])\nb = sum[i](x[i]*v[i])\ny[i] = x[i]*(a-b)"
    derivation = derived(text, {"x": (4,), "w": (4,), "v": (4,)})
    x, w, v = np.arange(4.0), np.array([1.0, 2, 0, 3]), np.array([2.0, 1, 1, 0])
    g = np.array([1.0, -1, 2, 1])
    slope = derivation.kernel().backward(g, x, w, v).dx
    assert slope.tolist() == (g * (w @ x - v @ x) + (g @ x) * (w - v)).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y[i] = tanh(x[i])", "dx[n,i] = dy[n,i] * (1 - y[n,i]**2)"),
        ("y[i] = sigmoid(x[i])", "dx[n,i] = dy[n,i] * y[n,i] * (1 - y[n,i])"),
        ("y[i] = exp(x[i])", "dx[n,i] = dy[n,i] * y[n,i]"),
        ("y[i] = sqrt(x[i])", "dx[n,i] = dy[n,i] / (2 * y[n,i])"),
    ],
)
def test_a_derivative_that_is_a_function_of_the_output_says_so(text: str, expected: str) -> None:
    assert gather(derived(text, {"x": (4,)}), "x") == expected
