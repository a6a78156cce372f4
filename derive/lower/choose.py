"""Which strategies compute a direction, for which batch sizes.

For each of a few batch sizes the cheapest set of strategies that makes every target once is
found, by the cost model of :mod:`derive.machines`; neighbouring sizes with the same answer become
one branch. The general strategy ``taps`` can make any target by itself, so there is always an
answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from . import general
from .strategies import strategies
from .tasks import Strategy, Task

BATCHES = (1, 2, 8, 32)
"""Batch sizes that are asked about; the answer for one holds up to the next."""

Plan = tuple[tuple[Strategy, tuple[str, ...]], ...]
"""Strategies and the targets that each makes."""


@dataclass(frozen=True)
class Branch:
    """The plan for batches of ``least`` samples and more, and its estimated seconds."""

    least: int
    plan: Plan
    seconds: float


def offers(task: Task, *, exact: bool) -> tuple[tuple[Strategy, tuple[str, ...]], ...]:
    """Every strategy with the targets it can make; inexact ones only if allowed."""
    known = (general, *(s for s in strategies() if s.EXACT or not exact))
    return tuple((s, targets) for s in known for targets in s.applies(task))


def branches(task: Task, *, exact: bool, wanted: Mapping[str, str]) -> tuple[Branch, ...]:
    """The branches of a direction; ``wanted`` (target → strategy) forces a choice."""
    found: list[Branch] = []
    plans = list(_plans(task, offers(task, exact=exact), wanted))
    if not plans:
        raise ValueError(f"no strategies make {', '.join(task.statements)} as wanted: {wanted}")
    for batch in BATCHES:
        priced = [(seconds(task, plan, batch), k) for k, plan in enumerate(plans)]
        least, number = min(priced)
        if not found or plans[number] != found[-1].plan:
            found.append(Branch(batch, plans[number], least))
    return (Branch(1, found[0].plan, found[0].seconds), *found[1:])


def seconds(task: Task, plan: Plan, batch: int) -> float:
    """What the cost model says of a batch."""
    costs = (strategy.cost(task, targets, batch) for strategy, targets in plan)
    return sum(cost.seconds(task.machine) for cost in costs)


def _plans(
    task: Task, offered: tuple[tuple[Strategy, tuple[str, ...]], ...], wanted: Mapping[str, str]
) -> Iterator[Plan]:
    """Every way to make each target exactly once."""
    order = tuple(task.statements)

    def cover(missing: tuple[str, ...]) -> Iterator[Plan]:
        if not missing:
            yield ()
            return
        for strategy, targets in offered:
            allowed = all(wanted.get(t, strategy.NAME) == strategy.NAME for t in targets)
            if allowed and missing[0] in targets and set(targets) <= set(missing):
                for rest in cover(tuple(t for t in missing if t not in targets)):
                    yield ((strategy, targets), *rest)

    return cover(order)
