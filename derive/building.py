"""``python -m derive build``: regenerate what a MANIFEST lists, or compare with it.

The MANIFEST has one command line a row, without the ``python -m derive`` in front; ``#`` starts
a comment. ``--check`` writes nothing and fails on the first byte that differs, on a file that is
missing and on an orphan inside a listed folder: one line a file, with ``--diff`` what differs.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import arguments, assembly, terminal, writing
from .arguments import Request
from .errors import DeriveError, OutputError, UsageError

MANIFEST = "MANIFEST"


def main(argv: Sequence[str]) -> int:
    """Run ``build`` with its own options; returns the exit code."""
    given = _read(argv)
    folders: dict[Path, int] = {}
    differing: list[Path] = []
    for row, request in _requests(Path(given.out)):
        try:
            arrows = assembly.arrows(request.spec)
            layer = arrows.layer(request.spec, request.options)
            folder = Path(given.out) / layer.slug
            recorded = writing.recorded(folder) if given.check else None
            derivation = arrows.derive(layer, request.options.wrt)
            made = arrows.make(derivation, lambda _: None, request.options, recorded)
            if folder in folders:
                raise UsageError(f"{folder} is made by row {folders[folder]} already")
            folders[folder] = row
            files, facts = arrows.files(made, request.options), arrows.facts(made)
            if not given.check:
                writing.write(folder, files, facts, force=given.force)
            elif found := writing.differences(folder, writing.sealed(folder, files, facts)):
                differing.append(folder)
                if not given.quiet:
                    terminal.show(_told(found, whole=given.diff))
        except DeriveError as error:
            error.args = (f"{MANIFEST}, row {row}: {error}",)
            raise
        if not given.quiet and folder not in differing:
            terminal.show(f"{'same' if given.check else 'written'}  {folder}\n")
    if differing:
        names = ", ".join(str(folder) for folder in differing)
        more = "" if given.diff else ", --diff shows what differs"
        rewrite = f"python -m derive build rewrites it{more}"
        raise OutputError(f"not what is derived now: {names}; {rewrite}")
    return 0


def _told(found: Sequence[writing.Different], *, whole: bool) -> str:
    """A line for every file that differs; ``whole`` adds its diff."""
    return "".join(f"{one.line}\n{one.diff if whole else ''}" for one in found)


def _read(argv: Sequence[str]) -> argparse.Namespace:
    parser = arguments.Parser(prog="python -m derive build", allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    parser.add_argument("--diff", action="store_true", help="with --check: show what differs")
    parser.add_argument("--out", metavar="DIR", default="generated", help="default ./generated")
    parser.add_argument("--force", action="store_true", help="overwrite others' files too")
    parser.add_argument("--quiet", action="store_true", help="print nothing")
    given = parser.parse_args(list(argv))
    if given.diff and not given.check:
        raise UsageError("--diff goes with --check only")
    return given


def _requests(out: Path) -> Iterator[tuple[int, Request]]:
    path = out / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(f"cannot read {path}: {error}") from error
    for row, line in enumerate(text.splitlines(), 1):
        try:
            if words := shlex.split(line, comments=True):
                request = arguments.read(words)
                if request is not None:
                    yield row, request
        except ValueError as error:  # an open quotation mark
            raise UsageError(f"{path}, row {row}: {error}") from error
        except UsageError as error:
            raise UsageError(f"{path}, row {row}: {error}") from error
