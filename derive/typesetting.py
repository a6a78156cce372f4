"""A PDF from the sources of the notes, by whichever engine this machine has.

latexmk with pdfLaTeX comes first; a machine that has pip alone gets its PDF from the typst
wheel. The engine sees one source and nothing of the user's: a folder of its own, no shell, no
network, no date.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from .errors import MissingTool, OutputError

SECONDS = 300
"""A run of TeX that takes longer hangs."""

MISSING = """a PDF needs an engine, and there is none here. Install one of
    pip install "derive-layers[pdf]"
    apt install latexmk texlive-latex-extra texlive-fonts-recommended lmodern"""

_FIXED = {
    "SOURCE_DATE_EPOCH": "0",
    "FORCE_SOURCE_DATE": "1",
    "TZ": "UTC",
    "max_print_line": "1000",  # messages in the log stay on one line
    "openin_any": "p",
    "openout_any": "p",
}


def engine() -> str:
    """``latexmk``, else ``typst``, else empty."""
    if shutil.which("latexmk") and shutil.which("pdflatex"):
        return "latexmk"
    return "typst" if find_spec("typst") else ""


def pdf(tex: str, typst: str) -> bytes:
    """The pages, from the LaTeX or the Typst source of the same document.

    Raises MissingTool if there is no engine, OutputError with the engine's first complaint.
    """
    engines: dict[str, Callable[[], bytes]] = {
        "latexmk": lambda: from_tex(tex),
        "typst": lambda: from_typst(typst),
    }
    if not (found := engine()):
        raise MissingTool(MISSING)
    return engines[found]()


def from_tex(source: str) -> bytes:
    """What latexmk makes of a LaTeX source."""
    with tempfile.TemporaryDirectory(prefix="derive-") as name:
        folder = Path(name)
        (folder / "notes.tex").write_text(source, encoding="utf-8")
        command = ["latexmk", "-norc", "-pdf", "-interaction=nonstopmode", "-halt-on-error"]
        command += ["-latexoption=-no-shell-escape", "notes.tex"]
        said, code = _run(command, folder)
        made = folder / "notes.pdf"
        if code or not made.is_file():
            raise OutputError(f"LaTeX cannot set the notes: {_complaint(folder, said)}")
        return made.read_bytes()


def _run(command: list[str], folder: Path) -> tuple[str, int]:
    """Output and exit code; on any interruption the whole family of processes is ended."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **_FIXED},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # latexmk's own children are ended with it
    ) as child:
        try:
            said, _ = child.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired as error:
            _end(child)
            raise OutputError(f"LaTeX did not end within {SECONDS} seconds") from error
        except BaseException:
            _end(child)
            raise
        return said.decode(errors="replace"), child.returncode


def _end(child: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    child.wait()


def _complaint(folder: Path, said: str) -> str:
    """The first error of the log with the line it names, else the last words of latexmk."""
    log = folder / "notes.log"
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else said
    found = re.search(r"^! ?(.+)$", text, re.MULTILINE)
    if found is None:
        return (said.strip().splitlines() or ["it said nothing"])[-1]
    place = re.search(r"^l\.\d+ .*$", text[found.end() :], re.MULTILINE)
    return found[1].strip() + (f" ({place[0].strip()})" if place else "")


def from_typst(source: str) -> bytes:
    """What the typst wheel makes of a Typst source, with the fonts it brings along."""
    import typst

    with tempfile.TemporaryDirectory(prefix="derive-") as name:
        path = Path(name) / "notes.typ"
        path.write_text(source, encoding="utf-8")
        try:
            return typst.compile(path, root=Path(name), ignore_system_fonts=True, timestamp=0)
        except typst.TypstError as error:
            first = (str(error).strip().splitlines() or ["it said nothing"])[0]
            raise OutputError(f"Typst cannot set the notes: {first}") from error
