"""What a layer's file returns: its equation as text, the sizes, and words. No mathematics yet.

A :class:`Spec` goes through the same parser as an equation typed by a person, so a layer can
say nothing that a person could not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .geometry import Value


@dataclass(frozen=True)
class Spec:
    """A layer before it is parsed.

    ``name``      the layer's kind, ``conv`` say
    ``text``      its equation, or several, one a line, in the equation language
    ``shapes``    unbatched shape of every tensor (the output too); empty: sizes stay symbolic
    ``numbers``   what its named integers stand for (strides, paddings, ...)
    ``axes``      names for the extents of indices (``{"i": "O_h"}``) and of tensors' axes
                  (``{"x": ("C", "H", "W")}``)
    ``slug``      the folder's name, which says the sizes
    ``meanings``  what each index and tensor stands for
    ``settings``  the layer function's arguments that give this layer again
    """

    name: str
    text: str
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)
    axes: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    data: tuple[str, ...] = ()
    outside: Mapping[str, str] = field(default_factory=dict)
    ties: str = "first"
    slug: str = "equation"
    title: str = ""
    meanings: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Value | bool | None] = field(default_factory=dict)
    source: str = ""
