"""Single entries of a statement, written out: numbers for the indices, one product a tap.

The products come from the derived statement itself: summed indices are enumerated in row-major
order, taps whose conditions fail are left out, and so are reads that fall outside of their
tensor. So every entry can be compared with the formula above it, term by term.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from itertools import islice, product
from math import prod

from ...affine import Affine
from ...equations import SKIP_OUTSIDE, Equation, Statement
from ...expressions import (
    ONE,
    ZERO,
    Bracket,
    Call,
    Condition,
    Divides,
    Equal,
    Expr,
    Index,
    Number,
    Read,
    Reduce,
    Winner,
    reads,
    rebuild,
    substitute,
)
from ..mathematics.terms import terms


@dataclass(frozen=True)
class Product:
    """One product of an entry and the values of the summed indices it belongs to."""

    place: tuple[int, ...]
    body: Expr


@dataclass(frozen=True)
class Part:
    """One term of an entry: ``op`` over products.

    ``over`` names the summed indices (none for a single product), ``more`` says that products
    between the last two shown were left out.
    """

    sign: int
    op: str
    over: tuple[str, ...]
    products: tuple[Product, ...]
    more: bool = False


@dataclass(frozen=True)
class Frame:
    """The sizes that entries are written out at, without the batch.

    ``shapes``  of every tensor and gradient; ``extents`` of every index of the equation;
    ``skipped`` tensors whose reads outside do not count.
    """

    shapes: Mapping[str, tuple[int, ...]]
    extents: Mapping[str, int]
    skipped: frozenset[str]

    @classmethod
    def of(cls, equation: Equation) -> Frame:
        """The frame of an equation whose sizes are known."""
        fixed = equation.at_sizes()
        shapes: dict[str, tuple[int, ...]] = {}
        for tensor in (*fixed.tensors, *fixed.inner, fixed.output):
            shapes[tensor.name] = shapes[tensor.gradient] = tensor.sizes()
        extents = {i: e.number for i, e in fixed.extents if e.number is not None}
        skipped = frozenset(t.name for t in fixed.tensors if t.outside == SKIP_OUTSIDE)
        return cls(shapes, extents, skipped)

    def ranges(self, lhs: Read) -> dict[str, int]:
        """How far each index on a left-hand side runs (KeyError if that is not known)."""
        found: dict[str, int] = {}
        if len(lhs.axes) != len(self.shapes[lhs.tensor]):
            raise KeyError(f"the batch axis of {lhs.tensor} has no number")
        for axis, extent in zip(lhs.axes, self.shapes[lhs.tensor], strict=True):
            for part in axis:
                name = part.bare
                if name is None:
                    raise KeyError(str(part))
                found[name] = extent if len(axis) == 1 else self.extents[name]
        return found

    def covers(self, statement: Statement) -> bool:
        """Whether every index of the statement has a known range."""
        try:
            known = {*self.ranges(statement.lhs), *self.extents}
        except KeyError:
            return False
        return (
            all(
                index in known
                for _, term in terms(statement.rhs)
                if isinstance(term, Reduce)
                for index in term.over
            )
            and set(statement.free) <= known
        )


def positions(statement: Statement, frame: Frame) -> Iterator[tuple[int, ...]]:
    """All positions of the left-hand side, row-major."""
    return product(*(range(n) for n in frame.ranges(statement.lhs).values()))


def entry(
    statement: Statement, position: tuple[int, ...], frame: Frame, limit: int | None = None
) -> tuple[Part, ...]:
    """The terms of one entry; parts that vanish are left out.

    With a ``limit``, a longer part keeps its first products and its last one.
    """
    names = frame.ranges(statement.lhs)
    values = dict(zip(names, position, strict=True))
    parts = []
    for sign, term in terms(statement.rhs):
        part = _part(sign, substitute(term, values), frame, limit)
        if part.products:
            parts.append(_signed(part))
    return tuple(parts)


def _signed(part: Part) -> Part:
    """A minus sign that all products have stands between them, not in front of each."""
    bodies = [one.body for one in part.products]
    inner = [b.args[0] for b in bodies if isinstance(b, Call) and b.fn == "neg"]
    if part.op not in ("", "sum") or len(inner) < len(bodies):
        return part
    pairs = zip(part.products, inner, strict=True)
    return replace(
        part, sign=-part.sign, products=tuple(Product(one.place, body) for one, body in pairs)
    )


def _part(sign: int, term: Expr, frame: Frame, limit: int | None) -> Part:
    if not isinstance(term, Reduce):
        body = settle(term, frame)
        return Part(sign, "", (), () if body == ZERO else (Product((), body),))
    found = tuple(islice(_products(term, frame), None if limit is None else limit + 1))
    if limit is None or len(found) <= limit:
        return Part(sign, term.op, term.over, found)
    last = next(_products(term, frame, backwards=True))
    return Part(sign, term.op, term.over, (*found[: limit - 1], last), more=True)


def _products(term: Reduce, frame: Frame, *, backwards: bool = False) -> Iterator[Product]:
    ranges = [range(frame.extents[index]) for index in term.over]
    for place in product(*(reversed(r) if backwards else r for r in ranges)):
        values = dict(zip(term.over, place, strict=True))
        if not all(holds(c, values) for c in term.where):
            continue
        body = substitute(term.body, values)
        if term.op in ("max", "min") and any(_outside(r, frame) for r in reads(body)):
            continue
        body = settle(body, frame)
        if body != ZERO or term.op in ("max", "min"):
            yield Product(place, body)


def holds(condition: Condition, values: Mapping[str, int]) -> bool:
    """Whether a condition holds at these numbers."""
    match condition:
        case Equal(left, right):
            return left.evaluate(values) == right.evaluate(values)
        case Divides(divisor, value):
            return (value.evaluate(values) / divisor.evaluate(values)).denominator == 1
    return 0 <= condition.value.evaluate(values) < condition.extent.evaluate(values)


def _outside(read: Read, frame: Frame) -> bool:
    """Whether a read with numbered subscripts falls outside of its tensor."""
    shape = frame.shapes[read.tensor]
    if len(shape) != len(read.axes):
        return False
    pairs = zip(read.axes, shape, strict=True)
    return any(
        number is not None and not 0 <= number < extent
        for axis, extent in pairs
        if len(axis) == 1 and ((number := axis[0].number) is not None)
    )


def settle(expr: Expr, frame: Frame) -> Expr:
    """Reads outside become 0, decided brackets 1 or 0, and what they make trivial goes."""
    if isinstance(expr, Reduce):
        return _expanded(expr, frame)
    if isinstance(expr, Winner):
        return expr
    if isinstance(expr, Read):
        return ZERO if _outside(expr, frame) and expr.tensor not in frame.skipped else expr
    if isinstance(expr, Index) and expr.value.number is not None:
        return Number(Fraction(expr.value.number))
    if isinstance(expr, Bracket):
        return _decided(expr)
    return _folded(rebuild(expr, lambda child: settle(child, frame)))


SHORT = 4
"""Products up to which a sum inside of an entry is written out."""


def _expanded(inner: Reduce, frame: Frame) -> Expr:
    """A sum inside of an entry: its number if it has one, its products if they are few."""
    sizes = [frame.extents.get(index.rstrip("*")) for index in inner.over]
    known = [size for size in sizes if size is not None]
    if inner.op != "sum" or len(known) != len(sizes) or prod(known) > COUNTED:
        return inner
    found: list[Expr] = []
    for place in product(*map(range, known)):
        values = dict(zip(inner.over, place, strict=True))
        if all(holds(c, values) for c in inner.where):
            found.append(settle(substitute(inner.body, values), frame))
    if all(isinstance(one, Number) for one in found):
        return Number(sum((n.value for n in found if isinstance(n, Number)), Fraction(0)))
    kept = [one for one in found if one != ZERO]
    return inner if len(kept) > SHORT else reduce(lambda a, b: a + b, kept)


COUNTED = 1000
"""Terms up to which a sum of numbers is added up."""


def _decided(bracket: Bracket) -> Expr:
    try:
        return ONE if all(holds(c, {}) for c in bracket.conditions) else ZERO
    except KeyError:  # a name is left, so it stays
        return bracket


def _folded(expr: Expr) -> Expr:
    match expr:
        case Call("mul", (left, right)):
            if ZERO in (left, right):
                return ZERO
            if ONE in (left, right):
                return right if left == ONE else left
        case Call("add", (left, right)) if ZERO in (left, right):
            return right if left == ZERO else left
        case Call("sub", (left, right)) if right == ZERO:
            return left
        case Call("div", (top, _)) if top == ZERO:
            return ZERO
        case Call("neg", (inner,)) if inner == ZERO:
            return ZERO
    return expr


def at(read: Read, position: tuple[int, ...]) -> Read:
    """The left-hand side with numbers in the place of its indices."""
    names = dict.fromkeys(p.bare for axis in read.axes for p in axis)
    values = dict(zip((n for n in names if n), map(Affine.of, position), strict=True))
    moved = substitute(read, values)
    assert isinstance(moved, Read)  # substitution keeps the node type
    return replace(moved)
