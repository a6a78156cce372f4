"""The command line's words, read into one :class:`Request`.

Options of a layer are made from its signature, so a new layer needs nothing here. Neither
SymPy nor NumPy is imported: a wrong flag is answered in milliseconds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import Parameter
from pathlib import Path
from typing import Any, NoReturn

from . import geometry, options
from .chaining import signatures
from .errors import UsageError
from .graphs import NetworkSpec
from .layers import DEFAULT, layer, layers, parameters, spec
from .networks import LONGEST
from .networks import read as network
from .specs import Options, Spec, equation

_WORDS = {
    "input": "sizes of x: 3x3, 28, or 3x32x32 with channels first",
    "kernel": "sizes of the window; a bare number holds for every axis",
    "filters": "number of filters (output channels)",
    "stride": "step of the window, 2 or 2x1",
    "padding": "per side: 1, 1x2, low,high as in 1,2x0,1, same or valid",
    "dilation": "distance between the taps of the window",
    "groups": "groups of channels and filters that meet only each other",
    "bias": "add b",
    "flip": "true convolution instead of cross-correlation",
    "channels": "input channels; then --input is spatial only",
    "ties": "who gets the gradient of equal maxima: first or split",
    "ceil_mode": "a last window that is cut off counts too",
    "count_include_pad": "divide by the taps in the padding too",
    "output_padding": "so many more outputs at the end, below max(stride, dilation)",
    "p": "of the p-norm, from 1",
    "units": "number of outputs",
    "axis": "that of the classes, counted without the batch; negative from the end",
    "eps": "added to the variance",
    "reduction": "over the batch: mean or sum",
    "target": "index (of the class) or distribution",
    "delta": "where the square ends and the line begins",
    "negative_slope": "the slope below 0",
    "alpha": "the limit at minus infinity, with its sign turned",
    "min_val": "the least output",
    "max_val": "the greatest output",
}
"""What parameters mean, by name; one that is not here is described by its default alone."""


@dataclass(frozen=True)
class Request:
    """What one command line asks for."""

    spec: Spec | NetworkSpec
    out: Path
    options: Options
    json: bool = False
    quiet: bool = False
    dry_run: bool = False
    check: bool = False
    force: bool = False


class Parser(argparse.ArgumentParser):
    """argparse, but a mistake is a UsageError with one message."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing and leaving."""
        raise UsageError(message.replace("argument ", "", 1))


def parser(layer_name: str = DEFAULT) -> argparse.ArgumentParser:
    """The parser for one layer; its help shows the options of that layer."""
    made = Parser(
        prog="python -m derive",
        description="Derives the gradients of a layer from its forward equation, explains every "
        "step, writes a NumPy kernel and proves that it is right.",
        epilog="python -m derive build [--check [--diff]] regenerates (or compares) what "
        "generated/MANIFEST lists. Exit codes: 0 done, 1 a claim or check failed or a file could "
        "not be written, 2 bad input, 3 an outside tool is missing, 130 interrupted.",
        allow_abbrev=False,
    )
    made.add_argument("--layer", metavar="NAME", help=f"the layer (default {DEFAULT})")
    made.add_argument("--list", action="store_true", help="print every layer and stop")
    _add_parameters(made.add_argument_group(f"layer {layer_name}"), layer_name)
    whole = made.add_argument_group("a whole network, instead of --layer")
    whole.add_argument("--network", metavar="TEXT", help='"conv 2x2 > relu > dense 1" or a file')
    _add_equation(made.add_argument_group("any equation, instead of --layer"), layer_name)
    options.add(made.add_argument_group("output"))
    options.add_kernel(made.add_argument_group("how the kernel computes"))
    options.add_style(made.add_argument_group("how notes are written"))
    return made


def _add_parameters(group: Any, layer_name: str) -> None:
    for name, parameter in parameters(layer(layer_name)).items():
        flag, words = "--" + name.replace("_", "-"), [_WORDS.get(name, "")]
        if parameter.default not in (Parameter.empty, None, False):
            words.append(f"(default {parameter.default})")
        told = " ".join(word for word in words if word)
        if isinstance(parameter.default, bool):
            plain = argparse.BooleanOptionalAction if parameter.default else "store_true"
            group.add_argument(flag, action=plain, default=None, help=told)
        else:
            group.add_argument(flag, help=told, metavar=_metavar(name))


def _metavar(name: str) -> str:
    return {"input": "3x3", "kernel": "2x2"}.get(name, name[0].upper())


def _add_equation(group: Any, layer_name: str) -> None:
    group.add_argument("--equation", metavar="TEXT", help='"y[i] = sum[u](x[i+u]*w[u])"')
    group.add_argument("--shape", metavar="x=3x3", action="append", default=[])
    group.add_argument("--data", metavar="x,t", help="tensors that carry the batch (default x)")
    group.add_argument("--outside", metavar="x=skip", action="append", default=[])
    if "ties" not in parameters(layer(layer_name)):
        group.add_argument("--ties", metavar="first|split", help=_WORDS["ties"])


def read(argv: Sequence[str]) -> Request | None:
    """The request that ``argv`` makes; None if it asks for the list of layers.

    Raises UsageError with the flag, its value and what would be right.
    """
    argv = _joined(argv)
    layer_name = _layer_name(argv)
    given, unknown = parser(layer_name).parse_known_args(list(argv))
    if unknown:
        _refuse(unknown[0], layer_name)
    if given.list:
        return None
    return Request(
        _spec(given, layer_name),
        Path(given.out),
        options.read(given),
        **{flag: getattr(given, flag) for flag in ("json", "quiet", "dry_run", "check", "force")},
    )


def _joined(argv: Sequence[str]) -> list[str]:
    """``--input -3x3`` as ``--input=-3x3``: argparse takes what begins with ``-`` for a flag."""
    out: list[str] = []
    for word in argv:
        flag = out[-1] if out else ""
        if word[:1] == "-" and word[1:2].isdigit() and flag.startswith("--") and "=" not in flag:
            out[-1] = f"{flag}={word}"
        else:
            out.append(word)
    return out


def _layer_name(argv: Sequence[str]) -> str:
    """``--layer`` first: the other flags depend on it."""
    early = Parser(add_help=False, allow_abbrev=False)
    early.add_argument("--layer", default=DEFAULT)
    name = str(early.parse_known_args(list(argv))[0].layer)
    layer(name)
    return name


def _refuse(word: str, layer_name: str) -> NoReturn:
    flag = word.split("=", 1)[0]
    if not flag.startswith("--"):
        raise UsageError(f"unexpected {word[:60]!r}: every option has a flag; see --help")
    name = flag[2:].replace("-", "_")
    owners = [other for other, function in layers().items() if name in parameters(function)]
    if owners:
        raise UsageError(f"{flag} is no option of layer {layer_name}; {_owned(owners)}")
    known = [a for action in parser(layer_name)._actions for a in action.option_strings]
    if close := get_close_matches(flag, known, 1, 0.6):
        raise UsageError(f"unknown option {flag[:60]}; did you mean {close[0]}?")
    raise UsageError(f"unknown option {flag[:60]}; see --help")


def _owned(owners: Sequence[str]) -> str:
    """One layer, or several, that have an option."""
    *others, last = owners
    return f"it belongs to {', '.join(others)} and {last}" if others else f"it belongs to {last}"


# -- what is derived ---------------------------------------------------------------------------
def _spec(given: argparse.Namespace, layer_name: str) -> Spec | NetworkSpec:
    if given.network is not None:
        return _network_spec(given, layer_name)
    if given.equation is not None:
        return _equation_spec(given, layer_name)
    return _layer_spec(given, layer_name)


def _network_spec(given: argparse.Namespace, layer_name: str) -> NetworkSpec:
    others = ("equation", "layer", "ties", "data", "wrt", *parameters(layer(layer_name)))
    for name in others:
        if name != "input" and getattr(given, name) is not None:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} does not go with --network: write it behind the layer")
    for name in ("shape", "outside"):
        if getattr(given, name):
            raise UsageError(f"--{name} does not go with --network; the shape of x is --input")
    if given.input is None:
        raise UsageError("--network needs --input, the shape of x: --input 3x3")
    shape = geometry.sizes("--input", geometry.value("--input", given.input))
    return network(_network_text(given.network), shape, signatures())


def _network_text(text: str) -> str:
    """The text itself, or what is in the file of that name."""
    if any(mark in text for mark in (">", "\n", " ")) and not text.endswith(SUFFIXES):
        return text
    path = Path(text)
    try:
        if not path.is_file():
            if "/" in text or "." in text:
                raise UsageError(f"--network: there is no file {text[:200]!r}")
            return text
        with path.open(encoding="utf-8") as file:
            return file.read(LONGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, a null in the name
        raise UsageError(f"--network: cannot read {text[:200]!r}: {error}") from error


SUFFIXES = (".net", ".txt")
"""How the names of files with a network in them end, blanks in the name or not."""


def _layer_spec(given: argparse.Namespace, layer_name: str) -> Spec:
    for flag in ("shape", "data", "outside"):
        if getattr(given, flag):
            raise UsageError(f"--{flag} goes with --equation only, not with layer {layer_name}")
    known = parameters(layer(layer_name))
    if given.ties is not None and "ties" not in known:
        raise UsageError(f"--ties is no option of layer {layer_name}")
    settings: dict[str, object] = {}
    for name, parameter in known.items():
        text = getattr(given, name)
        if text is None and parameter.default is Parameter.empty:
            raise UsageError(f"layer {layer_name} needs --{name.replace('_', '-')}; see --help")
        if text == "" and name == "input":
            settings[name] = ()  # a tensor without axes
        elif text is not None:
            flag = "--" + name.replace("_", "-")
            signed = parameter.annotation in ("int", "float", int, float)
            found = text if isinstance(text, bool) else geometry.value(flag, text, signed=signed)
            settings[name] = found
    return spec(layer_name, settings)


def _equation_spec(given: argparse.Namespace, layer_name: str) -> Spec:
    for name in ("layer", *parameters(layer(layer_name))):
        if name != "ties" and getattr(given, name) is not None:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} does not go with --equation; sizes are --shape x=3x3")
    shapes = _pairs("--shape", given.shape)
    return equation(
        given.equation,
        shapes={name: _shape(name, text) for name, text in shapes.items()},
        data=tuple(part.strip() for part in given.data.split(",")) if given.data else (),
        outside=_pairs("--outside", given.outside),
        ties=given.ties or "first",
    )


def _shape(name: str, text: str) -> int | tuple[int, ...]:
    found = geometry.value(f"--shape {name}", text) if text else ()
    if isinstance(found, int):
        return found
    return geometry.sizes(f"--shape {name}", found) if found else ()


def _pairs(flag: str, texts: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, equals, rest = text.partition("=")
        if not equals:
            raise UsageError(f"{flag} (={text[:60]!r}) needs name=value")
        if name in found:
            raise UsageError(f"{flag} {name[:60]} is given twice")
        found[name] = rest
    return found
