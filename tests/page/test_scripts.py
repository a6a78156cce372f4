"""The page's own arithmetic, for every layer of ``derive/layers``; none is named here.

The scripts run in the browser without a page around them: their numbers are the kernel's, and
the terms that they write out add up to the entry.
"""

from __future__ import annotations

import json
import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from evaluator import SCALARS
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from test_layers import LAYERS, backward, geometries, numbers, polynomial, unproved

import derive
from derive import calculus, pipeline
from derive.explicit import terms
from derive.layers import spec
from derive.render.notes.scene import BATCH, scene
from derive.render.notes.sheet import Sheet
from derive.render.templates import folder

DRAWN = settings(
    max_examples=2,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

MODEL = """
const model = new Model(JSON.parse(arguments[0]));
const given = JSON.parse(arguments[1]);
for (const name of Object.keys(given)) given[name].forEach((value, k) => model.set(name, k, value));
const made = Object.keys(model.scene.makes);
const every = (name, get) => Array.from({ length: model.sizes[name] }, (_, k) => get(k));
"""
VALUES = "return Object.fromEntries(made.map((n) => [n, every(n, (k) => model.value(n, k))]));"
TERMS = """
const first = (name) => [...new Set([0, Math.floor(model.sizes[name] / 2), model.sizes[name] - 1])];
return made.flatMap((name) => first(name).map((k) => {
  const { parts, count } = new Terms(model, name, k);
  return { name, parts: JSON.stringify(parts), count, value: model.value(name, k) };
}));
"""


@pytest.fixture(scope="session")
def scripts() -> str:
    """The scripts that need no page."""
    files = (folder() / "explorer" / f"{name}.js" for name in ("numbers", "terms"))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def drawn(name: str, data: st.DataObject, seed: int) -> tuple[Any, dict[str, Any], str]:
    """A layer at some sizes, numbers with the batch the scene has, and the scene's text."""
    layer = pipeline.layer(spec(name, data.draw(geometries(name))))
    assume(terms(layer.equation) <= 1000)
    found = scene(Sheet(unproved(layer).derivation))
    assert found is not None
    shapes = json.loads(found.data)["tensors"]
    kept = any(layer.equation.batch in t["letters"] for t in shapes.values())
    return layer, numbers(layer.equation, seed, BATCH if kept else 1), found.data


def flat(arrays: dict[str, Any], data: str) -> str:
    """The numbers of the given tensors, row-major."""
    given_ = (name for name, tensor in json.loads(data)["tensors"].items() if "fill" in tensor)
    return json.dumps({name: np.ravel(arrays[name]).astype(float).tolist() for name in given_})


@LAYERS
@DRAWN
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_the_numbers_in_the_browser_are_the_kernels(
    browser: Any, scripts: str, name: str, data: st.DataObject, seed: int
) -> None:
    layer, arrays, text = drawn(name, data, seed)
    found = browser.execute_script(scripts + MODEL + VALUES, text, flat(arrays, text))
    equation, exact = layer.equation, polynomial(layer.equation)
    y = pipeline.module(unproved(layer)).forward(*(arrays[t.name] for t in equation.tensors))
    wanted = dict(zip((t.gradient for t in equation.tensors), backward(layer, arrays), strict=True))
    for tensor, want in {**wanted, equation.output.name: y}.items():
        if want is not None:
            got, want_ = np.array(found[tensor], dtype=float), np.ravel(want)
            limit = 0 if exact else 1e-11 * (1 + np.abs(want_).max())
            assert got.shape == want_.shape, tensor
            assert np.abs(got - want_).max() <= limit, tensor


@LAYERS
@DRAWN
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_the_terms_that_are_written_out_add_up_to_the_entry(
    browser: Any, scripts: str, name: str, data: st.DataObject, seed: int
) -> None:
    _, arrays, text = drawn(name, data, seed)
    values = browser.execute_script(scripts + MODEL + VALUES, text, flat(arrays, text))
    values |= json.loads(flat(arrays, text))
    for entry in browser.execute_script(scripts + MODEL + TERMS, text, flat(arrays, text)):
        parts = json.loads(entry["parts"])
        total = math.fsum(part["sign"] * summed(part, values) for part in parts)
        size = max(1.0, abs(entry["value"]))
        assert abs(total - entry["value"]) <= 1e-9 * size, entry
        numbered = [i["term"] for p in parts for i in p["items"] if i["term"] is not None]
        assert numbered == list(range(len(numbered)))


def summed(node: dict[str, Any], values: dict[str, list[float]]) -> float:
    """``op`` over the products of a term."""
    found = [value(item["body"], values) for item in node["items"]]
    if node["op"] in ("max", "min"):
        return {"max": max, "min": min}[node["op"]](found)
    return math.fsum(found) / node["count"]


def value(node: dict[str, Any], values: dict[str, list[float]]) -> float:
    """The number that a term means, with the entries it reads."""
    match node:
        case {"kind": "number", "value": number}:
            return number
        case {"kind": "ratio", "top": top, "bottom": bottom}:
            return top / bottom
        case {"kind": "read", "tensor": tensor, "flat": place}:
            return values[tensor][place]
        case {"kind": "sum"}:
            return summed(node, values)
        case {"kind": "winner"}:
            return won(node, values)
        case {"kind": "call", "fn": "where", "args": [test, yes, no]}:
            return value(yes if value(test, values) else no, values)
    args = (value(arg, values) for arg in node["args"])
    return (SCALARS.get(node["fn"]) or getattr(math, node["fn"]))(*args)


def won(node: dict[str, Any], values: dict[str, list[float]]) -> float:
    """The share of an entry in a maximum: all of it, or a part if the rule is to split."""
    found = [value(one, values) for one in node["candidates"]]
    best = {"max": max, "min": min}[node["op"]](found)
    if node["ties"] == "first":
        return float(node["candidates"][found.index(best)] == node["own"])
    return (value(node["own"], values) == best) / found.count(best)


def test_padding_never_wins_a_maximum(browser: Any, scripts: str) -> None:
    layer = derive.max_pool(input=(4, 4), kernel=3, stride=2, padding=1)
    found = scene(Sheet(calculus.derive(layer)))
    assert found is not None
    x = -1.0 - np.arange(16.0).reshape(4, 4)
    given_ = json.dumps({"x": x.ravel().tolist()})
    y = browser.execute_script(scripts + MODEL + VALUES, found.data, given_)["y"]
    windows = [x[max(0, i - 1) : i + 2, max(0, j - 1) : j + 2] for i in (0, 2) for j in (0, 2)]
    assert y == [window.max() for window in windows]


def test_a_sum_of_very_many_products_is_cut_and_says_so(browser: Any, scripts: str) -> None:
    found = scene(Sheet(calculus.derive(derive.dense(input=30000, units=1, bias=False))))
    assert found is not None
    ask = (
        "const t = new Terms(new Model(JSON.parse(arguments[0])), 'y', 0); return [t.count, t.cut]"
    )
    assert browser.execute_script(scripts + ask, found.data) == [20000, True]


def test_every_pair_of_places_and_subscripts_fits(browser: Any, scripts: str) -> None:
    found = scene(Sheet(calculus.derive(derive.conv(input=(2, 3, 4), kernel=(2, 2), filters=3))))
    assert found is not None
    ask = "const m = new Model(JSON.parse(arguments[0])); return arguments[1].map(([n, k]) => "
    ask += "[m.subscripts(n, k), m.flat(n, m.subscripts(n, k))])"
    shape = (3, 2, 2, 2)
    places = list(product(*map(range, shape)))
    got = browser.execute_script(scripts + ask, found.data, [["w", k] for k in range(len(places))])
    assert got == [[list(place), k] for k, place in enumerate(places)]
