"""Statements for one sample: the batch index is left out of every subscript and sum.

A layer treats the entries of a batch independently (unless its equation reduces over the batch
itself), so that its formulas read best for a single sample; gradients of parameters then add
up over the batch, which the notes say once.
"""

from __future__ import annotations

from ...equations import Equation, Statement
from ...expressions import (
    ONE,
    Bracket,
    Call,
    Condition,
    Divides,
    Equal,
    Expr,
    Index,
    Partial,
    Read,
    Reduce,
    Winner,
    rebuild,
    walk,
)


def independent(equation: Equation) -> bool:
    """Whether the batch index occurs only as the first subscript of data."""
    for node in (n for s in equation.statements for n in walk(s.rhs)):
        if isinstance(node, Reduce | Winner) and equation.batch in node.over:
            return False
        if isinstance(node, Index) and equation.batch in node.value.names:
            return False
    return True


def batch_names(equation: Equation) -> tuple[str, ...]:
    """The batch index with and without its prime; none if the batch has to stay."""
    return (equation.batch, f"{equation.batch}'") if independent(equation) else ()


def for_one(statement: Statement, batch: tuple[str, ...]) -> Statement:
    """The statement without the batch indices."""
    lhs = _without(statement.lhs, batch)
    assert isinstance(lhs, Read)  # a read stays a read
    return Statement(lhs, _without(statement.rhs, batch), statement.accumulate)


def _without(expr: Expr, batch: tuple[str, ...]) -> Expr:
    inner = rebuild(expr, lambda child: _without(child, batch))
    match inner:
        case Partial(body, wrt):
            entry = _without(wrt, batch)
            assert isinstance(entry, Read)  # a read stays a read
            return Partial(body, entry)
        case Read(tensor, axes) if axes and len(axes[0]) == 1 and axes[0][0].bare in batch:
            return Read(tensor, axes[1:])
        case Reduce(op, over, body, where):
            over, where = tuple(i for i in over if i not in batch), _kept(where, batch)
            return Reduce(op, over, body, where) if over or where else body
        case Bracket(conditions):
            kept = _kept(conditions, batch)
            return Bracket(kept) if kept else ONE
        case Call("mul", (left, right)) if ONE in (left, right):
            return left if right == ONE else right
    return inner


def _kept(conditions: tuple[Condition, ...], batch: tuple[str, ...]) -> tuple[Condition, ...]:
    return tuple(c for c in conditions if not set(condition_names(c)) & set(batch))


def condition_names(condition: Condition) -> tuple[str, ...]:
    """The names that a condition speaks of, its extent or divisor apart."""
    match condition:
        case Equal(left, right):
            return (*left.names, *right.names)
        case Divides(_, value):
            return value.names
    return condition.value.names
