"""The general strategy on whole groups of tensors: prepare what is read, then compute in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..affine import Affine
from ..equations import Equation, Statement, Tensor
from ..expressions import reads
from . import taps
from .scope import Scope

Work = tuple[Tensor, str, tuple[Statement, ...]]
"""A tensor, the variable to compute, and the statements that give it."""


def needed(available: Sequence[Work], last: Sequence[Work]) -> list[Work]:
    """What is available and read on the way to the last, in order, and the last."""
    needed = list(last)
    for work in reversed(available):
        read = {r.tensor for _, _, statements in needed for s in statements for r in reads(s.rhs)}
        if work[1] in read:
            needed.insert(0, work)
    return needed


def compute(scope: Scope, work: Sequence[Work]) -> None:
    """Prepare the tensors for all reads of them, then compute one target after the other."""
    own_ranges = [ranges(scope.equation, tensor, group[0]) for tensor, _, group in work]
    for (_, _, statements), own in zip(work, own_ranges, strict=True):
        scope.begin(own)
        scope.want(taps.reads(statements))
    missing = [name for _, name, _ in work]
    for (_, name, statements), own in zip(work, own_ranges, strict=True):
        scope.prepare(missing)
        scope.begin(own)
        taps.lower(scope, name, statements)
        missing.remove(name)


def ranges(equation: Equation, tensor: Tensor, statement: Statement) -> Mapping[str, Affine]:
    """How far the indices run that a gradient's left side has of its own."""
    axes = statement.lhs.axes
    offset = len(axes) - len(tensor.shape)
    known = dict(equation.extents)
    return {
        axis[0].bare: tensor.shape[k - offset]
        for k, axis in enumerate(axes)
        if len(axis) == 1 and axis[0].bare is not None and axis[0].bare not in known
    }
