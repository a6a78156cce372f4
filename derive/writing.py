"""A folder of files, written whole or not at all, and never over somebody else's work.

A derivation's folder holds its files and ``certificate.json``, which says what was proved and
keeps the SHA-256 of every file. That hash is also the deed of ownership: a file is derive's own
if its folder's certificate holds the hash of what is in it now. Anything else is refused
without ``force``.

A text is the same on every machine and is compared byte by byte. Bytes (a PDF) are what an
engine of this machine made: compared with nothing but the hash that the certificate holds.

Each file is written next to its place and renamed into it, all or none: on any failure,
Ctrl-C and a full disk included, what was there before is there again.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .errors import OutputError, UsageError

CERTIFICATE = "certificate.json"

Facts = Mapping[str, Any]
"""What the certificate says beside the hashes; JSON values only."""

Content = str | bytes | Callable[[], bytes]
"""A text, bytes, or how to make the bytes: then they are made only where they are written."""

Files = Mapping[str, Content]


def write(folder: Path, files: Files, facts: Facts, *, force: bool = False) -> None:
    """Write ``files`` (name → content) and their certificate into ``folder``, all or none.

    Files of an earlier run that this one does not make stay, and stay certified. Raises
    UsageError for a file that derive did not write (mended by ``force``), OutputError where the
    system refuses.
    """
    if not force:
        _refuse_foreign(folder, files)  # before an engine is asked for what may not be written
    contents = {name: _made(content) for name, content in files.items()}
    contents[CERTIFICATE] = _certificate(folder, contents, facts)
    if not force:
        _refuse_foreign(folder, contents)
    undo: list[Callable[[], object]] = []
    try:
        _make_folder(folder, undo)
        place = folder.resolve()
        _replace_all({place / name: new for name, new in contents.items()}, undo)
    except BaseException as error:
        for action in reversed(undo):
            with suppress(OSError):  # one thing that cannot be undone must not keep the rest
                action()
        if isinstance(error, OSError):
            where = error.filename or folder
            raise OutputError(f"cannot write {where}: {error.strerror or error}") from error
        raise


def sealed(folder: Path, files: Files, facts: Facts) -> dict[str, Content]:
    """``files`` and the certificate that belongs to them, to be compared with ``folder``.

    Of bytes nothing is known but what the certificate in ``folder`` says of them.
    """
    texts = {name: text.encode() for name, text in files.items() if isinstance(text, str)}
    binary = {n: h for n, h in _owned(folder).items() if n in files and n not in texts}
    return {**files, CERTIFICATE: _certificate(folder, texts, facts, binary).decode()}


def _certificate(
    folder: Path,
    contents: Mapping[str, bytes],
    facts: Facts,
    known: Mapping[str, str] | None = None,
) -> bytes:
    """The certificate over ``contents``, over ``known`` and over what stays of an earlier run."""
    hashes = {name: _sha256(content) for name, content in contents.items()} | dict(known or {})
    owned = _owned(folder).items()
    kept = {n: h for n, h in owned if n not in hashes and _hash_of(folder / n) == h}
    return certificate_text({**facts, "files": kept | hashes}).encode()


def _made(content: Content) -> bytes:
    if isinstance(content, str):
        return content.encode()
    return content if isinstance(content, bytes) else content()


def certificate_text(facts: Facts) -> str:
    """The certificate's JSON: sorted keys, no dates, no paths, so the same bytes every time."""
    return json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class Different:
    """A file that is not what is derived now, in one line; ``diff`` as far as it helps."""

    line: str
    diff: str = ""


def differences(folder: Path, files: Files) -> list[Different]:
    """What of ``folder`` is not as in ``files``, one a file; empty if they are the same.

    Bytes only have to be there and to have the hash that the certificate holds. A file of the
    folder that ``files`` does not have and its certificate does not list is reported too;
    hidden files and ``__pycache__`` are not looked at.
    """
    found: list[Different] = []
    for name, content in sorted(files.items()):
        path, there = folder / name, _bytes(folder / name)
        if there is None:
            found.append(Different(f"missing: {path}"))
        elif not isinstance(content, str):
            if _owned(folder).get(name) != _sha256(there):
                found.append(Different(f"changed: {path} is not the file that was certified"))
        elif there != content.encode():
            found.append(_changed(path, there.decode(errors="replace"), content))
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        listed = path.name in files or path.name in _owned(folder)
        if not listed and not path.name.startswith((".", "__pycache__")):
            found.append(Different(f"only in {folder}: {path.name}, which no derivation makes"))
    return found


LINES, LETTERS = 200, 400
"""Lines of a file's diff, and letters of a line, that are shown."""


def _changed(path: Path, old: str, new: str) -> Different:
    label, there, derived = str(path), old.splitlines(), new.splitlines()
    lines = list(difflib.unified_diff(there, derived, label, f"{label} (derived)", lineterm=""))
    gone = sum(line.startswith("-") for line in lines[2:])
    come = sum(line.startswith("+") for line in lines[2:])
    if not lines:
        return Different(f"changed: {path}, only the ends of its lines")
    shown = [line if len(line) <= LETTERS else line[:LETTERS] + " …" for line in lines[:LINES]]
    if len(lines) > LINES:
        shown.append(f"… {len(lines) - LINES} more lines of this diff")
    told = f"changed: {path}, lines that go: {gone}, that come: {come}"
    return Different(told, "\n".join(shown) + "\n")


def difference(folder: Path, files: Files) -> str:
    """A unified diff from what is in ``folder`` to ``files``; empty if they are the same."""
    found = differences(folder, files)
    return "".join(one.diff or f"{one.line}\n" for one in found)


# -- who owns a file -------------------------------------------------------------------------
def _refuse_foreign(folder: Path, files: Files) -> None:
    """UsageError for a file in the way that the certificate does not own.

    What is not made yet cannot be the same as what is there.
    """
    if folder.is_symlink():
        raise UsageError(f"{folder} is a symbolic link; --force writes where it points")
    owned = _owned(folder)
    for name, content in files.items():
        path = folder / name
        if path.is_symlink():
            raise UsageError(f"{path} is a symbolic link; --force replaces it by a file")
        there = _bytes(path)
        if there is None or (isinstance(content, str | bytes) and there == _made(content)):
            continue
        own = bool(owned) if name == CERTIFICATE else owned.get(name) == _sha256(there)
        if not own:
            raise UsageError(
                f"{path} was not written by derive, or was changed since; --force overwrites it"
            )


def recorded(folder: Path) -> dict[str, Any]:
    """What the folder's certificate says; empty if there is none to read."""
    try:
        found = json.loads((folder / CERTIFICATE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _owned(folder: Path) -> dict[str, str]:
    """File → hash as the folder's certificate says; empty if there is none to read."""
    files = recorded(folder).get("files")
    if not isinstance(files, dict):
        return {}
    return {n: h for n, h in files.items() if isinstance(h, str) and n == Path(n).name}


def _bytes(path: Path) -> bytes | None:
    """What is in a file, None if it is not there; OutputError if it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror or error}") from error


def _hash_of(path: Path) -> str | None:
    there = _bytes(path)
    return None if there is None else _sha256(there)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# -- all or none -----------------------------------------------------------------------------
def _make_folder(folder: Path, undo: list[Callable[[], object]]) -> None:
    missing = [p for p in (folder, *folder.parents) if not p.exists() and not p.is_symlink()]
    for path in reversed(missing):
        path.mkdir()
        undo.append(path.rmdir)


def _replace_all(contents: Mapping[Path, bytes], undo: list[Callable[[], object]]) -> None:
    """Write everything beside its place first; rename only when all of it is on disk."""
    fresh = {
        path: new for path, new in contents.items() if path.is_symlink() or _bytes(path) != new
    }
    for path, content in fresh.items():
        undo.append(partial(_beside(path).unlink, missing_ok=True))
        _put_beside(path, content)
    for path in fresh:
        undo.append(_restore(path))
        os.replace(_beside(path), path)


def _beside(path: Path) -> Path:
    """The temporary file in the same folder that is renamed to ``path``."""
    return path.with_name(f".{path.name}.{os.getpid()}.derive")


def _put_beside(path: Path, content: bytes) -> None:
    # exclusive: never through a link that somebody put there; 0o666 lets the umask decide
    handle = os.open(_beside(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def _restore(path: Path) -> Callable[[], object]:
    """How to bring back what is at ``path`` now."""
    if path.is_symlink():
        aim = os.readlink(path)

        def relink() -> None:
            path.unlink(missing_ok=True)
            path.symlink_to(aim)

        return relink
    before = _bytes(path)
    if before is None:
        return partial(path.unlink, missing_ok=True)

    def rewrite() -> None:
        if _bytes(path) != before:
            _put_beside(path, before)
            os.replace(_beside(path), path)

    return rewrite
