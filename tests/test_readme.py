"""The README says what happens: its example is the tool's output, its commands are understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from derive.arguments import read
from derive.cli import main

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^python -m derive (-.*?)(?: +#.*)?$", README, re.MULTILINE)


def test_the_worked_example_is_what_the_tool_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = re.search(r"```console\n\$ python -m derive (.*?)\n(.*?)```", README, re.DOTALL)
    assert found
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(found[1])) == 0
    shown, printed = found[2].split("…\n"), capsys.readouterr().out
    assert printed.startswith(shown[0])
    assert printed.endswith(shown[-1])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_understood(command: str) -> None:
    request = read(shlex.split(command))
    assert (request is None) == ("--list" in command)


def test_there_are_commands_to_test() -> None:
    assert len(COMMANDS) >= 5


def test_the_python_example_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(import derive\n.*?)```", README, re.DOTALL)
    names: dict[str, object] = {}
    exec(example, names)
    assert (tmp_path / "generated").is_dir()
