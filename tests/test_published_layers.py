"""Numbers that others published for pools, transposed convolutions, dense layers and networks.

Everything goes through the public interface: a layer by its name, its generated module, compiled
in memory.
"""

import functools
import json
from pathlib import Path

import numpy as np
import pytest

import derive

PUBLISHED = json.loads(
    (Path(__file__).parent / "data" / "published_layers.json").read_text("utf-8")
)


def facts(*ops):
    found = [fact for fact in PUBLISHED["numeric"] if fact["op"] in ops]
    assert {fact["op"] for fact in found} == set(ops)
    return pytest.mark.parametrize("fact", found, ids=[fact["id"] for fact in found])


def tensors(fact):
    """The inputs as arrays, by name."""
    return {name: np.array(values) for name, values in fact["inputs"].items()}


def assert_published(result, expected, tol):
    """Equal where the published numbers are exact, else to the digits that were printed."""
    if tol == 0:
        assert np.array_equal(result, expected)
    else:
        np.testing.assert_allclose(result, expected, rtol=0, atol=tol)


@functools.cache
def kernel(name, **settings):
    """The generated module of a layer, made once for each geometry."""
    return derive.derive(getattr(derive, name)(**settings)).kernel()


@functools.cache
def network(text, size):
    return derive.derive(derive.network(text, input=size)).kernel()


def pool(name, fact):
    """The pool of a fact, for the shape of its x."""
    attrs = fact["attrs"]
    sides = zip(attrs.get("pad_begin", [0, 0]), attrs.get("pad_end", [0, 0]), strict=True)
    known = {key: attrs[key] for key in ("count_include_pad",) if key in attrs}
    return kernel(
        name,
        input=np.shape(fact["inputs"]["x"])[1:],
        kernel=tuple(attrs["kernel"]),
        stride=tuple(attrs["stride"]),
        padding=tuple(sides),
        **known,
    )


# -- pools ---------------------------------------------------------------------------------


@facts("max_pool2d", "max_pool2d + argmax mask")
def test_max_pools_give_the_published_outputs(fact):
    y = pool("max_pool", fact).forward(**tensors(fact))
    assert_published(y, fact["expected"]["y"], fact["tol"])


@facts("avg_pool2d")
def test_average_pools_give_the_published_outputs(fact):
    y = pool("avg_pool", fact).forward(**tensors(fact))
    assert_published(y, fact["expected"]["y"], fact["tol"])


@facts("max_pool2d_backward")
def test_max_pools_give_the_published_gradients_ties_included(fact):
    x, dy = tensors(fact).values()
    dx = pool("max_pool", fact).backward(dy, x).dx
    assert_published(dx, fact["expected"]["d_x"], fact["tol"])


@facts("max_pool2d + argmax mask")
def test_gradients_of_max_pools_go_to_the_published_winners(fact):
    x = tensors(fact)["x"]
    winners = np.array(fact["expected"]["argmax"])
    dy = np.arange(1, winners.size + 1).reshape(winners.shape)
    expected = np.zeros(x.size, int)
    np.add.at(expected, winners.ravel(), dy.ravel())
    dx = pool("max_pool", fact).backward(dy, x).dx
    assert np.array_equal(dx, expected.reshape(x.shape))


@facts("max_pool2d and avg_pool2d")
def test_both_pools_give_the_published_course_outputs(fact):
    for name in ("max", "avg"):
        y = pool(f"{name}_pool", fact).forward(**tensors(fact))
        assert_published(y, fact["expected"][f"y_{name}"], fact["tol"])


@facts("max_pool2d/avg_pool2d backward")
def test_both_pools_give_the_published_course_gradients(fact):
    x, dy = tensors(fact).values()
    assert_published(dy.mean(), fact["expected"]["gy_mean"], fact["tol"])
    for name in ("max", "avg"):
        dx = pool(f"{name}_pool", fact).backward(dy, x).dx
        # the source has channels last
        assert_published(dx[1, :, 1, :].T, fact["expected"][f"d_x_{name}_at_1_1"], fact["tol"])


# -- transposed convolutions ---------------------------------------------------------------


@facts("conv_transpose1d", "conv_transpose2d", "conv_transpose2d (SAME = conv2d_backprop_input)")
def test_transposed_convolutions_give_the_published_outputs(fact):
    x, w = tensors(fact).values()
    transposed = kernel(
        "conv_transpose",
        input=x.shape[1:],
        kernel=w.shape[2:],
        filters=w.shape[1],
        **{name: tuple(sizes) for name, sizes in fact["attrs"].items()},
    )
    assert_published(transposed.forward(x, w), fact["expected"]["y"], fact["tol"])


@pytest.mark.parametrize("fact", PUBLISHED["shapes"], ids=lambda fact: fact["name"])
def test_transposed_convolutions_have_the_published_sizes(fact):
    assert fact["transposed"]
    layer = derive.conv_transpose(
        input=fact["i"],
        kernel=fact["k"],
        stride=fact["s"],
        padding=fact["p"],
        dilation=fact["d"],
        output_padding=fact["a"],
    )
    assert derive.derive(layer).kernel().SHAPES["y"] == (fact["o"],)


# -- dense layers, activations, losses -----------------------------------------------------


@facts("dense")
def test_dense_layers_give_the_published_outputs(fact):
    x, w, b = tensors(fact).values()
    y = kernel("dense", input=x.shape[1:], units=len(w)).forward(x, w, b)
    assert_published(y, fact["expected"]["y"], fact["tol"])


@facts("relu")
def test_relu_gives_the_published_outputs(fact):
    x = tensors(fact)["x"]
    y = kernel("relu", input=x.shape[1:]).forward(x)
    assert_published(y, fact["expected"]["y"], fact["tol"])


@facts("softmax_cross_entropy")
def test_cross_entropy_gives_the_published_loss(fact):
    x, t = tensors(fact).values()
    loss = kernel("cross_entropy", input=x.shape[1:]).forward(x, t)
    assert_published(loss, fact["expected"]["loss"], fact["tol"])


@facts("dense+sigmoid")
def test_a_sigmoid_neuron_gives_the_published_gradients(fact):
    x, w = tensors(fact).values()
    weights, bias = w[None, :2], w[2:]
    dense, sigmoid = kernel("dense", input=(2,), units=1), kernel("sigmoid", input=(1,))
    score = dense.forward(x, weights, bias)
    assert_published(sigmoid.forward(score), [fact["expected"]["y"]], fact["tol"])
    gradients = dense.backward(sigmoid.backward(np.ones(1), score).dx, x, weights, bias)
    assert_published(gradients.dx, fact["expected"]["d_x"], fact["tol"])
    assert_published([*gradients.dw[0], *gradients.db], fact["expected"]["d_w"], fact["tol"])


# -- networks ------------------------------------------------------------------------------


@facts("conv2d+relu")
def test_convolution_and_relu_in_a_row_give_the_published_outputs(fact):
    x, w, b = tensors(fact).values()
    module = network("conv 3x3 filters=1 padding=1 bias > relu", x.shape[1:])
    y = module.forward(x, {"conv1.w": w, "conv1.b": b})
    assert_published(y, fact["expected"]["y"], fact["tol"])


@facts("dense+relu+dense+softmax_cross_entropy(mean)")
def test_two_dense_layers_give_the_published_scores_and_loss(fact):
    x, w1, b1, w2, b2, t = tensors(fact).values()
    module = network("dense 50 > relu > dense 7 > cross_entropy", (5,))
    params = {"dense1.w": w1, "dense1.b": b1, "dense2.w": w2, "dense2.b": b2}
    assert_published(module.forward(x, params), fact["expected"]["scores"], fact["tol"])
    assert_published(module.loss(x, t, params), fact["expected"]["loss"], fact["tol"])


@facts("dense+sigmoid+dense+sigmoid, E=1/2 sum (t-o)^2, SGD lr 0.5")
def test_one_step_of_descent_gives_mazurs_weights(fact):
    expected, tol = fact["expected"], fact["tol"]
    x, w1, b1, w2, b2, t = tensors(fact).values()
    params = {"dense1.w": w1, "dense1.b": b1, "dense2.w": w2, "dense2.b": b2}
    hidden = kernel("dense", input=(2,), units=2).forward(x[0], w1, b1)
    assert_published(hidden[0], expected["net_h1"], tol)
    out = kernel("sigmoid", input=(2,)).forward(hidden)
    assert_published(out, [expected["out_h1"], expected["out_h2"]], tol)
    module = network("dense 2 > sigmoid > dense 2 > sigmoid > half_squared_error", (2,))
    assert_published(module.forward(x, params), expected["out_o"], tol)
    loss, grads = module.gradients(x, t, params)
    assert_published(loss, expected["E"], tol)
    assert_published(grads["dense2.w"][0, 0], expected["dE_dw5"], tol)
    stepped = module.sgd_step(params, grads, fact["attrs"]["lr"])
    for name, found in {"w1_new": "dense1.w", "w2_new": "dense2.w", "b2_new": "dense2.b"}.items():
        assert_published(stepped[found], expected[name], tol)


def test_every_published_fact_is_asked_for():
    source = Path(__file__).read_text("utf-8")
    assert {fact["op"] for fact in PUBLISHED["numeric"] if f'"{fact["op"]}"' not in source} == set()
