"""What forward hands on, and what a network's functions write over: nothing changes but the time.

Every array that a caller gives, and every value that is read twice, has to stay as it is; and
gradients must be those of layers that recompute and overwrite nothing.
"""

from __future__ import annotations

import threading
from types import ModuleType

import numpy as np
import pytest

import derive
from derive import assembly, graphs, reuse
from derive.lower import lower
from derive.programs import Program
from derive.render.network import network
from derive.verify.running import module

NETWORKS = {
    "lenet": (
        "conv 3x3 filters=2 padding=1 bias > relu > max_pool 2x2 > conv 3x3 filters=3 bias > "
        "tanh > flatten > dense 4 > sigmoid > dense 3 > cross_entropy",
        (1, 8, 8),
    ),
    "skip": (
        "conv 3x3 filters=2 padding=1 bias as a > relu > conv 3x3 filters=2 padding=1 bias > "
        "add a > relu > flatten > dense 3 > cross_entropy",
        (2, 5, 5),
    ),
    "shortcut": (
        "conv 3x3 filters=4 stride=2 padding=1 bias > relu > conv 3x3 filters=4 padding=1 as main "
        "> conv 1x1 filters=4 stride=2 bias from x > add main > relu > flatten > dense 3 > "
        "cross_entropy",
        (2, 6, 6),
    ),
    "twice": ("dense 6 > relu as a > tanh > add a > relu > dense 3 > cross_entropy", (5,)),
    "element-wise first": ("relu > tanh > dense 3 > relu > dense 3 > cross_entropy", (5,)),
    "linear": ("conv 3x3 filters=3 bias > max_pool 2x2 > flatten > dense 3 > mse", (2, 8, 8)),
}
BATCHES = (1, 2, 5, 9, 33)


def plain(derivation: graphs.NetworkDerivation) -> ModuleType:
    """The same network without anything handed on but y, or overwritten, and tap by tap."""
    programs: list[Program] = []
    for node, one in derivation.pairs():
        apart = derivation.network.apart(node)
        programs.append(
            lower(one, "scatter", keep=True, apart=apart, prefix=f"{node.name}_", exact=True)
        )
    return module(network(derivation, tuple(programs)), "plain")


@pytest.fixture(scope="module", params=NETWORKS, ids=str)
def pair(request: pytest.FixtureRequest) -> tuple[ModuleType, ModuleType]:
    text, shape = NETWORKS[request.param]
    derivation = assembly.derive(derive.network(text, input=shape))
    return module(assembly.kernel(derivation), "net"), plain(derivation)


def point(net: ModuleType, batch: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    random = np.random.default_rng(batch)
    x = random.normal(size=(batch, *net.SHAPES["x"]))
    t = random.integers(0, 3, (batch, *net.SHAPES["t"]))
    if net.SHAPES["t"]:
        t = t.astype(float)
    params = {n: p + 0.1 * random.normal(size=p.shape) for n, p in net.init(0).items()}
    return x, t, params


@pytest.mark.parametrize("batch", BATCHES)
def test_gradients_are_those_of_a_network_that_reuses_nothing(
    pair: tuple[ModuleType, ModuleType], batch: int
) -> None:
    net, simple = pair
    x, t, params = point(net, batch)
    (loss, found), (right, expected) = (m.gradients(x, t, params) for m in (net, simple))
    assert loss == pytest.approx(right, rel=1e-12)
    assert list(found) == list(expected)
    for name, gradient in found.items():
        scale = np.abs(expected[name]).max()
        assert np.abs(gradient - expected[name]).max() <= 1e-12 * scale, name


@pytest.mark.parametrize("batch", BATCHES)
def test_no_array_of_the_caller_is_written(pair: tuple[ModuleType, ModuleType], batch: int) -> None:
    net, _ = pair
    x, t, params = point(net, batch)
    before = [x.copy(), t.copy(), *(p.copy() for p in params.values())]
    for array in (x, t, *params.values()):
        array.flags.writeable = False
    net.forward(x, params)
    net.loss(x, t, params)
    net.gradients(x, t, params)
    for now, then in zip((x, t, *params.values()), before, strict=True):
        assert np.array_equal(now, then)


def test_a_second_call_does_not_change_what_the_first_returned(
    pair: tuple[ModuleType, ModuleType],
) -> None:
    net, _ = pair
    x, t, params = point(net, 9)
    y, (_, first) = net.forward(x, params), net.gradients(x, t, params)
    kept = [y.copy(), *(g.copy() for g in first.values())]
    net.forward(-x, params)
    net.gradients(2 * x, t, params)
    for now, then in zip((y, *first.values()), kept, strict=True):
        assert np.array_equal(now, then)


def test_without_the_inputs_gradient_all_others_are_the_same(
    pair: tuple[ModuleType, ModuleType],
) -> None:
    net, _ = pair
    x, t, params = point(net, 5)
    loss, every = net.gradients(x, t, params)
    same, fewer = net.gradients(x, t, params, input_gradient=False)
    assert same == loss
    assert list(fewer) == list(params) == list(every)[:-1]
    assert all(np.array_equal(fewer[n], every[n]) for n in fewer)


def test_threads_do_not_disturb_each_other(pair: tuple[ModuleType, ModuleType]) -> None:
    net, _ = pair
    points = [point(net, batch) for batch in (3, 9, 9, 12)]
    expected = [net.gradients(*p) for p in points]
    wrong: list[str] = []
    barrier = threading.Barrier(len(points))

    def run(k: int) -> None:
        barrier.wait()
        for _ in range(10):
            loss, found = net.gradients(*points[k])
            wrong.extend(n for n in found if not np.array_equal(found[n], expected[k][1][n]))
            wrong.extend(["loss"] * (loss != expected[k][0]))

    threads = [threading.Thread(target=run, args=(k,)) for k in range(len(points))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def spares(text: str, shape: tuple[int, ...]) -> dict[str, tuple[str, ...]]:
    derivation = assembly.derive(derive.network(text, input=shape))
    net = derivation.network
    made = {n.name: lower(d, keep=True, apart=net.apart(n)) for n, d in derivation.pairs()}
    return {node.name: reuse.spare(net, node, made) for node in net.nodes}


def test_only_what_one_layer_reads_is_written_over() -> None:
    found = spares("conv 3x3 padding=1 as a > relu > conv 3x3 padding=1 > add a > relu", (5, 5))
    assert found["relu1"] == ("dy",)  # conv1 is read again by add1
    assert found["relu2"] == ("x",)  # dy is the caller's


def test_what_a_layers_own_backward_pass_reads_stays() -> None:
    found = spares("dense 3 > tanh > relu > dense 2 > silu > dense 2 > mse", (4,))
    assert found["tanh1"] == ("x", "dy")
    assert found["relu1"] == ("dy",)  # tanh1 needs its own y
    assert found["silu1"] == ("dy",)  # and silu1 its x


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("conv 2x2 > max_pool 2x2 > dense 2 > mse", ("x",)),
        ("conv 2x2 > sigmoid > max_pool 2x2 > dense 2 > mse", ()),  # sigmoid needs its own y
        ("max_pool 2x2 > dense 2 > mse", ()),  # the caller's x
        ("conv 2x2 as a > max_pool 1x1 > add a", ()),  # add's backward pass has another reader
    ],
)
def test_a_pool_may_hand_back_over_what_it_reads_last(text: str, expected: tuple[str, ...]) -> None:
    derivation = assembly.derive(derive.network(text, input=(5, 5)))
    net = derivation.network
    made = {n.name: lower(d, keep=True, apart=net.apart(n)) for n, d in derivation.pairs()}
    assert reuse.final(net, net.node("max_pool1"), made) == expected


def test_the_networks_input_and_result_are_never_written_over() -> None:
    found = spares("relu > dense 2 > relu > mse", (4,))
    assert found["relu1"] == ("dy",)
    assert "x" not in found["mse1"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_columns_that_are_kept_are_those_that_would_be_made_again(dtype: str) -> None:
    text = "conv 5x5 filters=6 padding=2 bias > relu > flatten > dense 3 > cross_entropy"
    derivation = assembly.derive(derive.network(text, input=(1, 28, 28)))
    wanted = {"y": "columns", "dw": "correlate", "db": "correlate"}
    programs = [
        lower(
            one, **assembly.inside(derivation, node), wanted=wanted if node.name == "conv1" else {}
        )
        for node, one in derivation.pairs()
    ]
    source = network(derivation, tuple(programs))
    net = module(source, "net")
    assert "conv1_columns = _conv1_forward(" in source
    x, _, params = point(net, 2)
    x, params = x.astype(dtype), {n: p.astype(dtype) for n, p in params.items()}
    weights = params["conv1.w"], params["conv1.b"]
    y, kept = net._conv1_forward(x, *weights, keep=True)
    same, _ = net._conv1_forward(x, *weights, keep=False)
    assert np.array_equal(y, same)
    padded = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), (2, 3))
    columns = windows.transpose(0, 1, 4, 5, 2, 3).reshape(2, 25, 784)
    assert kept.dtype == dtype
    assert np.array_equal(kept[:, :25], columns)
    assert (kept[:, 25] == 1).all()


def test_a_masked_entry_gets_zero_even_of_an_infinite_gradient() -> None:
    made = derive.derive(derive.relu(input=(4,))).kernel()
    x = np.array([-1.0, 0.0, 1.0, 2.0])
    dy = np.array([np.inf, np.nan, np.inf, -3.0])
    assert made.backward(dy, x).dx.tolist() == [0, 0, np.inf, -3]
    assert made.backward(dy[::-1], x).dx.tolist()[:2] == [0, 0]


def test_sigmoid_neither_overflows_nor_loses_small_values() -> None:
    made = derive.derive(derive.sigmoid(input=(6,))).kernel()
    x = np.array([-1000.0, -700.0, -30.0, 0.0, 30.0, 1000.0])
    with np.errstate(all="raise", under="ignore"):
        y = made.forward(x)
    assert y.tolist()[3:] == [0.5, pytest.approx(1 - np.exp(-30), rel=1e-15), 1]
    assert y[:3].tolist() == pytest.approx([0, np.exp(-700), np.exp(-30)], rel=1e-12)
