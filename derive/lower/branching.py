"""A kernel with more than one strategy: what there is to compute, and which routines compute it.

Every direction has a plan for each of a few ranges of batch sizes, the private functions that
the plans call, and a public one that chooses among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import ceil

from ..affine import Affine
from ..derivations import Derivation, Gradient
from ..equations import Equation, Statement
from ..expressions import bound_by, walk
from ..machines import DEFAULT, Machine
from ..programs import (
    Call,
    Choice,
    Constant,
    Function,
    Program,
)
from . import general
from .choose import Branch, Clock, Group, Price, branches, estimate, timed
from .compute import ranges
from .entries import Direction, entry
from .forms import chosen
from .handing import Key, handed_on, key
from .memory import scratch
from .scope import Scope
from .sides import windowed
from .tasks import Forms, Routine, Task
from .windowed import Windowed


@dataclass(frozen=True)
class Asked:
    """What :func:`derive.lower.lower` was asked for beside the derivation."""

    keep: bool = False
    apart: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()
    final: tuple[str, ...] = ()
    exact: bool = False
    wanted: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    machine: Machine = DEFAULT
    clock: Clock = field(default_factory=dict)
    innermost: Mapping[str, int] = field(default_factory=dict)


def branched(derivation: Derivation, asked: Asked) -> Program | None:
    """The program of a layer of one equation; None where the general strategy is best for all."""
    plans = [(task, _plans(task, asked)) for task in tasks(derivation, asked)]
    kept = handed_on(plans) if asked.keep else {}
    directions = [_direction(task, found, kept, asked) for task, found in plans]
    if all(s is general for d in directions for b in d.branches for s, _ in b.plan):
        return None
    functions: list[Function] = []
    constants: dict[str, Constant] = {}
    for direction in directions:
        functions.append(entry(direction, keep=asked.keep))
        functions += _private(direction)
        constants |= {c.name: c for r in direction.routines.values() for c in r.constants}
    order = [f for f in functions if not f.name.startswith("_")]
    order += [f for f in functions if f.name.startswith("_")]
    choices = tuple(choice for d in directions for choice in _choices(d))
    made = [call for c in choices[::-1] if c.least for call in c.calls]
    first = {target: call.strategy for call in made for target in call.targets}
    return Program(
        tuple(order), tuple(first.items()), tuple(constants.values()), choices, scratch(order)
    )


# -- what there is to compute ------------------------------------------------------------------
def tasks(derivation: Derivation, asked: Asked) -> tuple[Task, ...]:
    """Forward, and backward if any gradient is wanted; some apart from the others."""
    equation = derivation.equation.at_sizes()
    resolved, output = derivation.resolved, equation.output.name
    ways = _ways(resolved, equation) if resolved else ((equation.forward,),)
    found = [_task(equation, "forward", {output: ways}, asked)]
    for direction, gradients in parted(derivation.instance, asked.apart).items():
        wanted = {f"d{g.of}": _ways(g, equation) for g in gradients}
        found.append(_task(equation, direction, wanted, asked))
    return tuple(found)


def parted(
    gradients: tuple[Gradient, ...], apart: tuple[str, ...]
) -> dict[str, tuple[Gradient, ...]]:
    """``backward``, and ``backward_x`` for gradients that are wanted apart from the others."""
    groups = {"backward": tuple(g for g in gradients if g.of not in apart)}
    if apart:
        groups["_".join(("backward", *apart))] = tuple(g for g in gradients if g.of in apart)
    return {direction: group for direction, group in groups.items() if group}


def _ways(gradient: Gradient, equation: Equation) -> Forms:
    """Gathered and scattered, the one that the general strategy would take last."""
    _, last = chosen(gradient, equation)
    ways: list[tuple[Statement, ...]] = [(gradient.gather,)]
    ways += [gradient.scatters] if gradient.scatters else []
    return (*(way for way in ways if way != last), last)


def _task(
    equation: Equation, direction: str, statements: Mapping[str, Forms], asked: Asked
) -> Task:
    forms: dict[str, tuple[Windowed, ...]] = {}
    bare = Task(
        equation,
        direction,
        statements,
        {},
        asked.prefix,
        asked.machine,
        asked.keep,
        (*asked.spare, *(asked.final if direction != "forward" else ())),
        innermost=asked.innermost,
    )
    for target, ways in statements.items():
        found = (_form(bare, target, way[0]) for way in ways if len(way) == 1)
        forms[target] = tuple(form for form in found if form is not None)
    return replace(bare, forms=forms)


def _form(task: Task, target: str, statement: Statement) -> Windowed | None:
    scope = Scope(task.equation)
    own: Mapping[str, Affine] = ranges(task.equation, task.tensor(target), statement)
    scope.begin(own)
    return windowed(statement, scope)


# -- branches ----------------------------------------------------------------------------------
def _plans(task: Task, asked: Asked) -> tuple[Branch, ...]:
    price, _ = _price(task, asked)
    return branches(task, exact=asked.exact, wanted=asked.wanted, price=price)


def _price(task: Task, asked: Asked) -> tuple[Price, bool]:
    """What a group costs, and whether that was measured."""
    own = {found[1:]: s for found, s in asked.clock.items() if found[0] == task.direction}
    return (timed(own) if own else estimate(task)), bool(own)


def _direction(
    task: Task,
    found: tuple[Branch, ...],
    kept: Mapping[Key, tuple[str, ...]],
    asked: Asked,
) -> Direction:
    routines: dict[Key, Routine] = {}
    for branch in found:
        for group in branch.plan:
            strategy, targets = group
            one = key(task, group)
            routines[one] = strategy.lower(replace(task, kept=kept.get(one, ())), targets)
    price, measured = _price(task, asked)
    share = 0 if asked.keep else _share(task, found[-1], price)
    return Direction(task, found, routines, price, share, measured)


THREAD = 300e-6
"""Seconds of work that are worth handing to another thread."""


def _share(task: Task, branch: Branch, price: Price) -> int:
    """How many samples take as long as that; 0 where samples depend on each other."""
    equation = task.equation
    bound = {i for s in equation.statements for e in walk(s.rhs) for i in bound_by(e)}
    one_dtype = not any(tensor.integer for tensor in equation.tensors)
    if equation.batch in bound or not equation.output.batched or not one_dtype:
        return 0
    seconds = sum(price(group, branch.least) for group in branch.plan)
    return max(1, ceil(THREAD * branch.least / max(seconds, 1e-9)))


def _choices(direction: Direction) -> Iterator[Choice]:
    """The general way for numbers of any type, then one for each branch."""
    task = direction.task
    every = tuple(task.statements)
    fallback = general.lower(task, every).function.name
    yield Choice(task.direction, 0, (Call(every, fallback, general.NAME),))
    for branch in direction.branches:
        calls = tuple(_priced(direction, group, branch.least) for group in branch.plan)
        exact = all(strategy.EXACT for strategy, _ in branch.plan)
        yield Choice(task.direction, branch.least, calls, exact, direction.share)


def _priced(direction: Direction, group: Group, batch: int) -> Call:
    """A group with what it costs for the least batch of its branch."""
    (strategy, targets), task = group, direction.task
    routine = direction.routine(group)
    function = routine.function
    cost = strategy.cost(task, targets, batch)
    multiply_adds = round(cost.multiply_adds / batch)
    seconds = direction.price(group, batch)
    return Call(
        targets,
        function.name,
        strategy.NAME,
        multiply_adds,
        scratch(routine.functions),
        seconds,
        direction.measured,
        routine.keeps,
        routine.tooms,
        getattr(strategy, "INNERMOST", False),
    )


def _private(direction: Direction) -> list[Function]:
    """The routines, and the general one that serves every type of number."""
    task = direction.task
    fallback = general.lower(task, tuple(task.statements)).function
    every = {fallback.name: fallback}
    every |= {f.name: f for r in direction.routines.values() for f in r.functions}
    return list(every.values())
