"""The command line as a person or a program meets it: output, messages, exit codes, files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from derive import pipeline, writing
from derive.cli import main
from derive.errors import Disproved

ROOT = Path(__file__).resolve().parent.parent
TOY = ["--input", "3x3", "--kernel", "2x2"]
EQUATION = "y[i] = sum[u](x[i+u]*w[u])"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(words: list[str], **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A process of its own, with the package from this repository."""
    return subprocess.run(
        [sys.executable, "-m", "derive", *words],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# -- what it makes -----------------------------------------------------------------------------
def test_the_main_job_writes_kernel_notes_and_certificate(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(TOY) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "generated/conv2d_3x3_k2x2" in printed.out
    assert sorted(tree(elsewhere)) == [
        f"generated/conv2d_3x3_k2x2/{name}"
        for name in ("__init__.py", "certificate.json", "kernel.py", "notes.html", "notes.tex")
    ]


def test_the_written_package_is_imported_without_sympy(elsewhere: Path) -> None:
    assert main([*TOY, "--quiet"]) == 0
    code = (
        "import sys; sys.path.insert(0, '.'); sys.modules['sympy'] = None\n"
        "from generated.conv2d_3x3_k2x2 import SHAPES, Gradients, backward, forward\n"
        "import numpy as np\n"
        "x, w = np.arange(9).reshape(3, 3), np.array([[1, 2], [3, 4]])\n"
        "print(forward(x, w).tolist(), backward(np.ones((2, 2), int), x, w).dx.tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    # by hand: y[0,0] = 0*1 + 1*2 + 3*3 + 4*4; dx[1,1] is touched by all four taps
    assert done.stdout == "[[27, 37], [57, 67]] [[1, 3, 2], [4, 10, 6], [3, 7, 4]]\n"


def test_json_is_the_only_thing_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TOY, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["shapes"] == {"x": [3, 3], "w": [2, 2], "y": [2, 2]}
    assert result["gradients"] == ["x", "w"]
    assert result["command"] == "python -m derive --input 3x3 --kernel 2x2"
    assert result["written"] is True
    assert {claim["kind"] for claim in result["claims"]} >= {"integer"}


def test_quiet_prints_nothing_and_dry_run_writes_nothing(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TOY, "--quiet", "--dry-run"]) == 0
    assert capsys.readouterr() == ("", "")
    assert tree(elsewhere) == {}


def test_name_out_and_formats_say_where_and_what(elsewhere: Path) -> None:
    assert main([*TOY, "--quiet", "--out", "there", "--name", "toy", "--formats", "py"]) == 0
    assert sorted(tree(elsewhere)) == [
        f"there/toy/{name}" for name in ("__init__.py", "certificate.json", "kernel.py")
    ]


def test_wrt_leaves_the_other_gradients_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TOY, "--json", "--wrt", "w"]) == 0
    assert json.loads(capsys.readouterr().out)["gradients"] == ["w"]


def test_an_equation_takes_the_same_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--equation", EQUATION, "--shape", "x=5", "--shape", "w=3", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["shapes"] == {"x": [5], "w": [3], "y": [3]}
    assert "kernel.py" in result["files"]


def test_an_equation_without_shapes_gives_notes_and_says_why_no_kernel(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--equation", EQUATION]) == 0
    printed = capsys.readouterr()
    assert "--shape" in printed.out
    assert "kernel.py" not in printed.out


def test_check_is_silent_success_after_a_run_and_shows_what_changed(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TOY, "--quiet"]) == 0
    assert main([*TOY, "--check"]) == 0
    assert capsys.readouterr().out == ""
    kernel = elsewhere / "generated" / "conv2d_3x3_k2x2" / "kernel.py"
    kernel.write_text(kernel.read_text().replace("import numpy as np", "import numpy as mine"))
    before = tree(elsewhere)
    assert main([*TOY, "--check"]) == 1
    assert "-import numpy as mine\n+import numpy as np\n" in capsys.readouterr().out
    assert tree(elsewhere) == before


def test_a_changed_file_is_refused_without_force(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TOY, "--quiet"]) == 0
    kernel = elsewhere / "generated" / "conv2d_3x3_k2x2" / "kernel.py"
    derived = kernel.read_bytes()
    kernel.write_text("mine\n")
    assert main(TOY) == 2
    assert "--force" in capsys.readouterr().err
    assert kernel.read_text() == "mine\n"
    assert main([*TOY, "--force", "--quiet"]) == 0
    assert kernel.read_bytes() == derived


def test_a_disproved_claim_writes_nothing(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def disproved(*_: object) -> None:
        raise Disproved("conv: dx[0,1] is 3, but 4 was derived")

    monkeypatch.setattr(pipeline, "prove", disproved)
    assert main(TOY) == 1
    assert capsys.readouterr().err == "derive: conv: dx[0,1] is 3, but 4 was derived\n"
    assert tree(elsewhere) == {}


# -- build ---------------------------------------------------------------------------------------
def test_build_makes_what_the_manifest_lists_and_check_holds_it(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "generated").mkdir()
    (elsewhere / "generated" / "MANIFEST").write_text(
        "# comment\n--input 3x3 --kernel 2x2\n\n--equation 'y[i] = 2*x[i]' --shape x=3 --name two\n"
    )
    assert main(["build", "--quiet"]) == 0
    assert {Path(p).parts[1] for p in tree(elsewhere)} == {"MANIFEST", "conv2d_3x3_k2x2", "two"}
    assert main(["build", "--check"]) == 0
    (elsewhere / "generated" / "two" / "orphan.py").write_text("")
    capsys.readouterr()
    assert main(["build", "--check"]) == 1
    printed = capsys.readouterr()
    assert "orphan.py" in printed.out
    assert "generated/two" in printed.err
    assert "conv2d" not in printed.err


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("--input 3x3 --kernal 2x2\n", "row 1: unknown option --kernal; did you mean --kernel?"),
        ("\n--name 'open\n", "row 2: No closing quotation"),
        ("--input 3 --kernel 2\n--input 3 --kernel 2\n", "row 2: "),
    ],
)
def test_a_mistake_in_the_manifest_names_its_row(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], manifest: str, message: str
) -> None:
    (elsewhere / "generated").mkdir()
    (elsewhere / "generated" / "MANIFEST").write_text(manifest)
    assert main(["build", "--quiet"]) == 2
    assert message in capsys.readouterr().err


def test_build_check_has_a_line_for_a_file_and_its_diff_where_that_is_asked_for(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = elsewhere / "generated"
    folder.mkdir()
    (folder / "MANIFEST").write_text("--input 3x3 --kernel 2x2\n")
    assert main(["build", "--quiet"]) == 0
    page, notes = (folder / "conv2d_3x3_k2x2" / f"notes.{end}" for end in ("html", "tex"))
    page.write_text("<p>\n" * 1000)
    notes.write_text(notes.read_text() + "% mine\n")
    assert main(["build", "--check"]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("changed: generated/conv2d_3x3_k2x2/notes.html, lines that go: 1000,")
    where = "generated/conv2d_3x3_k2x2/notes.tex"
    assert second == f"changed: {where}, lines that go: 1, that come: 0"
    assert main(["build", "--check", "--diff"]) == 1
    printed = capsys.readouterr().out
    assert "\n-% mine\n" in printed
    assert len(printed.splitlines()) < 250
    assert "more lines of this diff" in printed
    assert main(["build", "--check", "--quiet"]) == 1
    assert capsys.readouterr().out == ""
    assert main(["build", "--diff"]) == 2


def test_build_without_a_manifest_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build"]) == 1
    assert "generated/MANIFEST" in capsys.readouterr().err


def test_the_committed_package_is_what_is_derived_now(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["build", "--check"]) == 0, capsys.readouterr().out


# -- mistakes --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--input", "3x3", "--kernal", "2x2"], "unknown option --kernal; did you mean --kernel?"),
        (["--input", "3x3", "--kern", "2x2"], "unknown option --kern; did you mean --kernel?"),
        (["bild"], "unknown command 'bild'; did you mean build?"),
        (["conv"], "unknown command 'conv'; did you mean --layer conv?"),
        (["--input", "3x3", "2x2"], "unexpected '2x2'"),
        (["--layer", "convv"], "layer (='convv') is unknown; did you mean conv?"),
        (["--input", "3x3"], "layer conv needs --kernel"),
        (["--input"], "--input: expected one argument"),
        (["--input", "-3x3", "--kernel", "2"], "--input (='-3x3') is not a size: -3 is below 0"),
        (["--input", "3×3", "--kernel", "2"], "× must be the letter x, as in 3x3"),
        (
            [*TOY, "--title", "a\u200bb"],
            "--title (='a\\u200bb') has a character that cannot be seen",
        ),
        ([*TOY, "--title", "a\nb"], "--title (='a\\nb') must be one line"),
        ([*TOY, "--title", 201 * "a"], "must have at most 200 characters, it has 201"),
        ([*TOY, "--index-base", "2"], "--index-base (='2') must be 0 or 1"),
        (
            [*TOY, "--formats", "py,docx"],
            "--formats (='docx'): no such format; there are py, tex, html",
        ),
        ([*TOY, "--name", "../up"], "--name (='../up') is not a name"),
        ([*TOY, "--name", "class"], "--name (='class') is a word of Python"),
        ([*TOY, "--ties", "split"], "--ties is no option of layer conv"),
        ([*TOY, "--shape", "x=3"], "--shape goes with --equation only"),
        ([*TOY, "--wrt", "q"], "--wrt"),
        ([*TOY, "--equation", EQUATION], "--input does not go with --equation"),
        (["--equation", EQUATION, "--layer", "conv"], "--layer does not go with --equation"),
        (["--equation", EQUATION, "--shape", "x"], "--shape (='x') needs name=value"),
        (["--equation", EQUATION, "--shape", "x=3", "--shape", "x=4"], "--shape x is given twice"),
        (["--equation", EQUATION, "--shape", "../x=3", "--shape", "w=2"], "../x"),
        (["--equation", ""], "equation"),
        (["--equation", "__import__('os').system('true')"], "^"),
        (["--input", "1000000x1000000x1000000", "--kernel", "2"], "large"),
        (["--input", "3x3", "--kernel", "4x4"], "kernel (=4x4) is larger than the padded input"),
        (["--input", "3x\ud8003", "--kernel", "4x4"], "--input"),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else "",
)
def test_a_mistake_gets_one_message_and_exit_code_2(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("derive: ")
    assert message in printed.err
    assert "Traceback" not in printed.err
    assert tree(elsewhere) == {}


def test_no_words_print_the_usage_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("usage: python -m derive")


def test_list_shows_every_layer_with_its_equation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert "sum[c,u](x[(g,c), s*i + d*u - p] * w[(g,f),c,u])" in capsys.readouterr().out


def test_a_place_that_cannot_be_written_is_exit_code_1(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "file").write_text("")
    assert main([*TOY, "--out", "file"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("derive: cannot")


def test_an_unexpected_error_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(pipeline, "derive", broken)
    assert main(TOY) == 1
    message = "derive: internal error, please report it: ZeroDivisionError: a bug\n"
    assert capsys.readouterr().err == message


# -- the world around ------------------------------------------------------------------------------
def test_ctrl_c_is_130_and_leaves_nothing(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(writing, "_put_beside", interrupted)
    assert main([*TOY, "--quiet"]) == 130
    assert capsys.readouterr().err == "derive: interrupted; nothing is half-written\n"
    assert list(elsewhere.iterdir()) == []


def test_a_reader_that_goes_away_causes_no_traceback() -> None:
    words = f"{sys.executable} -m derive --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stderr == ""


def test_a_stream_without_greek_gets_ascii() -> None:
    done = run([*TOY, "--dry-run"], PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert b"\\u" not in done.stdout


def test_a_pipe_gets_no_colour_and_no_progress() -> None:
    done = run([*TOY, "--dry-run"], TERM="xterm-256color")
    assert b"\x1b" not in done.stdout + done.stderr
    assert done.stderr == b""


def test_two_runs_give_the_same_bytes_whatever_the_hash_seed(elsewhere: Path) -> None:
    words = ["--input", "4x5x5", "--kernel", "3x3", "--filters", "2", "--stride", "2", "--bias"]
    words += ["--formats", "py,tex,html,ipynb"]
    for seed in ("0", "1", "2"):
        assert run([*words, "--quiet", "--out", seed], PYTHONHASHSEED=seed).returncode == 0
    trees = [tree(elsewhere / seed) for seed in ("0", "1", "2")]
    assert len(trees[0]) == 6
    assert trees[0] == trees[1] == trees[2]
