"""Layers and derivations that several tests of the printers look at."""

from __future__ import annotations

from functools import cache

import derive
from derive import calculus
from derive.certificates import Certificate, Claim, Omitted
from derive.derivations import Derivation


@cache
def toy() -> Derivation:
    """Article S4: x 3×3, kernel 2×2."""
    return calculus.derive(derive.conv(input=(3, 3), kernel=(2, 2)))


@cache
def strided() -> Derivation:
    """Channels, filters, a bias, stride 2×1 and padding 1."""
    return calculus.derive(
        derive.conv(input=(2, 5, 6), kernel=(3, 3), filters=2, stride=(2, 1), padding=1, bias=True)
    )


@cache
def conv(**settings: object) -> Derivation:
    """Any convolution."""
    return calculus.derive(derive.conv(**settings))


@cache
def equation(text: str, shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()) -> Derivation:
    """Any equation, with shapes as pairs."""
    return calculus.derive(derive.equation(text, dict(shapes) or None))


CERTIFICATE = Certificate(
    (
        Claim("symbolic", ("y", "dx", "dw"), (("entries", "17"),)),
        Claim("sorcery", ("dx",), (("candles", "13"),)),
    ),
    (Omitted("numeric", "too_large", (("limit", "9"),)), Omitted("magic", "moon_phase")),
)
"""Claims with and without a phrase of their own."""
