"""Maxima and minima, and which tap of each passes the gradient on.

Forward, taps compete one after the other. Backward, a tap has won if it equals the extremum and
no earlier tap in row-major order has (``taken``), or each of k equal taps gets 1/k.
"""

from __future__ import annotations

from dataclasses import replace

from ..affine import Affine
from ..equations import Statement
from ..expressions import Condition, Expr, Read, Reduce, Winner, Within, free_names, substitute
from ..programs import Array, Binary, Invoke, Item, Let, Literal, Method, Name, Unary
from .evaluate import evaluated, hoist, product
from .loops import at_tap, direct_reads, loops_of
from .scalars import as_number, condition_value
from .scope import LOSER, Scope
from .sources import Source, parts
from .sums import Product, Sum
from .values import FULL, Value, aligned, elementwise, named, summed
from .values import product as masked


def assigned(scope: Scope, target: Source, statement: Statement) -> bool:
    """Whether the statement is an extremum and nothing else, and so computed under its name."""
    expr = statement.rhs
    labels = tuple(part.bare for part in parts(statement.lhs) if part.bare is not None)
    if not isinstance(expr, Reduce) or expr.op not in LOSER or not target.plain:
        return False
    if set(labels) != set(free_names(expr)):
        return False
    extremum(scope, target.name, labels, expr)
    scope.known[expr] = named(target.name, labels)
    return True


def extremum(scope: Scope, name: str, labels: tuple[str, ...], expr: Reduce) -> None:
    """``name`` = max (or min) of the body over all its taps."""
    expr = _without_single_taps(scope, expr)
    term = Sum(Read("", ()), expr.over, expr.where, Product((expr.body,)))
    loops = loops_of(scope, term)
    outside, scope.reducer = scope.reducer, padded_for(expr)
    hoist(scope, term, loops)
    rest = [i for i in expr.over if i not in loops]
    if not loops:
        value = _contender(scope, expr)
        found = summed(value, rest, expr.op)
        scope.assign(name, aligned(found, labels) if found.labels != labels else found.array)
    else:
        _compete(scope, name, labels, expr, loops)
    scope.reducer = outside


def padded_for(expr: Reduce | Winner) -> str:
    """The extremum whose loser a padding holds: that of a bare read; others are masked."""
    return expr.op if isinstance(expr.body, Read) else ""


def _without_single_taps(scope: Scope, expr: Reduce) -> Reduce:
    """An index with a single value needs no loop; one index stays, to be reduced over."""
    single = [i for i in expr.over if scope.sizes[i] == 1]
    single = single[1:] if len(single) == len(expr.over) else single
    over = tuple(i for i in expr.over if i not in single)
    return Reduce(expr.op, over, substitute(expr.body, dict.fromkeys(single, 0)))


def _compete(
    scope: Scope, name: str, labels: tuple[str, ...], expr: Reduce, loops: tuple[str, ...]
) -> None:
    """Loop over short indices: of taps, which compete, and of outputs, which have a place each."""
    shape, one_by_one = scope.sizes.shape(labels), bool(set(loops) & set(expr.over))
    if one_by_one:
        lowest = Invoke(LOSER[expr.op], (Name("dtype"),))
        scope.assign(name, Invoke("np.full", (shape, lowest, Name("dtype"))))
    else:
        scope.assign(name, Invoke("np.zeros", (shape, Name("dtype"))))
    with scope.looped(loops):
        rest = [i for i in expr.over if i not in loops]
        found = summed(_contender(scope, expr), rest, expr.op)
        place: Array = Name(name)
        if set(loops) & set(labels):
            place = Item(place, tuple(x if x in loops else FULL for x in labels))
        value = aligned(found, tuple(x for x in labels if x not in loops))
        if one_by_one:
            fn = "np.maximum" if expr.op == "max" else "np.minimum"
            value = Invoke(fn, (place, value))
        scope.emit(Let(place, value))


def _contender(scope: Scope, expr: Reduce) -> Value:
    """The body at a tap; where its reads are outside, what loses every comparison."""
    value = evaluated(scope, expr.body)
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
    for read in direct_reads(body):
        if not scope.skips(read.tensor):
            continue  # what lies outside competes too
        source = scope.source(read)
        for axis, part in zip(source.axes, parts(read), strict=True):
            if not axis.plain and isinstance(axis.extent, int):
                conditions.append(Within(part, Affine.of(axis.extent)))
    masks = [_named_mask(scope, condition) for condition in dict.fromkeys(conditions)]
    return product(scope, masks, []) if masks else None


def _named_mask(scope: Scope, condition: Condition) -> Value:
    """Where a condition holds, as a variable: several of them in one line cannot be read."""
    mask = condition_value(condition, scope)
    name = scope.name("inside", f"inside_{''.join(mask.labels)}")
    scope.assign(name, mask.array)
    return named(name, mask.labels, mask=True)


def peak(winner: Winner) -> Reduce:
    """The extremum that a tap competes for."""
    return Reduce(winner.op, winner.over, winner.body)


def _equals_peak(scope: Scope, winner: Winner) -> Value:
    """Where the tap attains the extremum."""
    outside, scope.reducer = scope.reducer, padded_for(winner)
    best = evaluated(scope, peak(winner))
    body = at_tap(winner)
    found = elementwise("==", evaluated(scope, body), best, scope.order)
    valid = _valid(scope, body)
    scope.reducer = outside
    mask = replace(found, mask=True)
    return mask if valid is None else masked(mask, valid, scope.order)


def start_winners(scope: Scope, term: Sum, taps: tuple[str, ...]) -> None:
    """Before the loops over taps: nothing has been taken yet."""
    for factor in term.product.factors:
        if not isinstance(factor, Winner):
            continue
        evaluated(scope, peak(factor))
        labels = tuple(x for x in scope.order if x in free_names(peak(factor)))
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


def splits(expr: Expr) -> bool:
    """Whether the expression is the share of a tap in an extremum whose ties are split."""
    return isinstance(expr, Winner) and expr.ties == "split"


def tied(scope: Scope, winner: Expr) -> Value:
    """How many taps attain the extremum; a divisor, so that fractions stay exact."""
    assert isinstance(winner, Winner)  # asked only where it splits
    return scope.known[Winner("ties", (), winner.body, ())]


def share(scope: Scope, winner: Winner) -> Value:
    """Where a tap has a share: 1 for the first extremal one, or 1/k for each of k.

    In the second case the division by :func:`tied` comes last.
    """
    equal = _equals_peak(scope, winner)
    if splits(winner):
        return equal
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
    at = [a.bare for a in winner.at if a.bare is not None]  # a single tap is a number
    if not at:
        return equal
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
