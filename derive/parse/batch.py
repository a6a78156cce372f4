"""Which tensors are data, and which index counts the samples of a batch.

Data are the tensors that the caller names, else ``x`` (with ``t``), else the first tensor. The
batch is written out if ``n`` is the first, bare subscript of *every* read of every data tensor;
otherwise it is put in, as a new first subscript of all data and of whatever is computed from
them. What is computed without data, or reduced over the batch, carries none.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..affine import Affine
from ..errors import EquationError, UsageError
from ..expressions import Bracket, Expr, Index, Read, Reduce, free_names, rebuild, walk
from .drafts import Draft
from .source import Source

WRITTEN = "n"
_OTHERS = ("m", "r", "e", "q")


@dataclass(frozen=True)
class Batch:
    """The batch index, whether a person wrote it, and the tensors that carry it."""

    name: str
    written: bool
    data: tuple[str, ...]
    carriers: frozenset[str]


def choose_batch(
    source: Source, drafts: Sequence[Draft], data: Iterable[str], taken: frozenset[str]
) -> Batch:
    """Data, batch and carriers of a whole text."""
    chosen = _data(drafts, tuple(data))
    places = [(r, node) for d in drafts for r, node in d.places if r.tensor in chosen]
    written = bool(places) and all(_starts_with(read, WRITTEN) for read, _ in places)
    name = WRITTEN if written else next(n for n in _fresh_names() if n not in taken)
    carriers = set(chosen)
    for draft in drafts:
        if not carriers & set(draft.tensors):
            if written and WRITTEN in draft.lhs.names:
                raise _nothing_carries(source, draft)
        elif not written or not _reduced(draft, name):
            carriers.add(draft.output)
    batch = Batch(name, written, chosen, frozenset(carriers))
    if written:
        for draft in drafts:
            _check_written(source, draft, batch)
    return batch


def with_batch(draft: Draft, batch: Batch) -> tuple[Read, Expr]:
    """Both sides with the batch as first subscript of everything that carries it."""
    if batch.written:
        return draft.lhs, draft.rhs
    first = (Affine.of(batch.name),)

    def put(expr: Expr) -> Expr:
        if isinstance(expr, Read):
            return Read(expr.tensor, (first, *expr.axes)) if carried(expr.tensor) else expr
        return rebuild(expr, put)

    def carried(tensor: str) -> bool:
        return tensor in batch.carriers

    lhs = put(draft.lhs)
    assert isinstance(lhs, Read)  # put keeps the node type
    return lhs, put(draft.rhs)


def _data(drafts: Sequence[Draft], named: tuple[str, ...]) -> tuple[str, ...]:
    outputs = {draft.output for draft in drafts}
    tensors = [t for d in drafts for t in d.tensors if t not in outputs]
    tensors = list(dict.fromkeys(tensors))
    for name in named:
        if name not in tensors:
            why = "is computed, not given" if name in outputs else "is no tensor of the equation"
            raise UsageError(f"data: {name} {why}; its tensors are {', '.join(tensors)}")
    if named:
        return tuple(t for t in tensors if t in named)
    if "x" in tensors:
        return tuple(t for t in tensors if t in ("x", "t"))
    return tuple(tensors[:1])


def _fresh_names() -> Iterable[str]:
    yield from (WRITTEN, *_OTHERS)
    number = 1
    while True:
        yield f"{WRITTEN}{number}"
        number += 1


def _starts_with(read: Read, name: str) -> bool:
    return bool(read.axes) and len(read.axes[0]) == 1 and read.axes[0][0].bare == name


def _reduced(draft: Draft, name: str) -> bool:
    return any(isinstance(node, Reduce) and name in node.over for node in walk(draft.rhs))


def _check_written(source: Source, draft: Draft, batch: Batch) -> None:
    """``n`` stands first in everything that carries the batch, and nowhere else."""
    n = batch.name
    for read, node in draft.places:
        if read.tensor in batch.carriers:
            if not _starts_with(read, n):
                what = f"{read.tensor} carries the batch and is read without its index {n}"
                remedy = f"write {n} as its first subscript: {read.tensor}[{n},...]"
                raise source.error(node, what, remedy)
            if any(n in part.names for axis in read.axes[1:] for part in axis):
                raise _not_first(source, node, n)
        elif n in read.names:
            what = f"{read.tensor} is a parameter and is read at the batch index {n}"
            remedy = f"parameters carry no batch; declare it as data: --data ...,{read.tensor}"
            raise source.error(node, what, remedy)
    if any(n in free_names(e) for e in walk(draft.rhs) if isinstance(e, Index | Bracket)):
        raise _not_first(source, draft.node.value, n)
    target = draft.node.targets[0]
    if n in draft.lhs.names and not _starts_with(draft.lhs, n):
        raise _not_first(source, target, n)
    if draft.output in batch.carriers and n not in draft.lhs.names:
        what = f"{draft.output} carries the batch and is written without its index {n}"
        remedy = f"write {n} first on the left, or reduce over it: mean[{n}](...)"
        raise source.error(target, what, remedy)


def _not_first(source: Source, node: ast.expr, n: str) -> EquationError:
    what = f"{n} is the batch index and stands only as a first subscript"
    remedy = f"samples are independent; call it something else than {n} if it is no batch"
    return source.error(node, what, remedy)


def _nothing_carries(source: Source, draft: Draft) -> EquationError:
    what = f"{draft.output} is written with the batch index n, but no data stands on its right"
    return source.error(draft.node.targets[0], what, "leave n out on the left")
