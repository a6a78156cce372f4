"""Maxima before functions that never fall: the same numbers, ties included, from fewer entries."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import derive
from derive import assembly
from derive.arranging import arranged
from derive.graphs import INPUT
from derive.render.network import network
from derive.verify.running import module

MOVED = {
    "relu > max_pool 2x2 > flatten > dense 2": ["max_pool1", "relu1", "flatten1", "dense1"],
    "conv 2x2 > leaky_relu > max_pool 3x3 stride=2 padding=1": [
        *("conv1", "max_pool1", "leaky_relu1"),
    ],
    "tanh > sigmoid > max_pool 2x2": ["max_pool1", "tanh1", "sigmoid1"],
    "relu > max_pool 2x2 > max_pool 2x2": ["max_pool1", "max_pool2", "relu1"],
    "relu > max_pool 2x2 > flatten > mse": ["max_pool1", "relu1", "flatten1", "mse1"],
}
KEPT = {
    "a function that falls": "abs > max_pool 2x2",
    "a mean": "relu > avg_pool 2x2",
    "two readers": "relu as a > max_pool 3x3 stride=1 padding=1 > add a",
    "nothing gained": "relu > max_pool 3x3 stride=1 padding=1",
    "the result": "max_pool 2x2 > relu",
    "larger, not equal, arguments": "pad 1 > max_pool 2x2",
}


@pytest.mark.parametrize("text", MOVED)
def test_maxima_go_before_functions_that_never_fall(text: str) -> None:
    net = derive.network(text, input=(1, 5, 5))
    found = arranged(net)
    assert [node.name for node in found.nodes] == MOVED[text]
    assert found.shape(found.result) == net.shape(net.result)
    assert found.shape(INPUT) == net.shape(INPUT)


@pytest.mark.parametrize("reason", KEPT)
def test_everything_else_stays_in_its_order(reason: str) -> None:
    net = derive.network(KEPT[reason], input=(1, 4, 4))
    assert arranged(net) is net


@pytest.mark.parametrize("text", [text for text in MOVED if "tanh" not in text])
def test_both_orders_give_the_same_fractions_where_entries_are_equal(text: str) -> None:
    made = assembly.derive(derive.network(text, input=(1, 5, 5)))
    as_written = module(network(made, assembly.programs(made)), "as_written")
    as_computed = module(assembly.kernel(made), "as_computed")
    random = np.random.default_rng(3)
    fractions = np.vectorize(Fraction)
    x = fractions(random.integers(-2, 3, (6, 1, 5, 5)))  # full of ties and zeros
    params = {n: fractions(random.integers(-2, 3, p.shape)) for n, p in made_params(as_written)}
    y = as_written.forward(x, params)
    assert np.array_equal(as_computed.forward(x, params), y)
    last = fractions(random.integers(-3, 4, y.shape))
    given = (x, last) if made.network.loss else (last, x)
    results = [m.gradients(*given, params) for m in (as_written, as_computed)]
    if made.network.loss:
        assert results[0][0] == results[1][0]
        results = [grads for _, grads in results]
    assert results[0].keys() == results[1].keys()
    for name, array in results[0].items():
        assert np.array_equal(array, results[1][name]), name


def made_params(made: object) -> list[tuple[str, np.ndarray]]:
    """The parameters of a network's module."""
    return list(made.init(0).items())  # type: ignore[attr-defined]  # a generated module


def test_the_docstring_says_what_was_moved() -> None:
    made = assembly.derive(derive.network("relu > max_pool 2x2", input=(1, 4, 4)))
    source = assembly.kernel(made)
    assert "Computed in another order than written: relu1 behind max_pool1." in source
