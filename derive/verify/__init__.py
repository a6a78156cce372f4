"""Proof: the very text of a kernel is run and compared with paths that share no code with it.

One file a claim. A claim holds and is recorded, does not apply (``Omitted``, with the reason),
or is false: then :class:`~derive.errors.Disproved` names the layer, the entry and both values,
and nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable

from ..certificates import Certificate, Claim, Omitted
from ..derivations import Derivation
from ..graphs import NetworkDerivation
from .agreement import agreement
from .chain import chain
from .inside import inside
from .integer import integer
from .numeric import numeric
from .running import Kernel, load, module
from .selecting import selecting
from .symbolic import symbolic

__all__ = ["claims", "load", "verify", "verify_network"]

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
    others = tuple(load(form, derivation) for form in dict.fromkeys(forms) if form != source)
    return claims(derivation, load(source, derivation), others, progress)


def claims(
    derivation: Derivation,
    kernel: Kernel,
    others: tuple[Kernel, ...] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Certificate:
    """Check every claim that applies to a kernel ready to run; ``others`` are its other forms."""
    results: list[Claim | Omitted | None] = []
    for claim in CLAIMS:
        progress(f"claim {claim.__name__}")
        results.append(claim(derivation, kernel))
    for other in others:
        progress("agreement")
        results.append(agreement(derivation, kernel, other))
    return Certificate(
        tuple(r for r in results if isinstance(r, Claim)),
        tuple(r for r in results if isinstance(r, Omitted)),
    )


def verify_network(
    derivation: NetworkDerivation, source: str, progress: Callable[[str], None] = lambda _: None
) -> tuple[tuple[tuple[str, Certificate], ...], Certificate]:
    """The claims of every layer about its functions in ``source``, and those of the whole chain.

    Raises ``Disproved`` with the layer's name.
    """
    made = module(source, derivation.network.slug)
    layers = []
    for node, one in derivation.pairs():
        progress(f"layer {node.name}")
        layers.append((node.name, claims(one, inside(node, one, made))))
    progress("chain")
    return tuple(layers), Certificate((chain(derivation, made),))
