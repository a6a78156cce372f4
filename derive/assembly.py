"""The arrows for networks: spec → layers → derivations → programs → one source → proof → files.

The same functions as in :mod:`derive.pipeline`, which does the work for each layer; here shapes
go from layer to layer, and gradients back.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

from . import pipeline
from .errors import NetworkError, UsageError
from .layers import layers, parameters, spec
from .networks import SECOND, counted
from .specs import DEFAULTS, PLAIN, Options, Spec, Style

if TYPE_CHECKING:
    from types import ModuleType

    from .certificates import Certificate
    from .documents import Document
    from .equations import Layer
    from .graphs import Draft, Network, NetworkDerivation, NetworkSpec, Node
    from .machines import Tuning
    from .programs import Choice, Program
    from .render.notebook import Runnable
    from .writing import Content

Shape = tuple[int, ...]


def arrows(spec: Spec | NetworkSpec) -> Any:
    """The module whose ``layer``, ``derive``, ``make``, ``files`` and ``facts`` serve a spec."""
    from .graphs import NetworkSpec

    return sys.modules[__name__] if isinstance(spec, NetworkSpec) else pipeline


def signatures() -> dict[str, dict[str, Any]]:
    """Every layer's parameters by name, which the grammar reads against."""
    return {name: parameters(function) for name, function in layers().items()}


# -- shapes ------------------------------------------------------------------------------------
def layer(spec: NetworkSpec, options: Options = DEFAULTS) -> Network:
    """Every layer of a network with its sizes; a NetworkError where one does not fit."""
    from .graphs import INPUT, Network

    nodes: list[Node] = []
    shapes: dict[str, Shape] = {INPUT: spec.input}
    aliases = {INPUT: INPUT}
    before = INPUT
    for number, (name, draft) in enumerate(zip(counted(spec.drafts), spec.drafts, strict=True), 1):
        if nodes and nodes[-1].is_loss:
            raise _error(draft, f"{draft.kind} stands behind a loss; a loss is the last layer")
        for named in filter(None, (draft.other, draft.source)):
            if named not in aliases:
                raise _no_such(draft, named, aliases)
        before, other = aliases.get(draft.source, before), aliases.get(draft.other, "")
        node = _node(draft, name, (before, other), shapes, f"layer {number} of {len(spec.drafts)}")
        if before == INPUT and not nodes:
            shapes[INPUT] = node.equation.data[0].sizes()
        nodes.append(node)
        shapes[name] = node.shape
        aliases |= {name: name} | ({draft.alias: name} if draft.alias else {})
        before = name
    _check_read(spec.drafts, nodes)
    words = shlex.join((*spec.arguments, *options.arguments))
    slug = options.name or spec.slug
    pipeline.check(options.style, *(node.equation for node in nodes))
    return Network(slug, spec.title, spec.text, f"{pipeline.COMMAND} {words}", tuple(nodes))


def _node(
    draft: Draft, name: str, sources: tuple[str, str], shapes: Mapping[str, Shape], place: str
) -> Node:
    """A layer that reads one node, or two."""
    from .graphs import TARGET, Node

    shape = shapes[sources[0]]
    settings: dict[str, object] = {"input": shape, **dict(draft.settings)}
    if sources[1]:
        settings[SECOND] = shapes[sources[1]]
    elif SECOND in parameters(layers()[draft.kind]):
        raise _error(draft, f"{draft.kind} needs a second input: {draft.kind} NAME")
    if settings.get("channels") is not None and shape[:1] == (settings["channels"],):
        settings["input"] = shape[1:]
    try:
        made = pipeline.layer(spec(draft.kind, settings))
    except UsageError as error:
        behind = f"{sources[0]}, which is" if sources[0] == "x" else f"{sources[0]}, which gives"
        what = f"{place}, {draft.text}, does not fit behind {behind} {_size(shape)}"
        raise _error(draft, what, str(error)) from error
    data = made.equation.at_sizes().data
    inputs = [*(source for source in sources if source), TARGET][: len(data)]
    _check_shape(draft, place, sources[0], shape, made)
    return Node(name, made, tuple(inputs), draft.text)


def _check_shape(draft: Draft, place: str, source: str, shape: Shape, made: Layer) -> None:
    """A layer takes what comes, but for axes of length 1."""
    wanted = made.equation.at_sizes().data[0].sizes()
    if [n for n in wanted if n > 1] != [n for n in shape if n > 1] or prod(wanted) != prod(shape):
        what = f"{place}, {draft.text}, takes {_size(wanted)}, but {source} is {_size(shape)}"
        raise _error(draft, what)


def _size(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a single number"


def _check_read(drafts: Iterable[Draft], nodes: Iterable[Node]) -> None:
    """What a layer gives is read by some layer, but for the last one."""
    *pairs, _ = list(zip(drafts, nodes, strict=True))
    read = {source for node in nodes for source in node.inputs}
    for draft, node in pairs:
        if node.name not in read:
            remedy = f"name it, and add it behind: {draft.kind} as a > ... > add a"
            raise _error(draft, f"no layer reads what {node.name} gives", remedy)


def _no_such(draft: Draft, named: str, aliases: Mapping[str, str]) -> NetworkError:
    from difflib import get_close_matches

    close = get_close_matches(named, aliases, 1, 0.6)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(aliases)}"
    what = f"{draft.kind}: there is no layer {named[:40]!r} before it"
    return _error(draft, what, hint)


def _error(draft: Draft, what: str, remedy: str = "") -> NetworkError:
    return NetworkError(what, draft.line, draft.column, len(draft.text), remedy)


# -- derivation and source ---------------------------------------------------------------------
@dataclass(frozen=True)
class Assembled:
    """All that comes of a network: each layer's certificate, and that of the whole chain.

    ``choices`` are the branches of each layer's functions, ``tunings`` what was measured for
    them: (layer, measurements).
    """

    derivation: NetworkDerivation
    source: str
    certificates: tuple[tuple[str, Certificate], ...]
    certificate: Certificate
    choices: tuple[tuple[Choice, ...], ...] = ()
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


def programs(
    derivation: NetworkDerivation, tunings: Mapping[str, Tuning] | None = None, **asked: Any
) -> tuple[Program, ...]:
    """The array program of each layer; some write over what nobody reads afterwards.

    ``tunings`` are measurements by layer, ``asked`` as for :func:`derive.lower.lower`.
    """
    from .lower import lower
    from .reuse import spare

    made: dict[str, Program] = {}
    every = {node.name: {**asked, **inside(derivation, node)} for node, _ in derivation.pairs()}
    for name, tuning in (tunings or {}).items():
        every[name]["tuning"] = tuning
    for node, one in derivation.pairs():
        made[node.name] = lower(one, **every[node.name])
    for node, one in derivation.pairs():
        if over := spare(derivation.network, node, made):
            made[node.name] = lower(one, spare=over, **every[node.name])
    return tuple(made.values())


def inside(derivation: NetworkDerivation, node: Node) -> dict[str, Any]:
    """What is asked of the kernel of a layer inside of a network."""
    apart = derivation.network.apart(node)
    return {"keep": True, "apart": apart, "prefix": f"{node.name}_"}


def kernel(derivation: NetworkDerivation, **asked: Any) -> str:
    """The source of kernel.py; ``asked`` as for :func:`programs`."""
    from .render.network import network

    return network(derivation, programs(derivation, **asked))


def prove(
    derivation: NetworkDerivation,
    source: str,
    progress: Callable[[str], None] = lambda _: None,
    choices: tuple[tuple[Choice, ...], ...] = (),
) -> Assembled:
    """Run the very text of the module against the oracles; raises Disproved.

    ``choices`` are the branches of each layer's program.
    """
    from .verify import verify_network

    proved = verify_network(derivation, source, progress, choices)
    return Assembled(derivation, source, *proved, choices)


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
    choices = tuple(program.choices for program in programs(derivation, **asked))
    made = prove(derivation, kernel(derivation, **asked), progress, choices)
    return replace(made, tunings=tuple(tunings.items()))


def measured(
    derivation: NetworkDerivation, recorded: Mapping[str, Any] | None, **asked: Any
) -> dict[str, Tuning]:
    """What was measured, by layer: as recorded, or on this machine; ``asked`` as for Asked."""
    from .tuning import LIMIT

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
