"""A scene holds the derived equations: evaluated by themselves they give the kernel's numbers."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import numpy as np
import pytest
from evaluator import Scene
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from test_layers import LAYERS, backward, geometries, numbers, polynomial, unproved

import derive
from derive import calculus, pipeline
from derive.explicit import terms
from derive.layers import spec
from derive.render.notes.scene import BATCH, named, scene
from derive.render.notes.sheet import Sheet
from derive.trying import example

DRAWN = settings(
    max_examples=2,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def data_of(derivation: Any) -> dict[str, Any]:
    """The scene of a derivation."""
    found = scene(Sheet(derivation))
    assert found is not None
    return json.loads(found.data)


def entries(evaluated: Scene, name: str) -> np.ndarray:
    """Every entry of one tensor."""
    shape = evaluated.tensors[name]["shape"]
    every = [evaluated.entry(name, at) for at in product(*map(range, shape))]
    return np.array(every, dtype=float).reshape(shape)


def close(one: np.ndarray, other: np.ndarray, exact: bool) -> bool:
    if exact:
        return np.array_equal(one, other)
    return one.shape == other.shape and bool(
        np.abs(one - other).max() <= 1e-11 * (1 + np.abs(other).max())
    )


@LAYERS
@DRAWN
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_every_layer_has_the_kernels_numbers(name: str, data: st.DataObject, seed: int) -> None:
    layer = pipeline.layer(spec(name, data.draw(geometries(name))))
    equation = layer.equation
    assume(terms(equation) <= 300)
    made = unproved(layer)
    value = data_of(made.derivation)
    kept = any(t["shape"] and equation.batch in t["letters"] for t in value["tensors"].values())
    arrays = numbers(equation, seed, BATCH if kept else 1)
    y = pipeline.module(made).forward(*(arrays[t.name] for t in equation.tensors))
    gradients = backward(layer, arrays)
    batched = {t.name for t in equation.data} | {equation.output.gradient}
    one = {n: a if kept or n not in batched else a[0] for n, a in arrays.items()}
    evaluated, exact = Scene(value, one), polynomial(equation)
    shape = np.shape(y) if kept or equation.loss else np.shape(y)[1:]
    assert close(entries(evaluated, equation.output.name), np.reshape(y, shape), exact)
    for tensor, gradient in zip(equation.tensors, gradients, strict=True):
        if tensor.integer:
            assert tensor.gradient not in value["tensors"]
            continue
        expected = gradient if kept or tensor.name not in batched else gradient[0]
        assert close(entries(evaluated, tensor.gradient), expected, exact)


@pytest.mark.parametrize("ties", ["first", "split"])
def test_ties_follow_the_rule_that_was_asked_for(ties: str) -> None:
    layer = derive.max_pool(input=(5, 5), kernel=3, stride=2, padding=1, ties=ties)
    value = data_of(calculus.derive(layer))
    x, dy = np.ones((5, 5)), np.arange(1.0, 10).reshape(3, 3)
    found = entries(Scene(value, {"x": x, "dy": dy}), "dx")
    assert value["ties"] == ties
    assert np.allclose(found, pipeline.module(unproved(layer)).backward(dy, x).dx, atol=1e-14)


def test_the_scene_stays_as_short_at_any_size() -> None:
    def length(side: int) -> int:
        settings_ = {"kernel": (3, 3), "filters": 64, "padding": 1, "stride": 2}
        layer = derive.conv(input=(32, side, side), **settings_)
        return len(json.dumps(data_of(calculus.derive(layer))))

    assert length(224) - length(8) < 100
    assert length(224) < 7000


def test_the_same_layer_gives_the_same_bytes_sorted_and_compact() -> None:
    made = calculus.derive(derive.softmax(input=5))
    one, other = scene(Sheet(made)), scene(Sheet(calculus.derive(derive.softmax(input=5))))
    assert one is not None
    assert one == other
    again = json.dumps(
        json.loads(one.data), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert one.data == again


def test_symbols_for_sizes_make_no_scene() -> None:
    layer = derive.equation("y[i] = sum[u](x[s*i+u]*w[u])")
    assert scene(Sheet(calculus.derive(layer))) is None


def test_the_numbers_are_those_of_the_worked_example() -> None:
    made = unproved(derive.conv(input=(5, 5), kernel=(3, 3), stride=2, padding=1, bias=True))
    tried = example(made.derivation, pipeline.module(made))
    found = scene(Sheet(made.derivation, example=tried))
    assert found is not None
    assert tried is not None
    tensors = json.loads(found.data)["tensors"]
    for name, array in (*tried.given, ("dy", tried.upstream)):
        assert tensors[name]["first"] == np.ravel(array).tolist()
    for name, array in (("y", tried.output), *((f"d{of}", a) for of, a in tried.gradients)):
        given = dict((*tried.given, ("dy", tried.upstream)))
        assert close(entries(Scene(json.loads(found.data), given), name), array, exact=True)


def test_a_layer_of_a_network_carries_its_name() -> None:
    plain = scene(Sheet(calculus.derive(derive.conv(input=(3, 3), kernel=(2, 2)))))
    assert plain is not None
    assert json.loads(named(plain, "conv1").data) == {**json.loads(plain.data), "name": "conv1"}


def test_padding_is_what_reads_reach_over_the_edges() -> None:
    layer = derive.conv(input=(5, 7), kernel=(3, 2), stride=2, padding=((1, 2), (0, 1)))
    value = data_of(calculus.derive(layer))["tensors"]["x"]
    (rows, columns), (h, w) = data_of(calculus.derive(layer))["tensors"]["y"]["shape"], (5, 7)
    reads = [(2 * i + u - 1, 2 * j + v) for i, j, u, v in np.ndindex(rows, columns, 3, 2)]
    low = [max(0, -min(r[k] for r in reads)) for k in (0, 1)]
    high = [max(0, max(r[k] for r in reads) - n + 1) for k, n in ((0, h), (1, w))]
    assert value["pads"] == [[low[0], high[0]], [low[1], high[1]]]
