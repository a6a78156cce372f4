"""Which statement of a derivation is a side of Φ, the form of :mod:`.windowed`.

A statement with one product of two reads is, if one of its three tensors has no batch (the kernel)
and at most one is read at sums of indices (the wide one). What the tensors are called, and which
layer they belong to, is never asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..affine import Affine
from ..equations import Statement
from ..expressions import Condition, Divides, Expr, Read, Within
from .scope import Scope
from .sources import indices, parts
from .sums import Sum, sums_of
from .values import BATCH
from .windowed import Window, Windowed, slide


def windowed(statement: Statement, scope: Scope) -> Windowed | None:
    """The statement as a side of Φ; None if it is none, or more than that and a bias."""
    found = list(sums_of(statement, scope))
    main = [s for s in found if len(s.product.factors) == 2]
    rest = [s for s in found if s not in main]
    if len(main) != 1 or len(rest) > 1 or main[0].product.divisors:
        return None
    factors = [f for f in main[0].product.factors if isinstance(f, Read)]
    if len(factors) != 2 or not _explained(main[0].where, (*factors, main[0].lhs)):
        return None
    form = _form(main[0], factors, scope)
    return form if form is None or not rest else _with_bias(form, rest[0])


def _explained(where: tuple[Condition, ...], read: tuple[Expr, ...]) -> bool:
    """Whether the conditions only say where a read falls outside of its tensor."""
    known: set[Condition] = set()
    for one in read:
        if isinstance(one, Read):
            for part in parts(one):
                known.add(Divides(part.denominator, part.numerator))
                known |= {c for c in where if isinstance(c, Within) and c.value == part}
    return set(where) <= known


def _form(term: Sum, factors: list[Read], scope: Scope) -> Windowed | None:
    """Which of the three tensors is wide, which is the kernel."""
    reads = [term.lhs, *factors]
    if not all(part.is_whole for read in reads for part in parts(read)):
        return None
    if any(scope.equation.tensor(r.tensor).integer for r in factors if _known(r.tensor, scope)):
        return None
    labels = [indices(read) for read in reads]
    batch = scope.equation.batch
    carry = [k for k in range(3) if batch in labels[k]]
    if len(carry) != 2 or any(len(set(found)) != len(found) for found in labels):
        return None
    kernel = ({0, 1, 2} - set(carry)).pop()
    sliding = [k for k in carry if any(len(part.names) > 1 for part in parts(reads[k]))]
    if len(sliding) > 1 or any(part.bare is None for part in parts(reads[kernel])):
        return None
    # nothing slides: what is read is wide, what is made is narrow
    wide = sliding[0] if sliding else next(k for k in carry if k)
    narrow = next(k for k in carry if k != wide)
    if any(part.bare is None for part in parts(reads[narrow])):
        return None
    return _made(reads, (wide, kernel, narrow), term, scope)


def _known(name: str, scope: Scope) -> bool:
    every = (*scope.equation.tensors, *scope.equation.inner, scope.equation.output)
    return any(t.name == name for t in every)


def _made(
    reads: list[Read], order: tuple[int, int, int], term: Sum, scope: Scope
) -> Windowed | None:
    """The form of three reads, ``order`` being which is wide, the kernel, narrow."""
    wide, kernel, narrow = (reads[k] for k in order)
    in_kernel, in_narrow, batch = indices(kernel), indices(narrow), scope.equation.batch
    if (found := _slid(wide, in_kernel, in_narrow, scope)) is None:
        return None
    windows, labels = found
    positions, taps = {w.position for w in windows}, {w.tap for w in windows}
    own = [label for label in labels if label not in positions and label != batch]
    if set(in_narrow) - {*in_kernel, *positions, batch}:
        return None
    if not set(in_kernel) <= {*own, *taps, *in_narrow}:
        return None
    sizes = {n: scope.sizes.number(n) for r in reads for n in indices(r) if n != batch}
    shapes = {t.name: t.sizes() for t in scope.equation.tensors}
    return Windowed(
        target=("wide", "kernel", "narrow")[order.index(0)],
        wide=wide.tensor,
        kernel=kernel.tensor,
        narrow=narrow.tensor,
        windows=tuple(windows),
        groups=tuple(n for n in own if n in in_kernel and n in in_narrow),
        channels=tuple(n for n in own if n in in_kernel and n not in in_narrow),
        filters=tuple(n for n in in_kernel if n in in_narrow and n not in own),
        wide_labels=tuple(labels),
        kernel_labels=tuple(in_kernel),
        narrow_labels=tuple(in_narrow),
        sizes=tuple(sorted(sizes.items())),
        batch=batch,
        kernel_shape=shapes.get(kernel.tensor, ()),
        coefficient=term.product.coefficient,
    )


def _slid(
    wide: Read, in_kernel: list[str], in_narrow: list[str], scope: Scope
) -> tuple[list[Window], list[str]] | None:
    """The windows of the wide tensor, and the labels of all its axes."""
    batch = scope.equation.batch
    windows, labels = [], []
    for axis, part in _axes(wide, scope):
        taps = [n for n in part.names if n in in_kernel and n not in in_narrow]
        places = [n for n in part.names if n in in_narrow and n not in in_kernel and n != batch]
        if not places:  # a batch, group or channel
            if part.bare is None:
                return None
            labels.append(part.bare)
            continue
        if len(part.names) != len(taps) + len(places) and part.bare is None:
            return None
        found = slide(part, places, taps, axis, scope.sizes.number)
        if found is None:
            return None
        windows.append(found)
        labels.append(found.position)
    return windows, labels


def _axes(read: Read, scope: Scope) -> Iterator[tuple[int, Affine]]:
    """Every subscript with the extent of its axis; 0 for the batch."""
    for axis, part in zip(scope.axes(read.tensor, read.axes, read.axes), parts(read), strict=True):
        yield (0 if axis.extent == BATCH else int(axis.extent)), part


def _with_bias(form: Windowed, rest: Sum) -> Windowed | None:
    """A second summand is a bias if it is one read over groups and filters."""
    match rest.product.factors:
        case (Read() as read,) if rest.product.coefficient == 1 and not rest.product.divisors:
            labels = tuple(indices(read))
            own = {*form.groups, *form.filters}
            bare = all(part.bare for part in parts(read))
            if not rest.over and bare and set(labels) <= own and form.target == "narrow":
                return replace(form, bias=read.tensor, bias_labels=labels)
    return None
