"""Paints as a terminal's escape codes, for as many colours as it has."""

from __future__ import annotations

from functools import cache

from ..hues import HUES
from .painted import Painted

TRUE, CUBE = 1 << 24, 256
"""How many colours a terminal may have; fewer than 256 count as none but green."""

_PLAIN = "\033[0m"
_CODES = {"bold": "1", "dim": "2", "good": "32"}
MIDDLE = (1.05 * 0.05) ** 0.5 - 0.05
"""The luminance that has the same contrast, 4.6 to 1, against white and against black."""

RGB = tuple[int, int, int]


def escaped(line: Painted, colours: int) -> str:
    """The line with its escape codes, each run closed; without any for 0 colours."""
    if not colours:
        return line.text
    runs = ((_code(paint, colours), text) for paint, text in line.runs())
    return "".join(f"\033[{code}m{text}{_PLAIN}" if code else text for code, text in runs)


@cache
def _code(paint: str, colours: int) -> str:
    kind, _, number = paint.partition(":")
    if not number:
        return _CODES.get(kind, "")
    if colours < CUBE:
        return "1" if kind == "tile" else ""
    hue = _rgb(HUES[int(number)])
    if kind == "tile":  # white letters on the hue as it is printed
        return f"1;{_colour(97, (255, 255, 255), colours)};{_colour(48, hue, colours)}"
    return _colour(38, neutral(hue), colours)


def _colour(ground: int, rgb: RGB, colours: int) -> str:
    if ground == 97:
        return "97" if colours < TRUE else "38;2;255;255;255"
    if colours >= TRUE:
        return f"{ground};2;{rgb[0]};{rgb[1]};{rgb[2]}"
    return f"{ground};5;{nearest(rgb)}"


def _rgb(text: str) -> RGB:
    return int(text[0:2], 16), int(text[2:4], 16), int(text[4:6], 16)


def _light(value: int) -> float:
    part = value / 255
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def luminance(rgb: RGB) -> float:
    """0 for black, 1 for white."""
    return 0.2126 * _light(rgb[0]) + 0.7152 * _light(rgb[1]) + 0.0722 * _light(rgb[2])


def neutral(rgb: RGB) -> RGB:
    """The hue made lighter or darker until it is read as well on black as on white."""
    now = luminance(rgb)
    share = max(0.0, (MIDDLE - now) / (1 - now))
    parts = [_light(value) for value in rgb]
    mixed = [part + share * (1 - part) for part in parts]
    return _shown(mixed[0]), _shown(mixed[1]), _shown(mixed[2])


def _shown(light: float) -> int:
    part = light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055
    return round(255 * part)


@cache
def nearest(rgb: RGB) -> int:
    """The nearest colour of the 6×6×6 cube that 256-colour terminals have."""
    steps = (0, 95, 135, 175, 215, 255)
    places = [min((abs(step - value), k) for k, step in enumerate(steps))[1] for value in rgb]
    return 16 + 36 * places[0] + 6 * places[1] + places[2]
