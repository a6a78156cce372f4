"""Which strategies a kernel uses, for which batches, on how many threads and in how much memory."""

from __future__ import annotations

import re
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from kernels import derivation_of, run
from reference import conv_backward, conv_forward

import derive
from derive.lower import general, lower
from derive.lower.branching import Asked, tasks
from derive.lower.choose import BATCHES, MOST, branches, offers
from derive.lower.memory import scratch
from derive.lower.strategies import strategies
from derive.machines import DEFAULT, Cost, Machine, Tuning
from derive.programs import Function, If, Invoke, Let, Literal, Name, Return, Tuple
from derive.render.kernel import WHOLE, kernel
from derive.tuning import calls, candidates

LAYERS = {
    "small": {"input": (1, 5, 6), "kernel": (2, 3), "filters": 2},
    "padded": {"input": (3, 16, 16), "kernel": (3, 3), "filters": 8, "padding": 1},
    "strided": {"input": (4, 15, 15), "kernel": (3, 3), "filters": 6, "stride": 2},
    "grouped": {"input": (4, 12, 12), "kernel": (3, 3), "filters": 8, "groups": 2, "padding": 1},
    "pointwise": {"input": (16, 7, 7), "kernel": (1, 1), "filters": 8},
}
EVERY = pytest.mark.parametrize("name", LAYERS)


def made(name, **asked):
    derivation = derivation_of(derive.conv(**LAYERS[name], bias=True))
    program = lower(derivation, **asked)
    return program, kernel(derivation, program)


def numbers(module, batch, seed=0):
    """Small integers as float64, so that every order of summation gives the same."""
    random = np.random.default_rng(seed)
    shapes = dict(module.SHAPES.items())
    lead = {"x": (batch,), "y": (batch,), "w": (), "b": ()}
    dy, x, w, b = (
        random.integers(-4, 5, (*lead[n], *shapes[n])).astype(float) for n in ("y", "x", "w", "b")
    )
    return dy, x, w, b


def settings(name):
    return {k: v for k, v in LAYERS[name].items() if k in ("stride", "padding", "groups")}


def assert_right(name, module, batch, **keywords):
    """Against loops over windows, exactly."""
    dy, x, w, b = numbers(module, batch)
    y = module.forward(x, w, b, **keywords)
    found = module.backward(dy, x, w, b, **keywords)
    geometry = {k: (v, v) if k != "groups" else v for k, v in settings(name).items()}
    np.testing.assert_array_equal(y, conv_forward(x, w, b, **geometry))
    expected = conv_backward(dy, x, w, **geometry)
    np.testing.assert_array_equal(found.dx, expected[0])
    np.testing.assert_array_equal(found.dw, expected[1])
    np.testing.assert_array_equal(found.db, dy.sum(axis=(0, 2, 3)))


def named(program, direction):
    """Least batch → the strategies of that branch."""
    return {
        choice.least: {c.strategy for c in choice.calls}
        for choice in program.choices
        if choice.direction == direction and choice.least
    }


# -- the choice --------------------------------------------------------------------------------
@EVERY
def test_the_same_layer_gives_the_same_choice_and_the_same_text(name):
    assert made(name) == made(name)


@EVERY
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_every_target_is_made_once_by_what_the_model_finds_cheapest(name, direction):
    derivation = derivation_of(derive.conv(**LAYERS[name], bias=True))
    task = next(t for t in tasks(derivation, Asked()) if t.direction == direction)
    found = branches(task, exact=True, wanted={})
    assert found[0].least == 1
    for branch in found:
        targets = [t for _, made_by in branch.plan for t in made_by]
        assert sorted(targets) == sorted(task.statements)
        alone = sum(
            min(
                s.cost(task, own, branch.least).seconds(DEFAULT)
                for s, own in offers(task, exact=True)
                if own == (target,)
            )
            for target in task.statements
        )
        assert branch.seconds <= 1.1 * alone


def test_a_strategy_that_is_asked_for_is_taken_whatever_it_costs():
    derivation = derivation_of(derive.conv(**LAYERS["padded"], bias=True))
    for task in tasks(derivation, Asked()):
        for strategy, targets in offers(task):
            if len(targets) == 1:
                program = lower(derivation, wanted={targets[0]: strategy.NAME})
                if not program.choices:
                    assert strategy is general
                    continue
                calls = [
                    call
                    for choice in program.choices
                    if choice.direction == task.direction and choice.least
                    for call in choice.calls
                    if targets[0] in call.targets
                ]
                assert {call.strategy for call in calls} == {strategy.NAME}


def test_a_strategy_that_does_not_go_with_the_layer_is_refused():
    derivation = derivation_of(derive.conv(**LAYERS["padded"], bias=True))
    with pytest.raises(ValueError, match=r"^no strategies make y as wanted: \{'y': 'butterfly'\}$"):
        lower(derivation, wanted={"y": "butterfly"})


def test_direct_summation_alone_uses_no_winograd():
    derivation = derivation_of(
        derive.conv(input=(32, 28, 28), kernel=(3, 3), filters=32, padding=1, bias=True)
    )
    inexact = {s.NAME for s in strategies() if not s.EXACT}
    exact = lower(derivation, exact=True)
    assert all(choice.exact for choice in exact.choices)
    used = {call.strategy for choice in exact.choices for call in choice.calls}
    assert not used & inexact
    assert "winograd" not in kernel(derivation, exact).lower()


# -- branches ----------------------------------------------------------------------------------
def priced(times):
    """A price by strategy and batch; others cost a second."""

    def price(group, batch):
        return times.get((group[0].NAME, batch), 1.0) * len(group[1])

    return price


def cut(times):
    task = tasks(derivation_of(derive.conv(**LAYERS["padded"])), Asked())[0]
    found = branches(task, exact=True, wanted={}, price=priced(times))
    return [(branch.least, branch.plan[0][0].NAME) for branch in found]


def test_another_strategy_for_larger_batches_is_a_branch():
    quick = {("columns", n): 1e-6 * n for n in BATCHES}
    quick |= {("taps", n): 5e-6 for n in BATCHES}
    assert cut(quick) == [(1, "columns"), (8, "taps")]


def test_a_branch_that_gains_less_than_a_tenth_is_not_made():
    quick = {("columns", n): 1e-6 * n for n in BATCHES}
    quick |= {("taps", n): 1.05e-6 * n if n < 8 else 0.95e-6 * n for n in BATCHES}
    assert len(cut(quick)) == 1


def test_there_are_never_more_than_three_branches():
    quick = {("columns" if k % 2 else "taps", n): 1e-6 for k, n in enumerate(BATCHES)}
    assert len(cut(quick)) <= MOST


def clock(*rows):
    """Measured seconds for both directions: (strategy, targets, batch, nanoseconds)."""
    return Tuning(clock=tuple(rows))


BRANCHED = clock(
    ("forward", "columns", ("y",), 1, 1000),
    ("forward", "taps", ("y",), 1, 9000),
    ("forward", "columns", ("y",), 8, 90000),
    ("forward", "taps", ("y",), 8, 9000),
    ("backward", "columns", ("dx",), 1, 1000),
    ("backward", "taps", ("dx",), 1, 9000),
    ("backward", "columns", ("dx",), 4, 90000),
    ("backward", "taps", ("dx",), 4, 9000),
    ("backward", "scatter", ("dx",), 32, 900),
    ("backward", "correlate", ("dw", "db"), 1, 1000),
)
"""What a machine might measure on which batches matter."""


def test_what_was_measured_decides_and_is_told():
    program, text = made("padded", tuning=BRANCHED)
    assert named(program, "forward") == {1: {"columns"}, 8: {"taps"}}
    assert named(program, "backward") == {
        1: {"columns", "correlate"},
        4: {"taps", "correlate"},
        32: {"scatter", "correlate"},
    }
    assert re.search(r"forward +N >= 8 +y +taps .* 9 us", text)
    assert "measured on one machine" in text


@pytest.mark.parametrize("batch", [0, 1, 3, 4, 5, 7, 8, 9, 31, 32, 33])
def test_a_kernel_is_right_on_both_sides_of_every_boundary(batch):
    assert_right("padded", run(made("padded", tuning=BRANCHED)[1]), batch)


@pytest.mark.parametrize("batch", [0, 1, 2, 8])
@EVERY
def test_what_the_model_chooses_is_right_for_any_batch(name, batch):
    assert_right(name, run(made(name, exact=True)[1]), batch)


# -- numbers of the choice -----------------------------------------------------------------------
def test_multiply_adds_are_those_of_a_sample():
    program, text = made("pointwise", wanted={"y": "product"}, exact=True)
    call = next(c.calls[0] for c in program.choices if c.direction == "forward" and c.least)
    assert call.multiply_adds == 16 * 8 * 7 * 7
    assert re.search(r"forward +N >= 1 +y +product +6,272 ", text)


def test_scratch_is_counted_from_the_program():
    def asks(*shape):
        value = Invoke("_scratch", (Literal('"a"'), Tuple(shape), Name("dtype")))
        body = (Let(Name("a"), value), Return(Name("a")))
        return Function("f", ("dtype", "N"), body)

    one = asks(Literal("3"), Literal("5"))
    assert scratch((one,)) == 4 * 15
    assert scratch((one, one)) == 4 * 15  # the same buffer
    assert scratch((one, asks(Literal("2")))) == 4 * 17
    with pytest.raises(ValueError, match="is no size that is written out"):
        scratch((asks(Name("N"), Literal("2")),))


def test_seconds_grow_with_every_part_of_a_cost():
    base = Cost(((1, 64, 64, 64),), 1000, 10, 5)
    more = [
        Cost(((2, 64, 64, 64),), 1000, 10, 5),
        Cost(((1, 64, 64, 65),), 1000, 10, 5),
        Cost(((1, 64, 64, 64),), 2000, 10, 5),
        Cost(((1, 64, 64, 64),), 1000, 20, 5),
        Cost(((1, 64, 64, 64),), 1000, 10, 6),
        Cost(((1, 64, 64, 64),), 1000, 10, 5, scratch=10**7),
    ]
    assert all(cost.seconds(DEFAULT) > base.seconds(DEFAULT) for cost in more)
    assert (base + base).seconds(DEFAULT) == pytest.approx(2 * base.seconds(DEFAULT))


def test_a_product_too_large_for_its_slice_is_slower_if_it_is_thin():
    machine = Machine()
    packed = machine.product(6, 1000, 1000) / 6e6
    sliced = machine.product(6, 100, 1000) / 6e5
    assert packed > 1.5 * sliced


# -- memory --------------------------------------------------------------------------------------
def allocated(call):
    """Most bytes that were in use beyond those at the beginning."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["padded", "strided", "grouped"])
def test_a_large_batch_takes_no_more_than_its_results_and_the_stated_scratch(name):
    wanted = {"y": "columns", "dw": "correlate"}
    wanted |= {"dx": "scatter" if name == "strided" else "columns"}
    program, text = made(name, wanted=wanted)
    module, batch = run(text), 256
    dy, x, w, b = (a.astype(np.float32) for a in numbers(module, batch))
    results = 4 * batch * max(np.prod(module.SHAPES["y"]), np.prod(module.SHAPES["x"]))
    stated = scratch(program.functions)
    change = 64 * 1024
    assert f"at most {-(-stated // 1000)} kB" in " ".join(text.split())
    assert allocated(lambda: module.forward(x, w, b)) <= results + stated + change
    assert allocated(lambda: module.backward(dy, x, w, b)) <= results + stated + change


@EVERY
def test_every_strategy_stays_within_its_results_and_its_scratch(name):
    derivation = derivation_of(derive.conv(**LAYERS[name], bias=True))
    found = candidates(derivation, Asked(), lambda task: [512], within=1e9)
    for candidate, call in calls(derivation, found).items():
        strategy, targets = candidate.group
        if strategy.NAME in WHOLE:
            continue
        made_by = strategy.lower(candidate.task, targets).functions
        results = call()
        arrays = results if isinstance(results, tuple) else (results,)
        held = sum(array.nbytes for array in arrays) + scratch(made_by)
        assert allocated(call) <= held + 512 * 1024, strategy.NAME


def test_scratch_does_not_grow_with_the_batch():
    module = run(made("padded", wanted={"y": "columns"})[1])
    kept = []
    for batch in (1, 2, 64):
        _, x, w, b = numbers(module, batch)
        module.forward(x, w, b)
        rooms = [thing for room in module._kept.rooms.values() for thing in room]
        buffers = {id(a.base if a.base is not None else a): a.nbytes for a in rooms}
        kept.append(sum(buffers.values()))
    assert kept[0] == kept[1] == kept[2] > 0


# -- threads -------------------------------------------------------------------------------------
def shares(program):
    return {c.direction: c.share for c in program.choices if c.least}


@EVERY
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_give_the_same_numbers(name, threads):
    program, text = made(name, exact=True)
    batch = threads * max(shares(program).values()) + 1
    assert_right(name, run(text), batch, threads=threads)


def test_threads_sum_in_the_same_order_every_time():
    program, text = made("padded")
    module, random = run(text), np.random.default_rng(1)
    batch = 4 * max(shares(program).values())
    dy, x, w, b = (a + random.standard_normal(a.shape) for a in numbers(module, batch))
    first = module.backward(dy, x, w, b, threads=4)
    for _ in range(5):
        again = module.backward(dy, x, w, b, threads=4)
        assert all(np.array_equal(p, q) for p, q in zip(first, again, strict=True))


def test_a_batch_that_is_not_worth_it_is_not_split(monkeypatch):
    program, text = made("padded")
    module, share = run(text), shares(program)["forward"]
    seen = []
    split = module._split
    monkeypatch.setattr(
        module, "_split", lambda f, n, *a, **k: seen.append(n) or split(f, n, *a, **k)
    )
    for batch, threads in ((2 * share - 1, 8), (2 * share, 8), (5 * share, 8), (5 * share, 1)):
        _, x, w, b = numbers(module, batch)
        module.forward(x, w, b, threads=threads)
    assert seen == [2, 5]


def test_threads_can_only_be_given_by_name():
    module = run(made("padded")[1])
    _, x, w, b = numbers(module, 1)
    with pytest.raises(TypeError, match="positional"):
        module.forward(x, w, b, 2)


@pytest.mark.parametrize(
    "layer",
    [
        derive.equation("m[c] = mean[n,i](x[n,c,i])", {"x": (3, 4)}),
        derive.batch_norm(input=(2, 3, 3)),
        derive.mse(input=(5,)),
    ],
    ids=["batch mean", "batch norm", "loss"],
)
def test_a_layer_that_mixes_samples_is_never_split(layer):
    program = lower(derivation_of(layer))
    assert all(choice.share == 0 for choice in program.choices)
    assert not any(function.keywords for function in program.functions)


def test_samples_are_split_where_a_thread_has_enough_to_do():
    derivation = derivation_of(derive.conv(**LAYERS["padded"], bias=True))
    program = lower(derivation)
    for choice in program.choices:
        if choice.least:
            seconds = sum(call.seconds for call in choice.calls) / choice.least
            assert choice.share >= 1
            assert choice.share * seconds > 50e-6  # branches differ, but not by so much


def test_the_public_function_tests_what_is_worth_it_before_the_batch_size():
    program, text = made("padded", tuning=BRANCHED)
    forward = next(f for f in program.functions if f.name == "forward")
    body = next(a for a in forward.body if isinstance(a, If) and len(a.cases) > 1)
    assert len(body.cases) == 3  # threads, two branches
    assert forward.keywords == (("threads", 1),)
    leasts = [c.least for c in program.choices if c.direction == "forward"]
    assert all(one < two for one, two in pairwise(leasts))
    assert "*, threads: int = 1" in text
