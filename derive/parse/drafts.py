"""One equation read but not yet settled: no batch, no extents, no roles of tensors."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from ..expressions import Expr, Read, Reduce, walk


@dataclass(frozen=True)
class Draft:
    """``lhs = rhs`` as written.

    ``places``  every read with its node, those inside ``inside(...)`` too
    ``integer`` tensors that ``delta`` compares with an index
    """

    text: str
    node: ast.Assign
    lhs: Read
    rhs: Expr
    places: tuple[tuple[Read, ast.expr], ...]
    integer: frozenset[str]

    @property
    def output(self) -> str:
        """The name on the left."""
        return self.lhs.tensor

    @property
    def tensors(self) -> tuple[str, ...]:
        """Tensors read on the right, in order of appearance."""
        return tuple(dict.fromkeys(read.tensor for read, _ in self.places))

    @property
    def indices(self) -> tuple[str, ...]:
        """Indices of the left side, then the reduced ones, in order of appearance."""
        bound = [i for node in walk(self.rhs) if isinstance(node, Reduce) for i in node.over]
        return tuple(dict.fromkeys([*self.lhs.names, *bound]))


def all_names(drafts: Sequence[Draft]) -> frozenset[str]:
    """Every name in the text, and the names of all gradients."""
    found: set[str] = set()
    for draft in drafts:
        found |= {n.id for n in ast.walk(draft.node) if isinstance(n, ast.Name)}
    return frozenset(found | {"d" + name for name in found})
