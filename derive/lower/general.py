"""The general strategy as one among others: any target of a layer of one equation, by ``taps``.

It serves every number type, and every target that no other strategy makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from ..expressions import Reduce, bound_by, walk
from ..machines import Cost
from ..programs import Function
from .compute import Work, compute, needed
from .functions import inner_function, whole
from .knowing import know
from .pools import Pool, reduced, returned
from .scope import Scope
from .tasks import Routine, Task
from .windowed import Windowed

NAME = "taps"
EXACT = True


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Every target, each by itself."""
    for target in task.statements:
        yield (target,)


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """A form of Φ: a product for every tap; anything else: one pass over all that is summed."""
    total = Cost()
    for target in targets:
        if forms := task.forms.get(target):
            total += _taps(forms[-1], batch)
            continue
        if pool := reduced(task, target) or returned(task, target):
            total += _pooled(pool, batch, added=task.direction != "forward")
            continue
        for statement in task.statements[target][-1]:
            sizes = {i: e.number or batch for i, e in task.equation.extents}
            inner = {n for e in walk(statement.rhs) if isinstance(e, Reduce) for n in bound_by(e)}
            count = 1.0
            for name in sorted({*statement.free, *inner}):
                count *= sizes.get(name, 1)
            # a sum of one tensor only reads; everything else is written as well
            moved = count / 2 if isinstance(statement.rhs, Reduce) else 2 * count
            total += Cost(moved=moved, runs=count / 64, calls=4)
    return total


def _pooled(pool: Pool, batch: int, *, added: bool) -> Cost:
    """For every tap one pass over all windows, several where winners are sought.

    A single window is one pass over what it has.
    """
    taps = prod(w.taps for w in pool.windows)
    windows = batch * pool.planes * prod(pool.outputs)
    if prod(pool.outputs) == 1 and not pool.padded:  # no window slides: NumPy reduces the axes
        if pool.source:
            return Cost(moved=22 * taps * windows, runs=10 * windows, calls=22)
        runs = (3 if added else 5 if pool.op == "sum" else 8) * windows
        return Cost(moved=taps * windows, runs=runs, calls=5)
    runs = windows // pool.outputs[-1]
    numbers, calls = (23, 11) if pool.source else (7, 3) if added else (4, 2)
    return Cost(
        moved=numbers * taps * windows,
        runs=taps * calls * runs,
        calls=calls * taps + 8,
        scratch=windows,
    )


def _taps(form: Windowed, batch: int) -> Cost:
    """For every tap: its window as a matrix, a product, and what it gives added up."""
    groups, channels, filters, _, places = form.counts
    passes = prod(min(w.taps, w.outputs) for w in form.windows)
    rows = prod(w.outputs for w in form.windows[:-1])
    wide, narrow = batch * groups * channels * places, batch * groups * filters * places
    share = groups * batch if form.target != "kernel" or groups > 1 else 1
    together = places * batch * groups // share
    sides = {
        "narrow": (filters, together, channels),
        "wide": (channels, together, filters),
        "kernel": (filters, channels, together),
    }[form.target]
    made = {"narrow": narrow, "wide": wide, "kernel": 0}[form.target]
    runs: float = (
        batch * groups * (channels if form.target != "kernel" else channels + filters) * rows
    )
    products: tuple[tuple[float, int, int, int], ...] = ((passes * share, *sides),)
    moved = passes * (2 * made + wide)  # a window is copied first, or its entries are added to
    if form.target == "wide" and form.windows:  # which takes whole lines, gaps and all
        moved += 2 * passes * wide * (form.windows[-1].stride - 1)
    # every tap's numbers lie apart in the kernel: they are put together, or added one by one
    moved += 2 * passes * share * channels * filters
    if form.target == "kernel":
        moved += passes * narrow
        runs += wide / 16  # a window is turned until its channels lie innermost
    if channels == filters == 1 and form.target != "kernel":  # no matrix, entry by entry
        products = ()
    calls = passes * 5 + 10
    padded = batch * groups * channels * prod(w.padded for w in form.windows)
    return Cost(products, moved + padded, passes * runs, calls, scratch=wide + narrow)


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
    output = equation.output
    offered = [output.gradient, *(t.name for t in equation.tensors)]
    available: list[Work] = []
    if task.direction != "forward" and task.keep:
        know(scope, equation.forward)
        offered.append(output.name)
    elif task.direction != "forward":
        available.append((output, output.name, (equation.forward,)))
    compute(scope, needed(available, work))
    results = tuple(whole(tensor, s[0].lhs.axes, made) for tensor, made, s in work)
    return inner_function(name, equation, tuple(offered), scope, results)
