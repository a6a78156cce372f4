"""Networks from the command line and from Python: files, summary, JSON, notes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import derive
from derive.cli import main

TEXT = "conv 2x2 > relu > flatten > dense 1 > mse"
WORDS = ["--network", TEXT, "--input", "3x3"]


def test_the_folder_is_a_package_that_trains(tmp_path: Path) -> None:
    assert main([*WORDS, "--out", str(tmp_path), "--name", "small", "--quiet"]) == 0
    code = (
        "import numpy as np; from small import forward, gradients, init, loss, sgd_step; "
        "p = init(0); x, t = np.ones((2, 3, 3)), np.zeros((2, 1)); "
        "value, g = gradients(x, t, p); assert value == loss(x, t, p); "
        "assert loss(x, t, sgd_step(p, g, 0.01)) < value; print(forward(x, p).shape)"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={},
    )
    assert run.stdout == "(2, 1)\n"


def test_the_command_in_the_certificate_gives_the_same_files(tmp_path: Path) -> None:
    assert main([*WORDS, "--out", str(tmp_path), "--name", "small", "--quiet"]) == 0
    certificate = json.loads((tmp_path / "small" / "certificate.json").read_text())
    assert certificate["network"] == TEXT
    assert certificate["command"] == (
        f"python -m derive --network '{TEXT}' --input 3x3 --name small"
    )
    assert main([*WORDS, "--out", str(tmp_path), "--name", "small", "--check", "--quiet"]) == 0
    other = ["--network", TEXT.replace("dense 1", "dense 2"), "--input", "3x3"]
    assert main([*other, "--out", str(tmp_path), "--name", "small", "--check", "--quiet"]) == 1


def test_every_layer_has_its_claims_in_the_certificate(tmp_path: Path) -> None:
    assert main([*WORDS, "--out", str(tmp_path), "--name", "small", "--quiet"]) == 0
    certificate = json.loads((tmp_path / "small" / "certificate.json").read_text())
    kinds = {
        one["name"]: [claim["kind"] for claim in one["claims"]] for one in certificate["layers"]
    }
    assert kinds["conv1"] == ["symbolic", "integer", "strategies"]
    assert kinds["relu1"] == ["selecting", "numeric", "strategies"]
    assert list(kinds) == ["conv1", "relu1", "flatten1", "dense1", "mse1"]
    (chain,) = certificate["claims"]
    assert chain["kind"] == "chain"
    assert chain["subject"] == ["loss", "conv1.w", "dense1.w", "dense1.b", "x"]


def test_json_has_shapes_and_parameters_and_nothing_else_on_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*WORDS, "--out", str(tmp_path), "--json", "--dry-run"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["shapes"] == {
        "x": [3, 3],
        "conv1": [2, 2],
        "relu1": [2, 2],
        "flatten1": [4],
        "dense1": [1],
        "mse1": [],
    }
    assert said["parameters"] == {"conv1.w": [2, 2], "dense1.w": [1, 4], "dense1.b": [1]}
    assert said["written"] is False
    assert not list(tmp_path.iterdir())


def test_the_summary_names_shapes_formulas_counts_and_proof(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*WORDS, "--out", str(tmp_path), "--dry-run"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "  ▼  conv1     conv 2x2    2×2         w 2×2       4" in said
    assert "relu1: relu (g from flatten1, ∂L/∂x)" in said
    assert "  ∂L/∂x[i,j] = g[i,j]·[x[i,j] > 0]" in said
    assert "  conv1     4        36       16             2×2   1×1" in said
    assert "  ✓ conv1     symbolic, integer, strategies" in said
    assert max(map(len, said)) <= 80


def test_build_makes_and_checks_networks_too(tmp_path: Path) -> None:
    (tmp_path / "MANIFEST").write_text(f'--network "{TEXT}" --input 3x3 --name small\n')
    assert main(["build", "--out", str(tmp_path), "--quiet"]) == 0
    assert (tmp_path / "small" / "kernel.py").exists()
    assert main(["build", "--check", "--out", str(tmp_path), "--quiet"]) == 0


def test_python_writes_what_the_command_line_writes(tmp_path: Path) -> None:
    derivation = derive.derive(derive.network(TEXT, input=(3, 3)))
    folder = derivation.write(tmp_path / "python")
    assert main([*WORDS, "--out", str(tmp_path / "words"), "--quiet"]) == 0
    other = tmp_path / "words" / folder.name
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in other.iterdir())
    for file in folder.iterdir():
        assert file.read_bytes() == (other / file.name).read_bytes()


def test_a_step_of_the_notes_is_the_step_of_the_module() -> None:
    """The numbers that the notes print are found in them as computed here."""
    derivation = derive.derive(derive.network(TEXT, input=(3, 3)))
    net, latex = derivation.kernel(), derivation.latex()
    x = np.random.default_rng(1).integers(-2, 4, (3, 3)).astype(float)
    params = {name: np.round(value, 1) for name, value in net.init(0).items()}
    t = np.zeros(1)
    if f"{net.loss(x, t, params):.4g}" not in latex:
        t = np.ones(1)
    _, gradients = net.gradients(x, t, params)
    after = net.sgd_step(params, gradients, 0.01)
    for number in (net.loss(x, t, params), net.loss(x, t, after), *after["conv1.w"].flat):
        assert f"{abs(number):.4g}" in latex


def test_notes_say_the_chain_rule_one_factor_a_layer() -> None:
    latex = derive.derive(derive.network(TEXT, input=(3, 3))).latex()
    steps = [("L", "x_{4}"), ("x_{4}", "x_{3}"), ("x_{3}", "x_{2}"), ("x_{2}", "x_{1}")]
    factors = [
        f"\\frac{{\\partial {top}}}{{\\partial {below}}}"
        for top, below in [*steps, ("x_{1}", "w_{1}")]
    ]
    assert r"\frac{\partial L}{\partial w_{1}} &=" + r" \cdot ".join(factors) in latex


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs a TeX installation")
def test_notes_compile_and_no_line_is_too_wide(tmp_path: Path) -> None:
    text = (
        "conv 2x2 as a > relu > conv 1 > add a > max_pool 2x2 > flatten > dense 2 > cross_entropy"
    )
    folder = derive.derive(derive.network(text, input=(5, 5))).write(tmp_path)
    subprocess.run(
        ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "notes.tex"],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    log = (folder / "notes.log").read_text(encoding="latin-1")
    wide = [line for line in log.splitlines() if line.startswith("Overfull \\hbox")]
    assert [line for line in wide if float(line.split("(")[1].split("pt")[0]) > 2] == []
