"""How long deriving, lowering, rendering and proving take, for convolutions of any size.

Run where derive is installed: ``python benchmarks/derivation.py``. Times are after imports; the
best of several runs, because anything slower is the machine's doing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from derive import pipeline
from derive.layers import spec

LAYERS: dict[str, dict[str, Any]] = {
    "toy": {"input": (3, 3), "kernel": (2, 2)},
    "LeNet-1": {"input": (1, 28, 28), "kernel": 5, "filters": 6, "bias": True},
    "CIFAR": {"input": (3, 32, 32), "kernel": 3, "filters": 32, "padding": 1, "bias": True},
    "strided, grouped": {
        "input": (8, 17, 17),
        "kernel": 3,
        "filters": 8,
        "stride": 2,
        "padding": 1,
        "dilation": 2,
        "groups": 4,
    },
    "3-D": {"input": (2, 8, 8, 8), "kernel": 3, "filters": 4},
    "stem": {"input": (3, 224, 224), "kernel": 7, "filters": 64, "stride": 2, "padding": 3},
    "VGG-like, 7x7": {"input": (64, 224, 224), "kernel": 7, "filters": 64, "padding": 3},
}


def best(run: Callable[[], Any], times: int) -> tuple[float, Any]:
    """The shortest of several runs, and what the last one returned."""
    found, result = float("inf"), None
    for _ in range(times):
        start = time.perf_counter()
        result = run()
        found = min(found, time.perf_counter() - start)
    return found, result


def main() -> None:
    """Print a row a layer, in milliseconds."""
    print(f"{'layer':<18}{'derive':>9}{'kernel':>9}{'notes':>9}{'sum':>9}{'prove':>10}   ms")
    for name, settings in LAYERS.items():
        layer = pipeline.layer(spec("conv", settings))
        pipeline.make(pipeline.derive(layer))  # imports and caches
        one, derivation = best(lambda layer=layer: pipeline.derive(layer), 3)
        two, source = best(lambda d=derivation: pipeline.kernel(d), 3)
        proof, certificate = best(lambda d=derivation, s=source: pipeline.prove(d, s), 1)
        made = pipeline.Made(derivation, source, certificate)
        three, _ = best(lambda m=made: pipeline.page(pipeline, m, "tex"), 3)
        row = [one, two, three, one + two + three]
        print(f"{name:<18}" + "".join(f"{1000 * t:>9.1f}" for t in row) + f"{1000 * proof:>10.0f}")


if __name__ == "__main__":
    main()
