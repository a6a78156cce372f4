"""A scene: what an interactive page has to know of a layer to answer a pointer.

Made once from the derivation, printed as JSON into the page; the page computes nothing about a
layer that is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scene:
    """The entries of every tensor and how they depend on each other, as JSON text."""

    data: str
