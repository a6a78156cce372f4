"""Strategies of kernels, each forced on layers that are drawn, against the direct kernel.

Integers take the direct way through every kernel, tap by tap; float32 takes the strategy. On
small integers both are exact, so they must agree to the last bit.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from random import Random
from types import ModuleType
from typing import Any

import numpy as np
from kernels import derivation_of

import derive
from derive.lower import lower
from derive.lower.branching import Asked, tasks
from derive.lower.choose import offers
from derive.render.kernel import kernel
from derive.verify.running import module

BATCHES = (0, 1, 3, 8, 33)

Groups = tuple[tuple[str, ...], ...]


def drawn(seed: int, *, largest: int = 9) -> dict[str, Any]:
    """The settings of some small convolution: 1-D or 2-D, any stride, padding, dilation, groups."""
    random = Random(seed)
    axes = random.choice((1, 2, 2, 2))

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(random.randint(low, high) for _ in range(axes))

    kernel_, stride, dilation, padding = each(1, 3), each(1, 3), each(1, 2), each(0, 2)
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel_, strict=True)]
    sizes = tuple(
        max(1, s - 2 * p) + random.randint(0, largest - 5)
        for s, p in zip(spans, padding, strict=True)
    )
    groups = random.choice((1, 1, 2, 3))
    return {
        "input": (groups * random.randint(1, 2), *sizes),
        "kernel": kernel_,
        "filters": groups * random.randint(1, 2),
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "bias": random.random() < 0.6,
        "flip": random.random() < 0.3,
    }


def kernels(
    strategy: str, kind: str = "conv", **settings: Any
) -> tuple[tuple[ModuleType, Groups], ...]:
    """Kernels in which the strategy makes all that it can, in as many ways as it can.

    Each with the groups of targets that it makes there; none if it does not apply.
    """
    derivation = derivation_of(getattr(derive, kind)(**settings))
    found = []
    for task in tasks(derivation, Asked()):
        groups = [targets for s, targets in offers(task) if strategy == s.NAME]
        for targets in groups:
            program = lower(derivation, wanted=dict.fromkeys(targets, strategy))
            calls = (call for choice in program.choices for call in choice.calls)
            made = {call.targets for call in calls if call.strategy == strategy}
            if targets in made:  # else a smaller group is chosen for it
                text = kernel(derivation, program)
                found.append((module(text, "kernel"), tuple(made)))
                found[-1][0].SOURCE = text
    return tuple(found)


def integers(made: ModuleType, batch: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Small integers for dy and for all tensors of a kernel."""
    random = np.random.default_rng(seed)
    shapes = dict(made.SHAPES)
    shapes = {"dy": (batch, *shapes.pop("y")), **shapes}
    shapes["x"] = (batch, *shapes["x"])
    return {name: random.integers(-4, 5, shape) for name, shape in shapes.items()}


def results(made: ModuleType, given: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """The output and the gradients by name."""
    tensors = {name: array for name, array in given.items() if name != "dy"}
    yield "y", made.forward(**tensors)
    yield from made.backward(given["dy"], **tensors)._asdict().items()


def differing(made: ModuleType, given: dict[str, np.ndarray], dtype: str = "float32") -> list[str]:
    """The results that are not those of the direct kernel, bit by bit, or of another dtype."""
    expected = dict(results(made, given))
    found = dict(results(made, {name: array.astype(dtype) for name, array in given.items()}))
    assert found.keys() == expected.keys()
    return [
        name
        for name, array in found.items()
        if array.dtype != dtype or not np.array_equal(array, expected[name])
    ]


def awkward(array: np.ndarray) -> np.ndarray:
    """The same numbers, but every other entry of a larger array that cannot be written."""
    wide = np.zeros(tuple(2 * size for size in array.shape), array.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    view.flags.writeable = False
    return view


def at_once(made: ModuleType, points: list[dict[str, np.ndarray]], rounds: int = 20) -> list[str]:
    """What differs when every point is computed in a thread of its own, all at the same time."""
    expected = [dict(results(made, point)) for point in points]
    wrong: list[str] = []
    barrier = threading.Barrier(len(points))

    def run(point: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> None:
        floats = {name: array.astype("float32") for name, array in point.items()}
        barrier.wait()
        for _ in range(rounds):
            wrong.extend(
                name
                for name, array in results(made, floats)
                if not np.array_equal(array, right[name])
            )

    threads = [
        threading.Thread(target=run, args=pair) for pair in zip(points, expected, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong
