"""Text in which every character has a paint: measured and cut like text, coloured at the end.

Paints are ``""`` (plain), ``"bold"``, ``"dim"``, ``"good"``, ``"tap:3"`` (letters in the hue of a
kernel tap) and ``"tile:3"`` (a cell filled with it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Painted:
    """A text and one paint for each of its characters."""

    text: str = ""
    paints: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.text) != len(self.paints):
            raise ValueError("every character needs one paint")

    @classmethod
    def of(cls, text: str, paint: str = "") -> Painted:
        """A text in one paint."""
        return cls(text, (paint,) * len(text))

    def __len__(self) -> int:
        return len(self.text)

    def __add__(self, other: Painted | str) -> Painted:
        more = Painted.of(other) if isinstance(other, str) else other
        return Painted(self.text + more.text, self.paints + more.paints)

    def __getitem__(self, part: slice) -> Painted:
        return Painted(self.text[part], self.paints[part])

    def lstrip(self) -> Painted:
        """Without blanks in front."""
        return self[len(self.text) - len(self.text.lstrip(" ")) :]

    def rstrip(self) -> Painted:
        """Without blanks at the end."""
        return self[: len(self.text.rstrip(" "))]

    def spelled(self, spell: Callable[[str], str]) -> Painted:
        """Every character in another spelling, in the same paint."""
        if self.text.isascii():
            return self
        parts = [
            (spell(letter), paint) for letter, paint in zip(self.text, self.paints, strict=True)
        ]
        text = "".join(part for part, _ in parts)
        return Painted(text, tuple(paint for part, paint in parts for _ in part))

    def runs(self) -> Iterator[tuple[str, str]]:
        """(paint, text) of neighbouring characters in the same paint."""
        start = 0
        for paint, group in groupby(self.paints):
            end = start + sum(1 for _ in group)
            yield paint, self.text[start:end]
            start = end


def together(parts: Iterable[Painted | str]) -> Painted:
    """The parts one behind the other."""
    whole = Painted()
    for part in parts:
        whole = whole + part
    return whole
