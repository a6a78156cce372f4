"""What a layer's forward pass has computed and its backward pass may read."""

from __future__ import annotations

from fractions import Fraction

from ..equations import Statement
from ..expressions import Call, Expr, Number, Read, Reduce, rename
from ..programs import Binary, Literal
from .scope import Scope
from .values import Value, named

ZERO = Number(Fraction(0))


def know(scope: Scope, statement: Statement) -> None:
    """Where its right side is asked for again, the tensor on the left holds the values."""
    labels = [part.bare for axis in statement.lhs.axes for part in axis]
    plain = tuple(label for label in labels if label is not None)
    if isinstance(statement.rhs, Read) or len(set(plain)) != len(labels):
        return
    value, rhs = named(statement.lhs.tensor, plain), statement.rhs
    scope.known[rhs] = value
    if isinstance(rhs, Reduce):  # a winner competes under starred letters
        scope.known[rename(rhs, {index: f"{index}*" for index in rhs.over})] = value
    if (inner := _rectified(rhs)) is not None:  # relu(x) > 0 is x > 0
        positive = Binary(">", value.array, Literal("0"))
        scope.known[Call("gt", (inner, ZERO))] = Value(positive, value.labels, mask=True)


def _rectified(expr: Expr) -> Expr | None:
    """The z of relu(z)."""
    match expr:
        case Call("relu", (inner,)):
            return inner
    return None
