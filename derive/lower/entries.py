"""``forward`` and ``backward``: whichever private functions serve these arrays.

    forward(x, w, b):  numbers of any type   ->  _forward_taps(x, w, b)
                       few samples           ->  _y_columns(x, w, b)
                       many samples          ->  ...

Only float32 and float64 take the faster ways; objects and integers are computed tap by tap.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ..programs import Action, Array, Function, If, Invoke, Let, Literal, Name, Return, Tuple
from . import general
from .choose import Branch, Group, Price
from .functions import GIVEN, READY, handed, result, taken
from .handing import Key, key
from .snippets import expression, snippet
from .tasks import Routine, Task


@dataclass(frozen=True)
class Direction:
    """A direction's task, its branches, and the routines that they call.

    ``share`` is how many samples are worth a thread, 0 if the batch is not to be split.
    """

    task: Task
    branches: tuple[Branch, ...]
    routines: Mapping[Key, Routine]
    price: Price
    share: int
    measured: bool = False

    def routine(self, group: Group) -> Routine:
        """The private function of a strategy and its targets."""
        return self.routines[key(self.task, group)]

    @property
    def keeps(self) -> tuple[str, ...]:
        """What its functions hand on beside their targets."""
        return tuple(sorted({name for r in self.routines.values() for name in r.keeps}))


def entry(direction: Direction, *, keep: bool) -> Function:
    """``forward`` or ``backward``: whichever private functions serve these arrays."""
    task = direction.task
    targets = tuple(task.statements)
    fallback = general.lower(task, targets).function
    routines = direction.routines.values()
    names = {r.function.name for r in routines} | {fallback.name}
    given = (*GIVEN, *sorted(names), "_split", "min", task.direction)
    slow = expression(f'{fallback.parameters[0]}.dtype.char not in "fd"')
    if keep:
        return _inner(direction, fallback, slow, given)
    equation = task.equation
    upstream = () if task.direction == "forward" else (equation.output.gradient,)
    parameters = (*upstream, *(t.name for t in equation.tensors))
    bare, shaped = (
        result(task.direction, equation, targets, shaped=shaped) for shaped in (False, True)
    )
    other = If(((slow, (_call(fallback, targets), Return(shaped))),))
    body = (
        *taken(parameters, shaped, READY[task.direction], (other,)),
        *_cases(direction, parameters),
        *handed(bare, shaped),
    )
    returns = "np.ndarray" if task.direction == "forward" else "Gradients"
    keywords = (("threads", 1),) if direction.share else ()
    return Function(
        task.direction, parameters, body, returns=returns, given=given, keywords=keywords
    )


def _inner(
    direction: Direction, fallback: Function, slow: Array, given: tuple[str, ...]
) -> Function:
    """The same inside a network: arrays are ready, and what is kept is handed on."""
    task, routines = direction.task, direction.routines.values()
    equation, targets = task.equation, tuple(task.statements)
    forward = task.direction == "forward"
    used = {p for r in routines for p in r.function.parameters} | {*fallback.parameters}
    offered = [] if forward else [equation.output.gradient]
    offered += [t.name for t in equation.tensors]
    offered += ["keep"] if forward else [equation.output.name]
    offered += sorted(used - {*offered})  # what the forward pass hands on
    first = (slow, (_call(fallback, targets), *_lacking(direction)))
    made = (*(Name(t) for t in targets), *(Name(name) for name in direction.keeps))
    value = made[0] if len(made) == 1 else Tuple(made)
    body = (*_cases(direction, (), first), Return(value))
    return Function(task.direction, tuple(p for p in offered if p in used), body, given=given)


def _cases(
    direction: Direction,
    parameters: tuple[str, ...],
    *first: tuple[Array | None, tuple[Action, ...]],
) -> tuple[Action, ...]:
    """The branches, after a case of another kind or that of several threads, if there is one."""
    lead = general.lower(direction.task, tuple(direction.task.statements)).function.parameters[0]
    cases = list(first)
    if direction.share and not first:
        worth = expression(f"threads > 1 and len({lead}) >= {2 * direction.share}")
        cases.append((worth, _threaded(direction, lead, parameters)))
    for branch, after in zip(direction.branches, (*direction.branches[1:], None), strict=True):
        test = expression(f"len({lead}) < {after.least}") if after else None
        cases.append((test, _calls(direction, branch)))
    while len(cases) > 1 and cases[-1][1] == cases[-2][1]:  # the last one is the rest anyway
        del cases[-2]
    if len(cases) == 1:
        return cases[0][1]
    return (If(tuple(cases)),)


def _threaded(direction: Direction, lead: str, parameters: tuple[str, ...]) -> tuple[Action, ...]:
    """The same function on shares of the batch, each in a thread of its own."""
    task, share = direction.task, direction.share
    targets = tuple(task.statements)
    fresh = [
        f"np.empty((len({lead}), {', '.join(map(str, task.shape(t)))}), {lead}.dtype)"
        for t in targets
        if task.tensor(t).batched
    ]
    shares = f"len({lead}) // {share}" if share > 1 else f"len({lead})"
    given = ", ".join(f"{p}={p}" for p in parameters)
    told = f"{share} samples are" if share > 1 else "one sample is"
    return snippet(
        f"# {told} about as much work as is worth a thread\n"
        f"shares = min(threads, {shares})\n"
        f"{', '.join(targets)} = _split({task.direction}, shares, [{', '.join(fresh)}], {given})"
        + ("[0]" if len(targets) == 1 else "")
    )


def _calls(direction: Direction, branch: Branch) -> tuple[Action, ...]:
    """What a branch does; it hands on nothing for names that only other branches have."""
    routines = [direction.routine(group) for group in branch.plan]
    kept = {name for routine in routines for name in routine.keeps}
    calls = [_call(r.function, (*r.targets, *r.keeps)) for r in routines]
    return (*calls, *_lacking(direction, kept))


def _lacking(direction: Direction, kept: Collection[str] = ()) -> tuple[Action, ...]:
    """``columns = None`` for what only other branches keep."""
    return tuple(Let(Name(n), Literal("None")) for n in direction.keeps if n not in kept)


def _call(function: Function, made: Iterable[str]) -> Let:
    """``y, columns = _y_columns(x, w, b, keep)``."""
    names: tuple[Array, ...] = tuple(Name(name) for name in made)
    value = Invoke(function.name, tuple(Name(p) for p in function.parameters))
    return Let(names[0] if len(names) == 1 else Tuple(names), value)
