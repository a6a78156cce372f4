"""Proofs have teeth: every classical mistake, made in the text of a kernel, is disproved.

A mutant differs from a proved kernel by one edit; the message has to name the claim that caught
it and the tensor that is wrong.
"""

from __future__ import annotations

import ast
from dataclasses import replace

import numpy as np
import pytest
from kernels import conv_layer, derivation_of, kernel_of, pool_layer, source_of
from reference import Geometry

import derive
from derive import pipeline
from derive.calculus import differentiate
from derive.errors import DeriveError, Disproved
from derive.expressions import Divides
from derive.interpret import interpret_statement
from derive.lower import lower
from derive.verify import verify

GROUPED = conv_layer(Geometry(4, 4, 2, (6, 5), (3, 2), (2, 1), ((1, 1), (1, 1)), (1, 1)))
DILATED = conv_layer(Geometry(1, 2, 1, (7,), (2,), (2,), ((1, 1),), (3,)))  # small: symbols
MAX_POOL = pool_layer((2, 5, 5), (3, 3), stride=2, padding=1)
SHARED_POOL = pool_layer((1, 4, 4), (2, 2), ties="split")
MEAN_POOL = pool_layer((1, 7), (3,), stride=2, op="mean")


def mutated(source: str, function: str, old: str, new: str) -> str:
    """The source with the first ``old`` in a function's code replaced; it has to be there."""
    start = source.index(f"def {function}(")
    end = source.find("\ndef ", start + 1)
    code = ast.dump(ast.parse(source))
    place = source.find(old, start, end)
    while place >= 0:
        result = source[:place] + new + source[place + len(old) :]
        if ast.dump(ast.parse(result)) != code:  # a comment or docstring is no code
            return result
        place = source.find(old, place + 1, end)
    raise AssertionError(f"{old!r} is not in {function}; the mutant is no mutant")


def named(pattern: str) -> str:
    return rf"the ({pattern}) claim fails"


CONV = [
    # (name, form, function, old, new, what is wrong)
    ("padding dropped", "scatter", "forward", "1:7, 1:6] = x", "0:6, 0:5] = x", "y"),
    ("stride 1", "scatter", "forward", "u : u + 5 : 2", "u : u + 3", "y"),
    ("u and v swapped", "scatter", "forward", "w[:, :, :, u, v]", "w[:, :, :, v, u % 2]", "y"),
    ("bias dropped", "scatter", "forward", "    y += b[:, :, None, None]\n", "", "y"),
    ("bias by column", "scatter", "forward", "b[:, :, None, None]", "b.T[:, :, None, None]", "y"),
    ("last tap wins", "scatter", "forward", "y += tap", "y = tap", "y"),
    (
        "w turned by 180° in the scatter loop",
        "scatter",
        "backward",
        "w[:, :, :, u, v]",
        "w[:, :, :, 2 - u, 1 - v]",
        "dx",
    ),
    ("= for +=", "scatter", "backward", "v : v + 6] += tap", "v : v + 6] = tap", "dx"),
    (
        "crop off by one",
        "scatter",
        "backward",
        "dx = dx_padded[:, :, :, 1:7, 1:6]",
        "dx = dx_padded[:, :, :, 0:6, 1:6]",
        "dx",
    ),
    ("stride forgotten", "scatter", "backward", "u : u + 5 : 2, v : v + 6] += ", None, "dx"),
    (
        "groups exchanged",
        "scatter",
        "backward",
        "tap = np.matmul(w[:, :, :, u, v]",
        "tap = np.matmul(w[::-1, :, :, u, v]",
        "dx",
    ),
    (
        "filters and channels not transposed",
        "scatter",
        "backward",
        ".transpose(0, 2, 1), dy",
        ", dy",
        "dx",
    ),
    (
        "not turned in the gather form",
        "gather",
        "backward",
        "2 - u : 8 - u, 1 - v : 6 - v",
        "u : 6 + u, v : 5 + v",
        "dx",
    ),
    ("zeros not stuffed", "gather", "backward", "1:6:2, :] = dy", "1:4, :] = dy", "dx"),
    ("one sample's dw", "scatter", "backward", "tap.sum(axis=0, dtype=dtype)", "tap[0]", "dw"),
    ("dw of the padding", "scatter", "backward", "1:7, 1:6] = x", "0:6, 0:5] = x", "dw"),
    (
        "mean over the batch in db",
        "scatter",
        "backward",
        "db = dy.sum(axis=(0, 3, 4), dtype=dtype)",
        "db = dy.sum(axis=(0, 3, 4), dtype=dtype) / N",
        "db",
    ),
]


@pytest.mark.parametrize(
    ("form", "function", "old", "new", "wrong"),
    [mutant[1:] for mutant in CONV],
    ids=[mutant[0] for mutant in CONV],
)
def test_a_mutant_of_a_grouped_strided_convolution_is_disproved(form, function, old, new, wrong):
    new = old.replace(": 2", "").replace("u + 5", "u + 3") if new is None else new
    mutant = mutated(source_of(GROUPED, form), function, old, new)
    if function == "forward" and wrong == "y":
        message = rf"^.*: {named('integer')} at y\[\d+,\d,\d,\d\]: the kernel gives .*, the ref"
    else:
        message = rf"^.*: {named('integer')} at {wrong}\[\d+(,\d)*\]: the kernel gives .*, the ref"
    with pytest.raises(Disproved, match=message):
        verify(derivation_of(GROUPED), mutant)


SMALL = [
    ("another start", "scatter", "forward", "np.zeros((N, 2, 3)", "np.ones((N, 2, 3)", "y"),
    ("another dilation", "scatter", "forward", "3 * u", "2 * u", "y"),
    ("another stride", "scatter", "backward", "u + 5 : 2] +=", "u + 3] +=", "dx"),
    (
        "another dilation of dx",
        "gather",
        "backward",
        "3 - 3 * u : 10 - 3",
        "3 - 2 * u : 10 - 2",
        "dx",
    ),
    ("a sign in dw", "gather", "backward", "np.tensordot", "-np.tensordot", "dw"),
]


@pytest.mark.parametrize(
    ("form", "function", "old", "new", "wrong"),
    [mutant[1:] for mutant in SMALL],
    ids=[mutant[0] for mutant in SMALL],
)
def test_a_mutant_of_a_small_convolution_is_disproved_in_symbols(form, function, old, new, wrong):
    mutant = mutated(source_of(DILATED, form), function, old, new)
    with pytest.raises(Disproved, match=rf"{named('symbolic')} at {wrong}\["):
        verify(derivation_of(DILATED), mutant)


TAPS = """for u in range(3):
        for v in range(3):
            place"""
POOL = [
    ("zeros win over the padding", "forward", "_lowest(dtype)", "0", "y"),
    ("minimum for maximum", "forward", "np.maximum", "np.minimum", "y"),
    ("every tied maximum gets the whole gradient", "backward", " & ~taken", "", "dx"),
    ("the last maximum wins", "backward", TAPS, TAPS.replace("range(3)", "(2, 1, 0)"), "dx"),
    (
        "the first maximum by columns",
        "backward",
        TAPS,
        TAPS.translate(str.maketrans("uv", "vu")),
        "dx",
    ),
    ("= on overlaps", "backward", "] += np.where(wins", "] = np.where(wins", "dx"),
    ("never taken", "backward", "taken |= wins", "taken &= wins", "dx"),
]


@pytest.mark.parametrize(
    ("function", "old", "new", "wrong"),
    [mutant[1:] for mutant in POOL],
    ids=[mutant[0] for mutant in POOL],
)
def test_a_mutant_of_a_max_pool_is_disproved(function, old, new, wrong):
    mutant = mutated(source_of(MAX_POOL, "scatter"), function, old, new)
    with pytest.raises(Disproved, match=rf"{named('selecting')} at {wrong}\[\d(,\d)*\]"):
        verify(derivation_of(MAX_POOL), mutant)


@pytest.mark.parametrize(
    ("layer", "function", "old", "new", "claim"),
    [
        (SHARED_POOL, "backward", " / ties", "", "selecting"),
        (SHARED_POOL, "backward", " / ties", " / 2", "selecting"),
        (MEAN_POOL, "forward", " / 3", " / 2", "symbolic"),
        (MEAN_POOL, "backward", " / 3", " / 2", "symbolic"),
    ],
    ids=["ties not shared", "always two ties", "another divisor", "another divisor backward"],
)
def test_a_mutant_of_a_sharing_pool_is_disproved(layer, function, old, new, claim):
    mutant = mutated(source_of(layer, "scatter"), function, old, new)
    with pytest.raises(Disproved, match=named(claim)):
        verify(derivation_of(layer), mutant)


SMOOTH = derive.equation("y[i] = tanh(sum[j](w[i,j]*x[j]))", {"x": (4,), "w": (3, 4)})


@pytest.mark.parametrize(
    ("function", "old", "new", "wrong"),
    [
        ("forward", "np.tanh(", "np.sin(", "y"),
        ("backward", "y**2", "y**4", "dx"),
        ("backward", "1 - ", "1 + 1e-8 - ", "dx"),
    ],
)
def test_a_mutant_of_a_smooth_layer_is_disproved(function, old, new, wrong):
    mutant = mutated(source_of(SMOOTH), function, old, new)
    with pytest.raises(Disproved, match=rf"{named('numeric')} at {wrong}\["):
        verify(derivation_of(SMOOTH), mutant)


FAST = {
    "a convolution": derive.conv(input=(3, 9, 9), kernel=(3, 3), filters=4, padding=1, bias=True),
    "a strided one": derive.conv(input=(4, 9, 9), kernel=(3, 3), filters=4, stride=2, groups=2),
    "a tiny one": derive.conv(input=(3, 3), kernel=(2, 2)),
    "a max pool": MAX_POOL,
    "a mean pool": pool_layer((2, 9, 9), (3, 3), stride=2, op="mean"),
    "a dense layer": derive.dense(input=(8,), units=3),
}


@pytest.mark.parametrize("layer", FAST.values(), ids=FAST.keys())
def test_a_mutant_of_any_way_through_a_kernel_is_disproved(layer):
    source, choices = source_of(layer), lower(derivation_of(layer)).choices
    verify(derivation_of(layer), source, choices=choices)
    functions = {call.function for choice in choices for call in choice.calls}
    assert len(functions) > 2  # there are fast ways, not only the general one
    for name in sorted(functions):
        start = source.index(f"def {name}(")
        place = source.index("\n    return ", start) + len("\n    return ")
        mutant = f"{source[:place]}2 * {source[place:]}"
        with pytest.raises(Disproved):
            verify(derivation_of(layer), mutant, choices=choices)


def test_scatter_and_gather_that_differ_are_disproved():
    scatter, gather = (source_of(GROUPED, form) for form in ("scatter", "gather"))
    mutant = mutated(gather, "backward", "1 - v : 6 - v", "2 - v : 7 - v")
    mutant = mutant.replace("np.zeros((N, 2, 2, 8, 6), dtype)", "np.zeros((N, 2, 2, 8, 9), dtype)")
    mutant = mutant.replace(
        "dy_spread[:, :, :, 1:6:2, :] = dy", "dy_spread[:, :, :, 1:6:2, :6] = dy"
    )
    with pytest.raises(Disproved, match=rf"{named('agreement')} at dx\["):
        verify(derivation_of(GROUPED), scatter, (mutant,))


# -- mutants of the derivation ----------------------------------------------------------------

PLAIN = {"input": (9,), "kernel": (2,), "filters": 2, "bias": True}
SWAPPED = [
    ("stride and dilation swapped", {"stride": 2, "dilation": 3}, {"stride": 3, "dilation": 2}),
    ("padding on the other side", {"padding": ((1, 0),)}, {"padding": ((0, 1),)}),
    ("padding dropped", {"padding": 1, "dilation": 3}, {"padding": 0, "dilation": 1}),
    ("flip forgotten", {"flip": True}, {"flip": False}),
    ("flip too much", {}, {"flip": True}),
]


@pytest.mark.parametrize("form", ["scatter", "gather"])
@pytest.mark.parametrize(
    ("right", "wrong"), [row[1:] for row in SWAPPED], ids=[row[0] for row in SWAPPED]
)
def test_gradients_of_another_convolution_are_disproved(right, wrong, form):
    layer = derive.conv(**PLAIN, **right)
    mine, others = derivation_of(layer), derivation_of(derive.conv(**PLAIN, **wrong))
    assert kernel_of(layer).SHAPES == kernel_of(others.layer).SHAPES
    mutant = replace(mine, gradients=others.gradients, instance=others.instance)
    with pytest.raises(Disproved, match=rf"{named('symbolic')} at dx\["):
        verify(mine, pipeline.kernel(mutant, form))


def test_a_gather_form_without_its_divisibility_is_refused():
    (equation,) = derive.conv(input=(5,), kernel=(2,), stride=2).equations
    gather = differentiate(equation, "x").gather
    rng = np.random.default_rng(0)
    arrays = {"x": rng.integers(-9, 10, (1, 5)), "w": rng.integers(1, 9, 2)}
    arrays["dy"] = rng.integers(1, 10, (1, 2))
    assert interpret_statement(gather, equation, arrays).shape == (1, 5)
    where = tuple(c for c in gather.rhs.where if not isinstance(c, Divides))
    assert len(where) == len(gather.rhs.where) - 1
    dropped = replace(gather, rhs=replace(gather.rhs, where=where))
    with pytest.raises(DeriveError, match="dy is read at 1/2: a divisibility condition is missing"):
        interpret_statement(dropped, equation, arrays)
