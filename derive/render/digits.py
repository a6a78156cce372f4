"""Digits of large numbers in groups of three."""

from __future__ import annotations

THIN = "\u202f"
"""What stands between groups of three digits."""


def grouped(text: str) -> str:
    """``16777215`` with thin spaces; up to four digits stay together."""
    whole, dot, rest = text.partition(".")
    if len(whole) > 4:
        whole = f"{int(whole):,}".replace(",", THIN)
    return whole + dot + rest
