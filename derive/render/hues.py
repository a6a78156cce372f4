"""The colours of kernel taps, the same in every format.

Okabe and Ito's colour-blind safe set, darkened until text on white has a contrast of at least
4.5 to 1, and three more of the same kind. Every tap carries its index in text as well, so the
hues may repeat from the tenth tap on.
"""

from __future__ import annotations

HUES = (
    "0072B2",
    "B84700",
    "00785A",
    "A3407A",
    "7A5C00",
    "332288",
    "7F1D1D",
    "1B6C77",
    "3D3D3D",
)
DARK = (
    "6CB6F5",
    "FF9A5C",
    "4CC9A0",
    "E893C8",
    "D9B84A",
    "ABA3F7",
    "F28B8B",
    "5CC4D4",
    "C6C6C6",
)
"""The same hues on a dark page, again with a contrast of at least 4.5 to 1."""


def hue(number: int) -> int:
    """Which of ``HUES`` the tap of that number has."""
    return number % len(HUES)
