"""The layers, one small file each: equations and words, never a gradient.

Nothing is registered. A module of this folder is found by listing the folder, and the names
in its ``__all__`` are its layers: functions with keyword arguments that return a
:class:`derive.specs.Spec`. The signature is the interface: the command line makes a flag of
every parameter (``ceil_mode`` is ``--ceil-mode``).
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module

from ..errors import UsageError
from ..specs import Spec, flags

LayerFunction = Callable[..., Spec]

DEFAULT = "conv"
"""The layer that is meant if none is named."""


@cache
def layers() -> dict[str, LayerFunction]:
    """Every layer by name, sorted."""
    found: dict[str, LayerFunction] = {}
    for module_name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        module = import_module(f"{__name__}.{module_name}")
        found.update((name, getattr(module, name)) for name in module.__all__)
    return dict(sorted(found.items()))


def layer(name: str) -> LayerFunction:
    """The layer of that name; a UsageError says which names are close."""
    if name not in layers():
        close = get_close_matches(name, layers(), 1, 0.5)
        hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(layers())}"
        raise UsageError(f"layer (={name!r}) is unknown; {hint}")
    return layers()[name]


def parameters(function: LayerFunction) -> dict[str, inspect.Parameter]:
    """The parameters of a layer by name, in the order of its signature."""
    return dict(inspect.signature(function).parameters)


def spec(name: str, settings: Mapping[str, object]) -> Spec:
    """The layer ``name`` with these settings; a UsageError for a parameter that it lacks."""
    function = layer(name)
    known = parameters(function)
    for given in settings:
        if given not in known:
            raise UsageError(f"{given} is no parameter of {name}; {_hint(given, known)}")
    for parameter in known.values():
        if parameter.default is parameter.empty and settings.get(parameter.name) is None:
            raise UsageError(f"{name} needs {parameter.name}")
    made = function(**settings)
    defaults = {parameter.name: parameter.default for parameter in known.values()}
    which = () if name == DEFAULT else ("--layer", name)
    return replace(made, arguments=(*which, *flags(made.settings or settings, defaults)))


def _hint(given: str, known: Mapping[str, object]) -> str:
    close = get_close_matches(given, known, 1, 0.6)
    if close:
        return f"did you mean {close[0]}?"
    owners = [name for name, function in layers().items() if given in parameters(function)]
    others = f" ({', '.join(owners)} has it)" if owners else ""
    return f"it has {', '.join(known)}{others}"
