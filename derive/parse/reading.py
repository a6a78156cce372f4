"""Each equation of a text read on its own, then checked against the others."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from ..errors import EquationError
from ..expressions import Read
from ..names import gradient_why_not, why_not
from .drafts import Draft
from .roles import Roles, roles_of
from .scalars import Reader
from .source import EXAMPLE, Source
from .subscripts import Indexing

_OTHER_NAME = "choose another name"


def read_drafts(source: Source, nodes: list[ast.Assign]) -> list[Draft]:
    """Every equation read on its own, then checked against the others."""
    roles = roles_of(nodes)
    check = _NameCheck(source, roles)
    drafts = [
        _draft(Indexing(source, roles, number, node.value, check), node)
        for number, node in enumerate(nodes)
    ]
    _check_order(source, drafts)
    _check_ranks(source, drafts)
    _check_gradients(source, drafts)
    if not any(draft.places for draft in drafts):
        raise source.error(
            nodes[-1].value, "no tensor is read here, so there is no gradient", EXAMPLE
        )
    return drafts


class _NameCheck:
    """The name rule, and one role a name."""

    def __init__(self, source: Source, roles: Roles) -> None:
        self.source, self.roles = source, roles
        self.tensors = roles.tensors | frozenset(roles.outputs)

    def __call__(self, node: ast.Name, role: str) -> None:
        """Raise unless the name may have this role."""
        name = node.id
        if why := why_not(name):
            raise self.source.error(node, f"{name} {why}", _OTHER_NAME)
        if role == "tensor" and (why := gradient_why_not(name)):
            raise self.source.error(node, f"the gradient of {name}, d{name}, {why}", _OTHER_NAME)
        if role == "tensor" and name in self.roles.indices:
            what = f"{name} is an index and cannot be a tensor too"
            raise self.source.error(node, what, "choose another letter for the index")
        if role == "index" and name in self.tensors:
            what = f"{name} is a tensor and cannot be an index too"
            raise self.source.error(node, what, "choose another letter for the index")


def _draft(indexing: Indexing, node: ast.Assign) -> Draft:
    source = indexing.source
    lhs = _left_side(indexing, node.targets[0])
    reader = Reader(source, indexing)
    rhs = reader.scalar(node.value, frozenset(lhs.names))
    return Draft(
        source.segment(node), node, lhs, rhs, tuple(reader.places), frozenset(reader.integer)
    )


def _left_side(indexing: Indexing, node: ast.expr) -> Read:
    source = indexing.source
    name = node.value if isinstance(node, ast.Subscript) else node
    if not isinstance(name, ast.Name):
        raise source.error(node, "the left side is one output: y[i] or y", EXAMPLE)
    indexing.check(name, "tensor")
    if not isinstance(node, ast.Subscript):
        return Read(name.id, ())
    items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    items = [p for item in items for p in (item.elts if isinstance(item, ast.Tuple) else [item])]
    seen: set[str] = set()
    for item in items:
        if not isinstance(item, ast.Name):
            what = f"{source.segment(item)} stands on the left, where plain indices belong"
            remedy = "name every entry of the output by indices alone: y[i,j] or y[(c,i)]"
            raise source.error(item, what, remedy)
        indexing.check(item, "index")
        if item.id in seen:
            what = f"index {item.id} stands twice on the left"
            raise source.error(item, what, "each index names one axis of the output")
        seen.add(item.id)
    return Read(name.id, indexing.subscripts(node, frozenset(seen)))


def _check_order(source: Source, drafts: Sequence[Draft]) -> None:
    outputs = {draft.output for draft in drafts}
    assigned: set[str] = set()
    used = {drafts[-1].output}
    for draft in drafts:
        target = draft.node.targets[0]
        for read, node in draft.places:
            used.add(read.tensor)
            if read.tensor in outputs and read.tensor not in assigned:
                what = f"{read.tensor} is read before it is assigned"
                raise source.error(node, what, "an equation reads tensors and earlier outputs only")
        if draft.output in assigned:
            what = f"{draft.output} is assigned twice"
            raise source.error(target, what, "give each output a name of its own")
        assigned.add(draft.output)
    for draft in drafts:
        if draft.output not in used:
            what = f"{draft.output} is computed and never used"
            remedy = f"the layer's output is the last one, {drafts[-1].output}"
            raise source.error(draft.node.targets[0], what, remedy)


def _check_ranks(source: Source, drafts: Sequence[Draft]) -> None:
    ranks: dict[str, int] = {}
    for draft in drafts:
        for read, node in draft.places:
            rank = ranks.setdefault(read.tensor, len(read.axes))
            if rank != len(read.axes):
                raise _rank_differs(source, node, read, rank)
        ranks[draft.output] = len(draft.lhs.axes)


def _check_gradients(source: Source, drafts: Sequence[Draft]) -> None:
    """``dx`` is the gradient of ``x``, so it names nothing else."""
    tensors = {t for draft in drafts for t in (*draft.tensors, draft.output)}
    for draft in drafts:
        for node in ast.walk(draft.node):
            if isinstance(node, ast.Name) and node.id[0] == "d" and node.id[1:] in tensors:
                what = f"{node.id} is the name of the gradient of {node.id[1:]}"
                raise source.error(node, what, _OTHER_NAME)


def _rank_differs(source: Source, node: ast.expr, read: Read, rank: int) -> EquationError:
    many = f"{len(read.axes)} ind" + ("ex" if len(read.axes) == 1 else "ices")
    what = f"{read.tensor} is read with {many} here and with {rank} before"
    return source.error(node, what, "a tensor has the same number of axes everywhere")
