"""Every strategy that applies, on every layer and drawn geometries, against the oracle.

No layer and no strategy is named: a new file of either is tested as soon as it is there. Forward
is compared with the plain reading of the equation, backward with its derivative along a random
direction by a complex step; exactly where whole numbers stay whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from test_layers import STEP, geometries, numbers, polynomial

from derive import pipeline
from derive.derivations import Derivation
from derive.explicit import terms
from derive.graphs import INPUT, Network, NetworkDerivation, Node
from derive.interpret import interpret
from derive.layers import layers, spec
from derive.lower import lower
from derive.lower.branching import Asked, tasks
from derive.lower.choose import offers
from derive.lower.strategies import strategies
from derive.render.kernel import kernel
from derive.render.network import network
from derive.verify.inside import inside
from derive.verify.running import module

DRAWN = settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
CHOSEN: tuple[tuple[str, dict[str, Any]], ...] = (
    ("conv", {"input": (2, 9, 8), "kernel": (3, 3), "filters": 3, "padding": 1, "bias": True}),
    ("conv", {"input": (3, 9, 8), "kernel": (3, 3), "filters": 3, "groups": 3}),
    ("conv", {"input": (2, 7, 8), "kernel": (3, 2), "filters": 3, "stride": 2}),
    ("conv", {"input": (2, 6, 6), "kernel": (1, 1), "filters": 3, "bias": True}),
    ("conv", {"input": (3, 3), "kernel": (2, 2)}),
    ("dense", {"input": (5,), "units": 3}),
    ("max_pool", {"input": (2, 7, 7), "kernel": (3, 3), "stride": 2}),
    ("max_pool", {"input": (2, 6, 6), "kernel": (2, 2)}),
    ("avg_pool", {"input": (2, 7, 7), "kernel": (3, 3), "stride": 2}),
    ("relu", {"input": (4, 3)}),
    ("sigmoid", {"input": (4,)}),
)
"""Enough for every strategy to apply somewhere."""


def checked(name: str, chosen: dict[str, Any], seed: int, batch: int) -> set[str]:
    """Run every strategy on all that it can make; the names of those that were run."""
    derivation = pipeline.derive(pipeline.layer(spec(name, chosen)))
    equation = derivation.equation
    if equation.given or equation.loss:
        return set()
    run: set[str] = set()
    arrays = numbers(equation, seed, batch)
    expected = Expected(equation, arrays, seed)
    for task in tasks(derivation, Asked()):
        for strategy, targets in offers(task):
            program = lower(derivation, wanted=dict.fromkeys(targets, strategy.NAME))
            made = module(kernel(derivation, program), "kernel")
            expected.compare(made, exact=strategy.EXACT)
            run.add(strategy.NAME)
    if len(equation.data) == 1 and not equation.data[0].integer:
        run |= inside_checked(derivation, expected)
    return run


def inside_checked(derivation: Derivation, expected: Expected) -> set[str]:
    """The same for the layer inside of a network, where functions hand on what they have."""
    node = Node("one", derivation.layer, (INPUT,))
    chain = NetworkDerivation(Network("net", "One layer.", "", "", (node,)), (derivation,))
    apart, run = chain.network.apart(node), set()
    for task in tasks(derivation, Asked(keep=True, apart=apart)):
        for strategy, targets in offers(task):
            wanted = dict.fromkeys(targets, strategy.NAME)
            program = lower(derivation, keep=True, apart=apart, prefix="one_", wanted=wanted)
            made = module(network(chain, (program,)), "network")
            expected.compare(inside(node, derivation, made).module, exact=strategy.EXACT)
            run.add(strategy.NAME)
    return run


class Expected:
    """What the oracle says of y and of the derivative along a direction, for each tensor."""

    def __init__(self, equation: Any, arrays: dict[str, np.ndarray], seed: int) -> None:
        self.equation, self.arrays = equation, arrays
        self.y = np.asarray(interpret(equation, arrays), dtype=float)
        generator = np.random.default_rng(seed + 1)
        self.directions = {
            t.name: generator.integers(-9, 10, arrays[t.name].shape).astype(float)
            for t in equation.tensors
            if not t.integer
        }
        self.changes = {}
        for tensor, direction in self.directions.items():
            moved = {**arrays, tensor: arrays[tensor] + 1j * STEP * direction}
            self.changes[tensor] = np.imag(np.asarray(interpret(equation, moved), complex)) / STEP

    def compare(self, made: Any, *, exact: bool) -> None:
        """Fail where a kernel says something else; ``exact`` allows no rounding."""
        equation, arrays = self.equation, self.arrays
        given_ = [arrays[tensor.name] for tensor in equation.tensors]
        dy = arrays[equation.output.gradient]
        y, found = made.forward(*given_), made.backward(dy, *given_)
        gradients = vars(found) if not isinstance(found, tuple) else found._asdict()
        assert y.shape == self.y.shape
        whole = exact and polynomial(equation)
        assert np.abs(y - self.y).max(initial=0) <= (
            0 if whole else 1e-10 * np.abs(self.y).max(initial=1)
        )
        for tensor, direction in self.directions.items():
            gradient = gradients[equation.tensor(tensor).gradient]
            assert gradient.shape == arrays[tensor].shape
            terms_ = np.abs(dy * self.changes[tensor]).sum() + 1
            error = abs((gradient * direction).sum() - (dy * self.changes[tensor]).sum())
            assert error <= 1e-10 * terms_


@pytest.mark.parametrize("name", layers())
@DRAWN
@given(data=st.data(), seed=st.integers(0, 2**32 - 1), batch=st.integers(1, 3))
def test_every_strategy_says_what_the_oracle_says(
    name: str, data: st.DataObject, seed: int, batch: int
) -> None:
    chosen = data.draw(geometries(name))
    layer = pipeline.layer(spec(name, chosen))
    assume(terms(layer.equation) <= 800)
    checked(name, chosen, seed, batch)


def test_every_strategy_is_run_somewhere() -> None:
    run = set().union(*(checked(name, chosen, 1, 9) for name, chosen in CHOSEN))
    assert run >= {strategy.NAME for strategy in strategies()}
