"""The one rule for names, wherever a person or a layer may choose one.

A name is ``[A-Za-z][A-Za-z0-9_]{0,63}`` in ASCII, and neither a word of Python, nor a builtin,
nor a word of the equation language, nor a name that generated code uses itself.
"""

from __future__ import annotations

import builtins
import keyword
import re

from .functions import FUNCTIONS, REDUCERS

OPERATORS = {
    "add": "a + b",
    "sub": "a - b",
    "neg": "-a",
    "mul": "a*b",
    "div": "a/b",
    "pow": "a**b",
    "eq": "a == b",
    "ne": "a != b",
    "lt": "a < b",
    "le": "a <= b",
    "gt": "a > b",
    "ge": "a >= b",
}
"""Functions that are written with an operator, and how."""

CALLABLE = tuple(name for name in FUNCTIONS if name not in OPERATORS and name != "pi")
"""Functions that are written by name."""

WORDS = frozenset([*CALLABLE, *REDUCERS, "pi", "delta", "inside"])
"""Words of the equation language; none can name anything else."""

GENERATED = frozenset(
    (
        *("N", "np", "numpy", "dtype", "batch", "forward", "backward", "annotations"),
        *("SHAPES", "EQUATIONS", "Gradients", "NamedTuple"),
    )
)
"""Names that a generated module uses itself."""

_SHAPE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)


def why_not(name: str) -> str:
    """Why ``name`` cannot be chosen, as the end of a sentence; empty if it can."""
    if not _SHAPE.fullmatch(name):
        return "is not a name: a letter, then at most 63 letters, digits or underscores, all ASCII"
    if keyword.iskeyword(name):
        return "is a word of Python"
    if name in WORDS:
        return "is a word of the equation language"
    if name in GENERATED:
        return "is a name that generated code uses itself"
    if hasattr(builtins, name):
        return "is a builtin of Python"
    return ""


def gradient_why_not(name: str) -> str:
    """Why ``d`` + name cannot be the name of a gradient (``def``, ``dict``); empty if it can."""
    gradient = "d" + name
    return why_not(gradient) if _SHAPE.fullmatch(gradient) else ""
