"""Proof: the very text of a kernel is run and compared with paths that share no code with it.

One file a claim. A claim holds and is recorded, does not apply (``Omitted``, with the reason),
or is false: then :class:`~derive.errors.Disproved` names the layer, the entry and both values,
and nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..certificates import Certificate, Claim, Omitted
from ..derivations import Derivation
from ..graphs import NetworkDerivation
from ..programs import Choice
from .agreement import agreement
from .branches import strategies, ways
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
EXACT = (integer,)
"""Claims about a way through the kernel that keeps integers exact."""


def verify(
    derivation: Derivation,
    source: str,
    forms: tuple[str, ...] = (),
    progress: Callable[[str], None] = lambda _: None,
    choices: tuple[Choice, ...] = (),
) -> Certificate:
    """Check every claim that applies to the kernel ``source``.

    ``forms`` are the sources of the same kernel with its gradients scattered and gathered;
    their agreement is a claim too, and so is that of the strategies that its ``choices`` are
    between. ``progress`` is told what is being checked. Raises ``Disproved``.
    """
    others = tuple(load(form, derivation) for form in dict.fromkeys(forms) if form != source)
    kernel = load(source, derivation)
    every = ways(kernel, kernel.module, derivation, choices)
    return claims(derivation, kernel, others, progress, every, choices)


def claims(
    derivation: Derivation,
    kernel: Kernel,
    others: tuple[Kernel, ...] = (),
    progress: Callable[[str], None] = lambda _: None,
    every: tuple[tuple[Kernel, bool], ...] = (),
    choices: tuple[Choice, ...] = (),
) -> Certificate:
    """Check every claim that applies to a kernel ready to run.

    ``others`` are its other forms, ``every`` the ways through it, the first of them exact, and
    ``choices`` what they are made of.
    """
    base = every[0][0] if every else kernel
    results: list[Claim | Omitted | None] = []
    for claim in CLAIMS:
        progress(f"claim {claim.__name__}")
        results.append(claim(derivation, base if claim in EXACT else kernel))
    if others:
        progress("agreement")
        results.append(agreement(derivation, base, others))
    if len(every) > 1:
        progress("strategies")
        results.append(strategies(derivation, base, every[1:], choices))
    return Certificate(
        tuple(r for r in results if isinstance(r, Claim)),
        tuple(r for r in results if isinstance(r, Omitted)),
    )


def verify_network(
    derivation: NetworkDerivation,
    source: str,
    progress: Callable[[str], None] = lambda _: None,
    choices: Mapping[str, tuple[Choice, ...]] | None = None,
    computed: NetworkDerivation | None = None,
) -> tuple[dict[str, Certificate], Certificate]:
    """The claims of every layer about its functions in ``source``, and those of the whole chain.

    ``choices`` are those of each layer's program. ``computed`` has the layers in the kernel's
    order; the chain is that of ``derivation``, as it was written. Raises ``Disproved`` with the
    layer's name.
    """
    made = module(source, derivation.network.slug)
    layers = {}
    for node, one in (computed or derivation).pairs():
        progress(f"layer {node.name}")
        own = (choices or {}).get(node.name, ())
        kernel = inside(node, one, made)
        every = ways(kernel, made, one, own)
        layers[node.name] = claims(one, kernel, every=every, choices=own)
    progress("chain")
    return layers, Certificate((chain(derivation, made),))
