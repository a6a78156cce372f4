"""What the command line prints: the summary for people, JSON for programs, the list of layers."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import assembly, pipeline, terminal
from .assembly import Assembled
from .layers import layers, parameters
from .pipeline import Made, facts
from .specs import PLAIN, Style

if TYPE_CHECKING:
    from .programs import Choice


def layer_list() -> str:
    """Every layer with its equation and its parameters; needs neither SymPy nor NumPy."""
    lines: list[str] = []
    for name, function in layers().items():
        first = (inspect.getdoc(function) or "").split("\n", 1)[0]
        lines += [name, *(f"    {equation}" for equation in first.rstrip(".").split("; "))]
        lines += [f"    {_shown(p)}" for p in parameters(function).values()]
    return "\n".join(lines)


def _shown(parameter: Parameter) -> str:
    flag = "--" + parameter.name.replace("_", "-")
    if parameter.default is Parameter.empty:
        return f"{flag} (needed)"
    if parameter.default is None or parameter.default is False:
        return flag
    return f"{flag} (default {parameter.default})"


def machine(
    made: Made | Assembled,
    folder: Path,
    names: Iterable[str],
    written: bool,
    formats: Iterable[str],
) -> dict[str, Any]:
    """The result as JSON values: what was derived, proved and written."""
    known = _of_network(made) if isinstance(made, Assembled) else _of_layer(made)
    there = {"folder": str(folder), "files": sorted(names), "written": written}
    return {**known, "formats": list(formats), **there}


def _of_network(made: Assembled) -> dict[str, Any]:
    network = made.derivation.network
    names = ("x", *(node.name for node in network.nodes))
    return {
        **assembly.facts(made),
        "slug": network.slug,
        "shapes": {name: list(network.shape(name)) for name in names},
        "parameters": {name: list(tensor.sizes()) for name, tensor in network.parameters},
        "gradients": [*(name for name, _ in network.parameters), "x"],
        "strategies": [
            {"layer": name, **row} for name, choices in made.choices for row in strategies(choices)
        ],
    }


def _of_layer(made: Made) -> dict[str, Any]:
    equation = made.derivation.equation
    at_sizes = equation.at_sizes() if equation.sized else None
    tensors = () if at_sizes is None else (*at_sizes.tensors, at_sizes.output)
    return {
        **facts(made),
        "slug": made.derivation.layer.slug,
        "shapes": {tensor.name: list(tensor.sizes()) for tensor in tensors},
        "gradients": [gradient.of for gradient in made.derivation.gradients],
        "strategies": strategies(made.choices),
    }


def strategies(choices: Iterable[Choice]) -> list[dict[str, Any]]:
    """How a kernel computes, branch by branch; empty if one general way serves all.

    Multiply-adds are a sample's, seconds those of the least batch.
    """
    return [
        {
            "direction": choice.direction,
            "least_batch": choice.least,
            "targets": list(call.targets),
            "strategy": call.strategy,
            "multiply_adds": call.multiply_adds,
            "scratch_bytes": call.scratch,
            "seconds": float(f"{call.seconds:.3g}"),
            "measured": call.measured,
        }
        for choice in choices
        for call in choice.calls
        if choice.least
    ]


def summary(
    made: Made | Assembled, folder: Path, names: Iterable[str], written: bool, style: Style = PLAIN
) -> str:
    """What a person reads: the layer, its gradients, what was proved and what was written."""
    with pipeline.dressed(style):
        return _summary(made, folder, names, written, style)


def _summary(
    made: Made | Assembled, folder: Path, names: Iterable[str], written: bool, style: Style
) -> str:
    from .render.phrases import phrases

    listed = [str(folder / name) for name in names] if written else ()
    look: dict[str, Any] = {
        "unicode": terminal.unicode(),
        "colours": terminal.colours(),
        "width": terminal.width(),
        "style": style,
    }
    if isinstance(made, Assembled):
        text = assembly.summary(made, listed, **look)
    else:
        from .render.terminal.summary import summary

        text = summary(made.derivation, made.certificate, listed, **look)
    say, ends = phrases(style.language), [] if made.source else ["terminal.symbolic"]
    ends += [] if written else ["terminal.dry_run"]
    lines = ["\n".join(textwrap.wrap(say.words(end), terminal.width())) for end in ends]
    return "\n".join([text, *lines]) + ("\n" if lines else "")
