"""All prose of notes and summaries: phrases with slots, read from ``templates/phrases``.

A phrase is a sentence with slots ``{index}``; a slot may hold words or mathematics. A name in
backticks is set as mathematics: `` `s` `` is the symbol s. Another language is another file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import Any

from ..documents import Inline, Math, Symbol
from ..errors import UsageError
from . import templates
from .digits import grouped
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
    return (grouped(str(value)) if isinstance(value, int) else value,)


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


def phrases(language: str = "") -> Phrases:
    """The phrases of a language, by default of the one in use.

    What a translation lacks is said in English; a teacher's own phrases come before ours.
    Raises UsageError for a language that there is not, and for phrases that cannot be said.
    """
    wanted, own = language or templates.language(), templates.own_phrases()
    known = sorted({*languages(), *own})
    if wanted not in known:
        raise UsageError(f"--language (={wanted[:20]!r}): there is {_listed(known)}")
    return _phrases(wanted, templates.own_folder(), tuple(own.items()))


@cache
def languages() -> tuple[str, ...]:
    """The languages of our own phrases."""
    return tuple(sorted(path.stem for path in (folder() / "phrases").glob("*.toml")))


@lru_cache(maxsize=16)
def _phrases(language: str, where: str, own: tuple[tuple[str, str], ...]) -> Phrases:
    english, theirs = _ours("en"), dict(own)
    found = dict(english)
    for one in dict.fromkeys(("en", language)):
        found |= _ours(one) if one in languages() else {}
        found |= _own(theirs[one], f"{where}/phrases/{one}.toml", english) if one in theirs else {}
    return Phrases(found)


@cache
def _ours(language: str) -> dict[str, str]:
    path = folder() / "phrases" / f"{language}.toml"
    return dict(_flat(tomllib.loads(path.read_text(encoding="utf-8"))))


def _own(text: str, place: str, english: Mapping[str, str]) -> dict[str, str]:
    """The phrases of a file that somebody else wrote; every one must be a phrase of ours."""
    try:
        found = dict(_flat(tomllib.loads(text)))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"--templates: {place}: {error}") from error
    for key, phrase in found.items():
        if key not in english:
            close = get_close_matches(key, english, 1, 0.6)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise UsageError(f"--templates: {place}: there is no phrase {key[:80]}{hint}")
        slots, ours = (_slots(one) for one in (phrase, english[key]))
        if more := sorted(slots - ours):
            names = f"its slots are {_listed(sorted(ours))}" if ours else "it has no slots"
            raise UsageError(f"--templates: {place}: {key} has no slot {more[0]}; {names}")
    return found


def _slots(phrase: str) -> set[str]:
    return {found[1] for found in _SLOT.finditer(phrase) if found[1]}


def _listed(words: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)
