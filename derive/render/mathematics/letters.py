"""How a name is taken apart for print: ``O_h`` is O with a small h, ``c'`` is c with a prime."""

from __future__ import annotations

import re
from dataclasses import dataclass

GREEK = {
    "alpha": "α",
    "beta": "β",
    "gamma": "γ",
    "delta": "δ",
    "epsilon": "ε",
    "eta": "η",
    "theta": "θ",
    "kappa": "κ",
    "lambda": "λ",
    "lambda_": "λ",
    "mu": "μ",
    "nu": "ν",
    "pi": "π",
    "rho": "ρ",
    "sigma": "σ",
    "tau": "τ",
    "phi": "φ",
    "chi": "χ",
    "psi": "ψ",
    "omega": "ω",
}

_PARTS = re.compile(r"(?P<base>[A-Za-z]+)(?:_(?P<sub>\w+)|(?P<digits>\d\w*))?_?(?P<marks>['*]*)")


@dataclass(frozen=True)
class Letter:
    """A name in parts: ``K_h'`` has base ``K``, sub ``h`` and marks ``'``."""

    base: str
    sub: str = ""
    marks: str = ""


def letter(name: str) -> Letter:
    """The parts of a name; a name of another make is its own base."""
    if name in GREEK:
        return Letter(name)
    found = _PARTS.fullmatch(name)
    if found is None:
        return Letter(name)
    return Letter(found["base"], found["sub"] or found["digits"] or "", found["marks"])
