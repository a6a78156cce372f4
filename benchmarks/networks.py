"""Whole networks: the generated module against PyTorch's eager mode and JAX's compiled one.

    python benchmarks/networks.py [--rows lenet] [--batch 1,8,32] [--threads 1] [--parts]

Extra: ``[bench]``. A step is what training does: the loss, all gradients and the update where there
is a loss, else all gradients. PyTorch records its tape and updates with its own SGD. Loss,
gradients and updated parameters are compared with float64 in the same run. ``--parts`` shows the
functions that the module's step spends its time in.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import exp, log
from pathlib import Path
from statistics import median
from types import FunctionType
from typing import Any

import numpy as np
from timing import medians, settle

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

BOUND = 1e-9
"""Error of our results in float64, relative in the Euclidean norm."""

ROUGH = 1e-2
"""The same in float32: where rounding turns a winner of a maximum, a gradient goes elsewhere."""

RATE = 0.01
LEAN = {"input_gradient": False}

Params = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A network in derive's words, and in words that PyTorch and JAX share."""

    text: str
    input: tuple[int, ...]
    body: Callable[[Any, Any, Params], Any]
    classes: int = 0


# -- the networks ------------------------------------------------------------------------------
def _lenet(act: str) -> Case:
    def body(o: Any, x: Any, p: Params) -> Any:
        act_of = getattr(o, act)
        x = o.pool(act_of(o.conv(x, p["conv1.w"], p["conv1.b"], 1, 2)))
        x = o.pool(act_of(o.conv(x, p["conv2.w"], p["conv2.b"], 1, 0)))
        x = x.reshape(-1, 400)
        for name in ("dense1", "dense2"):
            x = act_of(x @ p[f"{name}.w"].T + p[f"{name}.b"])
        return x @ p["dense3.w"].T + p["dense3.b"]

    text = (
        f"conv 5x5 filters=6 padding=2 bias > {act} > max_pool 2x2 > conv 5x5 filters=16 bias > "
        f"{act} > max_pool 2x2 > flatten > dense 120 > {act} > dense 84 > {act} > dense 10 > "
        "cross_entropy"
    )
    return Case(text, (1, 28, 28), body, 10)


def _vgg() -> Case:
    def body(o: Any, x: Any, p: Params) -> Any:
        x = o.relu(o.conv(x, p["conv1.w"], p["conv1.b"], 1, 1))
        return o.pool(o.relu(o.conv(x, p["conv2.w"], p["conv2.b"], 1, 1)))

    conv = "conv 3x3 filters=64 padding=1 bias > relu"
    return Case(f"{conv} > {conv} > max_pool 2x2", (64, 56, 56), body)


def _resnet() -> Case:
    def body(o: Any, x: Any, p: Params) -> Any:
        z = o.relu(o.conv(x, p["conv1.w"], p["conv1.b"], 2, 1))
        z = o.conv(z, p["conv2.w"], p["conv2.b"], 1, 1)
        short = o.conv(x, p["conv3.w"], p["conv3.b"], 2, 0)
        return o.relu(z + short)

    text = (
        "conv 3x3 filters=128 stride=2 padding=1 bias > relu > conv 3x3 filters=128 padding=1 bias "
        "as main > conv 1x1 filters=128 stride=2 bias from x > add main > relu"
    )
    return Case(text, (64, 56, 56), body)


CASES: dict[str, Callable[[], Case]] = {
    "LeNet, relu": lambda: _lenet("relu"),
    "LeNet, sigmoid": lambda: _lenet("sigmoid"),
    "VGG block 64x56x56": _vgg,
    "ResNet block 64x56x56 s2": _resnet,
}
"""Three networks, LeNet with two activations."""


# -- rivals ------------------------------------------------------------------------------------
class TorchWords:
    """What the bodies above are made of, in PyTorch."""

    def __init__(self) -> None:
        import torch

        self.f = torch.nn.functional
        self.relu, self.sigmoid = torch.relu, torch.sigmoid

    def conv(self, x: Any, w: Any, b: Any, stride: int, padding: int) -> Any:
        """A convolution with bias."""
        return self.f.conv2d(x, w, b, stride=stride, padding=padding)

    def pool(self, x: Any) -> Any:
        """The maximum of 2x2."""
        return self.f.max_pool2d(x, 2)


class JaxWords:
    """The same in JAX."""

    def __init__(self) -> None:
        import jax

        self.lax = jax.lax
        self.relu, self.sigmoid = jax.nn.relu, jax.nn.sigmoid

    def conv(self, x: Any, w: Any, b: Any, stride: int, padding: int) -> Any:
        """A convolution with bias."""
        pads = [(padding, padding)] * 2
        return self.lax.conv_general_dilated(x, w, (stride, stride), pads) + b[:, None, None]

    def pool(self, x: Any) -> Any:
        """The maximum of 2x2."""
        sizes = (1, 1, 2, 2)
        return self.lax.reduce_window(x, -np.inf, self.lax.max, sizes, sizes, "VALID")


Rival = tuple[Callable[[], Any], Callable[[], Any]]
"""forward() and step(); a step gives the loss, if there is one, and gradients or new parameters."""


def by_torch(case: Case, x: Any, t: Any, params: Params) -> Rival:
    """Eager mode with autograd; training updates the parameters in place."""
    import torch

    words = TorchWords()
    given = {n: torch.tensor(p, requires_grad=True) for n, p in params.items()}
    tx = torch.tensor(x, requires_grad=not case.classes)
    tt = torch.tensor(t)
    descent = torch.optim.SGD(given.values(), lr=RATE)

    def forward() -> Any:
        with torch.no_grad():
            return case.body(words, tx, given)

    def train() -> Any:
        descent.zero_grad()
        loss = words.f.cross_entropy(case.body(words, tx, given), tt)
        loss.backward()
        descent.step()
        return loss.item(), given

    def both() -> Any:
        y = case.body(words, tx, given)
        found = torch.autograd.grad(y, [tx, *given.values()], tt)
        return None, dict(zip(["x", *given], found, strict=True))

    return forward, train if case.classes else both


def by_jax(case: Case, x: Any, t: Any, params: Params) -> Rival | None:
    """Compiled by XLA; None where JAX is not installed."""
    try:
        import jax
    except ImportError:
        return None
    words = JaxWords()
    given = {n: jax.numpy.asarray(p) for n, p in params.items()}
    jx, jt = jax.numpy.asarray(x), jax.numpy.asarray(t)

    def loss(p: Params) -> Any:
        scores = jax.nn.log_softmax(case.body(words, jx, p))
        return -jax.numpy.take_along_axis(scores, jt[:, None], axis=1).mean()

    def train(p: Params) -> Any:
        value, grads = jax.value_and_grad(loss)(p)
        return value, {n: p[n] - RATE * g for n, g in grads.items()}

    def both(p: Params) -> Any:
        _, back = jax.vjp(lambda x, p: case.body(words, x, p), jx, p)
        dx, grads = back(jt)
        return None, {"x": dx, **grads}

    ahead = jax.jit(lambda p: case.body(words, jx, p))
    step = jax.jit(train if case.classes else both)
    return lambda: jax.block_until_ready(ahead(given)), lambda: jax.block_until_ready(step(given))


def by_derive(case: Case, module: Any, x: Any, t: Any, params: Params) -> Rival:
    """The generated module."""

    def train() -> Any:
        loss, grads = module.gradients(x, t, params, **LEAN)
        return loss, module.sgd_step(params, grads, RATE)

    def both() -> Any:
        return None, module.gradients(t, x, params)

    return lambda: module.forward(x, params), train if case.classes else both


# -- measuring ---------------------------------------------------------------------------------
@cache
def generated(text: str, shape: tuple[int, ...]) -> Any:
    """The module of a network."""
    import derive
    from derive import assembly
    from derive.verify.running import module

    made = assembly.derive(derive.network(text, input=shape))
    return module(assembly.kernel(made), "network")


def sample(case: Case, module: Any, batch: int) -> tuple[Any, Any, Params]:
    """x, the targets (or dy), and parameters, in float64."""
    random = np.random.default_rng(0)
    x = random.standard_normal((batch, *case.input))
    if case.classes:
        t = random.integers(0, case.classes, batch)
    else:
        t = random.standard_normal((batch, *module.SHAPES["y"]))
    return x, t, module.init(0)


def narrow(values: Any) -> Any:
    """float64 as float32, through dictionaries."""
    if isinstance(values, dict):
        return {name: narrow(value) for name, value in values.items()}
    return values.astype(np.float32) if values.dtype == np.float64 else values


def row(
    case: Case, batch: int, seconds: float, jax: bool, threads: int
) -> dict[str, dict[str, float]]:
    """Direction → competitor → seconds."""
    module = generated(case.text, case.input)
    wide = sample(case, module, batch)
    given = tuple(map(narrow, wide))
    rivals = {"ours": by_derive(case, module, *given), "torch": by_torch(case, *given)}
    if jax and (found := by_jax(case, *given)) is not None:
        rivals["jax"] = found
    exact = results(by_torch(case, *wide))
    check(case, exact, results(by_derive(case, module, *wide)), BOUND)
    for rival in rivals.values():
        check(case, exact, results(rival), ROUGH)
    clock = time.process_time if threads == 1 else time.perf_counter
    return {
        way: medians({n: pair[k] for n, pair in rivals.items()}, seconds=seconds, clock=clock)
        for k, way in enumerate(("forward", "step"))
    }


def results(rival: Rival) -> dict[str, Any]:
    """What it computes, by name: y, the loss and the parameters after the step, say."""
    y, (first, named) = rival[0](), rival[1]()
    found = {"y": y, **named} | ({} if first is None else {"loss": first})
    return {
        n: np.asarray(a.detach() if hasattr(a, "detach") else a).copy() for n, a in found.items()
    }


def check(case: Case, exact: dict[str, Any], found: dict[str, Any], bound: float) -> None:
    """Every result against PyTorch's in float64."""
    for what, two in exact.items():
        one = np.asarray(found[what], np.float64)
        error = float(np.linalg.norm(one - two) / np.linalg.norm(two))
        assert error < bound, f"{case.text}: {what} is off by {error:.1e}"


def parts(case: Case, batch: int, often: int = 200) -> list[tuple[str, float]]:
    """The functions of a step and the median microseconds in each, without those it calls."""
    module = generated(case.text, case.input)
    x, t, params = map(narrow, sample(case, module, batch))
    step = by_derive(case, module, x, t, params)[1]
    spent: dict[str, list[float]] = {}
    inside = [0.0]

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            inside.append(0.0)
            start = time.perf_counter()
            result = function(*args, **named)
            took = time.perf_counter() - start
            own = took - inside.pop()
            inside[-1] += took
            spent.setdefault(name, []).append(own)
            return result

        return call

    plain = {n: f for n, f in vars(module).items() if isinstance(f, FunctionType)}
    kept = ("_scratch", "_windows", "_lowest")  # too small to be timed
    vars(module).update({n: timed(n, f) for n, f in plain.items() if n not in kept})
    for _ in range(often):
        step()
    vars(module).update(plain)
    calls = {name: len(times) / often for name, times in spent.items()}
    found = [(name, 1e6 * median(times) * calls[name]) for name, times in spent.items()]
    return sorted(found, key=lambda pair: -pair[1])


def main() -> int:
    """Print a row for every network and batch size, and geometric means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="", help="only those with this in their name")
    parser.add_argument("--batch", default="1,8,32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.6, help="per competitor and row")
    parser.add_argument("--parts", action="store_true", help="where our step spends its time")
    parser.add_argument("--no-jax", action="store_true")
    given = parser.parse_args()
    settle(given.threads)
    import torch

    torch.set_num_threads(given.threads)
    ratios = []
    print(f"{'network':26} {'N':>2}  {'forward':>8} {'(jax)':>8} {'step':>8} {'(jax)':>8}")
    for name, make in CASES.items():
        if given.rows.lower() not in name.lower():
            continue
        for batch in map(int, given.batch.split(",")):
            found = row(make(), batch, given.seconds, not given.no_jax, given.threads)
            cells = [found[w].get(c, 0) / found[w]["torch"] for w in found for c in ("ours", "jax")]
            times = ", ".join(f"{1e6 * found[w][c]:.0f}" for w in found for c in ("ours", "torch"))
            shown = "".join(f"{cell:9.2f}" for cell in cells)
            print(f"{name:26} {batch:2} {shown}  [{times} us]", flush=True)
            ratios.append((cells[0], cells[2]))
            if given.parts:
                for part, took in parts(make(), batch)[:25]:
                    print(f"{took:12.1f} us  {part}")
    means = [exp(sum(map(log, column)) / len(ratios)) for column in zip(*ratios, strict=True)]
    print(f"geometric means against PyTorch: forward {means[0]:.3f}, step {means[1]:.3f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
