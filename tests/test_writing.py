"""What is on disk after a write that works, one that fails and one that is refused."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from derive.errors import OutputError, UsageError
from derive.writing import difference, sealed, write

FACTS: dict[str, Any] = {"layer": "conv", "command": "python -m derive", "claims": []}
FILES = {"kernel.py": "y = x\n", "notes.tex": "∂L/∂x\n"}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_all_files_are_written_and_certified_by_their_hash(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b", FILES, FACTS)
    there = contents(tmp_path / "a" / "b")
    certificate = json.loads(there.pop("certificate.json"))
    assert there == {name: text.encode() for name, text in FILES.items()}
    assert certificate["files"] == {n: sha256(b).hexdigest() for n, b in there.items()}
    assert certificate["layer"] == "conv"


def test_a_second_run_gives_the_same_bytes_and_touches_nothing(tmp_path: Path) -> None:
    write(tmp_path / "d", FILES, FACTS)
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "d").iterdir()}
    write(tmp_path / "d", FILES, FACTS)
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "d").iterdir()} == before


def test_own_files_are_replaced(tmp_path: Path) -> None:
    write(tmp_path, FILES, FACTS)
    write(tmp_path, {"kernel.py": "y = 2*x\n"}, FACTS)
    assert (tmp_path / "kernel.py").read_text() == "y = 2*x\n"


def test_files_that_a_later_run_does_not_make_stay_derives_own(tmp_path: Path) -> None:
    write(tmp_path, FILES, FACTS)
    write(tmp_path, {"kernel.py": "y = 2*x\n"}, FACTS)
    write(tmp_path, {"notes.tex": "new\n"}, FACTS)  # would be refused if it had lost its hash
    assert (tmp_path / "notes.tex").read_text() == "new\n"


@pytest.mark.parametrize("name", ["kernel.py", "certificate.json"])
def test_somebody_elses_file_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine\n")
    with pytest.raises(UsageError, match=rf"{name} was not written by derive.*--force"):
        write(tmp_path, FILES, FACTS)
    assert contents(tmp_path) == {name: b"mine\n"}


def test_a_changed_file_is_somebody_elses(tmp_path: Path) -> None:
    write(tmp_path, FILES, FACTS)
    (tmp_path / "kernel.py").write_text("y = x  # my note\n")
    before = contents(tmp_path)
    with pytest.raises(UsageError, match=r"kernel.py was not written by derive, or was changed"):
        write(tmp_path, {**FILES, "kernel.py": "new\n"}, FACTS)
    assert contents(tmp_path) == before
    write(tmp_path, {**FILES, "kernel.py": "new\n"}, FACTS, force=True)
    assert (tmp_path / "kernel.py").read_text() == "new\n"


def test_links_are_refused_and_never_written_through(tmp_path: Path) -> None:
    aim = tmp_path / "precious"
    aim.write_text("precious\n")
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "kernel.py").symlink_to(aim)
    with pytest.raises(UsageError, match="symbolic link"):
        write(folder, FILES, FACTS)
    write(folder, FILES, FACTS, force=True)
    assert aim.read_text() == "precious\n"
    assert not (folder / "kernel.py").is_symlink()


def test_a_linked_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "d").symlink_to(tmp_path / "real")
    with pytest.raises(UsageError, match="symbolic link"):
        write(tmp_path / "d", FILES, FACTS)
    assert contents(tmp_path / "real") == {}


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_failing_rename_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, nth: int
) -> None:
    write(tmp_path / "d", FILES, FACTS)
    before = contents(tmp_path / "d")
    calls = 0
    rename = os.replace

    def failing(source: Path, target: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == nth:
            raise failure
        rename(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        write(tmp_path / "d", {"kernel.py": "new\n", "notes.tex": "new\n"}, FACTS)
    assert contents(tmp_path / "d") == before


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_full_disk_leaves_no_folder_that_was_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    calls = 0
    fdopen = os.fdopen

    def failing(handle: int, mode: str) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth:
            os.close(handle)
            raise OSError(28, "No space left on device")
        return fdopen(handle, mode)

    monkeypatch.setattr(os, "fdopen", failing)
    with pytest.raises(OutputError, match="No space left on device"):
        write(tmp_path / "a" / "d", FILES, FACTS)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "d").write_text("a file\n")
    with pytest.raises(OutputError, match="cannot"):
        write(tmp_path / "d", FILES, FACTS)
    assert (tmp_path / "d").read_text() == "a file\n"


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", '{"files": 3}', "{}", "not json"])
def test_a_broken_certificate_owns_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "certificate.json").write_text(text)
    with pytest.raises(UsageError, match=r"certificate\.json was not written by derive"):
        write(tmp_path, FILES, FACTS)


def test_a_certificate_cannot_claim_files_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    write(folder, FILES, FACTS)
    (tmp_path / "outside").write_text("x")
    certificate = json.loads((folder / "certificate.json").read_text())
    certificate["files"]["../outside"] = sha256(b"x").hexdigest()
    (folder / "certificate.json").write_text(json.dumps(certificate))
    assert "../outside" not in json.loads(sealed(folder, FILES, FACTS)["certificate.json"])["files"]


def test_the_difference_is_empty_after_a_write_and_shows_a_changed_line(tmp_path: Path) -> None:
    write(tmp_path, FILES, FACTS)
    assert difference(tmp_path, sealed(tmp_path, FILES, FACTS)) == ""
    (tmp_path / "kernel.py").write_text("y = 3*x\n")
    found = difference(tmp_path, sealed(tmp_path, FILES, FACTS))
    assert "-y = 3*x\n+y = x\n" in found


def test_the_difference_names_missing_files_and_orphans(tmp_path: Path) -> None:
    write(tmp_path, FILES, FACTS)
    (tmp_path / "notes.tex").unlink()
    (tmp_path / "old.py").write_text("")
    (tmp_path / "__pycache__").mkdir()
    found = difference(tmp_path, sealed(tmp_path, FILES, FACTS))
    assert f"missing: {tmp_path / 'notes.tex'}\n" in found
    assert "only in" in found
    assert "old.py" in found
    assert "__pycache__" not in found


# -- bytes -----------------------------------------------------------------------------------
PAGES = {"notes.pdf": b"%PDF one\xff", "notes.tex": "one\n"}


def test_bytes_are_written_as_they_are_and_certified(tmp_path: Path) -> None:
    write(tmp_path, PAGES, FACTS)
    assert (tmp_path / "notes.pdf").read_bytes() == b"%PDF one\xff"
    listed = json.loads((tmp_path / "certificate.json").read_text())["files"]
    assert listed["notes.pdf"] == sha256(b"%PDF one\xff").hexdigest()


def test_bytes_are_compared_with_their_certificate_only(tmp_path: Path) -> None:
    write(tmp_path, PAGES, FACTS)
    others = {**PAGES, "notes.pdf": b"%PDF of another engine"}
    assert difference(tmp_path, sealed(tmp_path, others, FACTS)) == ""
    texts = {**PAGES, "notes.tex": "two\n"}
    assert "+two" in difference(tmp_path, sealed(tmp_path, texts, FACTS))
    (tmp_path / "notes.pdf").write_bytes(b"%PDF changed")
    found = difference(tmp_path, sealed(tmp_path, PAGES, FACTS))
    assert found == f"changed: {tmp_path / 'notes.pdf'} is not the file that was certified\n"
    (tmp_path / "notes.pdf").unlink()
    found = difference(tmp_path, sealed(tmp_path, PAGES, FACTS))
    assert found == f"missing: {tmp_path / 'notes.pdf'}\n"


def test_bytes_that_were_never_certified_are_a_difference(tmp_path: Path) -> None:
    write(tmp_path, {"notes.tex": "one\n"}, FACTS)
    (tmp_path / "notes.pdf").write_bytes(b"%PDF of somebody")
    found = difference(tmp_path, sealed(tmp_path, PAGES, FACTS))
    assert "notes.pdf is not the file that was certified" in found


def test_bytes_are_made_only_where_they_may_be_written(tmp_path: Path) -> None:
    def never() -> bytes:
        raise AssertionError("made")

    def later() -> bytes:
        made.append(1)
        return b"%PDF"

    made: list[int] = []
    (tmp_path / "notes.pdf").write_bytes(b"mine")
    with pytest.raises(UsageError, match="was not written by derive"):
        write(tmp_path, {"notes.pdf": never}, FACTS)
    assert sealed(tmp_path, {"notes.pdf": never}, FACTS)["certificate.json"]
    write(tmp_path, {"notes.pdf": later}, FACTS, force=True)
    write(tmp_path, {"notes.pdf": later}, FACTS)
    assert contents(tmp_path)["notes.pdf"] == b"%PDF"
    assert made == [1, 1]


def test_nothing_is_written_where_the_bytes_cannot_be_made(tmp_path: Path) -> None:
    def fails() -> bytes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "new", {"notes.tex": "one\n", "notes.pdf": fails}, FACTS)
    assert list(tmp_path.iterdir()) == []
