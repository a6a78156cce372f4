"""``--tune``: the strategies measured on this machine instead of estimated.

Every strategy that the cost model does not rule out is timed for a few batch sizes, all of them
in turn, so that a slow moment slows all alike. The cheapest by the clock then make the branches.
What was measured is kept in the certificate, from which the same kernel can be made again.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .lower import choose, general
from .lower.branching import Asked, tasks
from .lower.choose import Group
from .lower.tasks import Task
from .programs import Constant, Function, Program

if TYPE_CHECKING:
    from .derivations import Derivation


@dataclass(frozen=True, eq=False)
class Candidate:
    """A strategy for some targets of a direction at a batch size, with the model's seconds."""

    task: Task
    group: Group
    batch: int
    estimate: float

    @property
    def label(self) -> tuple[str, str, tuple[str, ...], int]:
        """Direction, strategy, targets, batch."""
        strategy, targets = self.group
        return self.task.direction, strategy.NAME, targets, self.batch


def candidates(
    derivation: Derivation, asked: Asked, batches: Iterable[int], within: float
) -> list[Candidate]:
    """What may be best: groups estimated at most ``within`` times the best way to their targets."""
    found: list[Candidate] = []
    for task in tasks(derivation, asked):
        price = choose.estimate(task)
        offered = choose.offers(task, exact=asked.exact)
        for batch in batches:
            least = {
                target: min(price(g, batch) for g in offered if g[1] == (target,))
                for target in task.statements
            }
            for group in offered:
                seconds = price(group, batch)
                if seconds <= within * sum(least[t] for t in group[1]):
                    found.append(Candidate(task, group, batch, seconds))
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
        functions[routine.function.name] = routine.function
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
        name = equation.output.gradient if tensor == equation.output else tensor.name
        made[name] = random.standard_normal((*lead, *tensor.sizes())).astype(np.float32)
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
        ready[candidate] = lambda function=function, own=own: function(*own)
    return ready
