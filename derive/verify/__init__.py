"""Proof: the very text of a kernel is run and compared with paths that share no code with it.

One file a claim. A claim holds and is recorded, does not apply (``Omitted``, with the reason),
or is false: then :class:`~derive.errors.Disproved` names the layer, the entry and both values,
and nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable

from ..certificates import Certificate, Claim, Omitted
from ..derivations import Derivation
from .agreement import agreement
from .integer import integer
from .numeric import numeric
from .running import Kernel, load
from .selecting import selecting
from .symbolic import symbolic

__all__ = ["load", "verify"]

CLAIMS: tuple[Callable[[Derivation, Kernel], Claim | Omitted | None], ...] = (
    symbolic,
    selecting,
    integer,
    numeric,
)


def verify(
    derivation: Derivation,
    source: str,
    forms: tuple[str, ...] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Certificate:
    """Check every claim that applies to the kernel ``source``.

    ``forms`` are the sources of the same kernel with its gradients scattered and gathered;
    their agreement is a claim too. ``progress`` is told what is being checked. Raises
    ``Disproved``.
    """
    kernel = load(source, derivation)
    results: list[Claim | Omitted | None] = []
    for claim in CLAIMS:
        progress(f"checking the {claim.__name__} claim")
        results.append(claim(derivation, kernel))
    for form in forms:
        if form != source:
            progress("checking that scatter and gather agree")
            results.append(agreement(derivation, kernel, load(form, derivation)))
    return Certificate(
        tuple(r for r in results if isinstance(r, Claim)),
        tuple(r for r in results if isinstance(r, Omitted)),
    )
