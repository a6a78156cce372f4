"""Networks that texts on backpropagation work through: S1 to S3 in fractions, S7 at full size.

The reference is forward-mode differentiation of the layers written out by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from types import ModuleType

import numpy as np
import pytest
import sympy
from networks.duals import (
    Dual,
    Tensors,
    conv,
    dense,
    dual,
    fractions,
    max_pool,
    relu,
    slopes,
    squares,
)

import derive
from derive import assembly

HALF = Fraction(1, 2)


def one_conv(p: Tensors) -> Dual:
    """S1: x 3×3, filter 2×2, flattened, dense 1×4, E = ½(Y − Out)²."""
    y = dense(conv(p["x"], p["conv1.w"]).ravel(), p["dense1.w"], p["dense1.b"])
    return HALF * squares(y, p["t"])


def one_conv_relu(p: Tensors) -> Dual:
    y = relu(conv(p["x"], p["conv1.w"]))
    return squares(dense(y.ravel(), p["dense1.w"], p["dense1.b"]), p["t"])


def two_convs(p: Tensors) -> Dual:
    """S2: two convolutions and one dense layer."""
    y = conv(conv(p["x"], p["conv1.w"]), p["conv2.w"])
    return HALF * squares(dense(y.ravel(), p["dense1.w"], p["dense1.b"]), p["t"])


def pooled(p: Tensors) -> Dual:
    """S3: a max-pool layer in between."""
    y = max_pool(conv(p["x"], p["conv1.w"]), 2)
    return HALF * squares(dense(y.ravel(), p["dense1.w"], p["dense1.b"]), p["t"])


def forked(p: Tensors) -> Dual:
    """A skip connection: what a layer gives is read twice, and both gradients add up."""
    a = conv(p["x"], p["conv1.w"])
    y = conv(relu(a), p["conv2.w"])
    total = np.empty(y.shape, dtype=object)
    for place in np.ndindex(y.shape):
        total[place] = dual(y[place]) + a[place]
    return squares(dense(total.ravel(), p["dense1.w"], p["dense1.b"]), p["t"])


SYSTEMS: list[tuple[str, tuple[int, ...], Callable[[Tensors], Dual]]] = [
    ("conv 2x2 > flatten > dense 1 > half_squared_error", (3, 3), one_conv),
    ("conv 2x2 > relu > flatten > dense 1 > mse", (3, 3), one_conv_relu),
    ("conv 2x2 > conv 2x2 > flatten > dense 1 > half_squared_error", (4, 4), two_convs),
    ("conv 2x2 > max_pool 2x2 > flatten > dense 1 > half_squared_error", (5, 5), pooled),
    ("conv 2x2 as a > relu > conv 1x1 > add a > flatten > dense 1 > mse", (3, 3), forked),
]


def module(text: str, shape: tuple[int, ...]) -> ModuleType:
    return derive.derive(derive.network(text, input=shape)).kernel()


def point(made: ModuleType, seed: int) -> Tensors:
    generator = np.random.default_rng(seed)
    return {n: fractions(generator, s) for n, s in made.SHAPES.items() if n != "y"}


@pytest.mark.parametrize(("text", "shape", "loss"), SYSTEMS, ids=[s[0] for s in SYSTEMS])
def test_loss_and_all_gradients_are_the_exact_fractions(
    text: str, shape: tuple[int, ...], loss: Callable[[Tensors], Dual]
) -> None:
    made = module(text, shape)
    for seed in range(3):
        at = point(made, seed)
        params = {n: a for n, a in at.items() if n not in ("x", "t")}
        value, gradients = made.gradients(at["x"], at["t"], params)
        assert value == loss(at).value
        assert made.loss(at["x"], at["t"], params) == value
        assert set(gradients) == {*params, "x"}
        for name, gradient in gradients.items():
            assert gradient.tolist() == slopes(loss, at, name).tolist(), name


def test_the_chain_of_the_first_article_is_sympys_derivative() -> None:
    """S1 with every entry a symbol: E, ∂E/∂F, ∂E/∂w and ∂E/∂x."""
    made = module("conv 2x2 > flatten > dense 1 no-bias > half_squared_error", (3, 3))
    symbols = {
        name: np.array(
            [sympy.Symbol(f"{name}_{k}") for k in range(int(np.prod(shape)))], dtype=object
        ).reshape(shape)
        for name, shape in made.SHAPES.items()
        if name != "y"
    }
    x, f, w, t = (symbols[n] for n in ("x", "conv1.w", "dense1.w", "t"))
    h = [sum(x[i + u, j + v] * f[u, v] for u in (0, 1) for v in (0, 1))
         for i in (0, 1) for j in (0, 1)]  # fmt: skip
    out = sum(w[0, k] * h[k] for k in range(4))
    error = (out - t[0]) ** 2 / 2
    value, gradients = made.gradients(x, t, {"conv1.w": f, "dense1.w": w})
    assert sympy.expand(value - error) == 0
    for name, gradient in gradients.items():
        for place in np.ndindex(gradient.shape):
            expected = sympy.diff(error, symbols[name][place])
            assert sympy.expand(gradient[place] - expected) == 0


S7 = (
    "conv 5x5 filters=6 bias > tanh > subsample 2x2 > conv 5x5 filters=12 bias > tanh > "
    "subsample 2x2 > flatten > dense 10 > cross_entropy"
)


def test_the_28_by_28_network_is_proved_layer_by_layer_and_as_a_whole() -> None:
    network = derive.network(S7, input=(28, 28))
    shapes = [network.shape(name) for name in ("conv1", "subsample1", "conv2", "subsample2")]
    assert shapes == [(6, 24, 24), (6, 12, 12), (12, 8, 8), (12, 4, 4)]
    made = assembly.make(assembly.derive(network))
    assert [name for name, held in made.certificates if not held.claims] == []
    (claim,) = made.certificate.claims
    assert claim.kind == "chain"
    assert dict(claim.checked)["method"] == "complex step"


def test_the_28_by_28_network_has_the_derivative_of_its_loss() -> None:
    """Central differences in float64 along one random direction of all parameters."""
    made = assembly.module(_unproved(S7, (28, 28)))
    generator = np.random.default_rng(0)
    x, t = generator.normal(size=(3, 1, 28, 28)), np.array([0, 9, 4])
    params = made.init(1)
    _, gradients = made.gradients(x, t, params)
    v = {name: generator.normal(size=value.shape) for name, value in params.items()}
    h = 1e-5
    up, down = (
        made.loss(x, t, {n: p + sign * h * v[n] for n, p in params.items()}) for sign in (1, -1)
    )
    slope = sum((gradients[name] * v[name]).sum() for name in params)
    assert abs((up - down) / (2 * h) - slope) <= 1e-7 * abs(slope)


def _unproved(text: str, shape: tuple[int, ...]) -> assembly.Assembled:
    from derive.certificates import Certificate

    derivation = assembly.derive(derive.network(text, input=shape))
    return assembly.Assembled(derivation, assembly.kernel(derivation), (), Certificate(()))
