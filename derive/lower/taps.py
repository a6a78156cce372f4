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
from dataclasses import dataclass, replace
from fractions import Fraction

from ..affine import Affine
from ..equations import Statement
from ..expressions import (
    Bracket,
    Call,
    Condition,
    Divides,
    Expr,
    Index,
    Number,
    Read,
    Reduce,
    Winner,
    Within,
    bound_by,
    children,
    free_names,
    rename,
    substitute,
    walk,
)
from ..programs import (
    Array,
    Binary,
    Comment,
    Invoke,
    Item,
    Let,
    Literal,
    Method,
    Name,
    Tuple,
    Unary,
)
from .evaluate import apply, as_number, condition_value, constant, index_value
from .scope import LOSER, Scope
from .sources import Source, parts
from .terms import Product, pieces_of, product_of
from .values import BATCH, FULL, Value, aligned, contracted, elementwise, named, product, summed

LARGEST_BROADCAST = 1 << 20
"""Entries per sample beyond which a sum that is no matrix product is looped instead."""


@dataclass(frozen=True)
class Sum:
    """One summand of a statement: ``lhs += sign · Σ_{over: where} body``."""

    lhs: Read
    over: tuple[str, ...]
    where: tuple[Condition, ...]
    product: Product


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
    sums = [s for statement in statements for s in _sums(statement, scope)]
    _accumulate(scope, target, sums)
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
        inside = expr.op if isinstance(expr, Reduce | Winner) and expr.op in LOSER else reducer
        yield from _reads(iter(children(expr)), inside)


def _sums(statement: Statement, scope: Scope) -> Iterator[Sum]:
    for sign, expr in pieces_of(statement.rhs):
        over: tuple[str, ...] = ()
        where: tuple[Condition, ...] = ()
        body, share = expr, Fraction(sign)
        while isinstance(body, Reduce) and body.op in ("sum", "mean"):
            over, where = over + body.over, where + body.where
            for index in body.over if body.op == "mean" else ():
                share /= scope.sizes.number(index)
            body = body.body
        found = product_of(body)
        yield Sum(statement.lhs, over, where, replace(found, coefficient=share * found.coefficient))


def _accumulate(scope: Scope, target: Source, sums: list[Sum]) -> None:
    """Add up all summands in the target; a single one without loops is assigned directly."""
    sums = [_fixed(term, {i: 0 for i in term.over if scope.sizes[i] == 1}) for term in sums]
    for term in sums:
        _hoist(scope, term, _loops(scope, term))
    if len(sums) == 1 and target.plain and not _loops(scope, sums[0]):
        _start_winners(scope, sums[0], ())
        value = as_number(_value(scope, sums[0]))
        labels = tuple(part.bare for part in parts(sums[0].lhs))
        if value.labels == labels:
            scope.assign(target.name, _fresh(value))
            return
    shape = tuple(Literal(str(axis.length)) for axis in target.axes)
    empty = Invoke("np.zeros", (Tuple(shape), Name("dtype")))
    scope.assign(target.name, empty)
    for term in sums:
        once = (
            len(sums) == 1
            and _entrywise(term.lhs)
            and not set(_loops(scope, term)) & set(term.over)
        )
        _add(scope, target, term, "=" if once else "+=")


def _entrywise(lhs: Read) -> bool:
    """Whether every entry is written once: not a scatter."""
    names = [part.bare for part in parts(lhs)]
    return None not in names and len(set(names)) == len(names)


def _fresh(value: Value) -> Array:
    """A bare read must not hand out the caller's own array."""
    array = value.array
    if isinstance(array, Name | Item) or (isinstance(array, Method) and not array.call):
        return Method(array, "copy")
    if isinstance(array, Method) and array.name in ("transpose", "reshape"):
        return Method(array, "copy")
    return array


def _add(scope: Scope, target: Source, term: Sum, op: str) -> None:
    """``target[...] += Σ``, inside the loops that this sum needs."""
    loops = _loops(scope, term)
    single = {i: 0 for i in loops if scope.sizes[i] == 1}
    term = _fixed(term, single)
    loops = tuple(i for i in loops if i not in single)
    outer, inner = _nesting(term, loops)
    with scope.looped(outer):
        _start_winners(scope, term, inner)
        with scope.looped(inner):
            value = _value(scope, term)
            place = target.slice(parts(term.lhs), scope.loops, scope.sizes)
            if isinstance(place.array, Item):
                value = _named_product(scope, value)
            scope.emit(Let(place.array, aligned(value, place.labels), op))


def _named_product(scope: Scope, value: Value) -> Value:
    """Give a stacked matrix product a line of its own before it is reshaped and added."""
    match value.array:
        case Method(Invoke("np.matmul") as stacked, "reshape" | "sum"):
            name = scope.name("tap")
            scope.assign(name, stacked)
            return replace(value, array=replace(value.array, base=Name(name)))
    return value


def _nesting(term: Sum, loops: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Loops over the taps of a maximum go innermost, in row-major order: the first one wins."""
    for factor in term.product.factors:
        if isinstance(factor, Winner):
            at = tuple(str(a) for a in factor.at)
            return tuple(i for i in loops if i not in at), tuple(i for i in at if i in loops)
    return (), loops


def _fixed(term: Sum, values: dict[str, int]) -> Sum:
    """Put numbers in the place of indices that have a single value."""
    if not values:
        return term
    lhs = substitute(term.lhs, values)
    assert isinstance(lhs, Read)  # substitution keeps the node type
    moved = substitute(Reduce("sum", (), Number(Fraction(0)), term.where), values)
    assert isinstance(moved, Reduce)
    found = Product(
        tuple(substitute(f, values) for f in term.product.factors),
        tuple(substitute(d, values) for d in term.product.divisors),
        term.product.coefficient,
    )
    return Sum(lhs, tuple(i for i in term.over if i not in values), moved.where, found)


# -- which indices are loops --------------------------------------------------------------


def _loops(scope: Scope, term: Sum) -> tuple[str, ...]:
    """The indices to loop over so that every subscript keeps at most one other index."""
    exprs = (*term.product.factors, *term.product.divisors)
    reads = [term.lhs, *(r for e in exprs for r in _direct_reads(e))]
    loops = list(scope.loops)
    for read in reads:
        for part in parts(read):
            moving = [n for n in part.numerator.names if n not in loops]
            moving.sort(key=lambda n: (scope.sizes.number(n), n in scope.equation.output_indices))
            loops += moving[:-1]
        along = [n for part in parts(read) for n in part.numerator.names if n not in loops]
        loops += [n for n in dict.fromkeys(along) if along.count(n) > 1]
    for factor in term.product.factors:
        if isinstance(factor, Winner):
            at = [str(a) for a in factor.at]
            loops += at if any(a in loops for a in at) else []
    loops += _too_wide(scope, term, loops)
    chosen = set(loops) - set(scope.loops)
    ranked = [*(n for part in parts(term.lhs) for n in part.names), *term.over, *sorted(chosen)]
    return tuple(n for n in dict.fromkeys(ranked) if n in chosen)


def _direct_reads(expr: Expr) -> Iterator[Read]:
    """Reads that are sliced in the innermost loop: not those of sums computed beforehand."""
    if isinstance(expr, Read):
        yield expr
    elif isinstance(expr, Winner):
        yield from _direct_reads(_at_tap(expr))
    elif not isinstance(expr, Reduce):
        for child in children(expr):
            yield from _direct_reads(child)


def _too_wide(scope: Scope, term: Sum, loops: list[str]) -> list[str]:
    """Summed indices to loop over where a broadcast would grow too large."""
    if all(isinstance(f, Read) for f in term.product.factors):
        return []  # a matrix product broadcasts nothing
    exprs = (*term.product.factors, *term.product.divisors)
    labels = {n for e in exprs for n in free_names(e)} - set(loops) - {scope.equation.batch}
    more: list[str] = []
    candidates = sorted(labels & set(term.over), key=lambda n: (scope.sizes.number(n), n))
    while candidates and _entries(scope, labels - set(more)) > LARGEST_BROADCAST:
        more.append(candidates.pop())
    return more


def _entries(scope: Scope, labels: set[str]) -> int:
    total = 1
    for label in sorted(labels):
        total *= scope.sizes.number(label)
    return total


# -- values -------------------------------------------------------------------------------


def _value(scope: Scope, term: Sum) -> Value:
    """Σ over the indices of a sum that are not loops."""
    over = [i for i in term.over if i not in scope.loops]
    values = [_evaluated(scope, f) for f in term.product.factors]
    conditions = [c for c in term.where if not _explained(c, term.product.factors)]
    values += [condition_value(c, scope) for c in conditions]
    divisors = [_evaluated(scope, d) for d in term.product.divisors]
    coefficient = term.product.coefficient
    late = [d for d in divisors if not set(d.labels) & set(over)]
    for divisor in (d for d in divisors if set(d.labels) & set(over)):
        first = values.pop(0) if values else constant(Fraction(1))
        values.insert(0, elementwise("/", first, divisor, scope.order))
    present = {label for v in values for label in v.labels}
    copies = [i for i in over if i not in present]
    result = _product(scope, values, over) if values else constant(Fraction(1))
    for index in copies:
        result = _times_extent(scope, result, index)
    result = _scaled(result, coefficient)
    for divisor in late:
        result = elementwise("/", result, divisor, scope.order)
    return result


def _times_extent(scope: Scope, value: Value, index: str) -> Value:
    extent = Name(BATCH) if scope.sizes[index] == BATCH else Literal(str(scope.sizes[index]))
    return Value(Binary("*", as_number(value).array, extent), value.labels)


def _scaled(value: Value, by: Fraction) -> Value:
    """Multiply by integers first and divide by integers last: exact where numbers are."""
    if by == 1:
        return value
    value = as_number(value)
    array = value.array
    if by.numerator == -1:
        array = Unary("-", array)
    elif by.numerator != 1:
        one = isinstance(array, Literal) and array.text == "1"
        scale = Literal(str(by.numerator))
        array = scale if one else Binary("*", scale, array)
    if by.denominator != 1:
        array = Binary("/", array, Literal(str(by.denominator)))
    return Value(array, value.labels)


def _product(scope: Scope, values: list[Value], over: list[str]) -> Value:
    """Multiply, and sum over what is summed, pair by pair."""
    values = sorted(values, key=lambda v: v.mask)
    while len(values) > 1:
        one, two = _pair(values)
        rest = [v for v in values if v is not one and v is not two]
        later = {label for v in rest for label in v.labels}
        here = [label for label in over if label not in later]
        if set(one.labels) & set(two.labels) & set(here):
            one, two = _bound(scope, one), _bound(scope, two)
        values = [contracted(one, two, here, scope.order, scope.sizes), *rest]
        values.sort(key=lambda v: v.mask)
    return summed(values[0], over)


def _pair(values: list[Value]) -> tuple[Value, Value]:
    """Two factors of which one only runs along axes of the other, if there are such two."""
    for number_one, one in enumerate(values):
        for two in values[number_one + 1 :]:
            if len(values) > 2 and (
                set(one.labels) <= set(two.labels) or set(two.labels) <= set(one.labels)
            ):
                return one, two
    return values[0], values[1]


def _bound(scope: Scope, value: Value) -> Value:
    """Give a slice a name before it is reshaped for a matrix product."""
    array = value.array
    if not isinstance(array, Item) or not scope.loops or all(e == FULL for e in array.entries):
        return value
    if not any(e != FULL and not isinstance(e, str) for e in array.entries):
        return value
    owner = array.base.id if isinstance(array.base, Name) else "window"
    name = scope.name("window", f"{owner}_window")
    scope.assign(name, array)
    return replace(value, array=Name(name))


def _explained(condition: Condition, factors: Sequence[Expr]) -> bool:
    """Whether a condition only says that a read gives zero between or beyond the entries."""
    for factor in factors:
        if isinstance(factor, Read):
            for part in parts(factor):
                if condition == Divides(part.denominator, part.numerator):
                    return True
                if isinstance(condition, Within) and condition.value == part:
                    return True
    return False


def _evaluated(scope: Scope, expr: Expr) -> Value:
    """An expression at the present loop variables."""
    if expr in scope.known:
        return scope.known[expr]
    match expr:
        case Number(value):
            return constant(value)
        case Index(value):
            return index_value(value, scope)
        case Read():
            return scope.source(expr).slice(parts(expr), scope.loops, scope.sizes)
        case Bracket(conditions):
            masks = [condition_value(c, scope) for c in conditions]
            return _product(scope, masks, [])
        case Reduce():
            return _reduced(scope, expr)
        case Winner():
            return _winner(scope, expr)
        case Call("mul" | "div" | "neg", _):
            return _value(scope, Sum(Read("", ()), (), (), product_of(expr)))
        case Call(fn, args):
            return apply(fn, tuple(_evaluated(scope, a) for a in args), scope.order)
    raise TypeError(f"nothing lowers {type(expr).__name__}")


def _hoist(scope: Scope, term: Sum, loops: tuple[str, ...]) -> None:
    """Compute, before the loops, every inner sum that does not change in them."""
    inside = set(loops)
    for root in (*term.product.factors, *term.product.divisors):
        for expr in walk(root):
            inner = _peak(expr) if isinstance(expr, Winner) else expr
            if isinstance(inner, Reduce) and not inside & set(free_names(inner)):
                _evaluated(scope, inner)


def _reduced(scope: Scope, expr: Reduce) -> Value:
    """A sum or extremum inside an expression, as a variable of its own."""
    expr = _plain(scope, expr)
    if expr in scope.known:
        return scope.known[expr]
    labels = tuple(
        label for label in scope.order if label in free_names(expr) and label not in scope.loops
    )
    name = scope.name(f"{expr.op}_{''.join(expr.over)}")
    lhs = Read(name, tuple((Affine.of(label),) for label in labels))
    if expr.op in LOSER:
        _extremum(scope, name, labels, expr)
    else:
        statement = Statement(lhs, expr)
        axes = tuple(scope.wide(scope.sizes[label], Affine.of(label)) for label in labels)
        _accumulate(scope, Source(name, name, axes), list(_sums(statement, scope)))
    value = named(name, labels)
    scope.known[expr] = value
    return value


def _plain(scope: Scope, expr: Reduce) -> Reduce:
    """``u*`` becomes ``u`` where no other u is in sight, so that equal sums look equal."""
    used = {*scope.loops, *(n for e in walk(expr) for n in (*free_names(e), *bound_by(e)))}
    names: dict[str, str] = {}
    for index in expr.over:
        plain = index.rstrip("*")
        while plain in used - {index} or plain in names.values():
            plain += plain[0]
        if plain != index:
            names[index] = plain
            scope.alias(plain, index)
    if not names:
        return expr
    renamed = rename(expr, names)
    assert isinstance(renamed, Reduce)  # renaming keeps the node type
    return renamed


# -- maxima -------------------------------------------------------------------------------


def _extremum(scope: Scope, name: str, labels: tuple[str, ...], expr: Reduce) -> None:
    """``name`` = max (or min) of the body over all its taps."""
    term = Sum(Read("", ()), expr.over, expr.where, Product((expr.body,)))
    loops = _loops(scope, term)
    outside, scope.reducer = scope.reducer, expr.op
    _hoist(scope, term, loops)
    rest = [i for i in expr.over if i not in loops]
    if not loops:
        value = _contender(scope, expr)
        found = summed(value, rest, expr.op)
        scope.assign(name, aligned(found, labels) if found.labels != labels else found.array)
    else:
        shape = scope.sizes.shape(labels)
        lowest = Invoke(LOSER[expr.op], (Name("dtype"),))
        scope.assign(name, Invoke("np.full", (shape, lowest, Name("dtype"))))
        with scope.looped(loops):
            found = summed(_contender(scope, expr), rest, expr.op)
            fn = "np.maximum" if expr.op == "max" else "np.minimum"
            scope.assign(name, Invoke(fn, (Name(name), aligned(found, labels))))
    scope.reducer = outside


def _contender(scope: Scope, expr: Reduce) -> Value:
    """The body at a tap; where its reads are outside, what loses every comparison."""
    value = _evaluated(scope, expr.body)
    if isinstance(expr.body, Read):  # its padding already holds what loses
        return value
    valid = _valid(scope, expr.body)
    if valid is None:
        return value
    labels = tuple(x for x in scope.order if x in {*value.labels, *valid.labels})
    loser = Invoke(LOSER[expr.op], (Name("dtype"),))
    chosen = Invoke("np.where", (aligned(valid, labels), aligned(value, labels), loser))
    return Value(chosen, labels)


def _valid(scope: Scope, body: Expr) -> Value | None:
    """Where all reads of a body are inside their tensors; None if they always are."""
    conditions: list[Condition] = []
    for read in _direct_reads(body):
        source = scope.source(read)
        for axis, part in zip(source.axes, parts(read), strict=True):
            if not axis.plain and isinstance(axis.extent, int):
                conditions.append(Within(part, Affine.of(axis.extent)))
    masks = [condition_value(c, scope) for c in dict.fromkeys(conditions)]
    return _product(scope, masks, []) if masks else None


def _at_tap(winner: Winner) -> Expr:
    """The body with the tap's own indices in place of the inner ones."""
    return substitute(winner.body, dict(zip(winner.over, winner.at, strict=True)))


def _peak(winner: Winner) -> Reduce:
    return Reduce(winner.op, winner.over, winner.body)


def _equals_peak(scope: Scope, winner: Winner) -> Value:
    """Where the tap attains the extremum."""
    outside, scope.reducer = scope.reducer, winner.op
    peak = _evaluated(scope, _peak(winner))
    body = _at_tap(winner)
    found = elementwise("==", _evaluated(scope, body), peak, scope.order)
    valid = _valid(scope, body)
    scope.reducer = outside
    mask = replace(found, mask=True)
    return mask if valid is None else product(mask, valid, scope.order)


def _start_winners(scope: Scope, term: Sum, taps: tuple[str, ...]) -> None:
    """Before the loops over taps: nothing has been taken yet."""
    for factor in term.product.factors:
        if not isinstance(factor, Winner):
            continue
        _evaluated(scope, _peak(factor))
        labels = tuple(x for x in scope.order if x in free_names(_peak(factor)))
        labels = tuple(x for x in labels if x not in scope.loops)
        shape = scope.sizes.shape(labels)
        if factor.ties == "split":
            _count_ties(scope, factor, labels, taps)
        elif taps:
            name = scope.name("taken")
            scope.assign(name, Invoke("np.zeros", (shape, Name("bool"))))
            scope.known[Winner("taken", (), factor.body, ())] = named(name, labels, mask=True)


def _count_ties(
    scope: Scope, winner: Winner, labels: tuple[str, ...], taps: tuple[str, ...]
) -> None:
    """How many taps attain the extremum."""
    name = scope.name("ties")
    if taps:
        scope.assign(name, Invoke("np.zeros", (scope.sizes.shape(labels), Name("dtype"))))
        with scope.looped(taps):
            equal = _equals_peak(scope, winner)
            scope.emit(Let(Name(name), aligned(equal, labels), "+="))
    else:
        equal = _equals_peak(scope, winner)
        over = [label for label in equal.labels if label not in labels]
        scope.assign(name, aligned(summed(as_number(equal), over), labels))
    scope.known[Winner("ties", (), winner.body, ())] = named(name, labels)


def _winner(scope: Scope, winner: Winner) -> Value:
    """The share of a tap: 1 for the first extremal one, or 1/k for each of k."""
    equal = _equals_peak(scope, winner)
    if winner.ties == "split":
        ties = scope.known[Winner("ties", (), winner.body, ())]
        return elementwise("/", as_number(equal), ties, scope.order)
    taken = scope.known.get(Winner("taken", (), winner.body, ()))
    if taken is None:
        return _first(scope, winner, equal)
    name = scope.name("wins")
    order = taken.labels
    scope.assign(name, Binary("&", aligned(equal, order), Unary("~", taken.array)))
    scope.assign(taken.array.id if isinstance(taken.array, Name) else "", Name(name), "|=")
    return named(name, order, mask=True)


def _first(scope: Scope, winner: Winner, equal: Value) -> Value:
    """The first extremal tap along axes that no loop runs over."""
    at = [str(a) for a in winner.at]
    rest = [label for label in equal.labels if label not in at]
    flat = aligned(equal, (*rest, *at))
    shape = [Literal(str(scope.sizes[label])) for label in rest]
    size = Literal(str(scope.sizes.flat(at)))
    name = scope.name("equal")
    scope.assign(name, Method(flat, "reshape", (*shape, size)))
    last = (("axis", Literal("-1")),)
    count = Invoke("np.cumsum", (Name(name),), last)
    first = Binary("&", Name(name), Binary("==", count, Literal("1")))
    back = tuple(Literal(str(scope.sizes[label])) for label in (*rest, *at))
    return Value(Method(first, "reshape", back), (*rest, *at), mask=True)
