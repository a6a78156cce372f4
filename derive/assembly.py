"""The arrows for networks: spec → layers → derivations → programs → one source → proof → files.

The same functions as in :mod:`derive.pipeline`, which does the work for each layer. A kernel may
compute layers in another order than they were written (:mod:`derive.arranging`); notes and the
chain's proof keep to what was written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from . import pipeline
from .chaining import layer as layer
from .errors import UsageError
from .specs import DEFAULTS, PLAIN, Options, Spec, Style

if TYPE_CHECKING:
    from types import ModuleType

    from .certificates import Certificate
    from .documents import Document
    from .graphs import Network, NetworkDerivation, NetworkSpec, Node
    from .machines import Tuning
    from .programs import Choice, Program
    from .render.notebook import Runnable
    from .writing import Content


def arrows(spec: Spec | NetworkSpec) -> Any:
    """The module whose ``layer``, ``derive``, ``make``, ``files`` and ``facts`` serve a spec."""
    from .graphs import NetworkSpec

    return sys.modules[__name__] if isinstance(spec, NetworkSpec) else pipeline


# -- derivation and source ---------------------------------------------------------------------
@dataclass(frozen=True)
class Assembled:
    """All that comes of a network: each layer's certificate, and that of the whole chain.

    ``choices`` are the branches of each layer's functions, ``tunings`` what was measured for
    them; all by the layer's name.
    """

    derivation: NetworkDerivation
    source: str
    certificates: tuple[tuple[str, Certificate], ...]
    certificate: Certificate
    choices: tuple[tuple[str, tuple[Choice, ...]], ...] = ()
    tunings: tuple[tuple[str, Tuning], ...] = ()


def derive(network: Network, wrt: tuple[str, ...] | None = None) -> NetworkDerivation:
    """Derive every layer of a network."""
    from .graphs import TARGET, NetworkDerivation

    if wrt is not None:
        raise UsageError("--wrt does not go with --network: all gradients are needed on the way")
    found = []
    for node in network.nodes:
        targets = {tensor.name for tensor, source in node.reads if source == TARGET}
        wanted = tuple(
            t.name for t in node.equation.tensors if t.name not in targets and not t.integer
        )
        found.append(pipeline.derive(node.layer, wanted))
    return NetworkDerivation(network, tuple(found))


def computed(derivation: NetworkDerivation) -> NetworkDerivation:
    """The layers as the kernel computes them: in an order, and at sizes, that cost less."""
    from .arranging import arranged

    network = arranged(derivation.network)
    return derivation if network is derivation.network else derive(network)


def programs(
    derivation: NetworkDerivation, tunings: Mapping[str, Tuning] | None = None, **asked: Any
) -> tuple[Program, ...]:
    """The array program of each layer; some write over what nobody reads afterwards.

    ``tunings`` are measurements by layer, ``asked`` as for :func:`derive.lower.lower`.
    """
    from .lower import lower
    from .orders import innermost
    from .reuse import final, spare

    network = derivation.network
    made: dict[str, Program] = {}
    every = {node.name: {**asked, **inside(derivation, node)} for node, _ in derivation.pairs()}
    for name, tuning in (tunings or {}).items():
        every[name]["tuning"] = tuning
    # ahead it is known in which order the data come, and then, back, the gradients
    for node, one in (*derivation.pairs(), *reversed([*derivation.pairs()])):
        every[node.name]["innermost"] = innermost(network, node, made)
        made[node.name] = lower(one, **every[node.name])
    for node, one in derivation.pairs():
        over, last = spare(network, node, made), final(network, node, made)
        if over or last:
            made[node.name] = lower(one, spare=over, final=last, **every[node.name])
    return tuple(made.values())


def named(derivation: NetworkDerivation, made: tuple[Program, ...]) -> dict[str, Program]:
    """The programs of layers by their names."""
    names = [node.name for node in derivation.network.nodes]
    return dict(zip(names, made, strict=True))


def inside(derivation: NetworkDerivation, node: Node) -> dict[str, Any]:
    """What is asked of the kernel of a layer inside of a network."""
    apart = derivation.network.apart(node)
    return {"keep": True, "apart": apart, "prefix": f"{node.name}_"}


def kernel(derivation: NetworkDerivation, **asked: Any) -> str:
    """The source of kernel.py; ``asked`` as for :func:`programs`."""
    from .lower.memory import scratch
    from .orders import results
    from .render.network import network

    ahead = computed(derivation)
    made = programs(ahead, **asked)
    turned = results(ahead.network, named(ahead, made))
    held = scratch(function for program in made for function in program.functions)
    return network(ahead, made, derivation.network, turned, held)


def prove(
    derivation: NetworkDerivation,
    source: str,
    progress: Callable[[str], None] = lambda _: None,
    choices: Mapping[str, tuple[Choice, ...]] | None = None,
) -> Assembled:
    """Run the very text of the module against the oracles; raises Disproved.

    ``choices`` are the branches of each layer's program.
    """
    from .verify import verify_network

    known = choices or {}
    layers, chain = verify_network(derivation, source, progress, known, computed(derivation))
    names = [node.name for node in derivation.network.nodes]
    own = tuple((name, known[name]) for name in names if name in known)
    return Assembled(derivation, source, tuple((n, layers[n]) for n in names), chain, own)


def make(
    derivation: NetworkDerivation,
    progress: Callable[[str], None] = lambda _: None,
    options: Options = DEFAULTS,
    recorded: Mapping[str, Any] | None = None,
) -> Assembled:
    """The module and its proof; ``progress`` is told what is being checked.

    ``recorded`` is a certificate whose measurements are to be used instead of new ones.
    """
    tunings: dict[str, Tuning] = {}
    if options.tune:
        progress("measuring")
        tunings = measured(derivation, recorded, exact=options.exact_order)
    asked: dict[str, Any] = {"exact": options.exact_order, "tunings": tunings}
    ahead = computed(derivation)
    found = named(ahead, programs(ahead, **asked))
    choices = {name: program.choices for name, program in found.items()}
    made = prove(derivation, kernel(derivation, **asked), progress, choices)
    return replace(made, tunings=tuple(tunings.items()))


def measured(
    derivation: NetworkDerivation, recorded: Mapping[str, Any] | None, **asked: Any
) -> dict[str, Tuning]:
    """What was measured, by layer: as recorded, or on this machine; ``asked`` as for Asked."""
    from .tuning import LIMIT

    derivation = computed(derivation)
    found: dict[str, Any] = {} if recorded is None else _tunings(recorded)
    share = LIMIT / len(derivation.derivations)
    return {
        node.name: pipeline.measured(
            one,
            None if recorded is None else {"tuning": found.get(node.name)},
            share,
            **asked,
            **inside(derivation, node),
        )
        for node, one in derivation.pairs()
    }


def _tunings(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Layer → its measurements, as far as a certificate has them."""
    rows = recorded.get("layers")
    kept = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return {str(row.get("name")): row.get("tuning") for row in kept}


def module(made: Assembled) -> ModuleType:
    """kernel.py, compiled in memory."""
    from .verify.running import module

    return module(made.source, made.derivation.network.slug)


def summary(made: Assembled, names: Iterable[str], **style: Any) -> str:
    """What a person reads: shapes, formulas, counts and what was proved."""
    from .render.terminal.overview import overview

    return overview(made.derivation, made.certificates, made.certificate, names, **style)


# -- files -------------------------------------------------------------------------------------
def files(made: Assembled, options: Options = DEFAULTS) -> dict[str, Content]:
    """Name → content of every file that is wanted."""
    texts: dict[str, Content] = {}
    if "py" in options.formats:
        public = ["forward", "gradients", "init", "sgd_step"]
        public += ["loss"] if made.derivation.network.loss else []
        names = ", ".join(["EQUATIONS", "SHAPES", *sorted(public)])
        listed = ", ".join(f'"{name}"' for name in ["EQUATIONS", "SHAPES", *sorted(public)])
        texts["__init__.py"] = PACKAGE.format(names=names, listed=listed)
        texts["kernel.py"] = made.source
    run, notes = lambda: runnable(made), lambda: document(made, options.style)
    return texts | pipeline.printed(options, notes, run)


def runnable(made: Assembled) -> Runnable:
    """What a notebook runs: the network's own module."""
    from .graphs import INPUT, TARGET
    from .render.notebook import Given, Runnable

    network = made.derivation.network
    given = [Given(INPUT, network.shape(INPUT))]
    if (last := network.loss) is not None:
        equation = last.equation.at_sizes()
        target = equation.data[-1]
        given.append(Given(TARGET, target.sizes(), pipeline.counted(equation, target)))
    loss, trained = last is not None, bool(network.parameters)
    return Runnable(made.source, tuple(given), loss, network=True, trained=trained)


def document(made: Assembled, style: Style = PLAIN) -> Document:
    """The notes, before any format is chosen."""
    from .render.notes.chapters import chapters
    from .training import trial

    step = trial(made.derivation, module(made))
    return chapters(made.derivation, made.certificates, made.certificate, step, style)


PACKAGE = '''"""The network's forward pass, loss, gradients and training step; all in kernel.py."""

from .kernel import {names}

__all__ = [{listed}]
'''


def facts(made: Assembled) -> dict[str, Any]:
    """What certificate.json says beside the hashes of the files."""
    network, tunings = made.derivation.network, dict(made.tunings)
    return {
        "network": network.text,
        "command": network.command,
        "layers": [
            {
                "name": node.name,
                "equations": [equation.text for equation in node.layer.equations],
                **pipeline.claims(certificate),
                **({"tuning": tunings[node.name].record()} if node.name in tunings else {}),
            }
            for (_, certificate), node in zip(made.certificates, network.nodes, strict=True)
        ],
        **pipeline.claims(made.certificate),
    }
