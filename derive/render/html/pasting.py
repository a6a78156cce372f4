"""Displays as TeX to be pasted elsewhere: amsmath alone, and no colours of ours."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from ...documents import Display, Hued, Math, Row
from ..tex.mathematics import formula


def pasted(display: Display) -> str:
    r"""One line as it is, several as ``\begin{aligned} … \end{aligned}``."""
    rows = [row for row in display.rows if row != (Row(()), ())]
    alone = len(rows) == 1
    lines = [_line(left, pieces, "" if alone else "&") for left, pieces in rows]
    if alone:
        return lines[0]
    body = " \\\\\n".join(lines)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def _line(left: Math, pieces: tuple[Math, ...], mark: str) -> str:
    shown = [formula(plain(piece)) for piece in pieces if piece != Row(())]
    return f"{formula(plain(left))} {mark}{' '.join(shown)}".strip()


def plain(math: Math) -> Math:
    """The formula without hues."""
    if isinstance(math, Hued):
        return plain(math.body)
    changed = {f.name: _plain(getattr(math, f.name)) for f in fields(math)}  # type: ignore[arg-type]
    return replace(math, **changed)  # type: ignore[type-var]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return plain(value) if isinstance(value, Math) else value
