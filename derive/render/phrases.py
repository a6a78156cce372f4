"""All prose of notes and summaries: phrases with slots, read from ``templates/phrases``.

A phrase is a sentence with slots ``{index}``; a slot may hold words or mathematics. A name in
backticks is set as mathematics: `` `s` `` is the symbol s. Another language is another file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Any

from ..documents import Inline, Math, Symbol
from .templates import folder

_SLOT = re.compile(r"\{(\w+)\}|`([A-Za-z]\w*)`")

Slot = Inline | int | tuple[Inline, ...]
Slots = Mapping[str, Slot]


class Phrases:
    """The phrases of one language, by dotted keys such as ``steps.linearity``."""

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self._phrases = dict(_flat(tables))

    def __contains__(self, key: str) -> bool:
        return key in self._phrases

    def __iter__(self) -> Any:
        return iter(self._phrases.items())

    def say(self, key: str, slots: Slots | None = None, **more: Slot) -> tuple[Inline, ...]:
        """The phrase with its slots filled; a KeyError names the phrase or slot that is missing."""
        given: dict[str, Slot] = {**(slots or {}), **more}
        text = self._phrases[key]
        pieces: list[Inline] = []
        end = 0
        for found in _SLOT.finditer(text):
            pieces.append(text[end : found.start()])
            pieces += _filled(key, found, given)
            end = found.end()
        return _merged([*pieces, text[end:]])

    def first(self, keys: tuple[str, ...], slots: Slots | None = None) -> tuple[Inline, ...]:
        """The first of these phrases that there is."""
        return self.say(next(key for key in keys if key in self), slots)

    def words(self, key: str, slots: Slots | None = None, **more: Slot) -> str:
        """A phrase that holds no mathematics, as a string."""
        pieces = self.say(key, slots, **more)
        if any(isinstance(piece, Math) for piece in pieces):
            raise ValueError(f"the phrase {key} holds mathematics")
        return "".join(str(piece) for piece in pieces)


def _filled(key: str, found: re.Match[str], given: Mapping[str, Slot]) -> tuple[Inline, ...]:
    slot, name = found.groups()
    if name is not None:
        return (Symbol(name),)
    if slot not in given:
        raise KeyError(f"the phrase {key} needs the slot {slot}")
    value = given[slot]
    if isinstance(value, tuple):
        return value
    return (str(value) if isinstance(value, int) else value,)


def _merged(pieces: list[Inline]) -> tuple[Inline, ...]:
    """Neighbouring words as one string, empty ones left out."""
    out: list[Inline] = []
    for piece in pieces:
        if isinstance(piece, str) and out and isinstance(out[-1], str):
            out[-1] += piece
        elif piece != "":
            out.append(piece)
    return tuple(out)


def _flat(tables: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    out: list[tuple[str, str]] = []
    for name, value in tables.items():
        if isinstance(value, Mapping):
            out += _flat(value, f"{prefix}{name}.")
        else:
            out.append((f"{prefix}{name}", str(value)))
    return out


@cache
def phrases(language: str = "en") -> Phrases:
    """The phrases of a language."""
    path = folder() / "phrases" / f"{language}.toml"
    return Phrases(tomllib.loads(path.read_text(encoding="utf-8")))
