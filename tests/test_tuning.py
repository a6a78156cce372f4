"""``--tune`` and ``--exact-order``: what is measured decides, is told, and can be used again."""

from __future__ import annotations

import json
import time
from types import ModuleType

import numpy as np
import pytest
from kernels import derivation_of, run
from reference import conv_backward, conv_forward

import derive
from derive import tuning
from derive.cli import main
from derive.errors import Disproved
from derive.lower import choose, lower
from derive.lower.branching import Asked, tasks
from derive.lower.choose import BATCHES
from derive.lower.snippets import snippet
from derive.lower.strategies import strategies
from derive.lower.tasks import Routine
from derive.machines import Cost, Machine, Tuning
from derive.programs import Function
from derive.render.kernel import kernel

LAYER = {"input": (2, 8, 8), "kernel": (3, 3), "filters": 3, "padding": 1, "bias": True}
WORDS = ["--input", "2x8x8", "--kernel", "3", "--filters", "3", "--padding", "1", "--bias"]
WORDS += ["--formats", "py"]
WINOGRAD = {"input": (32, 28, 28), "kernel": (3, 3), "filters": 32, "padding": 1}
NET = "conv 3x3 filters=2 > relu > flatten > dense 3 > cross_entropy"


@pytest.fixture
def quick(monkeypatch):
    """Measuring that takes no time worth speaking of."""
    monkeypatch.setattr(tuning, "ROUNDS", 2)
    monkeypatch.setattr(tuning, "LEAST", 1)
    monkeypatch.setattr(tuning, "SAMPLE", 1e-5)


def planted(exact=True):
    """A strategy that makes y in no time, and wrongly: nothing is faster."""

    def make(task, targets):
        shape = ", ".join(map(str, task.shape("y")))
        body = snippet(f"return np.empty((len(x), {shape}), x.dtype)")
        return Routine(targets, Function("_y_planted", ("x",), body, ("Nothing.",), "", ("len",)))

    made = ModuleType("planted")
    made.NAME, made.EXACT, made.lower = "planted", exact, make
    made.applies = lambda task: [("y",)] if "y" in task.statements else []
    made.cost = lambda task, targets, batch: Cost(calls=10 + batch)
    return made


@pytest.fixture
def with_planted(monkeypatch):
    every = (*strategies(), planted())
    monkeypatch.setattr(choose, "strategies", lambda: every)


# -- measuring -----------------------------------------------------------------------------------
@pytest.mark.usefixtures("quick", "with_planted")
def test_what_is_fastest_on_this_machine_is_chosen():
    derivation = derivation_of(derive.conv(**LAYER))
    found = tuning.tune(derivation)
    program = lower(derivation, tuning=found)
    chosen = [c for c in program.choices if c.direction == "forward" and c.least]
    assert {call.strategy for choice in chosen for call in choice.calls} == {"planted"}
    assert all(call.measured for choice in chosen for call in choice.calls)


@pytest.mark.usefixtures("quick", "with_planted")
def test_what_is_fastest_and_wrong_is_not_let_through():
    with pytest.raises(Disproved):
        derive.derive(derive.conv(**LAYER)).kernel(tune=True)


@pytest.mark.usefixtures("quick")
def test_every_batch_size_is_measured_for_a_layer_that_is_quick():
    found = tuning.tune(derivation_of(derive.conv(**LAYER)))
    assert {(row[0], row[3]) for row in found.clock} == {
        (direction, batch) for direction in ("forward", "backward") for batch in BATCHES
    }
    assert all(row[4] > 0 for row in found.clock)


def test_without_time_the_choice_of_the_model_for_one_sample_is_measured():
    derivation = derivation_of(derive.conv(**LAYER))
    found = tuning.tune(derivation, limit=0)
    assert {row[3] for row in found.clock} == {1}
    tuned = [
        call.strategy
        for choice in lower(derivation, tuning=found).choices
        for call in choice.calls
        if choice.least == 1
    ]
    cheapest = [
        choose.cheapest(tuple(t.statements), choose.offers(t), choose.estimate(t), 1)
        for t in tasks(derivation, Asked(machine=found.machine))
    ]
    assert tuned == [strategy.NAME for _, plan in cheapest for strategy, _ in plan]


def test_measuring_ends_in_time():
    derivation = derivation_of(derive.conv(input=(16, 56, 56), kernel=(5, 5), filters=32))
    start = time.perf_counter()
    tuning.tune(derivation, limit=1)
    assert time.perf_counter() - start < 10


@pytest.mark.usefixtures("quick")
def test_a_tuned_kernel_is_right():
    module = derive.derive(derive.conv(**LAYER)).kernel(tune=True)
    random = np.random.default_rng(0)
    x, w = random.integers(-3, 4, (9, 2, 8, 8)) * 1.0, random.integers(-3, 4, (3, 2, 3, 3)) * 1.0
    b, dy = random.integers(-3, 4, 3) * 1.0, random.integers(-3, 4, (9, 3, 8, 8)) * 1.0
    close = {"rtol": 1e-10, "atol": 1e-10}
    np.testing.assert_allclose(
        module.forward(x, w, b), conv_forward(x, w, b, padding=((1, 1), (1, 1))), **close
    )
    dx, dw, *_ = conv_backward(dy, x, w, padding=((1, 1), (1, 1)))
    found = module.backward(dy, x, w, b)
    np.testing.assert_allclose(found.dx, dx, **close)
    np.testing.assert_allclose(found.dw, dw, **close)
    assert "measured on one machine" in module.__doc__
    assert "--tune" in module.__doc__


def test_a_layer_without_a_choice_has_nothing_to_measure():
    for layer in (derive.mse(input=(4,)), derive.softmax(input=(4,))):
        assert tuning.tune(derivation_of(layer)).clock == ()


def test_the_machine_is_measured_as_something_that_computes():
    found = tuning.measured_machine()
    assert found.gemm > 1e8
    assert 0 <= found.sliced <= 4_000_000


# -- records -------------------------------------------------------------------------------------
TUNED = Tuning(
    Machine(gemm=5e10, sliced=250_000),
    (("forward", "columns", ("y",), 1, 4000), ("backward", "correlate", ("dw", "db"), 8, 70_000)),
)


def test_a_record_gives_the_same_measurements_again():
    assert Tuning.recalled(json.loads(json.dumps(TUNED.record()))) == TUNED


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        {"clock": []},
        {"gemm": 1e9, "sliced": "many", "clock": []},
        {"gemm": 1e9, "sliced": 5, "clock": [["forward", "columns", ["y"], 1]]},
        {"gemm": 1e9, "sliced": 5, "clock": [["forward", "columns", ["y"], 1, -5]]},
        {"gemm": 1e9, "sliced": 5, "clock": [["forward", "columns", "y", 0, 5]]},
    ],
)
def test_a_record_that_is_none_says_nothing(record):
    assert Tuning.recalled(record) == Tuning()


def test_the_limit_of_slices_is_the_measured_one():
    derivation = derivation_of(derive.conv(input=(16, 34, 34), kernel=(3, 3), filters=32))
    texts = [
        kernel(derivation, lower(derivation, wanted={"y": "columns"}, tuning=Tuning(machine)))
        for machine in (Machine(sliced=200_000), Machine(sliced=0))
    ]
    assert "slices" in texts[0].split("def _y_columns")[1].split("\ndef ")[0]
    assert "slices" not in texts[1].split("def _y_columns")[1].split("\ndef ")[0]


# -- the command line ----------------------------------------------------------------------------
def derived(out, *words):
    return main([*words, "--out", str(out), "--quiet"])


@pytest.mark.usefixtures("quick")
def test_a_tuned_kernel_is_checked_against_its_own_measurements(tmp_path, capsys):
    assert derived(tmp_path, *WORDS, "--tune") == 0
    folder = next(tmp_path.iterdir())
    assert derived(tmp_path, *WORDS, "--tune", "--check") == 0
    text = (folder / "kernel.py").read_text()
    (folder / "kernel.py").write_text(text.replace("range(", "range( ", 1))
    assert derived(tmp_path, *WORDS, "--tune", "--check") == 1
    (folder / "kernel.py").write_text(text)
    assert derived(tmp_path, *WORDS, "--check") == 1  # nobody asked for this one
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
def test_a_tuned_row_of_a_manifest_is_checked(tmp_path):
    (tmp_path / "MANIFEST").write_text(" ".join([*WORDS, "--tune"]) + "\n")
    assert main(["build", "--out", str(tmp_path), "--quiet"]) == 0
    assert main(["build", "--check", "--out", str(tmp_path), "--quiet"]) == 0


@pytest.mark.usefixtures("quick")
def test_a_tuned_network_is_checked_against_its_own_measurements(tmp_path):
    words = ["--network", NET, "--input", "1x6x6", "--formats", "py", "--tune"]
    assert derived(tmp_path, *words) == 0
    certificate = json.loads((next(tmp_path.iterdir()) / "certificate.json").read_text())
    clocks = {layer["name"]: layer["tuning"]["clock"] for layer in certificate["layers"]}
    assert clocks["conv1"]
    assert not clocks["cross_entropy1"]
    assert derived(tmp_path, *words, "--check") == 0


def test_json_says_how_each_direction_is_computed(tmp_path, capsys):
    assert main([*WORDS, "--json", "--dry-run", "--out", str(tmp_path)]) == 0
    rows = json.loads(capsys.readouterr().out)["strategies"]
    assert {row["direction"] for row in rows} == {"forward", "backward"}
    first = [row for row in rows if row["least_batch"] == 1]
    assert sorted(t for row in first for t in row["targets"]) == ["db", "dw", "dx", "y"]
    for row in rows:
        assert row["strategy"] in {"taps", *(s.NAME for s in strategies())}
        assert isinstance(row["multiply_adds"], int)
        assert row["scratch_bytes"] >= 0
        assert row["seconds"] > 0
        assert row["measured"] is False


def test_json_of_a_network_names_the_layer(tmp_path, capsys):
    words = ["--network", NET, "--input", "1x6x6", "--json", "--dry-run", "--out", str(tmp_path)]
    assert main(words) == 0
    rows = json.loads(capsys.readouterr().out)["strategies"]
    assert {"conv1", "dense1"} <= {row["layer"] for row in rows}


# -- the order of sums ---------------------------------------------------------------------------
def test_the_exact_order_has_no_winograd_in_its_text(tmp_path):
    words = [
        "--input",
        "32x28x28",
        "--kernel",
        "3",
        "--filters",
        "32",
        "--padding",
        "1",
        "--formats",
        "py",
    ]
    assert derived(tmp_path, *words, "--exact-order") == 0
    text = (next(tmp_path.iterdir()) / "kernel.py").read_text()
    assert "winograd" not in text.lower()
    assert "--exact-order" in text


def test_without_it_a_layer_may_use_winograd():
    program = lower(derivation_of(derive.conv(**WINOGRAD)))
    inexact = {s.NAME for s in strategies() if not s.EXACT}
    used = {call.strategy for choice in program.choices for call in choice.calls}
    assert used & inexact


@pytest.mark.usefixtures("quick")
def test_the_exact_order_holds_for_tuned_kernels_too():
    layer = derivation_of(derive.conv(**WINOGRAD))
    found = tuning.tune(layer, Asked(exact=True), limit=1)
    inexact = {s.NAME for s in strategies() if not s.EXACT}
    assert not inexact & {row[1] for row in found.clock}


def test_a_network_keeps_the_exact_order():
    net = derive.network("conv 3x3 filters=32 padding=1", input=(32, 28, 28))
    text = derive.derive(net).kernel(exact_order=True)
    assert not [name for name in vars(text) if "winograd" in name]


def test_each_way_to_ask_is_made_once():
    d = derive.derive(derive.conv(input=(1, 4, 4), kernel=(2, 2)))
    plain, exact = d._made(), d._made(exact_order=True)
    assert d._made() is plain
    assert d._made(exact_order=True) is exact
    assert plain is not exact
    assert run(plain.source).SHAPES == run(exact.source).SHAPES
