"""The contract of a generated network module."""

from __future__ import annotations

import ast
import subprocess
import sys
from itertools import pairwise
from types import ModuleType

import numpy as np
import pytest

import derive
from derive import assembly

TEXT = "conv 2x2 filters=2 bias > relu > max_pool 2x2 > flatten > dense 3 > cross_entropy"
SHAPE = (1, 5, 5)


@pytest.fixture(scope="module")
def source() -> str:
    return assembly.kernel(assembly.derive(derive.network(TEXT, input=SHAPE)))


@pytest.fixture(scope="module")
def net(source: str) -> ModuleType:
    made = ModuleType("net")
    exec(compile(source, "<net>", "exec"), made.__dict__)
    return made


def sample(batch: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(*batch, *SHAPE)), generator.integers(0, 3, batch)


def test_it_imports_numpy_alone(source: str) -> None:
    nodes = list(ast.walk(ast.parse(source)))
    imported = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    assert imported <= {"numpy", "threading"}  # threading is Python's own
    assert not [n for n in nodes if isinstance(n, ast.ImportFrom)]


def test_the_same_network_gives_the_same_bytes_under_any_hash_seed(source: str) -> None:
    code = (
        "import derive; from derive import assembly; "
        f"print(assembly.kernel(assembly.derive(derive.network({TEXT!r}, input={SHAPE}))), end='')"
    )
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ".", "PYTHONIOENCODING": "utf-8"},
        )
        assert run.stdout == source


def test_ruff_format_would_not_change_it(source: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--line-length", "100", "-"],
        input=source,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == source


def test_names_of_parameters_are_counted_per_kind(net: ModuleType) -> None:
    assert list(net.init(0)) == ["conv1.w", "conv1.b", "dense1.w", "dense1.b"]
    x, t = sample((2,))
    _, gradients = net.gradients(x, t, net.init(0))
    assert list(gradients) == [*net.init(0), "x"]
    assert {n: g.shape for n, g in gradients.items() if n != "x"} == {
        n: p.shape for n, p in net.init(0).items()
    }
    assert gradients["x"].shape == x.shape


def test_init_is_reproducible_and_scaled_by_fan_in() -> None:
    made = derive.derive(derive.network("dense 400 > relu > dense 500", input=(300,)))
    net = ModuleType("net")
    exec(assembly.kernel(made), net.__dict__)
    one, two, other = net.init(3), net.init(3), net.init(4)
    assert all(np.array_equal(one[n], two[n]) for n in one)
    assert not np.array_equal(one["dense1.w"], other["dense1.w"])
    assert one["dense1.w"].std() == pytest.approx((2 / 300) ** 0.5, rel=0.01)
    assert one["dense2.w"].std() == pytest.approx((2 / 400) ** 0.5, rel=0.01)
    assert not one["dense1.b"].any()


def test_what_only_scales_starts_at_one_and_what_is_added_at_zero() -> None:
    made = derive.derive(derive.network("subsample 2x2 > layer_norm", input=(2, 4, 4)))
    net = ModuleType("net")
    exec(assembly.kernel(made), net.__dict__)
    start = net.init(0)
    assert (start["subsample1.beta"] == 1).all()
    assert (start["subsample1.b"] == 0).all()
    assert (start["layer_norm1.gamma"] == 1).all()
    assert (start["layer_norm1.beta"] == 0).all()


def test_samples_do_not_see_each_other(net: ModuleType) -> None:
    x, _ = sample((4,))
    params = net.init(0)
    alone = [net.forward(one, params) for one in x]
    assert np.allclose(net.forward(x, params), alone, rtol=1e-14, atol=0)


def test_gradients_of_a_batch_are_the_mean_of_those_of_its_samples(net: ModuleType) -> None:
    x, t = sample((4,))
    params = net.init(0)
    loss, gradients = net.gradients(x, t, params)
    alone = [net.gradients(one, of, params) for one, of in zip(x, t, strict=True)]
    assert loss == pytest.approx(np.mean([value for value, _ in alone]), rel=1e-14)
    for name in params:
        assert np.allclose(gradients[name], np.mean([g[name] for _, g in alone], 0), rtol=1e-12)


def test_data_take_any_number_of_batch_axes(net: ModuleType) -> None:
    x, t = sample((2, 3))
    params = net.init(0)
    loss, gradients = net.gradients(x, t, params)
    flat, other = net.gradients(x.reshape(6, *SHAPE), t.reshape(6), params)
    assert loss == flat
    assert all(np.array_equal(gradients[n], other[n]) for n in params)
    assert gradients["x"].shape == x.shape
    assert net.forward(x, params).shape == (2, 3, 3)


def test_a_step_against_the_gradient_lowers_the_loss(net: ModuleType) -> None:
    x, t = sample((16,), seed=5)
    params = net.init(2)
    losses = []
    for _ in range(30):
        loss, gradients = net.gradients(x, t, params)
        losses.append(loss)
        params = net.sgd_step(params, gradients, 0.02)
    assert all(b < a for a, b in pairwise(losses))
    assert losses[-1] < 0.9 * losses[0]


def test_a_step_returns_fresh_parameters(net: ModuleType) -> None:
    x, t = sample((2,))
    params = net.init(0)
    before = {name: value.copy() for name, value in params.items()}
    _, gradients = net.gradients(x, t, params)
    after = net.sgd_step(params, gradients, 0.5)
    assert list(after) == list(params)
    for name, value in params.items():
        assert np.array_equal(value, before[name])
        assert np.array_equal(after[name], before[name] - 0.5 * gradients[name])


def test_inputs_are_not_modified_and_may_be_read_only(net: ModuleType) -> None:
    x, t = sample((3,))
    params = net.init(0)
    kept = [x.copy(), *(value.copy() for value in params.values())]
    for array in (x, t, *params.values()):
        array.flags.writeable = False
    net.gradients(x, t, params)
    assert all(np.array_equal(a, b) for a, b in zip([x, *params.values()], kept, strict=True))


def test_float32_stays_float32(net: ModuleType) -> None:
    x, t = sample((3,))
    params = {name: value.astype(np.float32) for name, value in net.init(0).items()}
    loss, gradients = net.gradients(x.astype(np.float32), t, params)
    assert type(loss) is float
    assert {g.dtype for g in gradients.values()} == {np.dtype(np.float32)}
    assert net.forward(x.astype(np.float32), params).dtype == np.float32


def test_without_a_loss_gradients_take_the_upstream_one() -> None:
    text = "conv 2x2 > relu > flatten > dense 2"
    net = derive.derive(derive.network(text, input=(3, 3))).kernel()
    assert not hasattr(net, "loss")
    generator = np.random.default_rng(0)
    x, dy = generator.normal(size=(4, 3, 3)), generator.normal(size=(4, 2))
    params = net.init(0)
    gradients = net.gradients(dy, x, params)
    v = {name: generator.normal(size=value.shape) for name, value in params.items()}
    moved = [net.forward(x, {n: p + s * 1e-5 * v[n] for n, p in params.items()}) for s in (1, -1)]
    slope = ((moved[0] - moved[1]) / 2e-5 * dy).sum()
    assert sum((gradients[n] * v[n]).sum() for n in params) == pytest.approx(slope, rel=1e-8)


def test_an_identity_hands_out_no_array_of_the_caller() -> None:
    net = derive.derive(derive.network("flatten", input=(2, 2))).kernel()
    x = np.ones((2, 2))
    net.forward(x, {})[:] = 5
    assert (x == 1).all()


WRONG = [
    (lambda x, t, p: (x[..., :4], t, p), ValueError, "x: axis 3 has size 4, not 5"),
    (lambda x, t, p: (x, t[:1], p), ValueError, "t has batch axes (1,), but x has (2,)"),
    (lambda x, t, p: (x, t + 3, p), ValueError, "t holds 3, but the classes are 0 to 2"),
    (
        lambda x, t, p: (x, t, {n: a for n, a in p.items() if n != "conv1.b"}),
        ValueError,
        "params lacks ['conv1.b']",
    ),
    (
        lambda x, t, p: (x, t, {**p, "conv2.w": p["conv1.w"]}),
        ValueError,
        "params has unknown ['conv2.w']",
    ),
    (
        lambda x, t, p: (x, t, {**p, "dense1.b": np.zeros(4)}),
        ValueError,
        "dense1.b: axis 0 has size 4, not 3",
    ),
]


@pytest.mark.parametrize(("change", "error", "message"), WRONG, ids=[w[2] for w in WRONG])
def test_wrong_arrays_are_refused_with_name_axis_and_sizes(
    net: ModuleType, change: object, error: type[Exception], message: str
) -> None:
    x, t = sample((2,))
    t[:] = 0
    with pytest.raises(error) as caught:
        net.gradients(*change(x, t, net.init(0)))
    assert str(caught.value) == message


def test_nothing_is_computed_twice(source: str) -> None:
    """Backward of the pool compares with the maximum that forward kept."""
    tree = ast.parse(source)
    functions = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    pool = functions["_max_pool1_backward"]
    assert [a.arg for a in pool.args.args] == ["dy", "x", "y"]
    assert "maximum" not in ast.unparse(pool)
    assert "exp" in ast.unparse(functions["_cross_entropy1_forward"])


@pytest.mark.parametrize("pool", ["max_pool 3x3 stride=2", "max_pool 3x3 stride=2 padding=1"])
def test_a_network_may_pool_overlapping_windows(pool: str) -> None:
    made = derive.derive(derive.network(f"conv 2x2 > {pool} > flatten > dense 2", input=(1, 7, 7)))
    module = made.kernel()
    random = np.random.default_rng(0)
    x = random.integers(-3, 4, (2, 1, 7, 7)).astype(float)
    params = {name: np.round(value, 1) for name, value in module.init(0).items()}
    dy = random.integers(-3, 4, (2, 2)).astype(float)
    floats, exact = (
        module.gradients(g, a, p)
        for g, a, p in ((dy, x, params), (dy.astype(object), x.astype(object), params))
    )
    for name, gradient in floats.items():
        assert np.allclose(gradient, exact[name].astype(float)), name
