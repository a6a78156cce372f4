"""The strategies claim: every way through a kernel gives the same numbers.

A kernel may compute its targets by several strategies and choose by dtype and batch size. Each
branch is run by itself, whatever the batch, and so is the public kernel; all of them are
compared with one branch, which the other claims prove. Exactly on integers, where the branch
keeps integers exact, else to rounding. A kernel that splits its batch over threads is run on
two, with as many samples as that takes.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import numpy as np

from ..certificates import Claim, Omitted
from ..derivations import Derivation
from ..equations import Equation
from ..functions import arithmetic
from ..programs import Call, Choice
from .inside import copied, flat, shaped
from .magnitudes import POINT, reach
from .running import Array, Kernel, batch_shape, compare, defined, drawn, samples

HALF = 7
RELATIVE = 1e-10
"""Of the largest entry, in float64: Winograd's sums in another order are well below."""


def ways(
    kernel: Kernel, module: ModuleType, derivation: Derivation, choices: tuple[Choice, ...]
) -> tuple[tuple[Kernel, bool], ...]:
    """A kernel for each way through the module, and whether it keeps integers exact.

    The first is exact. Without choices there is one way, the kernel itself.
    """
    if not choices:
        return ((kernel, True),)
    directions = sorted({choice.direction for choice in choices}, reverse=True)
    found = []
    for least in sorted({choice.least for choice in choices}):
        taken = [_taken(choices, direction, least) for direction in directions]
        calls = {choice.direction: choice.calls for choice in taken}
        way = _Way(derivation, module, calls)
        found.append((_as_kernel(kernel, way), all(choice.exact for choice in taken)))
    exact = next(k for k in (*range(1, len(found)), 0) if found[k][1])
    every = all(is_exact for _, is_exact in found)
    return (found[exact], *found[:exact], *found[exact + 1 :], (kernel, every))


def _taken(choices: tuple[Choice, ...], direction: str, least: int) -> Choice:
    """The branch of a direction for batches of that size; 0 stands for other types of number."""
    own = [c for c in choices if c.direction == direction and (least > 0) == (c.least > 0)]
    return [c for c in own if c.least <= least][-1]


def _as_kernel(kernel: Kernel, way: _Way | _Threaded) -> Kernel:
    return Kernel(
        cast(ModuleType, way),
        kernel.layer,
        kernel.names,
        kernel.gradients,
        kernel.loss,
        kernel.output,
    )


class _Way:
    """``forward`` and ``backward`` through given private functions."""

    def __init__(
        self,
        derivation: Derivation,
        module: ModuleType,
        calls: Mapping[str, tuple[Call, ...]],
    ) -> None:
        self.equation = derivation.equation.at_sizes()
        self.module, self.calls = module, calls

    def forward(self, *arrays: Array) -> Array:
        values, batch = flat(self.equation, arrays)
        self._run("forward", values)
        return shaped(self.equation, values[self.equation.output.name], "", batch)

    def backward(self, *arrays: Array) -> SimpleNamespace:
        output = self.equation.output
        values, batch = flat(self.equation, arrays, (output.gradient,))
        self._run("forward", values)
        made = [name for d in self.calls if d != "forward" for name in self._run(d, values)]
        every = {t.gradient: t.name for t in self.equation.tensors}
        return SimpleNamespace(
            **{name: shaped(self.equation, values[name], every[name], batch) for name in made}
        )

    def _run(self, direction: str, values: dict[str, Any]) -> list[str]:
        made: list[str] = []
        for call in self.calls[direction]:
            function = getattr(self.module, call.function)
            values["keep"] = True
            given = (copied(values[p]) for p in inspect.signature(function).parameters)
            found = function(*given)
            names = (*call.targets, *call.keeps)
            results = found if len(names) > 1 else (found,)
            values |= dict(zip(names, results, strict=True))
            made += call.targets
        return made


class _Threaded:
    """The public functions of a kernel, on two threads."""

    def __init__(self, module: ModuleType) -> None:
        self.forward = partial(module.forward, threads=2)
        self.backward = partial(module.backward, threads=2)


def strategies(
    derivation: Derivation,
    base: Kernel,
    others: tuple[tuple[Kernel, bool], ...],
    choices: tuple[Choice, ...] = (),
) -> Claim | Omitted | None:
    """Compare y and all gradients of every way with those of the base."""
    if not others:
        return None
    equation = derivation.equation.at_sizes()
    whole = arithmetic(equation) <= {"polynomial", "selecting"}
    quick = samples(equation) > 1
    # an odd number of samples makes unequal shares
    split = max((2 * choice.share + quick for choice in choices if choice.share), default=0)
    whole = whole and reach(derivation, equation, max(3, split), HALF) < POINT
    count = 0
    for size in (0, 1, 3) if quick else (1,):
        count += _compared(derivation, equation, base, others, size, whole)
    if split:
        kernel, exact = others[-1]
        threaded = _as_kernel(kernel, _Threaded(kernel.module))
        count += _compared(derivation, equation, base, ((threaded, exact),), split, whole)
    subject = (equation.output.name, *(equation.tensor(t).gradient for t, _ in base.gradients))
    checked = (("ways", str(len(others) + 1 + bool(split))), ("entries", str(count)))
    return Claim("strategies", subject, checked)


def _compared(
    derivation: Derivation,
    equation: Equation,
    base: Kernel,
    others: tuple[tuple[Kernel, bool], ...],
    batch: int,
    whole: bool,
) -> int:
    random = np.random.default_rng(batch)

    def integers(shape: tuple[int, ...]) -> Array:
        values: Array = random.integers(-HALF, HALF + 1, shape).astype(np.float64)
        return values

    point = drawn(equation, batch, random, integers) if whole else defined(equation, base, batch)
    if point is None:
        return 0
    dy = integers(batch_shape(equation, equation.output, batch))
    y, gradients = base.forward(point), base.backward(dy, point)
    count = 0
    for other, exact in others:
        pairs = {equation.output.name: (other.forward(point), y)}
        found = other.backward(dy, point)
        pairs |= {equation.tensor(t).gradient: (found[t], g) for t, g in gradients.items()}
        for name, (one, two) in pairs.items():
            _same(other, name, one, two, exact=exact and whole)
            count += two.size
    return count


def _same(kernel: Kernel, name: str, found: Array, expected: Array, *, exact: bool) -> None:
    scale = float(np.abs(expected).max(initial=0)) or 1.0
    if found.shape == expected.shape and (
        np.array_equal(found, expected)
        if exact
        else bool(np.all(np.abs(found - expected) <= RELATIVE * scale))
    ):
        return

    def equal(a: float, b: float) -> bool:
        return a == b if exact else abs(a - b) <= RELATIVE * scale

    compare(kernel, "strategies", name, found, expected, equal)
