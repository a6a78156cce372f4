"""The general strategy: loop over the short indices, slice along the long ones.

In ``x[s*i + d*u - p]`` one index has to be held fixed for the read to be a slice. The shorter
one (a kernel tap, as a rule) becomes a Python loop; along the longer one, the batch and the
channels NumPy runs by itself: sums over what is left are matrix products. Memory stays at
one tap's worth of data: no im2col matrix is ever built.

It covers every statement of the language, forward or backward, scatter or gather, which is
why it is also what the other strategies are compared with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..equations import Statement
from ..expressions import Expr, Read, Reduce, Winner, children
from ..programs import Array, Binary, Comment, Invoke, Item, Let, Literal, Method, Name, Tuple
from . import extrema
from .evaluate import hoist, total
from .loops import loops_of, nesting
from .scalars import as_number
from .scope import LOSER, Scope
from .sources import Source, parts
from .sums import Sum, fixed, negated, sums_of
from .values import Value, aligned, elementwise, transposed


def reads(statements: Sequence[Statement]) -> Iterator[tuple[Read, str]]:
    """Every read of the statements, with the extremum that it stands under, if any."""
    yield from _reads(statement.rhs for statement in statements)


def lower(scope: Scope, name: str, statements: Sequence[Statement]) -> None:
    """Compute the tensor ``name`` from its statement (or from its scatter statements)."""
    scope.emit(*(Comment(statement) for statement in statements))
    lhs = statements[0].lhs
    axes = scope.axes(name, lhs.axes, lhs.axes)
    for statement in statements[1:]:
        more = scope.axes(name, statement.lhs.axes, statement.lhs.axes)
        axes = tuple(a.joined(b) for a, b in zip(axes, more, strict=True))
    target = Source(name, name, axes)
    if not target.plain:
        target = replace(target, name=scope.name(f"{name}_padded"))
    scope.order = _order(scope, lhs)
    if len(statements) == 1 and extrema.assigned(scope, target, statements[0]):
        return
    sums = [s for statement in statements for s in sums_of(statement, scope)]
    accumulate(scope, target, sums)
    if not target.plain:
        scope.assign(name, target.inner())


def _order(scope: Scope, lhs: Read) -> tuple[str, ...]:
    first = (scope.equation.batch, *(n for part in parts(lhs) for n in part.names))
    return tuple(dict.fromkeys([*first, *scope.equation.indices, *scope.extents]))


def _reads(exprs: Iterator[Expr], reducer: str = "") -> Iterator[tuple[Read, str]]:
    """Every read with the extremum that it stands under, if any."""
    for expr in exprs:
        if isinstance(expr, Read):
            yield expr, reducer
        inside = reducer
        if isinstance(expr, Reduce | Winner) and expr.op in LOSER:
            inside = extrema.padded_for(expr)
        yield from _reads(iter(children(expr)), inside)


def accumulate(scope: Scope, target: Source, sums: list[Sum]) -> None:
    """Add up all summands in the target; a single one without loops is assigned directly."""
    sums = [fixed(term, {i: 0 for i in term.over if scope.sizes[i] == 1}) for term in sums]
    for term in sums:
        hoist(scope, term, loops_of(scope, term))
    if target.plain and not any(loops_of(scope, term) for term in sums):
        value = _joined(scope, sums)
        labels = tuple(part.bare for part in parts(sums[0].lhs) if part.bare is not None)
        if sorted(value.labels) == sorted(labels) and len(labels) == len(target.axes):
            value = transposed(value, labels)
            if _methods(value.array) > 1:
                value = _named_product(scope, value, "products")
            scope.assign(target.name, _fresh(value))
            return
    shape = tuple(Literal(str(axis.length)) for axis in target.axes)
    empty = Invoke("np.zeros", (Tuple(shape), Name("dtype")))
    scope.assign(target.name, empty)
    later = 1
    for term in sums:
        single = len(sums) == 1 and _entrywise(term.lhs)
        once = single and not set(loops_of(scope, term)) & set(term.over)
        if single and not once and target.plain:  # a mean divides its sum, not every tap
            later = term.product.coefficient.denominator
            term = _times(term, later)
        _add(scope, target, term, "=" if once else "+=")
    if later != 1:
        scope.assign(target.name, Binary("/", Name(target.name), Literal(str(later))))


def _times(term: Sum, number: int) -> Sum:
    product = replace(term.product, coefficient=term.product.coefficient * number)
    return replace(term, product=product)


def _joined(scope: Scope, sums: list[Sum]) -> Value:
    """The sum of summands without loops as one expression."""
    joined: Value | None = None
    for term in sums:
        extrema.start_winners(scope, term, ())
        minus = joined is not None and term.product.coefficient < 0
        value = as_number(total(scope, negated(term) if minus else term))
        if joined is None:
            joined = value
        else:
            joined = elementwise("-" if minus else "+", joined, value, scope.order)
    assert joined is not None  # a statement has at least one summand
    return joined


def _entrywise(lhs: Read) -> bool:
    """Whether every entry is written once: not a scatter."""
    names = [part.bare for part in parts(lhs)]
    return None not in names and len(set(names)) == len(names)


def _fresh(value: Value) -> Array:
    """A bare read must not hand out the caller's own array."""
    return Method(value.array, "copy") if _view(value.array) else value.array


def _view(array: Array) -> bool:
    """Whether the memory of an expression may belong to a variable."""
    match array:
        case Name():
            return True
        case Item(base, _) | Method(base, "T" | "transpose" | "reshape"):
            return _view(base)
    return False


def _add(scope: Scope, target: Source, term: Sum, op: str) -> None:
    """``target[...] += Σ``, inside the loops that this sum needs."""
    loops = loops_of(scope, term)
    single = {i: 0 for i in loops if scope.sizes[i] == 1}
    term = fixed(term, single)
    loops = tuple(i for i in loops if i not in single)
    outer, inner = nesting(term, loops)
    with scope.looped(outer):
        extrema.start_winners(scope, term, inner)
        with scope.looped(inner):
            value = total(scope, term)
            place = target.slice(parts(term.lhs), scope.loops, scope.sizes)
            value = _named_product(scope, value)
            if not isinstance(place.array, Item):  # ``y = ...`` would give y another array
                op = "+="
            scope.emit(Let(place.array, aligned(value, place.labels), op))


def _named_product(scope: Scope, value: Value, name: str = "tap") -> Value:
    """Give a stacked matrix product a line of its own before it is reshaped and added."""
    if not _methods(value.array):
        return value
    return replace(value, array=_named_inside(scope, value.array, name))


def _methods(array: Array) -> int:
    """How many methods are called on a stacked matrix product; 0 if it is none."""
    count = 0
    while isinstance(array, Method) and array.name in ("reshape", "sum", "transpose"):
        array, count = array.base, count + 1
    return count if isinstance(array, Invoke) and array.fn == "np.matmul" else 0


def _named_inside(scope: Scope, array: Array, wanted: str) -> Array:
    if isinstance(array, Method) and _methods(array):
        return replace(array, base=_named_inside(scope, array.base, wanted))
    if isinstance(array, Invoke) and array.fn == "np.matmul":
        name = scope.name(wanted)
        scope.assign(name, array)
        return Name(name)
    return array
