"""Forward and every gradient against PyTorch, in float64: its conventions are ours.

Values are multiples of 1/4 where ties and kinks are wanted (pools, activations), else normal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import derive
from derive import pipeline
from derive.certificates import Certificate
from derive.errors import UsageError

torch = pytest.importorskip("torch", reason="PyTorch is in the extra [compare]")
F = torch.nn.functional

N = 3
RELATIVE = 1e-10

Reference = Callable[..., Any]


def kernel(layer: Any) -> Any:
    derivation = pipeline.derive(layer)
    return pipeline.module(pipeline.Made(derivation, pipeline.kernel(derivation), Certificate(())))


def compare(layer: Any, reference: Reference, *, coarse: bool = False, seed: int = 0) -> None:
    """Same values and same gradients, entry by entry, on a batch of three."""
    generator = np.random.default_rng(seed)
    equation = layer.equation.at_sizes()

    def drawn(shape: tuple[int, ...]) -> np.ndarray:
        if coarse:
            return generator.integers(-3, 4, shape) / 4
        return generator.normal(size=shape)

    arrays = []
    for tensor in equation.tensors:
        shape = (*((N,) if tensor.batched else ()), *tensor.sizes())
        if tensor.integer:
            arrays.append(generator.integers(0, equation.tensor("x").sizes()[0], shape))
        else:
            arrays.append(drawn(shape))
    made = kernel(layer)
    leaves = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    expected = reference(*leaves)
    y = made.forward(*arrays)
    agree(y, expected.detach().numpy(), "y")
    if equation.loss:
        expected.backward()
        gradients = made.backward(*arrays)
    else:
        dy = drawn(y.shape)
        expected.backward(torch.tensor(dy))
        gradients = made.backward(dy, *arrays)
    for field, gradient, leaf in zip(gradients._fields, gradients, leaves, strict=True):
        if leaf.requires_grad:
            agree(gradient, leaf.grad.numpy(), field)


def agree(found: Any, expected: np.ndarray, what: str) -> None:
    found = np.asarray(found)
    assert found.shape == expected.shape, what
    scale = np.abs(expected).max()
    assert np.abs(found - expected).max() <= RELATIVE * scale, what


def spatial(rank: int, name: str) -> Reference:
    """``F.max_pool2d`` for ``max_pool`` in 2-D."""
    return getattr(F, f"{name}{rank}d")


POOLED = [
    ((2, 7), (3,), {}),
    ((2, 7), (3,), {"stride": 2, "padding": 1}),
    ((2, 6, 5), (2, 2), {}),
    ((2, 6, 5), (2, 2), {"ceil_mode": True}),
    ((2, 7, 8), (3, 2), {"stride": (2, 3), "padding": (1, 0)}),
    ((2, 7, 8), (3, 3), {"stride": (2, 3), "padding": 1, "ceil_mode": True}),
    ((2, 5, 5), (2, 2), {"stride": 4, "padding": 1, "ceil_mode": True}),
    ((2, 2, 2), (3, 3), {"stride": 2, "ceil_mode": True}),
    ((1, 5, 4, 6), (2, 3, 2), {"stride": (1, 2, 2), "padding": (0, 1, 1)}),
    ((1, 5, 4, 6), (2, 3, 2), {"stride": 2, "padding": 1, "ceil_mode": True}),
]


@pytest.mark.parametrize(("size", "window", "options"), POOLED, ids=str)
def test_max_pool_with_ties(size, window, options) -> None:
    layer = derive.max_pool(input=size, kernel=window, **options)
    reference = spatial(len(window), "max_pool")
    compare(layer, lambda x: reference(x, window, **options), coarse=True)


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize(
    ("size", "window", "options"),
    [
        ((2, 9), (3,), {"dilation": 2, "padding": 1, "stride": 2}),
        ((2, 8, 9), (2, 3), {"dilation": (3, 2), "padding": 1, "stride": (2, 1)}),
        ((1, 6, 5, 7), (2, 2, 2), {"dilation": (1, 2, 3), "stride": 2}),
    ],
    ids=str,
)
def test_dilated_max_pool_with_ties(size, window, options, ceil_mode) -> None:
    options = {**options, "ceil_mode": ceil_mode}
    layer = derive.max_pool(input=size, kernel=window, **options)
    reference = spatial(len(window), "max_pool")
    compare(layer, lambda x: reference(x, window, **options), coarse=True)


@pytest.mark.parametrize("count_include_pad", [True, False])
@pytest.mark.parametrize(("size", "window", "options"), POOLED, ids=str)
def test_avg_pool_with_every_divisor(size, window, options, count_include_pad) -> None:
    options = {**options, "count_include_pad": count_include_pad}
    layer = derive.avg_pool(input=size, kernel=window, **options)
    reference = spatial(len(window), "avg_pool")
    compare(layer, lambda x: reference(x, window, **options))


def pytorchs_pool(H: int, K: int, options: dict[str, Any]) -> Any:
    """The pool of zeros; None where PyTorch refuses it."""
    try:
        return F.max_pool1d(torch.zeros(1, H), K, **options)
    except RuntimeError:
        return None


def test_pools_have_as_many_windows_as_pytorchs_over_all_small_geometries() -> None:
    """Every size, kernel, stride, padding and dilation up to 6, 3, 4, 1 and 2, both roundings."""
    from itertools import product

    from derive.layers import spec

    counted = 0
    for H, K, s, p, d, ceil in product(
        range(1, 7), range(1, 4), range(1, 5), range(2), range(1, 3), (False, True)
    ):
        if p > K // 2:
            continue  # PyTorch refuses these whatever the input
        options = {"stride": s, "padding": p, "dilation": d, "ceil_mode": ceil}
        wanted = pytorchs_pool(H, K, options)
        if wanted is None or wanted.isinf().any():  # no window, or one of padding alone
            with pytest.raises(UsageError):
                spec("max_pool", {"input": H, "kernel": K, **options})
        else:
            made = spec("max_pool", {"input": H, "kernel": K, **options})
            assert made.shapes["y"] == wanted.shape[1:]
            counted += 1
    assert counted > 300


@pytest.mark.parametrize("p", [1, 2, 2.5, 3, 4])
@pytest.mark.parametrize(
    ("size", "window", "stride"),
    [((2, 7), (3,), 2), ((2, 6, 5), (2, 3), (2, 1)), ((1, 4, 5, 4), (2, 2, 2), None)],
    ids=str,
)
def test_lp_pool_of_positive_numbers(size, window, stride, p) -> None:
    layer = derive.lp_pool(input=size, kernel=window, stride=stride, p=p)
    reference = spatial(len(window), "lp_pool")
    taps = window if len(window) > 1 else window[0]
    compare(layer, lambda x: reference(torch.abs(x), p, taps, stride))


@pytest.mark.parametrize("size", [(2, 3, 4), (2, 3, 4, 2)], ids=str)
def test_global_pools(size) -> None:
    axes = tuple(range(2, len(size) + 1))
    compare(derive.global_avg_pool(input=size), lambda x: x.mean(dim=axes))
    compare(
        derive.global_max_pool(input=size, ties="split"), lambda x: x.amax(dim=axes), coarse=True
    )
    first = spatial(len(size) - 1, "max_pool")
    compare(
        derive.global_max_pool(input=size),
        lambda x: first(x, size[1:]).reshape(N, size[0]),
        coarse=True,
    )


@pytest.mark.parametrize("size", [(4,), (2, 4), (3, 2, 4)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_dense(size, bias) -> None:
    compare(derive.dense(input=size, units=5, bias=bias), F.linear)


def test_flatten_and_pad() -> None:
    compare(derive.flatten(input=(2, 3, 4)), lambda x: torch.flatten(x, 1))
    compare(derive.pad(input=(2, 3, 4), padding=((1, 2), (0, 3))), lambda x: F.pad(x, (0, 3, 1, 2)))
    compare(derive.pad(input=(2, 3, 4), padding=((0, 0), (0, 2))), lambda x: F.pad(x, (0, 2)))


@pytest.mark.parametrize(
    ("size", "window", "options"),
    [
        ((2, 5), (3,), {}),
        ((2, 5), (3,), {"stride": 3, "padding": 1, "output_padding": 2}),
        ((4, 3, 4), (3, 2), {"stride": (2, 1), "padding": (1, 0), "groups": 2}),
        ((2, 3, 3), (3, 3), {"stride": 2, "dilation": 2, "padding": 2, "output_padding": 1}),
        ((2, 3, 3), (2, 2), {"dilation": 3, "output_padding": 2}),
        ((2, 3, 2, 2), (2, 2, 3), {"stride": (1, 2, 3), "output_padding": (0, 1, 2)}),
    ],
    ids=str,
)
@pytest.mark.parametrize("bias", [True, False])
def test_conv_transpose(size, window, options, bias) -> None:
    layer = derive.conv_transpose(input=size, kernel=window, filters=4, bias=bias, **options)
    reference = spatial(len(window), "conv_transpose")
    compare(layer, lambda x, w, b=None: reference(x, w, b, **options))


@pytest.mark.parametrize(
    ("size", "window", "options"),
    [
        ((2, 7), (3,), {"stride": 2, "padding": 1, "dilation": 2}),
        ((4, 6, 5), (2, 3), {"stride": (2, 1), "padding": (0, 1), "groups": 2}),
        ((2, 3, 4, 3), (2, 2, 2), {"stride": 2, "padding": 1}),
    ],
    ids=str,
)
def test_conv(size, window, options) -> None:
    layer = derive.conv(input=size, kernel=window, filters=4, bias=True, **options)
    reference = spatial(len(window), "conv")
    compare(layer, lambda x, w, b: reference(x, w, b, **options))


ACTIVATIONS: dict[str, tuple[dict[str, float], Reference]] = {
    "abs": ({}, torch.abs),
    "elu": ({"alpha": 1.5}, lambda x: F.elu(x, 1.5)),
    "exp": ({}, torch.exp),
    "gelu": ({}, F.gelu),
    "hardtanh": ({"min_val": -0.5, "max_val": 0.25}, lambda x: F.hardtanh(x, -0.5, 0.25)),
    "leaky_relu": ({"negative_slope": 0.2}, lambda x: F.leaky_relu(x, 0.2)),
    "log_sigmoid": ({}, F.logsigmoid),
    "mish": ({}, F.mish),
    "relu": ({}, F.relu),
    "relu6": ({}, lambda x: F.relu6(x * 12) / 12),
    "sigmoid": ({}, torch.sigmoid),
    "silu": ({}, F.silu),
    "softplus": ({}, F.softplus),
    "softsign": ({}, F.softsign),
    "square": ({}, torch.square),
    "tanh": ({}, torch.tanh),
}


def test_every_element_wise_layer_is_compared() -> None:
    from derive.layers.elementwise import ROWS

    assert {row.name for row in ROWS} == set(ACTIVATIONS)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"relu6"}))
def test_an_activation_with_its_kinks(name) -> None:
    options, reference = ACTIVATIONS[name]
    compare(getattr(derive, name)(input=(3, 4), **options), reference, coarse=True)
    compare(getattr(derive, name)(input=7, **options), reference)


def test_relu6_at_both_ends() -> None:
    made = kernel(derive.relu6(input=5))
    x = np.array([-1.0, 0.0, 3.0, 6.0, 7.0])
    leaf = torch.tensor(x, requires_grad=True)
    F.relu6(leaf).sum().backward()
    assert np.array_equal(made.forward(x), F.relu6(torch.tensor(x)).numpy())
    assert np.array_equal(made.backward(np.ones(5), x).dx, leaf.grad.numpy())


@pytest.mark.parametrize(("size", "axis"), [((4,), 0), ((3, 4), 0), ((3, 4), 1), ((2, 3, 4), 1)])
def test_softmax_and_its_logarithm(size, axis) -> None:
    compare(derive.softmax(input=size, axis=axis), lambda x: F.softmax(x, axis + 1))
    compare(derive.log_softmax(input=size, axis=axis), lambda x: F.log_softmax(x, axis + 1))


@pytest.mark.parametrize("size", [(3,), (2, 3, 4), (2, 2, 3, 2)], ids=str)
def test_batch_norm(size) -> None:
    compare(
        derive.batch_norm(input=size, eps=1e-3),
        lambda x, gamma, beta: F.batch_norm(x, None, None, gamma, beta, training=True, eps=1e-3),
    )


def test_batch_norm_of_a_signal_with_channels() -> None:
    compare(
        derive.batch_norm(input=5, channels=2),
        lambda x, gamma, beta: F.batch_norm(x, None, None, gamma, beta, training=True),
    )


@pytest.mark.parametrize("size", [(4,), (3, 4), (2, 3, 2)], ids=str)
def test_layer_norm(size) -> None:
    compare(
        derive.layer_norm(input=size),
        lambda x, gamma, beta: F.layer_norm(x, size, gamma, beta),
    )


LOSSES: dict[str, tuple[dict[str, float], Reference]] = {
    "mse": ({}, F.mse_loss),
    "l1": ({}, F.l1_loss),
    "huber": ({"delta": 0.5}, lambda x, t, reduction: F.huber_loss(x, t, reduction, 0.5)),
    "bce_with_logits": (
        {},
        lambda x, t, reduction: F.binary_cross_entropy_with_logits(x, t, reduction=reduction),
    ),
}


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("size", [(), (3,), (2, 3), (2, 3, 2)], ids=str)
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_loss_over_all_entries(name, size, reduction) -> None:
    options, reference = LOSSES[name]
    layer = getattr(derive, name)(input=size, reduction=reduction, **options)
    for coarse in (False, True):
        compare(layer, lambda x, t: reference(x, t, reduction=reduction), coarse=coarse)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("target", ["index", "distribution"])
@pytest.mark.parametrize("size", [(4,), (4, 3), (4, 2, 3)], ids=str)
def test_cross_entropy(size, target, reduction) -> None:
    compare(
        derive.cross_entropy(input=size, target=target, reduction=reduction),
        lambda x, t: F.cross_entropy(x, t, reduction=reduction),
    )
