"""A network's layers at their sizes: each takes the shape that the one before it gives.

Where one does not fit, a NetworkError points at it in the text.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from math import prod
from typing import TYPE_CHECKING, Any

from . import pipeline
from .errors import NetworkError, UsageError
from .layers import layers, parameters, spec
from .networks import SECOND, counted
from .specs import DEFAULTS, Options

if TYPE_CHECKING:
    from .equations import Layer
    from .graphs import Draft, Network, NetworkSpec, Node

Shape = tuple[int, ...]


def signatures() -> dict[str, dict[str, Any]]:
    """Every layer's parameters by name, which the grammar reads against."""
    return {name: parameters(function) for name, function in layers().items()}


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
