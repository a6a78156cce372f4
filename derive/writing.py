"""A folder of files, written whole or not at all, and never over somebody else's work.

A derivation's folder holds its files and ``certificate.json``, which says what was proved and
keeps the SHA-256 of every file. That hash is also the deed of ownership: a file is derive's own
if its folder's certificate holds the hash of what is in it now. Anything else is refused
without ``force``.

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
from functools import partial
from pathlib import Path
from typing import Any

from .errors import OutputError, UsageError

CERTIFICATE = "certificate.json"

Facts = Mapping[str, Any]
"""What the certificate says beside the hashes; JSON values only."""


def write(folder: Path, files: Mapping[str, str], facts: Facts, *, force: bool = False) -> None:
    """Write ``files`` (name → text) and their certificate into ``folder``, all or none.

    Files of an earlier run that this one does not make stay, and stay certified. Raises
    UsageError for a file that derive did not write (mended by ``force``), OutputError where the
    system refuses.
    """
    texts = sealed(folder, files, facts)
    if not force:
        _refuse_foreign(folder, texts)
    undo: list[Callable[[], object]] = []
    try:
        _make_folder(folder, undo)
        place = folder.resolve()
        _replace_all({place / name: text.encode() for name, text in texts.items()}, undo)
    except BaseException as error:
        for action in reversed(undo):
            with suppress(OSError):  # one thing that cannot be undone must not keep the rest
                action()
        if isinstance(error, OSError):
            where = error.filename or folder
            raise OutputError(f"cannot write {where}: {error.strerror or error}") from error
        raise


def sealed(folder: Path, files: Mapping[str, str], facts: Facts) -> dict[str, str]:
    """``files`` and the certificate over them and over what stays of an earlier run."""
    kept = {n: h for n, h in _owned(folder).items() if n not in files and _hash_of(folder / n) == h}
    hashes = kept | {name: _sha256(text.encode()) for name, text in files.items()}
    return {**files, CERTIFICATE: certificate_text({**facts, "files": hashes})}


def certificate_text(facts: Facts) -> str:
    """The certificate's JSON: sorted keys, no dates, no paths, so the same bytes every time."""
    return json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def difference(folder: Path, texts: Mapping[str, str]) -> str:
    """A unified diff from what is in ``folder`` to ``texts``; empty if they are the same.

    A file of the folder that ``texts`` does not have and its certificate does not list is
    reported too; hidden files and ``__pycache__`` are not looked at.
    """
    lines: list[str] = []
    for name, text in sorted(texts.items()):
        there = _bytes(folder / name)
        if there is None:
            lines.append(f"missing: {folder / name}\n")
        elif there != text.encode():
            old = there.decode(errors="replace").splitlines(keepends=True)
            new = text.splitlines(keepends=True)
            label = str(folder / name)
            lines += difflib.unified_diff(old, new, label, f"{label} (derived)")
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        listed = path.name in texts or path.name in _owned(folder)
        if not listed and not path.name.startswith((".", "__pycache__")):
            lines.append(f"only in {folder}: {path.name}, which no derivation makes\n")
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)


# -- who owns a file -------------------------------------------------------------------------
def _refuse_foreign(folder: Path, texts: Mapping[str, str]) -> None:
    if folder.is_symlink():
        raise UsageError(f"{folder} is a symbolic link; --force writes where it points")
    owned = _owned(folder)
    for name, text in texts.items():
        path = folder / name
        if path.is_symlink():
            raise UsageError(f"{path} is a symbolic link; --force replaces it by a file")
        there = _bytes(path)
        if there is None or there == text.encode():
            continue
        own = bool(owned) if name == CERTIFICATE else owned.get(name) == _sha256(there)
        if not own:
            raise UsageError(
                f"{path} was not written by derive, or was changed since; --force overwrites it"
            )


def _owned(folder: Path) -> dict[str, str]:
    """File → hash as the folder's certificate says; empty if there is none to read."""
    try:
        files = json.loads((folder / CERTIFICATE).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
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
