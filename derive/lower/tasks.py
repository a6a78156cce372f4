"""What a strategy is asked for, and what it answers with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..equations import Equation, Statement, Tensor
from ..machines import DEFAULT, Cost, Machine
from ..programs import Constant, Function
from ..toom import Toom
from .windowed import Windowed

Forms = tuple[tuple[Statement, ...], ...]
"""The ways to state one target; the last one is what the general strategy computes."""


@dataclass(frozen=True)
class Task:
    """One direction of a layer at its sizes.

    ``statements``: target (``y``, ``dx``, ...) → the ways to state it. ``forms``: target → those
    of them that are sides of the trilinear form of :mod:`derive.lower.windowed`. ``prefix``
    stands in front of the names of private functions. With ``keep``, as inside a network, the
    forward pass hands on what it has: a backward routine may take y. ``spare`` are arrays that
    nobody reads afterwards: a routine may overwrite them. ``kept`` are arrays that the forward
    routine hands on beside y, and that the backward routine takes. ``innermost``: the arrays that
    come with their samples innermost in memory → from so many samples on.
    """

    equation: Equation
    direction: str
    statements: Mapping[str, Forms]
    forms: Mapping[str, tuple[Windowed, ...]]
    prefix: str = ""
    machine: Machine = field(default=DEFAULT)
    keep: bool = False
    spare: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    innermost: Mapping[str, int] = field(default_factory=dict)

    def turns(self, array: str, batch: int) -> bool:
        """Whether an array's samples do not lie innermost yet; those of one sample always do."""
        return batch > 1 and batch < self.innermost.get(array, batch + 1)

    def form(self, target: str, side: str) -> Windowed | None:
        """The form of a target that makes the given side of Φ, if there is one."""
        return next((f for f in self.forms.get(target, ()) if f.target == side), None)

    def found(self, target: str, side: str) -> Windowed:
        """The same where a strategy's ``applies`` has seen that there is one."""
        form = self.form(target, side)
        assert form is not None
        return form

    def tensor(self, target: str) -> Tensor:
        """The tensor that a target is, or is the gradient of."""
        every = (*self.equation.tensors, self.equation.output)
        own = [t for t in every if t.name == target]
        return (own or [t for t in every if t.gradient == target])[0]

    def shape(self, target: str) -> tuple[int, ...]:
        """A target's shape, without the batch."""
        return self.tensor(target).sizes()

    def function(self, *words: str) -> str:
        """``_dw_db_columns``: a private function's name."""
        return "_" + self.prefix + "_".join(words)


@dataclass(frozen=True)
class Routine:
    """A private function that computes some targets from arrays (N, ...) of one float dtype.

    ``function`` returns the targets in their order, (N, ...) or shaped like the parameter.
    ``constants`` are module-level names that it reads, ``room`` the function of a dtype that makes
    its buffers and the views of them. A forward function returns what ``keeps`` names behind the
    targets: fresh arrays if its last parameter ``keep`` is true, else None. ``tooms`` has the
    matrices of every axis that is summed by Cook and Toom.
    """

    targets: tuple[str, ...]
    function: Function
    constants: tuple[Constant, ...] = ()
    keeps: tuple[str, ...] = ()
    tooms: tuple[Toom, ...] = ()
    room: Function | None = None

    @property
    def functions(self) -> tuple[Function, ...]:
        """The function, and the room that it works in."""
        return (self.function, *([self.room] if self.room else []))


class Strategy(Protocol):
    """One file of ``derive/lower/strategies``: an idea of how to compute some targets.

    ``NAME`` is what it is called, ``EXACT`` whether small integers stay exact. It may have
    ``keeps(task, targets)`` as well: the names of the arrays that its forward routine can hand on,
    or that its backward routine would take; and ``INNERMOST``, if arrays with their samples
    innermost in memory are what it takes and gives.
    """

    NAME: str
    EXACT: bool

    def applies(self, task: Task) -> Iterator[tuple[str, ...]]:
        """The groups of targets that it can compute together."""

    def cost(self, task: Task, targets: tuple[str, ...], batch: int) -> Cost:
        """What a batch of that size costs."""

    def lower(self, task: Task, targets: tuple[str, ...]) -> Routine:
        """The private function."""
