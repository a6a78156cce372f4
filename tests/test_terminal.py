"""What the terminal can do: colours, letters, width; and the line of progress."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from derive import cli, terminal
from derive.cli import main
from derive.specs import PLAIN

ROOT = Path(__file__).resolve().parent.parent
TOY = ["--input", "3x3", "--kernel", "2x2", "--dry-run", "--formats", "py"]


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_a_terminal_gets_as_many_colours_as_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Screen())
    assert terminal.colours() == 256
    monkeypatch.setenv("COLORTERM", "truecolor")
    assert terminal.colours() == 1 << 24


@pytest.mark.parametrize("environment", [("NO_COLOR", "1"), ("TERM", "dumb"), ("FORCE_COLOR", "0")])
def test_colour_is_off_where_it_is_not_wanted(
    monkeypatch: pytest.MonkeyPatch, environment: tuple[str, str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Screen())
    monkeypatch.setenv(*environment)
    assert terminal.colours() == 0


def test_colour_is_forced_into_a_pipe_but_not_against_no_color(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert terminal.colours() == 0
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert terminal.colours() == 256
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.colours() == 0


def test_a_pipe_has_80_columns_and_a_terminal_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert terminal.width() == 80
    for told, used in (("57", 57), ("3", 40), ("500", 120), ("none", 80)):
        monkeypatch.setenv("COLUMNS", told)
        assert terminal.width() == used


@pytest.mark.parametrize(
    ("encoding", "able"), [("utf-8", True), ("ascii", False), ("latin-1", False), ("cp437", False)]
)
def test_letters_are_asked_of_the_stream(
    monkeypatch: pytest.MonkeyPatch, encoding: str, able: bool
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert terminal.unicode() == able


def run(**environment: str) -> bytes:
    plain = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "NO_COLOR", "COLUMNS")}
    done = subprocess.run(
        [sys.executable, "-m", "derive", *TOY],
        capture_output=True,
        check=True,
        env={**plain, "PYTHONPATH": str(ROOT), **environment},
    )
    assert done.stderr == b""
    return done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_stream_of_few_letters_gets_ascii_within_its_width(encoding: str) -> None:
    said = run(PYTHONIOENCODING=encoding, PYTHONUTF8="0", COLUMNS="44")
    assert said.isascii()
    assert b"dL/dx" in said
    assert b"#====#" in said
    assert max(map(len, said.splitlines())) <= 44


def test_a_pipe_gets_no_escapes_unless_they_are_forced() -> None:
    said = run(TERM="xterm-256color", COLORTERM="truecolor", PYTHONIOENCODING="utf-8")
    forced = run(FORCE_COLOR="1", TERM="xterm-256color", PYTHONIOENCODING="utf-8")
    assert b"\x1b" not in said
    assert b"\x1b[1m" in forced
    assert forced.count(b"\x1b[") == 2 * forced.count(b"\x1b[0m")


# -- progress --------------------------------------------------------------------------------
def test_progress_says_what_runs_and_for_how_long_and_is_gone_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(terminal, "PATIENCE", 0.01)
    monkeypatch.setattr(terminal, "STEP", 0.01)
    screen = Screen()
    with terminal.Progress(stream=screen) as progress:
        progress("checking the integer claim")
        end = time.monotonic() + 5
        while "checking" not in screen.getvalue() and time.monotonic() < end:
            time.sleep(0.01)
    assert "\r\x1b[Kchecking the integer claim … 0 s" in screen.getvalue()
    assert screen.getvalue().endswith("\r\x1b[K")


def test_what_is_quick_shows_no_progress() -> None:
    screen = Screen()
    with terminal.Progress(stream=screen) as progress:
        progress("deriving")
    assert screen.getvalue() == ""


@pytest.mark.parametrize("flag", ["--quiet", "--json"])
def test_no_progress_where_none_is_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    screen = Screen()
    monkeypatch.setattr(terminal, "PATIENCE", 0.0)
    monkeypatch.setattr(terminal, "STEP", 0.01)
    monkeypatch.setattr(sys, "stderr", screen)
    assert main([*TOY, flag]) == 0
    assert screen.getvalue() == ""
    assert "\x1b" not in capsys.readouterr().out
    assert main(TOY) == 0
    assert "\r\x1b[K" in screen.getvalue()


def test_the_line_of_progress_is_cleared_before_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(terminal, "PATIENCE", 0.0)
    monkeypatch.setattr(terminal, "STEP", 0.01)
    progress = terminal.Progress(stream=screen)
    with contextlib.suppress(ValueError), progress:
        progress("deriving")
        time.sleep(0.1)
        raise ValueError
    assert "deriving" in screen.getvalue()
    assert screen.getvalue().endswith("\r\x1b[K")


def test_steps_are_told_by_their_phrases_and_unknown_ones_as_they_are() -> None:
    told: list[str] = []
    tell = cli._told(told.append, PLAIN)
    for step in ("claim integer", "chain", "thinking hard"):
        tell(step)
    assert told == ["checking the integer claim", "checking the whole chain", "thinking hard"]
