"""A generated network learns scikit-learn's digits: at least 97 % of the test images, or exit 1.

Run where derive is installed with its extra [train]: ``python benchmarks/train_digits.py``. The
module is derived and compiled in memory; after that only NumPy works, on one core. A quarter of
the images, drawn by ``--seed``, is never trained on.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple

for threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")  # read once, when NumPy is imported

import numpy as np  # noqa: E402

import derive  # noqa: E402

NETWORK = """
conv 3x3 filters=16 padding=1 bias
relu
max_pool 2x2
conv 3x3 filters=32 padding=1 bias
relu
max_pool 2x2
flatten
dense 10
cross_entropy
"""
INPUT = (1, 8, 8)
NEEDED = 0.97


class Digits(NamedTuple):
    """Images (N, 1, 8, 8) from 0 to 1 and their classes (N,), for training and for testing."""

    x: np.ndarray
    t: np.ndarray
    x_test: np.ndarray
    t_test: np.ndarray


def digits(seed: int, dtype: str = "float64") -> Digits:
    """scikit-learn's 1797 handwritten digits; a quarter of each class is for testing."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, classes = load_digits(return_X_y=True)
    x = (images / 16).reshape(-1, *INPUT).astype(dtype)
    x, x_test, t, t_test = train_test_split(
        x, classes, test_size=0.25, stratify=classes, random_state=seed
    )
    return Digits(x, t, x_test, t_test)


def batches(count: int, size: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    """All of 0 … count-1 in a drawn order, ``size`` at a time."""
    order = random.permutation(count)
    for start in range(0, count, size):
        yield order[start : start + size]


def accuracy(module: ModuleType, x: np.ndarray, t: np.ndarray, params: dict) -> float:
    """The share of images whose greatest score is that of their class."""
    return float((module.forward(x, params).argmax(axis=-1) == t).mean())


def show(done: int, epochs: int, loss: float) -> None:
    """One line that is written over; only where somebody watches."""
    if sys.stderr.isatty():
        bar = "█" * (30 * done // epochs)
        end = "\n" if done == epochs else ""
        print(
            f"\r{bar:·<30} {done}/{epochs}  loss {loss:.4f}", end=end, file=sys.stderr, flush=True
        )


def train(module: ModuleType, data: Digits, asked: argparse.Namespace) -> dict:
    """Stochastic gradient descent, p − rate·∂L/∂p batch by batch; the rate falls linearly to 0."""
    random = np.random.default_rng(asked.seed)
    params = {name: p.astype(asked.dtype) for name, p in module.init(asked.seed).items()}
    for epoch in range(asked.epochs):
        losses, rate = [], asked.rate * (1 - epoch / asked.epochs)
        for chosen in batches(len(data.x), asked.batch, random):
            loss, grads = module.gradients(data.x[chosen], data.t[chosen], params)
            params = module.sgd_step(params, grads, rate)
            losses.append(loss)
        show(epoch + 1, asked.epochs, float(np.mean(losses)))
    return params


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> int:
    """Print how long it took and what was reached."""
    asked = options()
    start = time.perf_counter()
    module = derive.derive(derive.network(NETWORK, input=INPUT)).kernel()
    print(f"derived and proved in {time.perf_counter() - start:.1f} s")
    data = digits(asked.seed, asked.dtype)
    start = time.perf_counter()
    params = train(module, data, asked)
    seconds = time.perf_counter() - start
    if (kept := {p.dtype.name for p in params.values()}) != {asked.dtype}:
        print(f"the parameters became {kept}, from {asked.dtype}")
        return 1
    reached = accuracy(module, data.x_test, data.t_test, params)
    seen = accuracy(module, data.x, data.t, params)
    print(f"{asked.epochs} epochs of {len(data.x)} images in {seconds:.1f} s, {asked.dtype}")
    print(f"training images: {seen:.2%} right")
    print(f"test images:     {reached:.2%} right, of {len(data.t_test)}")
    if reached < NEEDED:
        print(f"at least {NEEDED:.0%} was to be reached")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
