"""The command line's words about what becomes of a derivation: which files, and how written."""

from __future__ import annotations

import argparse
from typing import Any

from .errors import UsageError
from .names import why_not
from .specs import FORMATS, Options, Style

_DEFAULT = ",".join(Options.formats)


def add(group: Any) -> None:
    """Add the options to a parser's group."""
    group.add_argument("--wrt", metavar="x,w", help="which gradients (default all)")
    group.add_argument("--out", metavar="DIR", default="generated", help="default ./generated")
    group.add_argument("--name", metavar="NAME", help="folder and module name")
    known = f"of {','.join(FORMATS)}; default {_DEFAULT}"
    group.add_argument("--formats", metavar=_DEFAULT, default=_DEFAULT, help=known)
    group.add_argument("--json", action="store_true", help="machine-readable result on stdout")
    group.add_argument("--quiet", action="store_true", help="print nothing")
    group.add_argument("--dry-run", action="store_true", help="write nothing")
    group.add_argument("--check", action="store_true", help="compare with what is there")
    group.add_argument("--force", action="store_true", help="overwrite others' files too")


def add_kernel(group: Any) -> None:
    """Add the options about how the kernel computes."""
    tune = "measure the strategies on this machine (seconds) instead of estimating them"
    group.add_argument("--tune", action="store_true", help=tune)
    order = "only strategies that keep direct summation: nothing like Winograd's"
    group.add_argument("--exact-order", action="store_true", help=order)


def add_style(group: Any) -> None:
    """Add the options about how notes are written."""
    group.add_argument("--title", metavar="TEXT", default="", help="what stands at the head")
    letters = "the upstream gradient: g (default), δ (delta), ∂L/∂y (dL/dy), or any free letter"
    group.add_argument("--notation", metavar="g", default="g", help=letters)
    group.add_argument("--index-base", metavar="0|1", default="0", help="first index in notes")
    group.add_argument("--full", action="store_true", help="every entry, however many")
    group.add_argument("--language", metavar="en", default="en", help="of the words (default en)")
    own = "your own notes.tex.j2, notes.html.j2, page.css, notes.typ.j2, phrases/<language>.toml"
    group.add_argument("--templates", metavar="DIR", default="", help=f"a folder with {own}")


def read(given: argparse.Namespace) -> Options:
    """What the words ask for; a UsageError with the flag, its value and what would be right."""
    if given.name is not None and (reason := why_not(given.name)):
        raise UsageError(f"--name (={given.name[:80]!r}) {reason}")
    if given.index_base not in ("0", "1"):
        raise UsageError(f"--index-base (={given.index_base[:20]!r}) must be 0 or 1")
    wanted = [word.strip() for word in given.formats.split(",")]
    known = sorted(dict.fromkeys(wanted), key=lambda f: FORMATS.index(f) if f in FORMATS else -1)
    words = {name: getattr(given, name) for name in ("notation", "title", "language", "templates")}
    try:
        return Options(
            wrt=None if given.wrt is None else tuple(given.wrt.split(",")),
            name=given.name or "",
            formats=tuple(known),
            style=Style(int(given.index_base), given.full, **words),
            tune=given.tune,
            exact_order=given.exact_order,
        )
    except UsageError as error:  # the nouns name the value, the flag is the same word
        raise UsageError(f"--{error}") from error
