"""Generated pooling kernels against PyTorch, side by side.

    python benchmarks/pools.py [--rows max] [--batch 1,8] [--threads 1]

Extra: ``[bench]``. Every result is compared with PyTorch's in float64 in the same run; float32,
NCHW. A maximum's backward pass is timed together with its forward pass: PyTorch's needs the index
that its forward pass returns, ours finds the winners again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
from timing import medians, settle

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

POOLS: dict[str, tuple[str, dict[str, Any]]] = {
    "max 64x112x112 k3 s2 p1": (
        "max",
        {"input": (64, 112, 112), "kernel": 3, "stride": 2, "padding": 1},
    ),
    "max 64x56x56 k2": ("max", {"input": (64, 56, 56), "kernel": 2}),
    "max 128x28x28 k2": ("max", {"input": (128, 28, 28), "kernel": 2}),
    "max 6x24x24 k2": ("max", {"input": (6, 24, 24), "kernel": 2}),
    "max 16x8x8 k2": ("max", {"input": (16, 8, 8), "kernel": 2}),
    "max 64x28x28 k3 s1 p1": (
        "max",
        {"input": (64, 28, 28), "kernel": 3, "stride": 1, "padding": 1},
    ),
    "max 32x35x35 k3 s2": ("max", {"input": (32, 35, 35), "kernel": 3, "stride": 2}),
    "max 32x13x13 k5 s1 p2": (
        "max",
        {"input": (32, 13, 13), "kernel": 5, "stride": 1, "padding": 2},
    ),
    "mean 64x56x56 k2": ("mean", {"input": (64, 56, 56), "kernel": 2}),
    "mean 6x24x24 k2": ("mean", {"input": (6, 24, 24), "kernel": 2}),
    "mean 64x56x56 k3 s2 p1": (
        "mean",
        {"input": (64, 56, 56), "kernel": 3, "stride": 2, "padding": 1},
    ),
    "mean 64x28x28 k3 s1 p1": (
        "mean",
        {"input": (64, 28, 28), "kernel": 3, "stride": 1, "padding": 1},
    ),
    "mean 64x56x56 k3 s2 p1 inside": (
        "mean",
        {"input": (64, 56, 56), "kernel": 3, "stride": 2, "padding": 1, "count_include_pad": False},
    ),
}
"""Kind and settings of a pool."""


def main() -> int:
    """Print a row for every geometry and batch size, and geometric means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="", help="only those with this in their name")
    parser.add_argument("--batch", default="1,8")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.6, help="per competitor and row")
    parser.add_argument("--strategy", action="append", default=[], metavar="TARGET=NAME")
    given = parser.parse_args()
    settle(given.threads)
    import torch

    torch.set_num_threads(given.threads)
    wanted = dict(pair.split("=") for pair in given.strategy)
    ratios: list[tuple[float, float]] = []
    print(f"{'pool':30} {'N':>2}  {'forward':>8} {'with backward':>14} {'backward':>9}")
    for name, (kind, settings) in POOLS.items():
        if given.rows in name:
            for batch in map(int, given.batch.split(",")):
                found, told = row(kind, settings, batch, given.seconds, wanted)
                ratios.append(found[:2])
                both = f"{found[1]:14.2f} {found[2]:9.2f}"
                print(f"{name:30} {batch:2}  {found[0]:8.2f} {both}   {told}", flush=True)
    means = [exp(sum(map(log, column)) / len(ratios)) for column in zip(*ratios, strict=True)]
    print(f"geometric means: forward {means[0]:.3f}, with backward {means[1]:.3f}")
    return 0


def row(
    kind: str, settings: dict[str, Any], batch: int, seconds: float, wanted: dict[str, str]
) -> tuple[tuple[float, float, float], str]:
    """Ratios to PyTorch: forward, both, and backward alone (PyTorch's with its index given)."""
    import torch

    module, told = generated(kind, settings, batch, wanted)
    random = np.random.default_rng(0)
    x = random.standard_normal((batch, *settings["input"])).astype(np.float32)
    dy = random.standard_normal((batch, *module.SHAPES["y"])).astype(np.float32)
    check(kind, settings, module, dy, x)
    tx, tdy = torch.from_numpy(x), torch.from_numpy(dy)
    ahead, back = rival(kind, settings)
    kept = ahead(tx)
    ours = medians(
        {
            "forward": lambda: module.forward(x),
            "torch forward": lambda: ahead(tx),
            "backward": lambda: module.backward(dy, x),
            "torch backward": lambda: back(tdy, tx, kept),
        },
        seconds=seconds,
    )
    f, b, tf, tb = ours["forward"], ours["backward"], ours["torch forward"], ours["torch backward"]
    times = ", ".join(f"{1e6 * t:.0f}" for t in (f, b, tf, tb))
    return (f / tf, (f + b) / (tf + tb), b / tb), f"{told}  [{times} us]"


def generated(
    kind: str, settings: dict[str, Any], batch: int, wanted: dict[str, str]
) -> tuple[Any, str]:
    """The kernel of a pool, and which strategies it uses for that batch."""
    import derive
    from derive import pipeline
    from derive.lower import lower
    from derive.render.kernel import kernel
    from derive.verify.running import module

    layer = derive.max_pool if kind == "max" else derive.avg_pool
    rank = len(settings["input"]) - 1
    derivation = pipeline.derive(layer(**{**settings, "kernel": (settings["kernel"],) * rank}))
    try:
        program = lower(derivation, wanted=wanted)
    except ValueError:  # the strategy does not go with this kind
        program = lower(derivation)
    chosen = {c.direction: c for c in program.choices if 0 < c.least <= batch}
    told = " ".join(call.strategy for c in chosen.values() for call in c.calls)
    return module(kernel(derivation, program), "kernel"), told


def rival(
    kind: str, settings: dict[str, Any]
) -> tuple[Callable[[Any], tuple[Any, Any]], Callable[[Any, Any, Any], Any]]:
    """PyTorch's operators: forward gives the result and its index, if there is one."""
    import torch

    aten, size = torch.ops.aten, settings["kernel"]
    kernel = (size, size)
    stride = (settings.get("stride", size),) * 2
    padding = (settings.get("padding", 0),) * 2
    if kind == "max":
        rest = (kernel, stride, padding)
        return (
            lambda x: aten.max_pool2d_with_indices(x, *rest),
            lambda dy, x, kept: aten.max_pool2d_with_indices_backward(
                dy, x, *rest, (1, 1), False, kept[1]
            ),
        )
    rest = (kernel, stride, padding, False, settings.get("count_include_pad", True), None)
    return (
        lambda x: (aten.avg_pool2d(x, *rest), None),
        lambda dy, x, kept: aten.avg_pool2d_backward(dy, x, *rest),
    )


def check(kind: str, settings: dict[str, Any], module: Any, dy: Any, x: Any) -> None:
    """Our results against PyTorch's in float64."""
    import torch

    ahead, back = rival(kind, settings)
    wide = [torch.from_numpy(a.astype(np.float64)) for a in (dy, x)]
    kept = ahead(wide[1])
    for one, two in (
        (module.forward(x), kept[0]),
        (module.backward(dy, x).dx, back(*wide, kept)),
    ):
        error = float(np.abs(one - two.numpy()).max() / np.abs(two.numpy()).max())
        assert one.dtype == np.float32, f"{settings}: {one.dtype}"
        assert error < 1e-6, f"{settings}: off by {error:.1e}"


if __name__ == "__main__":
    raise SystemExit(main())
