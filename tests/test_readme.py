"""The README says what happens: its example is the tool's output, its commands are understood."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from derive import layers
from derive.arguments import read
from derive.cli import main

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^python -m derive (-.*?)(?: +#.*)?$", README, re.MULTILINE)
ADDED = [command for command in COMMANDS if "scale" in command]
"""What works once the README's own layer is there."""


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


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in ADDED])
def test_every_command_is_understood(command: str) -> None:
    request = read(shlex.split(command))
    assert (request is None) == ("--list" in command)


def test_there_are_commands_to_test() -> None:
    assert len(COMMANDS) >= 5


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_python_examples_run(
    number: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(import derive\n.*?)```", README, re.DOTALL)
    assert len(examples) == 3
    names: dict[str, object] = {}
    exec(examples[number], names)
    assert (tmp_path / "generated").is_dir() == ("d.write" in examples[number])


def test_a_generated_network_steps_as_shown() -> None:
    (made,) = re.findall(r"```python\n(import derive\n\nnet.*?)```", README, re.DOTALL)
    (step,) = re.findall(r"```python\n(loss, grads.*?)```", README, re.DOTALL)
    x, t = np.random.default_rng(0).standard_normal((5, 1, 6, 6)), np.array([0, 1, 2, 1, 0])
    names: dict[str, Any] = {"x": x, "t": t}
    exec(made + step, names)
    assert set(names["params"]) == {"conv1.w", "conv1.b", "dense1.w", "dense1.b"}
    assert names["m"].loss(x, t, names["params"]) < names["loss"]


@pytest.mark.parametrize("command", [command for command in COMMANDS if "; " in command])
def test_layers_of_several_equations_are_proved(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*shlex.split(command), "--dry-run"]) == 0
    assert "Proved" in capsys.readouterr().out


@pytest.fixture
def added_layer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The README's file, as if it were in derive/layers."""
    (file,) = re.findall(r'```python\n("""A factor.*?)```', README, re.DOTALL)
    (tmp_path / "scale.py").write_text(file, encoding="utf-8")
    monkeypatch.setattr(layers, "__path__", [*layers.__path__, str(tmp_path)])
    layers.layers.cache_clear()
    yield
    layers.layers.cache_clear()
    sys.modules.pop("derive.layers.scale", None)


@pytest.mark.usefixtures("added_layer")
@pytest.mark.parametrize("command", ADDED)
def test_a_layer_is_added_with_the_file_shown(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*shlex.split(command), "--dry-run"]) == 0
    assert "a[c]·x[c,i,j]" in capsys.readouterr().out


def test_the_shown_layer_is_not_there_otherwise() -> None:
    assert len(ADDED) == 2
    assert "scale" not in layers.layers()
