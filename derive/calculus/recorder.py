"""The chain of statements that becomes a gradient's steps."""

from __future__ import annotations

from collections.abc import Iterable

from ..affine import Affine
from ..derivations import Step
from ..equations import Statement
from ..expressions import Condition, Expr

Slots = tuple[tuple[str, str | Affine | Expr], ...]


class Recorder:
    """Keeps where the chain stands; a rewrite that changes nothing leaves no step."""

    def __init__(self, start: Statement) -> None:
        self.now = start
        self.steps: list[Step] = []

    def rewrite(
        self,
        rule: str,
        rhs: Expr,
        slots: Slots = (),
        conditions: Iterable[Condition] = (),
    ) -> None:
        """Record ``now.lhs = rhs`` as the next statement."""
        self.move(rule, Statement(self.now.lhs, rhs), slots, conditions)

    def move(
        self,
        rule: str,
        after: Statement,
        slots: Slots = (),
        conditions: Iterable[Condition] = (),
    ) -> None:
        """Record any next statement."""
        if after != self.now:
            self.steps.append(Step(rule, self.now, after, slots, tuple(conditions)))
            self.now = after
