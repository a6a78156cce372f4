"""Generated kernels against PyTorch and the im2col of the textbooks, side by side.

    python benchmarks/kernels.py [--rows VGG] [--batch 1,8] [--unseen] [--threads 1]

Extra: ``[bench]``. Every result is compared with float64 in the same run; float32, NCHW, forward
with bias, backward = dx, dw and db together.
"""

from __future__ import annotations

import argparse
import sys
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import rivals
from rows import CONVOLUTIONS, UNSEEN
from timing import medians, settle

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

BOUND = 2e-5
"""Largest error of a float32 result, relative to its largest entry."""


def main() -> int:
    """Print a row for every geometry and batch size, and geometric means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="", help="only those with this in their name")
    parser.add_argument("--batch", default="1,8")
    parser.add_argument("--unseen", action="store_true", help="geometries nobody tuned for")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.6, help="per competitor and row")
    parser.add_argument("--strategy", action="append", default=[], metavar="TARGET=NAME")
    given = parser.parse_args()
    settle(given.threads)
    import torch

    torch.set_num_threads(given.threads)
    table = {n: s for n, s in (UNSEEN if given.unseen else CONVOLUTIONS).items() if given.rows in n}
    wanted = dict(pair.split("=") for pair in given.strategy)
    ratios: list[tuple[float, float, float, float]] = []
    print(f"{'layer':34} {'N':>2}  {'forward':>15} {'backward':>15}  strategies")
    for name, settings in table.items():
        for batch in map(int, given.batch.split(",")):
            found = row(settings, batch, given.seconds, wanted)
            ratios.append(found[0])
            (f, b, cf, cb), told = found
            print(f"{name:34} {batch:2}  {f:6.2f} ({cf:5.2f}) {b:6.2f} ({cb:5.2f})   {told}", flush=True)
    means = [exp(sum(map(log, column)) / len(ratios)) for column in zip(*ratios, strict=True)]
    total = exp(sum(log(r[0] * r[1]) / 2 for r in ratios) / len(ratios))
    print(f"geometric means: forward {means[0]:.3f}, backward {means[1]:.3f}, total {total:.3f}")
    print(f"classic im2col:  forward {means[2]:.3f}, backward {means[3]:.3f}")
    return 0


def row(
    settings: dict[str, Any], batch: int, seconds: float, wanted: dict[str, str]
) -> tuple[tuple[float, float, float, float], str]:
    """Ratios to PyTorch: ours forward and backward, classic im2col forward and backward."""
    import torch

    module, told = generated(settings, wanted, batch)
    random = np.random.default_rng(0)
    x = random.standard_normal((batch, *settings["input"])).astype(np.float32)
    w = random.standard_normal(module.SHAPES["w"]).astype(np.float32)
    b = random.standard_normal(module.SHAPES["b"]).astype(np.float32)
    dy = random.standard_normal((batch, *module.SHAPES["y"])).astype(np.float32)
    check(settings, module, dy, x, w, b)
    ahead, back = rivals.torch_pair(settings)
    old_ahead, old_back = rivals.im2col_pair(settings)
    tx, tw, tb, tdy = map(torch.from_numpy, (x, w, b, dy))
    forward = medians(
        {
            "ours": lambda: module.forward(x, w, b),
            "torch": lambda: ahead(tx, tw, tb),
            "classic": lambda: old_ahead(x, w, b),
        },
        seconds=seconds,
    )
    backward = medians(
        {
            "ours": lambda: module.backward(dy, x, w, b),
            "torch": lambda: back(tdy, tx, tw),
            "classic": lambda: old_back(dy, x, w),
        },
        seconds=seconds,
    )
    ratios = (
        forward["ours"] / forward["torch"],
        backward["ours"] / backward["torch"],
        forward["classic"] / forward["torch"],
        backward["classic"] / backward["torch"],
    )
    return ratios, f"{told}  [{1e6 * forward['ours']:.0f}, {1e6 * backward['ours']:.0f} us]"


def generated(settings: dict[str, Any], wanted: dict[str, str], batch: int) -> tuple[Any, str]:
    """The kernel of a convolution with bias, and which strategies it uses for that batch."""
    import derive
    from derive import pipeline
    from derive.lower import lower
    from derive.render.kernel import kernel
    from derive.verify.running import module

    derivation = pipeline.derive(derive.conv(**settings, bias=True))
    try:
        program = lower(derivation, wanted=wanted)
    except ValueError:  # the strategy does not go with this geometry
        program = lower(derivation)
    chosen = {c.direction: c for c in program.choices if 0 < c.least <= batch}
    told = " ".join(
        f"{'+'.join(call.targets)}:{call.strategy}" for c in chosen.values() for call in c.calls
    )
    return module(kernel(derivation, program), "kernel"), told


def check(settings: dict[str, Any], module: Any, dy: Any, x: Any, w: Any, b: Any) -> None:
    """Our results against PyTorch's in float64."""
    import torch

    ahead, back = rivals.torch_pair(settings)
    wide = [torch.from_numpy(a.astype(np.float64)) for a in (dy, x, w, b)]
    expected = [ahead(*wide[1:]), *back(wide[0], wide[1], wide[2])]
    found = [module.forward(x, w, b), *module.backward(dy, x, w, b)]
    for one, two in zip(found, expected, strict=True):
        error = float(np.abs(one - two.numpy()).max() / np.abs(two.numpy()).max())
        assert one.dtype == np.float32 and error < BOUND, f"{settings}: off by {error:.1e}"


if __name__ == "__main__":
    raise SystemExit(main())
