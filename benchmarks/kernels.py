"""Generated kernels against PyTorch and the im2col of the textbooks, side by side.

    python benchmarks/kernels.py [--rows VGG] [--batch 1,8] [--unseen] [--threads 1] [--jax]

Extra: ``[bench]``. Every result is compared with float64 in the same run; float32, NCHW, forward
with bias, backward = dx, dw and db together.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
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
    parser.add_argument("--unseen", action="store_true", help="geometries without a target")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.6, help="per competitor and row")
    parser.add_argument("--strategy", action="append", default=[], metavar="TARGET=NAME")
    parser.add_argument("--jax", action="store_true", help="JAX's compiled functions as well")
    given = parser.parse_args()
    settle(given.threads)
    import torch

    torch.set_num_threads(given.threads)
    table = {n: s for n, s in (UNSEEN if given.unseen else CONVOLUTIONS).items() if given.rows in n}
    wanted = dict(pair.split("=") for pair in given.strategy)
    ratios: list[Ratios] = []
    print(f"{'layer':34} {'N':>2}  {'forward':>15} {'backward':>15}  strategies")
    for name, settings in table.items():
        for batch in map(int, given.batch.split(",")):
            found, told = row(settings, batch, given.seconds, wanted, given.threads, given.jax)
            ratios.append(found)
            (f, cf, jf), (b, cb, jb) = found[::2], found[1::2]
            jax = f"{jf:6.2f} {jb:6.2f} " if given.jax else ""
            cells = f"{f:6.2f} ({cf:5.2f}) {b:6.2f} ({cb:5.2f}) {jax}"
            print(f"{name:34} {batch:2}  {cells}  {told}", flush=True)
    means = [
        exp(sum(log(ratio or 1) for ratio in column) / len(ratios))
        for column in zip(*ratios, strict=True)
    ]
    total = exp(sum(log(r[0] * r[1]) / 2 for r in ratios) / len(ratios))
    print(f"geometric means: forward {means[0]:.3f}, backward {means[1]:.3f}, total {total:.3f}")
    print(f"classic im2col:  forward {means[2]:.3f}, backward {means[3]:.3f}")
    if given.jax:
        print(f"JAX jit:         forward {means[4]:.3f}, backward {means[5]:.3f}")
    return 0


Ratios = tuple[float, float, float, float, float, float]
"""Forward and backward against PyTorch: ours, classic im2col, JAX (0 where it is not asked)."""


def row(
    settings: dict[str, Any],
    batch: int,
    seconds: float,
    wanted: dict[str, str],
    threads: int = 1,
    jax: bool = False,
) -> tuple[Ratios, str]:
    """Ratios to PyTorch, and which strategies make ours."""
    import torch

    module, told = generated(settings, wanted, batch)
    random = np.random.default_rng(0)
    x = random.standard_normal((batch, *settings["input"])).astype(np.float32)
    w = random.standard_normal(module.SHAPES["w"]).astype(np.float32)
    b = random.standard_normal(module.SHAPES["b"]).astype(np.float32)
    dy = random.standard_normal((batch, *module.SHAPES["y"])).astype(np.float32)
    check(settings, module, dy, x, w, b)
    split = {"threads": threads} if threads > 1 else {}
    tensors = tuple(map(torch.from_numpy, (dy, x, w, b)))
    pairs = {
        "torch": (rivals.torch_pair(settings), tensors),
        "classic": (rivals.im2col_pair(settings), (dy, x, w, b)),
    }
    if jax and (compiled := rivals.jax_pair(settings)) is not None:
        import jax.numpy as jnp

        pairs["jax"] = compiled, tuple(map(jnp.asarray, (dy, x, w, b)))
        check_jax(settings, *pairs["jax"])
    forward = {n: partial(pair[0], *given[1:]) for n, (pair, given) in pairs.items()}
    backward = {n: partial(pair[1], *given[:3]) for n, (pair, given) in pairs.items()}
    ahead = medians({"ours": lambda: module.forward(x, w, b, **split), **forward}, seconds=seconds)
    back = medians(
        {"ours": lambda: module.backward(dy, x, w, b, **split), **backward}, seconds=seconds
    )
    ours, classic, compiled_ = (
        (ahead.get(n, 0) / ahead["torch"], back.get(n, 0) / back["torch"])
        for n in ("ours", "classic", "jax")
    )
    times = f"[{1e6 * ahead['ours']:.0f}, {1e6 * back['ours']:.0f} us]"
    return (*ours, *classic, *compiled_), f"{told}  {times}"


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
    found = [module.forward(x, w, b), *module.backward(dy, x, w, b)]
    compare(settings, found, dy, x, w, b)


def check_jax(settings: dict[str, Any], pair: rivals.Pair, given: tuple[Any, ...]) -> None:
    """JAX's results against PyTorch's in float64."""
    dy, x, w, b = given
    found = [pair[0](x, w, b), *pair[1](dy, x, w)]
    compare(settings, [np.array(a) for a in found], *map(np.array, given))


def compare(settings: dict[str, Any], found: list[Any], dy: Any, x: Any, w: Any, b: Any) -> None:
    """Results in float32 against PyTorch's in float64."""
    import torch

    ahead, back = rivals.torch_pair(settings)
    wide = [torch.from_numpy(a.astype(np.float64)) for a in (dy, x, w, b)]
    expected = [ahead(*wide[1:]), *back(wide[0], wide[1], wide[2])]
    for one, two in zip(found, expected, strict=True):
        error = float(np.abs(one - two.numpy()).max() / np.abs(two.numpy()).max())
        assert one.dtype == np.float32, f"{settings}: {one.dtype}"
        assert error < BOUND, f"{settings}: off by {error:.1e}"


if __name__ == "__main__":
    raise SystemExit(main())
