"""The command line's words about what becomes of a derivation: which files, and how written."""

from __future__ import annotations

import argparse
from typing import Any

from .errors import UsageError
from .names import why_not
from .specs import Options, Style

FORMATS = ("py", "tex")
"""The formats there are, in the order they are written."""


def add(group: Any) -> None:
    """Add the options to a parser's group."""
    group.add_argument("--wrt", metavar="x,w", help="which gradients (default all)")
    group.add_argument("--out", metavar="DIR", default="generated", help="default ./generated")
    group.add_argument("--name", metavar="NAME", help="folder and module name")
    group.add_argument("--formats", metavar="py,tex", help=f"of {','.join(FORMATS)}; default all")
    group.add_argument("--index-base", metavar="0|1", default="0", help="first index in notes")
    group.add_argument("--full", action="store_true", help="every entry, however many")
    group.add_argument("--json", action="store_true", help="machine-readable result on stdout")
    group.add_argument("--quiet", action="store_true", help="print nothing")
    group.add_argument("--dry-run", action="store_true", help="write nothing")
    group.add_argument("--check", action="store_true", help="compare with what is there")
    group.add_argument("--force", action="store_true", help="overwrite others' files too")


def read(given: argparse.Namespace) -> Options:
    """What the words ask for; a UsageError with the flag, its value and what would be right."""
    if given.name is not None and (reason := why_not(given.name)):
        raise UsageError(f"--name (={given.name[:80]!r}) {reason}")
    if given.index_base not in ("0", "1"):
        raise UsageError(f"--index-base (={given.index_base[:20]!r}) must be 0 or 1")
    return Options(
        wrt=None if given.wrt is None else tuple(given.wrt.split(",")),
        name=given.name or "",
        formats=_formats(given.formats),
        style=Style(int(given.index_base), given.full),
    )


def _formats(text: str | None) -> tuple[str, ...]:
    wanted = FORMATS if text is None else tuple(text.split(","))
    for name in wanted:
        if name not in FORMATS:
            raise UsageError(
                f"--formats (={name[:20]!r}): no such format; there are {', '.join(FORMATS)}"
            )
    return tuple(name for name in FORMATS if name in wanted)
