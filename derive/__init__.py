"""Derives the gradients of neural-network layers from their index equations.

    import derive
    layer = derive.conv(input=(3, 3), kernel=(2, 2))
    d = derive.derive(layer)
    d.kernel().backward(dy, x, w)

Importing this package imports neither SymPy nor NumPy; the first derivation does.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

__all__ = ["Derivation", "derive", "equation", "network"]


def __getattr__(name: str) -> Any:
    if not name.startswith("_") and find_spec(f"{__name__}.{name}"):
        return import_module(f"{__name__}.{name}")
    api = import_module(f"{__name__}.api")
    if name in __all__:
        return getattr(api, name)
    # every layer of derive.layers is a function here, found by name when it is asked for
    if name in api.layers.layers():
        return api.layer_function(name)
    raise AttributeError(f"module 'derive' has no attribute {name!r}")


def __dir__() -> list[str]:
    layers = import_module(f"{__name__}.layers").layers()
    return sorted({*globals(), *__all__, *layers})
