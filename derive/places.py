"""Where a tensor is read in the text of an equation: the columns for carets.

An Equation keeps its text and no columns; a message about sizes, made long after the text was
read, finds them again here. The text is one that was read before, so brackets match.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Place = tuple[int, int]
"""Column and width, counted from 0 in the text."""


def left_side(text: str) -> Place:
    """Where the left-hand side stands."""
    end = text.find("=")
    return 0, len(text[: max(end, 1)].rstrip())


def reads_in(text: str, tensor: str) -> Iterator[Place]:
    """Where ``tensor`` is read on the right, in order; ``inside(x[…])`` does not read it."""
    start = text.find("=") + 1
    for found in re.finditer(rf"\b{re.escape(tensor)}\b", text[start:]):
        begin, end = start + found.start(), start + found.end()
        if re.search(r"\binside\s*\(\s*$", text[:begin]):
            continue
        yield begin, _end_of_subscripts(text, end) - begin


def place_of_read(text: str, tensor: str, nth: int = 0) -> Place:
    """The place of the nth read of ``tensor`` (the left-hand side if there is none)."""
    places = list(reads_in(text, tensor))
    return places[nth] if nth < len(places) else left_side(text)


def _end_of_subscripts(text: str, end: int) -> int:
    """The column after the bracket that opens at or after ``end`` closes again."""
    opening = re.match(r"\s*\[", text[end:])
    if not opening:
        return end
    depth = 0
    for column in range(end, len(text)):
        depth += {"[": 1, "]": -1}.get(text[column], 0)
        if depth == 0 and text[column] == "]":
            return column + 1
    return end
