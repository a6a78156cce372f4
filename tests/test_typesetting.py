"""Which engine makes the PDF, what is said where there is none, and what is left behind."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from derive import cli, typesetting
from derive.errors import MissingTool, OutputError

TYPST = "#set document(date: none)\n= Notes"
TEX = "\\documentclass{article}\\begin{document}Notes\\end{document}\n"
WORDS = ["--input", "3x3", "--kernel", "2x2", "--formats", "pdf"]
NEEDS_TEX = pytest.mark.skipif(
    not (shutil.which("latexmk") and shutil.which("pdflatex")), reason="no TeX here"
)


@pytest.fixture
def no_tex(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has pip alone."""
    monkeypatch.setenv("PATH", "")


@pytest.fixture
def nothing(no_tex: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has neither engine."""
    monkeypatch.setattr(typesetting, "find_spec", lambda name: None)


def fake(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """A latexmk that does as it is told, first on the PATH."""
    for name in ("latexmk", "pdflatex"):
        path = folder / name
        path.write_text(f"#!{sys.executable}\n{body}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_latexmk_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "open('notes.pdf', 'wb').write(b'%PDF of ' + open('notes.tex', 'rb').read())\n"
    fake(tmp_path, monkeypatch, code)
    assert typesetting.pdf("the TeX", "the Typst") == b"%PDF of the TeX"


def test_typst_makes_the_pdf_where_there_is_no_tex(no_tex: None) -> None:
    assert typesetting.engine() == "typst"
    assert typesetting.pdf("no TeX at all", TYPST).startswith(b"%PDF")


def test_latexmk_without_a_tex_to_run_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, monkeypatch, "")
    (tmp_path / "pdflatex").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert typesetting.engine() == "typst"


def test_both_install_lines_are_told_where_there_is_neither(nothing: None) -> None:
    with pytest.raises(MissingTool) as caught:
        typesetting.pdf(TEX, TYPST)
    assert 'pip install "derive-layers[pdf]"' in str(caught.value)
    assert "apt install latexmk" in str(caught.value)


def test_the_extra_that_is_named_brings_typst() -> None:
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert 'name = "derive-layers"' in text
    assert 'pdf = ["typst' in text


@NEEDS_TEX
def test_the_same_source_gives_the_same_bytes() -> None:
    assert typesetting.from_tex(TEX) == typesetting.from_tex(TEX)
    assert typesetting.from_typst(TYPST) == typesetting.from_typst(TYPST)


@NEEDS_TEX
def test_tex_runs_no_program_and_reads_no_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".latexmkrc").write_text(f"system('touch {tmp_path}/settings');\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    source = TEX.replace("Notes", f"Notes\\immediate\\write18{{touch {tmp_path}/program}}")
    assert typesetting.from_tex(source).startswith(b"%PDF")
    assert not (tmp_path / "settings").exists()
    assert not (tmp_path / "program").exists()


@NEEDS_TEX
def test_the_first_complaint_of_tex_is_told_with_its_line() -> None:
    source = TEX.replace("Notes", "\nNotes \\nosuch and \\another")
    with pytest.raises(OutputError, match=r"Undefined control sequence.*l\.2 Notes \\nosuch"):
        typesetting.from_tex(source)


def test_the_complaint_of_typst_is_told() -> None:
    with pytest.raises(OutputError, match="unclosed delimiter"):
        typesetting.from_typst("$ x")


def test_a_latexmk_that_says_nothing_and_makes_nothing_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, monkeypatch, "print('out of paper')\n")
    with pytest.raises(OutputError, match="out of paper"):
        typesetting.pdf(TEX, TYPST)


def test_a_run_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, monkeypatch, HANGS.format(folder=str(tmp_path)))
    monkeypatch.setattr(typesetting, "SECONDS", 0.5)
    with pytest.raises(OutputError, match=r"did not end within 0\.5 seconds"):
        typesetting.pdf(TEX, TYPST)
    assert gone(tmp_path)


HANGS = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open({folder!r} + "/pids.new", "w").write(f"{{os.getpid()}} {{child.pid}} {{os.getcwd()}}")
os.rename({folder!r} + "/pids.new", {folder!r} + "/pids")
time.sleep(60)
"""


def gone(folder: Path) -> bool:
    """Whether latexmk, its child and its folder are no more."""
    one, other, place = (folder / "pids").read_text().split()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if not any(alive(int(pid)) for pid in (one, other)) and not Path(place).exists():
            return True
        time.sleep(0.02)
    return False


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


# -- from the command line -----------------------------------------------------------------------
def test_a_pdf_alone_leaves_no_source_behind(no_tex: None, tmp_path: Path) -> None:
    assert cli.main([*WORDS, "--quiet", "--out", str(tmp_path)]) == 0
    folder = tmp_path / "conv2d_3x3_k2x2"
    assert sorted(p.name for p in folder.iterdir()) == ["certificate.json", "notes.pdf"]
    pages = (folder / "notes.pdf").read_bytes()
    recorded = json.loads((folder / "certificate.json").read_text())["files"]
    assert recorded == {"notes.pdf": sha256(pages).hexdigest()}


def test_neither_engine_is_exit_code_3_and_nothing_is_written(
    nothing: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*WORDS, "--quiet", "--out", str(tmp_path)]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert "derive-layers[pdf]" in said.err
    assert "apt install latexmk" in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_failing_tex_is_exit_code_1_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bin_ := tmp_path / "bin").mkdir()
    fake(bin_, monkeypatch, "raise SystemExit('! no fonts')\n")
    assert cli.main([*WORDS, "--quiet", "--out", str(tmp_path / "out")]) == 1
    assert not (tmp_path / "out").exists()


def test_dry_run_and_check_need_no_engine(
    nothing: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*WORDS, "--json", "--dry-run", "--out", str(tmp_path)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["files"] == ["certificate.json", "notes.pdf"]
    assert said["written"] is False
    assert list(tmp_path.iterdir()) == []


def test_check_asks_that_the_pdf_is_there_and_is_the_certified_one(
    no_tex: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*WORDS, "--quiet", "--out", str(tmp_path)]
    assert cli.main(words) == 0
    monkeypatch.setattr(typesetting, "find_spec", lambda name: None)  # no engine any more
    assert cli.main([*words, "--check"]) == 0
    pages = tmp_path / "conv2d_3x3_k2x2" / "notes.pdf"
    kept = pages.read_bytes()
    pages.write_bytes(kept + b"%")
    assert cli.main([*words, "--check"]) == 1
    pages.unlink()
    assert cli.main([*words, "--check"]) == 1


def test_an_interrupted_run_leaves_neither_files_nor_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bin_ := tmp_path / "bin").mkdir()
    fake(bin_, monkeypatch, HANGS.format(folder=str(bin_)))
    command = [sys.executable, "-m", "derive", *WORDS, "--quiet", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        end = time.monotonic() + 30
        while not (bin_ / "pids").exists() and time.monotonic() < end:
            time.sleep(0.02)
        run.send_signal(2)
        said = run.communicate(timeout=10)[1]
    assert run.returncode == 130
    assert "interrupted; nothing is half-written" in said
    assert not (tmp_path / "out").exists()
    assert gone(bin_)
