"""Names and numbers for extents: what is given, what follows, what is missing.

Sizes come from the shapes of tensors (unbatched), from indices (``u=2``) and from the values of
named integers (``s=2``). The others follow, in this order, until nothing new does:

1. An index that stands alone on an axis is as long as the axis; all uses agree, or both are named.
2. A composed axis ``(g,c)`` is as long as the product; one unknown factor is found by division.
3. An index found only inside sums like ``s*i + d*u - p`` runs as far as every read stays in the
   tensor padded on both sides by the lower overhang ``L``. With ``low`` and ``high`` the least and
   largest value of the rest of the sum (``d*u - p``), ``L = max(0, -low)`` and

       extent = floor((size + 2*L - (high + L + 1)) / s) + 1

   (mirrored for ``s < 0``); of several reads the smallest counts. For a convolution this is
   ``O = floor((H + 2*p - d*(K - 1) - 1) / s) + 1``. Other output sizes (``ceil_mode``, asymmetric
   padding) are given, as the output's shape.

Errors carry the equation with a caret under the read in question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..equations import Equation
from .checks import check
from .infer import infer
from .ledger import Ledger, take
from .missing import refuse_missing
from .naming import with_names

__all__ = ["with_names", "with_sizes"]


def with_sizes(
    equations: Sequence[Equation], shapes: Mapping[str, Sequence[int] | int]
) -> tuple[Equation, ...]:
    """The equations with ``values`` filled in; unchanged if ``shapes`` is empty.

    ``shapes``: tensor → unbatched shape (a number for one axis), index → extent, named integer →
    value. The output's shape is given where rule 3 is not meant.

    Raises EquationError (sizes that contradict each other, a window that does not fit, a read
    outside where that is an error, a window of max without a valid read) and UsageError (unknown
    names, missing or too large sizes).
    """
    equations = tuple(equations)
    if not shapes:
        return equations
    ledger = Ledger(equations)
    take(ledger, shapes)
    infer(ledger)
    refuse_missing(ledger)
    check(ledger)
    return tuple(replace(e, values=ledger.values_of(e)) for e in equations)
