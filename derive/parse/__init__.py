"""The equation language: text to Equation.

::

    y[n,f,i,j] = sum[c,u,v](x[n,c, s*i + d*u - p, s*j + d*v - p] * w[f,c,u,v]) + b[f]

A text is one equation or several, one a line or separated by ``;``; comments start with ``#``.
A later equation may read the outputs of earlier ones. The grammar is that of Python
expressions, read with ``ast.parse`` and rebuilt node by node (nothing is ever evaluated):

===================  ==========================================================================
``x[c,s*i+d*u-p]``   a read; subscripts are affine in the indices, with named integers
``x[(g,c),i]``       an axis composed of two indices, row-major
``sum[c,u](...)``    a reducer: sum, mean, max or min over whole index ranges
``+ - * / **``       arithmetic; decimal numbers are exact rationals; ``pi``
``exp(a)``           a function of ``derive.functions``
``where(a<b,c,d)``   the only place for a comparison
``delta(i,j)``       1 where two index expressions are equal; ``delta(i,t[n])`` for a class index
``inside(x[i+u])``   1 where a read falls into the tensor
===================  ==========================================================================

What a read outside of its tensor gives: under ``max`` and ``min`` the tap is skipped, elsewhere
it is 0. A tensor whose shifted reads stand both under a max or min and elsewhere has no such
meaning: there a read outside is an error. ``outside={"x": "error"}`` says otherwise. Only
shifted reads decide, since a plain index never leaves its axis.

This package goes text (``source``) -> names (``roles``) -> expressions (``scalars``) -> batch ->
extents -> Equation. Every error is an EquationError with a caret, or a UsageError.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..affine import Affine
from ..equations import DATA, OUTPUT, PARAMETER, ZERO_OUTSIDE, Equation, Statement, Tensor
from ..errors import UsageError
from ..expressions import substitute
from .batch import Batch, choose_batch, with_batch
from .drafts import Draft, all_names
from .extents import BATCH_EXTENT, Extents, settle_extents
from .outside import outside_rules
from .reading import read_drafts
from .scalars import axis_extent
from .source import read_source

__all__ = ["parse"]


def parse(
    text: str,
    *,
    data: Iterable[str] = (),
    outside: Mapping[str, str] | None = None,
    ties: str = "first",
) -> tuple[Equation, ...]:
    """``y[i] = sum[u](x[i+u]*w[u])`` as an Equation, or several in a row, sizes symbolic.

    ``data`` names the tensors that carry a batch (default: ``x`` and ``t``, else the first);
    ``outside`` says per tensor what a read outside gives (``zero``, ``skip``, ``error``); ``ties``
    is ``first`` or ``split``. An output that carries no batch (nothing on its right does, or the
    batch is reduced) has the role of a parameter, in its own equation and in later ones.

    Raises EquationError with a caret, or UsageError for ``data``, ``outside`` and ``ties``.
    """
    if ties not in ("first", "split"):
        raise UsageError(f"ties (={ties!r}) is first or split")
    data = (data,) if isinstance(data, str) else tuple(data)
    source, nodes = read_source(text)
    drafts = read_drafts(source, nodes)
    taken = all_names(drafts)
    batch = choose_batch(source, drafts, data, taken)
    extents = settle_extents(drafts, batch, taken | {batch.name})
    rules = outside_rules(drafts, outside or {})
    integer = frozenset(name for draft in drafts for name in draft.integer)
    return tuple(
        _equation(draft, number, batch, extents, rules[number], integer, ties)
        for number, draft in enumerate(drafts)
    )


def _equation(
    draft: Draft,
    number: int,
    batch: Batch,
    extents: Extents,
    outside: Mapping[str, str],
    integer: frozenset[str],
    ties: str,
) -> Equation:
    lhs, rhs = with_batch(draft, batch)
    ranks = {read.tensor: len(read.axes) for read, _ in draft.places}
    ranks[draft.output] = len(draft.lhs.axes)
    slots = {(t, axis): ("axis", t, axis) for t, rank in ranks.items() for axis in range(rank)}
    marks = {axis_extent(*key): extents.of(slot) for key, slot in slots.items()}

    def tensor(name: str, role: str) -> Tensor:
        first = int(batch.written and name in batch.carriers)
        shape = tuple(extents.of(("axis", name, axis)) for axis in range(first, ranks[name]))
        return Tensor(name, role, shape, outside.get(name, ZERO_OUTSIDE), name in integer)

    carried = [name for name in draft.tensors if name in batch.carriers]
    others = [name for name in draft.tensors if name not in batch.carriers]
    ranges = [(i, extents.of(("index", number, i))) for i in draft.indices]
    if carried and not batch.written:
        ranges = [(batch.name, Affine.of(BATCH_EXTENT)), *ranges]
    return Equation(
        text=draft.text,
        forward=Statement(lhs, substitute(rhs, marks)),
        tensors=(*(tensor(t, DATA) for t in carried), *(tensor(t, PARAMETER) for t in others)),
        output=tensor(draft.output, OUTPUT if draft.output in batch.carriers else PARAMETER),
        extents=tuple(ranges),
        batch=batch.name,
        ties=ties,
    )
