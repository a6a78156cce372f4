"""The strategies whose arrays have their samples innermost, in and outside of networks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np
import pytest
from forced import drawn

import derive
from derive import assembly, geometry, orders
from derive.lower import lower
from derive.programs import Program
from derive.render.network import network
from derive.verify.running import module

BATCHES = (0, 1, 2, 31, 32, 33, 70)
SEEDS = [s for s in range(90) if drawn(s)["groups"] == 1 and drawn(s)["stride"] == (1, 1)]
LAYERS = {
    "conv 5x5 filters=6 padding=2 bias": (1, 9, 8),
    "conv 3x2 filters=4": (3, 6, 7),
    "conv 3x3 filters=20 dilation=1x2 padding=1x2 bias": (3, 6, 40),
    "conv 2x2 flip": (5, 5),
    "conv 3x3 filters=5 padding=2": (4, 3, 3),
}
POOLS = {
    "max_pool 2x2": (6, 8, 10),
    "max_pool 2x3": (4, 7, 11),
    "max_pool 2x2 stride=3": (40, 30, 30),
    "max_pool 1x2": (5, 6),
    "max_pool 3x3 stride=2": (3, 9, 9),
    "avg_pool 2x2": (3, 6, 6),
    "avg_pool 4x3 stride=2": (3, 9, 9),
    "avg_pool 2x2 stride=3": (2, 8, 8),
}
WANTED = {
    "y": ("innermost", "innermost_pools"),
    "dx": ("innermost_back", "innermost_pools"),
    "dw": ("innermost",),
}


def inside(text: str, shape: tuple[int, ...], *, fast: bool) -> tuple[ModuleType, set[str]]:
    """A network of one layer whose targets are made so wherever that is offered, or tap by tap."""
    made = assembly.derive(derive.network(text, input=shape))
    ((node, one),) = made.pairs()
    wanted = {"y": "taps", "dx": "taps", "dw": "taps", "db": "taps"}
    for target, names in (WANTED if fast else {}).items():
        for name in names:
            try:
                lower(one, **assembly.inside(made, node), wanted={target: name})
            except ValueError:
                continue  # not offered for this target
            wanted[target] = name
    wanted["db"] = wanted["db"] if wanted["dw"] == "taps" else "innermost"
    program = lower(one, **assembly.inside(made, node), wanted=wanted)
    used = {call.strategy for c in program.choices if c.least for call in c.calls}
    return module(network(made, (program,)), "net"), used - {"taps"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("text", [*LAYERS, *POOLS])
def test_a_layer_inside_a_network_gives_what_taps_give(text: str, dtype: str) -> None:
    shape = {**LAYERS, **POOLS}[text]
    fast, used = inside(text, shape, fast=True)
    direct, none = inside(text, shape, fast=False)
    assert none == set()
    assert used >= ({"innermost", "innermost_back"} if text in LAYERS else {"innermost_pools"})
    for batch in BATCHES:
        random = np.random.default_rng(batch)
        x = random.integers(-3, 4, (batch, *shape)).astype(dtype)
        params = {n: random.integers(-3, 4, p.shape).astype(dtype) for n, p in fast.init(0).items()}
        y = direct.forward(x, params)
        assert np.allclose(fast.forward(x, params), y, rtol=1e-6, atol=0)
        dy = 12 * random.integers(-3, 4, y.shape).astype(dtype)
        expected = direct.gradients(dy, x, params)
        for name, found in fast.gradients(dy, x, params).items():
            assert found.dtype == dtype
            assert np.allclose(found, expected[name], rtol=1e-6, atol=0), (name, batch)


@pytest.mark.parametrize("seed", SEEDS)
def test_drawn_convolutions_give_what_taps_give(seed: int) -> None:
    settings = drawn(seed)
    shape = settings.pop("input")
    words = [f"{k}={geometry.text(v)}" for k, v in settings.items() if not isinstance(v, bool)]
    words += [name for name in ("bias", "flip") if settings[name]]
    text = f"conv {' '.join(words)}"
    fast, direct = (inside(text, shape, fast=way)[0] for way in (True, False))
    for batch in (3, 33):
        random = np.random.default_rng(seed)
        x = random.integers(-3, 4, (batch, *shape)).astype("float32")
        params = {n: random.integers(-3, 4, p.shape).astype("f4") for n, p in fast.init(0).items()}
        y = direct.forward(x, params)
        assert np.array_equal(fast.forward(x, params), y)
        expected = direct.gradients(y, x, params)
        for name, found in fast.gradients(y, x, params).items():
            assert np.array_equal(found, expected[name]), name


def test_threads_do_not_share_buffers() -> None:
    made, _ = inside("conv 3x2 filters=4 padding=1 bias", (2, 5, 6), fast=True)
    params = made.init(0)
    points = [np.random.default_rng(k).standard_normal((5, 2, 5, 6)) for k in range(3)]
    expected = [made.forward(x, params) for x in points]
    with ThreadPoolExecutor(3) as pool:
        for _ in range(20):
            found = pool.map(lambda x: made.forward(x, params), points)
            assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


def test_infinite_gradients_reach_nothing_but_the_winner() -> None:
    made, _ = inside("max_pool 2x2", (1, 2, 4), fast=True)
    x = np.array([[[[1.0, 2, np.nan, 0], [2, 0, 3, 1]]]] * 2)
    dy = np.array([[[[np.inf, 5.0]]]] * 2)
    dx = made.gradients(dy, x, {})["x"][0, 0]
    assert dx.tolist() == [[0, np.inf, 0, 0], [0, 0, 0, 0]]  # not a number: handed to nobody


LENET = (
    "conv 5x5 filters=6 padding=2 bias > relu > max_pool 2x2 > conv 5x5 filters=16 bias > relu > "
    "max_pool 2x2 > flatten > dense 10 > cross_entropy"
)


def known(
    text: str, shape: tuple[int, ...]
) -> tuple[assembly.NetworkDerivation, dict[str, Program]]:
    made = assembly.computed(assembly.derive(derive.network(text, input=shape)))
    return made, assembly.named(made, assembly.programs(made))


def test_arrays_stay_turned_from_layer_to_layer() -> None:
    made, programs = known(LENET, (1, 28, 28))
    ahead = {
        node.name: orders.innermost(made.network, node, programs) for node in made.network.nodes
    }
    for name in ("max_pool1", "relu1", "conv2", "max_pool2", "relu2", "flatten1"):
        assert 1 < ahead[name]["x"] <= 32, name
    assert "x" not in ahead["conv1"]
    assert "x" not in ahead["dense1"]  # flattened samples lie one after the other
    assert 1 < ahead["conv1"]["dy"] <= 32
    assert "dy" not in ahead["flatten1"]


def test_a_caller_gets_arrays_in_the_usual_order() -> None:
    text = "conv 3x3 filters=4 padding=1 bias > relu > conv 3x3 filters=2 padding=1"
    made, programs = known(text, (1, 10, 10))
    assert orders.results(made.network, programs) == (True, True)
    net = module(assembly.kernel(made), "net")
    params = net.init(0)
    x = np.random.default_rng(0).standard_normal((32, 1, 10, 10))
    y = net.forward(x, params)
    dx = net.gradients(y, x, params)["x"]
    assert y.flags.c_contiguous
    assert dx.flags.c_contiguous
    assert dx.shape == x.shape
