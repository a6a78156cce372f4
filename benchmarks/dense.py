"""Generated dense layers against PyTorch's, side by side.

    python benchmarks/dense.py [--batch 1,8,32] [--threads 1]

Extra: ``[bench]``. float32, with bias; every result is compared with float64 in the same run.
"""

from __future__ import annotations

import argparse
import sys
from functools import cache
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
from timing import medians, settle

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

SIZES = ((400, 120), (784, 128), (1024, 1024), (4096, 256))
"""Inputs and units."""

BOUND = 2e-5


def main() -> int:
    """Print a row for every size and batch, and geometric means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", default="1,8,32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.6, help="per competitor and row")
    given = parser.parse_args()
    settle(given.threads)
    import torch

    torch.set_num_threads(given.threads)
    ratios = []
    for inputs, units in SIZES:
        for batch in map(int, given.batch.split(",")):
            found = row(inputs, units, batch, given.seconds)
            ratios.append(found)
            print(f"{inputs:5} -> {units:5} {batch:3} {found[0]:8.2f} {found[1]:8.2f}", flush=True)
    means = [exp(sum(map(log, column)) / len(ratios)) for column in zip(*ratios, strict=True)]
    print(f"geometric means: forward {means[0]:.3f}, backward {means[1]:.3f}")
    return 0


@cache
def generated(inputs: int, units: int) -> Any:
    """The kernel of a dense layer."""
    import derive
    from derive import pipeline
    from derive.lower import lower
    from derive.render.kernel import kernel
    from derive.verify.running import module

    derivation = pipeline.derive(derive.dense(input=(inputs,), units=units))
    return module(kernel(derivation, lower(derivation)), "kernel")


def row(inputs: int, units: int, batch: int, seconds: float) -> tuple[float, float]:
    """Ratios to PyTorch, forward and backward."""
    import torch

    module, random = generated(inputs, units), np.random.default_rng(0)
    shapes = ((batch, units), (batch, inputs), (units, inputs), (units,))
    dy, x, w, b = (random.standard_normal(shape).astype(np.float32) for shape in shapes)
    check(module, dy, x, w, b)
    tdy, tx, tw, tb = map(torch.from_numpy, (dy, x, w, b))
    ahead = medians(
        {
            "ours": lambda: module.forward(x, w, b),
            "torch": lambda: torch.ops.aten.linear(tx, tw, tb),
        },
        seconds=seconds,
    )
    back = medians(
        {
            "ours": lambda: module.backward(dy, x, w, b),
            "torch": lambda: (tdy @ tw, tdy.T @ tx, tdy.sum(0)),
        },
        seconds=seconds,
    )
    return ahead["ours"] / ahead["torch"], back["ours"] / back["torch"]


def check(module: Any, *given: Any) -> None:
    """Our results against float64."""
    dy, x, w, b = (a.astype(np.float64) for a in given)
    expected = x @ w.T + b, dy @ w, dy.T @ x, dy.sum(axis=0)
    for one, two in zip(
        (module.forward(*given[1:]), *module.backward(*given)), expected, strict=True
    ):
        error = float(np.abs(one - two).max() / np.abs(two).max())
        assert error < BOUND, f"off by {error:.1e}"


if __name__ == "__main__":
    raise SystemExit(main())
