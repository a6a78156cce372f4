"""The general strategy as one among others: any target of a layer of one equation, by ``taps``.

It serves every number type, and every target that no other strategy makes.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..expressions import Reduce, bound_by, walk
from ..machines import Cost
from ..programs import Function
from .compute import Work, compute
from .functions import inner_function, whole
from .scope import Scope
from .tasks import Routine, Task

NAME = "taps"
EXACT = True


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Every target, each by itself."""
    for target in task.statements:
        yield (target,)


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """One pass over the window for every tap."""
    total = Cost()
    for target in targets:
        for statement in task.statements[target][-1]:
            sizes = {i: e.number or batch for i, e in task.equation.extents}
            inner = {n for e in walk(statement.rhs) if isinstance(e, Reduce) for n in bound_by(e)}
            count = 1.0
            for name in sorted({*statement.free, *inner}):
                count *= sizes.get(name, 1)
            form = next(iter(task.forms.get(target, ())), None)
            passes = form.counts[3] if form else 1
            total += Cost(moved=2 * count, runs=count / 16, calls=4.0 * passes)
    return total


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_db_taps(dy)``, or ``_forward_taps(x, w, b)`` for all targets of a direction."""
    every = targets == tuple(task.statements)
    name = task.function(task.direction if every else "_".join(targets), NAME)
    return Routine(targets, direct(task, targets, name))


def direct(task: Task, targets: tuple[str, ...], name: str) -> Function:
    """A function of the targets, computed tap by tap, for numbers of every type."""
    equation = task.equation
    scope = Scope(equation)
    work: list[Work] = []
    for target in targets:
        statements = task.statements[target][-1]
        work.append((task.tensor(target), target, statements))
    compute(scope, work)
    results = tuple(whole(tensor, s[0].lhs.axes, made) for tensor, made, s in work)
    upstream = () if equation.loss else (equation.output.gradient,)
    offered = (*upstream, *(t.name for t in equation.tensors))
    return inner_function(name, equation, offered, scope, results)
