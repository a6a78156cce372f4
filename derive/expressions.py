"""Expressions over indexed tensors: the right-hand side of an equation, as a closed tree.

Eight frozen node types are all there is. The first six a person can write; the last two
appear only while a derivative is being worked out.

=============  ==========================  ==================================================
node           text                        value
=============  ==========================  ==================================================
Number         ``2``, ``0.5``              an exact rational
Index          ``i`` in ``where(i<=j,…)``  an index used as a number
Read           ``x[n,c,i+u]``              an entry of a tensor; outside it, what the tensor says
Call           ``a*b``, ``tanh(a)``, …     a scalar function of ``derive.functions``
Reduce         ``sum[c,u](…)``             sum, mean, max or min over whole index ranges
Bracket        ``inside(x[…])``, ``delta`` 1 where all its index conditions hold, else 0
Partial        ∂(body)/∂x[m]               a derivative that is still to be worked out
Winner         [(u,v) wins]                the share of tap (u,v) in a max or min
=============  ==========================  ==================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any

from .affine import Affine

Subscript = tuple[Affine, ...]
"""One axis of a read: a single index expression, or several that compose it, row-major."""


@dataclass(frozen=True)
class Equal:
    """The condition ``left == right`` between index expressions (a Kronecker delta)."""

    left: Affine
    right: Affine


@dataclass(frozen=True)
class Divides:
    """The condition that ``divisor`` divides ``value`` without remainder."""

    divisor: Affine
    value: Affine


@dataclass(frozen=True)
class Within:
    """The condition ``0 <= value < extent``."""

    value: Affine
    extent: Affine


Condition = Equal | Divides | Within


class Expr:
    """Base of all nodes. Python's operators build scalar ``Call`` nodes."""

    def __add__(self, other: Expr | int) -> Expr:
        return Call("add", (self, as_expr(other)))

    def __radd__(self, other: int) -> Expr:
        return Call("add", (as_expr(other), self))

    def __sub__(self, other: Expr | int) -> Expr:
        return Call("sub", (self, as_expr(other)))

    def __rsub__(self, other: int) -> Expr:
        return Call("sub", (as_expr(other), self))

    def __mul__(self, other: Expr | int) -> Expr:
        return Call("mul", (self, as_expr(other)))

    def __rmul__(self, other: int) -> Expr:
        return Call("mul", (as_expr(other), self))

    def __truediv__(self, other: Expr | int) -> Expr:
        return Call("div", (self, as_expr(other)))

    def __rtruediv__(self, other: int) -> Expr:
        return Call("div", (as_expr(other), self))

    def __pow__(self, other: Expr | int) -> Expr:
        return Call("pow", (self, as_expr(other)))

    def __neg__(self) -> Expr:
        return Call("neg", (self,))


@dataclass(frozen=True)
class Number(Expr):
    """An exact rational constant."""

    value: Fraction


@dataclass(frozen=True)
class Index(Expr):
    """An index expression used as a number."""

    value: Affine


@dataclass(frozen=True)
class Read(Expr):
    """An entry of a tensor. ``axes`` has one subscript an axis, the batch included."""

    tensor: str
    axes: tuple[Subscript, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every name in the subscripts, in order of first appearance."""
        return tuple(dict.fromkeys(n for axis in self.axes for part in axis for n in part.names))


@dataclass(frozen=True)
class Call(Expr):
    """A scalar function applied: ``fn`` is a key of ``derive.functions.FUNCTIONS``."""

    fn: str
    args: tuple[Expr, ...]


@dataclass(frozen=True)
class Reduce(Expr):
    """``op`` over the whole ranges of the indices ``over``, where all conditions hold."""

    op: str
    over: tuple[str, ...]
    body: Expr
    where: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Bracket(Expr):
    """Iverson's bracket: 1 where all conditions hold, else 0."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Partial(Expr):
    """∂body/∂wrt, where the indices of ``wrt`` are fresh."""

    body: Expr
    wrt: Read


@dataclass(frozen=True)
class Winner(Expr):
    """How much of the value of ``op[over](body)`` comes from the tap ``at``.

    ``ties="first"``: 1 for the first extremal tap in row-major order of ``over``, else 0.
    ``ties="split"``: 1/k for each of the k extremal taps. ``at`` names the tap, one index
    for each of ``over`` (which stay bound inside).
    """

    op: str
    over: tuple[str, ...]
    body: Expr
    at: tuple[Affine, ...]
    ties: str = "first"


def as_expr(value: Expr | int) -> Expr:
    """An integer becomes a Number; an expression stays what it is."""
    return value if isinstance(value, Expr) else Number(Fraction(value))


ZERO = Number(Fraction(0))
ONE = Number(Fraction(1))


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct sub-expressions of a node."""
    match expr:
        case Call(_, args):
            return args
        case Reduce(body=body) | Winner(body=body):
            return (body,)
        case Partial(body, wrt):
            return (body, wrt)
    return ()


def walk(expr: Expr) -> Iterator[Expr]:
    """The node and everything below it, outside in, left to right."""
    yield expr
    for child in children(expr):
        yield from walk(child)


def rebuild(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """The same node over changed children (the node itself is not changed)."""
    match expr:
        case Call(fn, args):
            return Call(fn, tuple(change(a) for a in args))
        case Reduce(op, over, body, where):
            return Reduce(op, over, change(body), where)
        case Winner(op, over, body, at, ties):
            return Winner(op, over, change(body), at, ties)
        case Partial(body, wrt):
            return Partial(change(body), wrt)
    return expr


def reads(expr: Expr, tensor: str | None = None) -> tuple[Read, ...]:
    """All distinct reads (of one tensor, if named), in order of appearance."""
    found = (e for e in walk(expr) if isinstance(e, Read) and tensor in (None, e.tensor))
    return tuple(dict.fromkeys(found))


def bound_by(expr: Expr) -> tuple[str, ...]:
    """The indices that this node itself binds."""
    return expr.over if isinstance(expr, Reduce | Winner) else ()


def _own_affines(expr: Expr) -> Iterator[Affine]:
    for field in fields(expr):  # type: ignore[arg-type]  # every Expr node is a dataclass
        if field.name not in ("body", "args", "wrt"):
            yield from _affines(getattr(expr, field.name))


def _affines(value: Any) -> Iterator[Affine]:
    if isinstance(value, Affine):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _affines(item)
    elif isinstance(value, Equal | Divides | Within):
        for field in fields(value):
            yield getattr(value, field.name)


def free_names(expr: Expr) -> tuple[str, ...]:
    """Names in index expressions that no reducer inside binds, in order of appearance."""
    bound = bound_by(expr)
    own = [n for a in _own_affines(expr) for n in a.names]
    # the tap of a Winner is named from outside, even by a name that is bound inside
    outer = [n for a in expr.at for n in a.names] if isinstance(expr, Winner) else []
    below = [n for child in children(expr) for n in free_names(child)]
    inner = [n for n in own + below if n not in bound]
    return tuple(dict.fromkeys([*inner, *outer]))


def _map_own(expr: Expr, change: Callable[[Affine], Affine]) -> Expr:
    """The node with its own index expressions changed; children stay."""

    def inside(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
        return tuple(
            type(c)(*(change(getattr(c, field.name)) for field in fields(c))) for c in conditions
        )

    match expr:
        case Read(tensor, axes):
            return Read(tensor, tuple(tuple(change(p) for p in axis) for axis in axes))
        case Index(value):
            return Index(change(value))
        case Bracket(conditions):
            return Bracket(inside(conditions))
        case Reduce(op, over, body, where):
            return Reduce(op, over, body, inside(where))
        case Winner(op, over, body, at, ties):
            return Winner(op, over, body, tuple(change(a) for a in at), ties)
    return expr


def substitute(expr: Expr, values: Mapping[str, Affine | int]) -> Expr:
    """Put index expressions in the place of free names.

    Bound names shadow; the caller keeps bound names apart from the names put in.
    """
    if isinstance(expr, Partial):
        wrt = substitute(expr.wrt, values)
        assert isinstance(wrt, Read)  # substitution keeps the node type
        return Partial(substitute(expr.body, values), wrt)
    kept = {n: v for n, v in values.items() if n not in bound_by(expr)}
    if isinstance(expr, Winner):  # its tap is named from outside its own scope
        at = tuple(a.substitute(values) for a in expr.at)
        return Winner(expr.op, expr.over, substitute(expr.body, kept), at, expr.ties)
    return _map_own(
        rebuild(expr, lambda child: substitute(child, kept)), lambda a: a.substitute(kept)
    )


def rename(expr: Expr, names: Mapping[str, str]) -> Expr:
    """Rename indices everywhere, the bound ones included."""
    values = {old: Affine.of(new) for old, new in names.items()}
    if isinstance(expr, Partial):
        wrt = rename(expr.wrt, names)
        assert isinstance(wrt, Read)  # renaming keeps the node type
        return Partial(rename(expr.body, names), wrt)
    inner = _map_own(rebuild(expr, lambda c: rename(c, names)), lambda a: a.substitute(values))
    if isinstance(inner, Reduce | Winner):
        return replace(inner, over=tuple(names.get(n, n) for n in inner.over))
    return inner
