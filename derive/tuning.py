"""``--tune``: the strategies measured on this machine instead of estimated.

Every strategy that the cost model does not rule out is timed for a few batch sizes, all of them
in turn, so that a slow moment slows all alike. The cheapest by the clock then make the branches.
What was measured is kept beside the kernel, from which the same kernel can be made again.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from statistics import median
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .lower import choose, general
from .lower.branching import Asked, tasks
from .lower.choose import BATCHES, Group
from .lower.tasks import Task
from .machines import DEFAULT, Machine, Tuning
from .programs import Constant, Function, Program

if TYPE_CHECKING:
    from .derivations import Derivation

LIMIT = 10.0
"""Seconds that measuring a layer may take."""

WITHIN = 3.0
"""A strategy is measured if the model says that it takes at most so many times the best."""

ROUNDS, LEAST = 9, 3
"""Times that every candidate is measured, and times that are needed for it to count."""

SLOW = 0.02
"""Seconds of a call that nothing is gained by repeating at once."""

SAMPLE = 300e-6
"""Seconds of one measurement at least: so many calls are made in a row."""


def tune(derivation: Derivation, asked: Asked | None = None, limit: float = LIMIT) -> Tuning:
    """Measure the strategies of a layer's directions; an empty clock if there is no choice."""
    asked, start = asked or Asked(), time.perf_counter()
    equation = derivation.equation
    if not equation.sized or equation.given or equation.loss:
        return Tuning(asked.machine)
    with _one_thread():
        machine = measured_machine(asked.machine)
        found = candidates(derivation, replace(asked, machine=machine), lambda _: BATCHES, WITHIN)
        if {c.group[0] for c in found} <= {general}:
            return Tuning(machine)
        clock = sampled(calls(derivation, found), start + limit)
    return Tuning(machine, tuple((*c.label, round(1e9 * s)) for c, s in clock.items()))


@contextmanager
def _one_thread() -> Iterator[None]:
    """BLAS on one thread, as kernels are meant to be called, where threadpoolctl is there."""
    import numpy  # noqa: F401  # a library that is loaded later would not be held

    try:
        found = import_module("threadpoolctl").ThreadpoolController()
    except ImportError:
        yield
        return
    with found.limit(limits=1, user_api="blas"):
        yield


def sampled(ready: Mapping[Candidate, Callable[[], object]], end: float) -> dict[Candidate, float]:
    """Median seconds of a call of each, until about ``end``, one batch size after the other.

    A size that cannot be measured properly any more is left out, but for a single sample: of
    that, what the model would choose is measured whatever it takes, the others while there is time.
    """
    found: dict[Candidate, float] = {}
    sizes = sorted({candidate.batch for candidate in ready})
    for number, batch in enumerate(sizes):
        own = {c: call for c, call in ready.items() if c.batch == batch}
        now = time.perf_counter()
        expected = (LEAST + 2) * sum(c.estimate for c in own)
        if number and now + expected > end:
            break
        share = now + (end - now) / (len(sizes) - number)
        times = _in_turn(own, share)
        if number == 0 or min(map(len, times.values())) > LEAST:
            found |= {c: median(taken[1:] or taken) for c, taken in times.items()}
    return found


def _in_turn(
    calls: Mapping[Candidate, Callable[[], object]], end: float
) -> dict[Candidate, list[float]]:
    """Seconds of every call's first run, which makes its buffers, and of later ones in turn."""
    often: dict[Candidate, int] = {}
    found: dict[Candidate, list[float]] = {}
    for candidate in sorted(calls, key=lambda c: (not c.first, c.estimate)):
        if candidate.first or time.perf_counter() < end:
            found[candidate] = [_seconds(calls[candidate], 1)]
            quick = found[candidate][0] < SLOW
            once = _seconds(calls[candidate], 1) if quick else SLOW
            often[candidate] = max(1, int(SAMPLE / max(once, 1e-7)))
    for _ in range(ROUNDS):
        for candidate, times in often.items():
            if time.perf_counter() < end:
                found[candidate].append(_seconds(calls[candidate], times))
    return found


def _seconds(call: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


# -- the machine -------------------------------------------------------------------------------
def measured_machine(machine: Machine = DEFAULT) -> Machine:
    """What is worth measuring of a machine: how fast products are, and up to which size."""
    import numpy as np

    rows, depth = 16, 288
    left = np.ones((rows, depth), np.float32)
    sizes = [2**k * 125_000 for k in range(6)]
    widths = [size // (rows * depth) // 16 * 16 for size in sizes]
    rights = [np.ones((depth, width), np.float32) for width in widths]
    outs = [np.empty((rows, width), np.float32) for width in widths]
    best = [1.0] * len(widths)
    for _ in range(3 * ROUNDS):
        for k, (right, out) in enumerate(zip(rights, outs, strict=True)):
            best[k] = min(best[k], _seconds(partial(np.matmul, left, right, out=out), 1))
    *small, whole = (2 * rows * depth * width / t for width, t in zip(widths, best, strict=True))
    worth = 0
    for size, rate in zip(sizes, small, strict=False):
        if rate > CLEARLY * whole:  # else slices are not worth their loop
            worth = size
    return replace(machine, gemm=float(f"{max(*small, whole):.2g}"), sliced=worth)


CLEARLY = 1.1
"""So many times faster is no accident."""


# -- candidates --------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Candidate:
    """A strategy for some targets of a direction at a batch size, with the model's seconds.

    ``first`` says that the model would take it for one sample.
    """

    task: Task
    group: Group
    batch: int
    estimate: float
    first: bool = False

    @property
    def label(self) -> tuple[str, str, tuple[str, ...], int]:
        """Direction, strategy, targets, batch."""
        strategy, targets = self.group
        return self.task.direction, strategy.NAME, targets, self.batch


def candidates(
    derivation: Derivation,
    asked: Asked,
    batches: Callable[[Task], Iterable[int]],
    within: float,
) -> list[Candidate]:
    """What may be best: groups estimated at most ``within`` times the best way to their targets."""
    found: list[Candidate] = []
    for task in tasks(derivation, asked):
        price = choose.estimate(task)
        offered = choose.offers(task, exact=asked.exact)
        for batch in batches(task):
            least = {
                target: min(price(g, batch) for g in offered if g[1] == (target,))
                for target in task.statements
            }
            plan = choose.cheapest(tuple(task.statements), offered, price, batch)
            taken = plan[1] if plan is not None and batch == 1 else ()
            for group in offered:
                seconds = price(group, batch)
                if seconds <= within * sum(least[t] for t in group[1]) or group in taken:
                    found.append(Candidate(task, group, batch, seconds, group in taken))
    return found


def workbench(derivation: Derivation, found: Iterable[Candidate]) -> ModuleType:
    """A module with the private functions of all candidates."""
    from .render.kernel import kernel
    from .verify.running import module

    functions: dict[str, Function] = {}
    constants: dict[str, Constant] = {}
    for candidate in found:
        strategy, targets = candidate.group
        routine = strategy.lower(candidate.task, targets)
        functions |= {function.name: function for function in routine.functions}
        constants |= {c.name: c for c in routine.constants}
    for task in {id(c.task): c.task for c in found}.values():
        whole = general.lower(task, tuple(task.statements)).function
        functions[whole.name] = whole
    program = Program(tuple(functions.values()), (), tuple(constants.values()))
    return module(kernel(derivation, program), "workbench")


def arrays(derivation: Derivation, batch: int) -> dict[str, Any]:
    """Random float32 numbers for every tensor and the upstream gradient."""
    import numpy as np

    equation, random = derivation.equation.at_sizes(), np.random.default_rng(0)
    made: dict[str, Any] = {}
    for tensor in (*equation.tensors, equation.output):
        lead = (batch,) if equation.rank(tensor) > len(tensor.shape) else ()
        made[tensor.name] = random.standard_normal((*lead, *tensor.sizes())).astype(np.float32)
    made[equation.output.gradient] = made[equation.output.name]
    return made


def calls(
    derivation: Derivation, found: Sequence[Candidate]
) -> dict[Candidate, Callable[[], object]]:
    """What to call for each candidate, on arrays of its batch size."""
    made = workbench(derivation, found)
    given = {batch: arrays(derivation, batch) for batch in {c.batch for c in found}}
    ready: dict[Candidate, Callable[[], object]] = {}
    for candidate in found:
        strategy, targets = candidate.group
        name = strategy.lower(candidate.task, targets).function.name
        function = getattr(made, name)
        own = [given[candidate.batch][p] for p in inspect.signature(function).parameters]
        ready[candidate] = partial(function, *own)
    return ready
