"""What a layer's forward pass hands on to its backward pass beside y: column matrices, say.

A strategy that has ``keeps`` names the arrays that its routine can hand on, or would take. One is
kept if, for every batch that a backward routine serves, the forward routine is one that has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf

from .choose import Branch, Group
from .tasks import Task

Key = tuple[str, str, tuple[str, ...]]
"""Direction, strategy and targets: one private function."""

Plans = Sequence[tuple[Task, Sequence[Branch]]]
"""Every direction with its branches, forward first."""


def handed_on(plans: Plans) -> Mapping[Key, tuple[str, ...]]:
    """The arrays that each private function hands on, or takes."""
    (task, ahead), *rest = plans
    kept: dict[Key, set[str]] = {}
    for other, back in rest:
        for group, forward in _meetings(back, ahead):
            taken = kept.setdefault(key(other, group), set(_keeps(other, group)))
            taken &= {name for g in forward.plan for name in _keeps(task, g)}
    for other, back in rest:
        for group, forward in _meetings(back, ahead):
            for g in forward.plan:
                kept.setdefault(key(task, g), set()).update(kept[key(other, group)])
    return {name: tuple(sorted(arrays)) for name, arrays in kept.items()}


def key(task: Task, group: Group) -> Key:
    """What a private function is known by."""
    strategy, targets = group
    return task.direction, strategy.NAME, targets


def _keeps(task: Task, group: Group) -> tuple[str, ...]:
    strategy, targets = group
    keeps = getattr(strategy, "keeps", None)
    return keeps(task, targets) if keeps is not None else ()


def _meetings(back: Sequence[Branch], ahead: Sequence[Branch]) -> Iterator[tuple[Group, Branch]]:
    """A group of a backward branch, and a forward branch that serves some of its batches."""
    for branch, (low, high) in zip(back, _spans(back), strict=True):
        for forward, (least, most) in zip(ahead, _spans(ahead), strict=True):
            if least < high and low < most:
                for group in branch.plan:
                    yield group, forward


def _spans(branches: Sequence[Branch]) -> list[tuple[float, float]]:
    """The batches of each branch: from the first number to before the second."""
    starts = [branch.least for branch in branches]
    return list(zip(starts, [*starts[1:], inf], strict=True))
