"""A command for a page whose font lacks some letters: such words are spelled so that they work."""

from __future__ import annotations

import shlex
from collections.abc import Callable


def spelled(command: str, shows: Callable[[str], bool]) -> str:
    r"""The same command; a word with letters that are not shown becomes ``$'\u65e5'``."""
    if all(map(shows, command)):
        return command
    return " ".join(
        shlex.quote(word) if all(map(shows, word)) else _word(word, shows)
        for word in shlex.split(command)
    )


def _word(word: str, shows: Callable[[str], bool]) -> str:
    return "$'" + "".join(_letter(c, shows) for c in word) + "'"


def _letter(c: str, shows: Callable[[str], bool]) -> str:
    if c in "\\'":
        return "\\" + c
    if shows(c):
        return c
    return f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}"
