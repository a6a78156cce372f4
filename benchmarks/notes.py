"""How long the notes of a derivation take to write, as a ratio to ``import sympy``.

Run where derive is installed: ``python benchmarks/notes.py``. Rendering is the best of several
runs after imports; ``import sympy`` is the best of several fresh processes, less what Python
itself takes.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from derive import pipeline
from derive.layers import spec

LAYERS: dict[str, dict[str, Any]] = {
    "3x3, kernel 2x2": {"input": (3, 3), "kernel": (2, 2)},
    "8x8, kernel 3x3": {"input": (8, 8), "kernel": (3, 3)},
}
RUNS = 7


def process(code: str) -> float:
    """The shortest of several runs of a fresh Python."""
    found = float("inf")
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        found = min(found, time.perf_counter() - start)
    return found


def notes(settings: dict[str, Any]) -> float:
    """The shortest of several runs from the derivation to the text of notes.tex."""
    made = pipeline.make(pipeline.derive(pipeline.layer(spec("conv", settings))))
    found = float("inf")
    for _ in range(RUNS):
        start = time.perf_counter()
        pipeline.page(pipeline, made, "tex")
        found = min(found, time.perf_counter() - start)
    return found


def main() -> None:
    """Print a row a layer."""
    sympy = process("import sympy") - process("pass")
    print(f"{'notes of a convolution':<28}{'ms':>8}{'x sympy':>9}")
    for name, settings in LAYERS.items():
        taken = notes(settings)
        print(f"{name:<28}{1000 * taken:>8.1f}{taken / sympy:>9.3f}")


if __name__ == "__main__":
    main()
