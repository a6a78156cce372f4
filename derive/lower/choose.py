"""Which strategies compute a direction, for which batch sizes.

For each of a few batch sizes the cheapest set of strategies that makes every target once is
found, by the cost model of :mod:`derive.machines` or by measured seconds. A plan then serves
neighbouring sizes too, as long as another one would not be clearly better there: few branches
are worth their text. The general strategy ``taps`` can make any target by itself, so there is
always an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise
from math import inf, log, prod

from ..expressions import reads
from ..machines import Cost
from . import general
from .strategies import strategies
from .tasks import Strategy, Task

BATCHES = (1, 2, 4, 8, 32)
"""Batch sizes that are asked about; the answer for one holds up to the next."""

MOST = 3
"""Branches of a direction at most."""

WORTH = 1.1
"""A further branch has to make some batch so many times faster."""

Group = tuple[Strategy, tuple[str, ...]]
"""A strategy and the targets that it makes together."""

Plan = tuple[Group, ...]
"""Groups that make every target once."""

Price = Callable[[Group, int], float]
"""Seconds that a group takes for a batch of some size."""


Clock = Mapping[tuple[str, str, tuple[str, ...], int], float]
"""Measured seconds: (direction, strategy, targets, batch) → seconds."""


@dataclass(frozen=True)
class Branch:
    """The plan for batches of ``least`` samples and more, and its seconds for that many."""

    least: int
    plan: Plan
    seconds: float


def offers(task: Task, *, exact: bool = False) -> tuple[Group, ...]:
    """Every strategy with the targets it can make; inexact ones only if allowed."""
    known = (general, *(s for s in strategies() if s.EXACT or not exact))
    return tuple((s, targets) for s in known for targets in s.applies(task))


def estimate(task: Task) -> Price:
    """What the cost model says."""

    def price(group: Group, batch: int) -> float:
        strategy, targets = group
        cost = strategy.cost(task, targets, batch)
        if not getattr(strategy, "INNERMOST", False):
            cost += _turned(task, targets, batch)
        return cost.seconds(task.machine)

    return price


def _turned(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """What it costs to read arrays whose samples lie innermost, sample by sample."""
    statements = [s for t in targets for s in task.statements[t][-1]]
    names = {read.tensor for s in statements for read in reads(s.rhs)}
    found = [n for n in names & {*task.innermost} if batch > 1 and not task.turns(n, batch)]
    return Cost(moved=sum(4 * batch * prod(task.shape(name)) for name in found))


def timed(seconds: Mapping[tuple[str, tuple[str, ...], int], float]) -> Price:
    """What was measured, by strategy, targets and batch.

    Between two sizes that were measured, and beyond the last, time grows with the batch; what
    was not measured for so few samples is out of the question.
    """

    def price(group: Group, batch: int) -> float:
        strategy, targets = group
        known = {
            n: s
            for (name, made, n), s in seconds.items()
            if (name, made) == (strategy.NAME, targets)
        }
        nearest = max((n for n in known if n <= batch), default=0)
        return known[nearest] * batch / nearest if nearest else inf

    return price


def branches(
    task: Task, *, exact: bool, wanted: Mapping[str, str], price: Price | None = None
) -> tuple[Branch, ...]:
    """The branches of a direction; ``wanted`` (target → strategy) forces a choice.

    ``price`` says what a group costs, the model if it is not given. Raises ``ValueError`` if
    nothing makes the targets as wanted.
    """
    offered = tuple(
        (strategy, targets)
        for strategy, targets in offers(task, exact=exact)
        if all(wanted.get(t, strategy.NAME) == strategy.NAME for t in targets)
    )
    known = cache(price or estimate(task))
    best: dict[int, Plan] = {}
    for batch in BATCHES:
        found = cheapest(tuple(task.statements), offered, known, batch)
        if found is None:
            raise ValueError(f"no strategies make {', '.join(task.statements)} as wanted: {wanted}")
        best[batch] = found[1]
    return _merged(best, lambda plan, batch: sum(known(group, batch) for group in plan))


def cheapest(
    targets: tuple[str, ...], offered: Sequence[Group], price: Price, batch: int
) -> tuple[float, Plan] | None:
    """The cheapest groups that make each target exactly once; of equals the first offered."""

    @cache
    def cover(missing: tuple[str, ...]) -> tuple[float, Plan] | None:
        if not missing:
            return 0.0, ()
        found: tuple[float, Plan] | None = None
        for group in offered:
            if missing[0] not in group[1] or not set(group[1]) <= set(missing):
                continue
            rest = cover(tuple(t for t in missing if t not in group[1]))
            if rest is None:
                continue
            seconds = price(group, batch) + rest[0]
            if found is None or seconds < found[0]:
                found = seconds, (group, *rest[1])
        return found

    return cover(targets)


def _merged(best: Mapping[int, Plan], seconds: Callable[[Plan, int], float]) -> tuple[Branch, ...]:
    """As few branches as lose nothing worth a further one: each takes a run of batch sizes."""
    batches, plans = tuple(best), tuple(dict.fromkeys(best.values()))
    lost = {
        (plan, batch): seconds(plan, batch) / max(seconds(best[batch], batch), 1e-12)
        for plan in plans
        for batch in batches
    }

    def loss(run: tuple[int, ...], plan: Plan) -> float:
        return sum(log(lost[plan, batch]) for batch in run)

    for count in range(1, MOST + 1):
        divided = [
            [(run, min(plans, key=lambda plan, run=run: loss(run, plan))) for run in runs]  # type: ignore[misc]
            for runs in _runs(batches, count)
        ]
        if not divided:
            break
        chosen = min(divided, key=lambda parts: sum(loss(run, plan) for run, plan in parts))
        if all(lost[plan, batch] <= WORTH for run, plan in chosen for batch in run):
            break
    return tuple(
        Branch(run[0] if number else 1, plan, seconds(plan, run[0]))
        for number, (run, plan) in enumerate(chosen)
    )


def _runs(batches: tuple[int, ...], count: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Every way to cut the batch sizes into so many runs of neighbours."""
    for cuts in combinations(range(1, len(batches)), count - 1):
        ends = (0, *cuts, len(batches))
        yield tuple(batches[a:b] for a, b in pairwise(ends))
