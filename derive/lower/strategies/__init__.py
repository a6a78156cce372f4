"""The strategies: one file each, listed here by looking into the folder.

A file has ``NAME``, ``EXACT`` and the functions ``applies``, ``cost`` and ``lower`` of
:class:`derive.lower.tasks.Strategy`.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import cast

from ..tasks import Strategy


@cache
def strategies() -> tuple[Strategy, ...]:
    """Every strategy, by the name of its file."""
    names = sorted(p.stem for p in Path(__file__).parent.glob("[!_]*.py"))
    return tuple(cast(Strategy, import_module(f"{__name__}.{name}")) for name in names)
