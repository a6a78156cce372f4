"""The worked example: its numbers, its difference quotients, and what known mistakes give.

Every expected number comes from loops written here, which know nothing of derivations.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import derive
from derive import trying
from derive.mistakes import mistakes
from derive.trials import Example, Slip


@cache
def made(kind: str, **settings: object) -> Example:
    d = derive.derive(getattr(derive, kind)(**settings))
    found = trying.example(d, d.kernel())
    assert found is not None
    return found


def strided() -> Example:
    return made("conv", input=(7,), kernel=(3,), stride=2, padding=1)


def slip(example: Example, kind: str, of: str) -> Slip:
    (found,) = (s for s in example.slips if (s.kind, s.of) == (kind, of))
    return found


def agrees(slip: Slip, right: np.ndarray, wrong: np.ndarray) -> bool:
    """Whether a slip tells the first place where the two differ, and both numbers."""
    places = [tuple(map(int, p)) for p in np.argwhere(right != wrong)]
    here = slip.place
    told = (slip.place, slip.right, slip.wrong, slip.count, slip.total)
    return told == (places[0], right[here], wrong[here], len(places), right.size)


# -- one convolution, S = 2, P = 1, by loops -----------------------------------------------------
def output(x, w):
    return np.array(
        [sum(x[2 * i + u - 1] * w[u] for u in range(3) if 0 <= 2 * i + u - 1 < 7) for i in range(4)]
    )


def sent(g, w, *, stride=2, padding=1, turned=False, rest=1):
    """``dx`` by going through outputs and taps; the keywords are the mistakes."""
    dx = np.zeros(7)
    for i in range(4):
        for u in range(3):
            for r in range(rest):
                if 0 <= stride * i + u - padding + r < 7:
                    dx[stride * i + u - padding + r] += g[i] * w[2 - u if turned else u]
    return dx


def collected(g, x, *, stride=2, padding=1):
    """``dw`` by going through taps and outputs."""
    dw = np.zeros(3)
    for u in range(3):
        for i in range(4):
            if 0 <= stride * i + u - padding < 7:
                dw[u] += g[i] * x[stride * i + u - padding]
    return dw


def test_the_numbers_of_the_example_are_those_of_plain_loops():
    example = strided()
    x, w, g = example.value("x"), example.value("w"), example.upstream
    assert (example.output == output(x, w)).all()
    gradients = dict(example.gradients)
    assert (gradients["x"] == sent(g, w)).all()
    assert (gradients["w"] == collected(g, x)).all()


def test_mistakes_in_dx_give_what_a_person_who_makes_them_gets():
    example = strided()
    w, g = example.value("w"), example.upstream
    right = sent(g, w)
    assert agrees(slip(example, "turned", "x"), right, sent(g, w, turned=True))
    assert agrees(slip(example, "stride", "x"), right, sent(g, w, stride=1))
    assert agrees(slip(example, "padding", "x"), right, sent(g, w, padding=0))
    assert agrees(slip(example, "divisibility", "x"), right, sent(g, w, rest=2))


def test_mistakes_in_dw_give_what_a_person_who_makes_them_gets():
    example = strided()
    x, g = example.value("x"), example.upstream
    right = collected(g, x)
    assert agrees(slip(example, "turned", "w"), right, right[::-1])
    assert agrees(slip(example, "stride", "w"), right, collected(g, x, stride=1))
    assert agrees(slip(example, "padding", "w"), right, collected(g, x, padding=0))
    assert agrees(slip(example, "mean", "w"), right, right / 4)
    both = right + collected(g[::-1], x[::-1])
    assert agrees(slip(example, "batch", "w"), both, both / 2)


def test_a_mistake_that_cannot_be_made_is_not_told():
    plain = made("conv", input=(3, 3), kernel=(2, 2))
    assert {s.kind for s in plain.slips} <= {"turned", "mean", "batch"}
    dilated = derive.derive(derive.conv(input=(7,), kernel=(2,), dilation=2))
    assert {m.kind for m in mistakes(dilated)} == {"turned", "dilation", "mean"}


# -- maxima --------------------------------------------------------------------------------------


def pooled_back(example: Example, *, every: bool = False, overwrite: bool = False) -> np.ndarray:
    x, g, dx = example.value("x"), example.upstream, np.zeros((5, 5))
    for i in range(2):
        for j in range(2):
            window = x[2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            tied = np.argwhere(window == window.max())
            for u, v in tied if every else tied[:1]:
                place = 2 * i + u, 2 * j + v
                dx[place] = g[i, j] if overwrite else dx[place] + g[i, j]
    return dx


def test_ties_and_overlaps_of_a_pool_are_in_the_example_and_spoil_it_as_loops_say():
    example = made("max_pool", input=(5, 5), kernel=3, stride=2)
    right = pooled_back(example)
    assert (dict(example.gradients)["x"] == right).all()
    assert agrees(slip(example, "ties", "x"), right, pooled_back(example, every=True))
    assert agrees(slip(example, "overwritten", "x"), right, pooled_back(example, overwrite=True))


def test_pools_that_share_ties_or_take_the_last_of_them_differ_as_loops_say():
    example = made("max_pool", input=(5, 5), kernel=(3, 3), stride=2)
    x, g = example.value("x"), example.upstream
    shared, last, whole = np.zeros((3, 5, 5))
    for i, j in np.ndindex(2, 2):
        corner = np.array([2 * i, 2 * j])
        window = x[2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        tied = np.argwhere(window == window.max()) + corner
        last[tuple(tied[-1])] += g[i, j]
        for place in tied:
            shared[tuple(place)] += g[i, j] / len(tied)
        whole[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += g[i, j]
    right = pooled_back(example)
    assert agrees(slip(example, "ties_split", "x"), right, shared)
    assert agrees(slip(example, "ties_last", "x"), right, last)
    assert agrees(slip(example, "bracket", "x"), right, whole)


def test_a_relu_without_its_mask_hands_everything_back():
    example = made("relu", input=4)
    x, g = example.value("x"), example.upstream
    assert agrees(slip(example, "mask", "x"), g * (x > 0), g)


def test_softmax_entry_by_entry_is_the_derivative_of_a_sigmoid():
    example = made("softmax", input=4)
    e, g = np.exp(example.value("x")), example.upstream
    y = e / e.sum()
    found = slip(example, "diagonal", "x")
    assert found.wrong == pytest.approx((g * y * (1 - y))[found.place])
    assert found.right == pytest.approx((y * (g - (g * y).sum()))[found.place])
    assert slip(example, "factor", "x").wrong == pytest.approx((g - (g * y).sum())[found.place])


def test_a_cross_entropy_that_forgets_the_target_gives_the_softmax_alone():
    example = made("cross_entropy", input=4)
    e, t = np.exp(example.value("x")), int(example.value("t"))
    found = slip(example, "subtracted", "x")
    assert found.place == (t,)
    assert (found.count, found.total) == (1, 4)
    assert (found.wrong, found.right) == pytest.approx(((e / e.sum())[t], (e / e.sum())[t] - 1))


def test_statistics_taken_for_constants_leave_softmax_its_diagonal():
    example = made("softmax", input=(4,))
    x, g = example.value("x"), example.upstream
    p = np.exp(x) / np.exp(x).sum()
    found = slip(example, "constant", "x")
    assert found.right == pytest.approx((p * (g - g @ p))[found.place])
    assert found.wrong == pytest.approx((p * g)[found.place])


# -- difference quotients ------------------------------------------------------------------------
LAYERS = {
    "conv": ("conv", {"input": (3, 3), "kernel": (2, 2), "bias": True, "filters": 2}),
    "groups": ("conv", {"input": (4, 4, 4), "kernel": 2, "filters": 4, "groups": 2}),
    "max": ("max_pool", {"input": (4, 4), "kernel": 2}),
    "relu": ("relu", {"input": (2, 3)}),
    "sigmoid": ("sigmoid", {"input": (3,)}),
    "loss": ("cross_entropy", {"input": (3,)}),
    "norm": ("batch_norm", {"input": (2, 3, 3)}),
    "square": ("equation", {}),
}


def tried(name: str) -> Example:
    kind, settings = LAYERS[name]
    if kind == "equation":
        d = derive.derive(derive.equation("y[i] = log(x[i])*sqrt(w)", {"x": (3,), "w": ()}))
        found = trying.example(d, d.kernel())
        assert found is not None
        return found
    return made(kind, **settings)


@pytest.mark.parametrize("name", LAYERS)
def test_every_gradient_is_checked_by_a_difference_quotient_that_agrees(name):
    example = tried(name)
    assert {check.of for check in example.checks} == {of for of, _ in example.gradients}
    for check in example.checks:
        if check.exact:
            assert check.quotient == pytest.approx(check.derived, rel=1e-12)
            assert check.step == 1
        else:
            assert check.quotient == pytest.approx(check.derived, rel=1e-4)


def test_linear_means_linear_in_that_tensor_alone():
    square = derive.equation("y[i] = x[i]*x[i]*w", {"x": (3,), "w": ()}).equation
    assert not trying.linear(square, "x")
    assert trying.linear(square, "w")
    quotient = derive.equation("y[i] = x[i]/w", {"x": (3,), "w": ()}).equation
    assert trying.linear(quotient, "x")
    assert not trying.linear(quotient, "w")


def test_a_large_layer_is_run_and_checked_but_no_mistakes_are_tried():
    d = derive.derive(derive.conv(input=(3, 32, 32), kernel=(3, 3), filters=8))
    found = trying.example(d, d.kernel())
    assert found is not None
    assert not found.slips
    assert [check.quotient == check.derived for check in found.checks] == [True, True]


def test_a_huge_layer_has_no_example():
    d = derive.derive(derive.conv(input=(64, 64, 64), kernel=(3, 3), filters=64))
    assert trying.example(d, d.kernel()) is None


def test_a_layer_that_has_no_value_at_whole_numbers_below_one_gets_others():
    d = derive.derive(derive.equation("y[i] = log(x[i]) + 1/x[i]", {"x": (5,)}))
    found = trying.example(d, d.kernel())
    assert found is not None
    assert (found.value("x") > 0).all()
    assert np.isfinite(found.output).all()
    nowhere = derive.derive(derive.equation("y[i] = log(-1 - x[i]*x[i])", {"x": (2,)}))
    assert trying.example(nowhere, nowhere.kernel()) is None
