"""Every layer of ``derive/layers``, by listing the folder: no layer is named here.

Geometries are drawn by the names of a layer's parameters, so a new layer is tested as soon as
its file exists. Forward is compared with the oracle, backward with the oracle's derivative in a
random direction by a complex step (no subtraction, so no cancellation).
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from derive import api, pipeline
from derive.arguments import read
from derive.classes import classes
from derive.equations import Equation
from derive.errors import UsageError
from derive.explicit import terms
from derive.functions import arithmetic
from derive.interpret import interpret
from derive.layers import layers, parameters, spec

STEP = 1e-30

LAYERS = pytest.mark.parametrize("name", layers())
DRAWN = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def small(least: int, most: int) -> st.SearchStrategy[int]:
    return st.integers(least, most)


def drawn(name: str, rank: int) -> st.SearchStrategy[Any] | None:
    """Values for a parameter of this name; None leaves it at its default."""
    axes = [small(1, 3)] * rank
    sides = st.tuples(*[st.tuples(small(0, 2), small(0, 2))] * rank)
    by_name: dict[str, st.SearchStrategy[Any]] = {
        "kernel": st.tuples(*axes),
        "stride": small(1, 3) | st.tuples(*axes),
        "dilation": small(1, 2) | st.tuples(*axes),
        "padding": small(0, 2) | sides | st.sampled_from(["same", "valid"]),
        "groups": small(1, 2),
        "filters": st.none() | st.sampled_from([2, 4]),
        "units": small(1, 4),
        "output_padding": small(0, 1),
        "ties": st.sampled_from(["first", "split"]),
        "reduction": st.sampled_from(["mean", "sum"]),
        "target": st.sampled_from(["index", "distribution"]),
        "axis": small(0, rank - 1),
        "p": st.sampled_from([1, 2, 3, 2.5]),
        "alpha": st.sampled_from([0.5, 2.0]),
        "delta": st.sampled_from([0.25, 3.0]),
        "negative_slope": st.sampled_from([-0.5, 0.0, 0.3]),
        "eps": st.sampled_from([1e-3, 0.5]),
    }
    return by_name.get(name)


@st.composite
def geometries(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """Settings of a layer that it accepts."""
    rank = draw(small(1, 3))
    space = draw(st.tuples(*[small(2, 6 if rank < 3 else 4)] * rank))
    chosen: dict[str, Any] = {"input": (*draw(st.sampled_from([(), (2,), (4,)])), *space)}
    for parameter in parameters(layers()[name]).values():
        values = drawn(parameter.name, rank)
        if isinstance(parameter.default, bool):
            chosen[parameter.name] = draw(st.booleans())
        elif values is not None and (
            parameter.default is inspect.Parameter.empty or draw(st.booleans())
        ):
            chosen[parameter.name] = draw(values)
    try:
        spec(name, chosen)
    except UsageError:
        assume(False)
    return chosen


def numbers(equation: Equation, seed: int, batch: int) -> dict[str, np.ndarray]:
    """Numbers for every tensor and for the upstream gradient; no two are equal, none is a kink.

    Small integers where arithmetic on them is exact, else eighths and a bit, another bit for every
    tensor.
    """
    generator = np.random.default_rng(seed)
    sized = equation.at_sizes()
    arrays = {}
    for number, tensor in enumerate(sized.tensors):
        shape = (*((batch,) if tensor.batched else ()), *tensor.sizes())
        if tensor.integer:
            arrays[tensor.name] = generator.integers(0, classes(sized, tensor), shape)
        elif polynomial(equation):
            arrays[tensor.name] = generator.integers(-9, 10, shape).astype(float)
        else:
            size = math.prod(shape)
            eighths = (generator.permutation(size).reshape(shape) - size // 2) / 8
            arrays[tensor.name] = eighths + (2 * number + 1) / 64
    carries = len(sized.forward.lhs.axes) > len(sized.output.shape)
    out = (*((batch,) if carries else ()), *sized.output.sizes())
    dy = np.ones(()) if sized.loss else generator.integers(-9, 10, out).astype(float)
    return {**arrays, sized.output.gradient: dy}


def polynomial(equation: Equation) -> bool:
    """Whether float64 arithmetic on small integers is exact for this equation."""
    return arithmetic(equation) <= {"polynomial"}


def backward(layer: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The kernel's gradients; a loss takes no upstream gradient."""
    equation = layer.equation
    given_ = [arrays[tensor.name] for tensor in equation.tensors]
    upstream = [] if equation.loss else [arrays[equation.output.gradient]]
    return pipeline.module(unproved(layer)).backward(*upstream, *given_)


@LAYERS
@DRAWN
@given(data=st.data(), seed=st.integers(0, 2**32 - 1), batch=small(1, 2))
def test_forward_is_what_the_equation_says(
    name: str, data: st.DataObject, seed: int, batch: int
) -> None:
    layer = pipeline.layer(spec(name, data.draw(geometries(name))))
    assume(terms(layer.equation) <= 3000)
    arrays = numbers(layer.equation, seed, batch)
    given_ = [arrays[tensor.name] for tensor in layer.equation.tensors]
    y = pipeline.module(unproved(layer)).forward(*given_)
    expected = np.asarray(interpret(layer.equation, arrays), dtype=float)
    if polynomial(layer.equation):
        assert np.array_equal(y, expected)
    else:
        assert y.shape == expected.shape
        assert np.abs(y - expected).max() <= 1e-11 * np.abs(expected).max()


@LAYERS
@DRAWN
@given(data=st.data(), seed=st.integers(0, 2**32 - 1), batch=small(1, 2))
def test_backward_is_the_derivative_of_the_equation(
    name: str, data: st.DataObject, seed: int, batch: int
) -> None:
    layer = pipeline.layer(spec(name, data.draw(geometries(name))))
    equation = layer.equation
    assume(terms(equation) <= 3000)
    arrays = numbers(equation, seed, batch)
    dy = arrays[equation.output.gradient]
    gradients = backward(layer, arrays)
    generator = np.random.default_rng(seed + 1)
    for tensor, gradient in zip(equation.tensors, gradients, strict=True):
        if tensor.integer:
            assert gradient is None
            continue
        direction = generator.integers(-9, 10, arrays[tensor.name].shape).astype(float)
        moved = {**arrays, tensor.name: arrays[tensor.name] + 1j * STEP * direction}
        change = np.imag(np.asarray(interpret(equation, moved), dtype=complex)) / STEP
        terms_ = np.abs(dy * change).sum() + 1
        assert gradient.shape == arrays[tensor.name].shape
        assert abs((gradient * direction).sum() - (dy * change).sum()) <= 1e-11 * terms_


def unproved(layer: Any) -> pipeline.Made:
    """The kernel without its certificate: here the tests are the judge."""
    from derive.certificates import Certificate

    derivation = pipeline.derive(layer)
    return pipeline.Made(derivation, pipeline.kernel(derivation), Certificate(()))


@LAYERS
@DRAWN
@given(data=st.data())
def test_the_command_gives_the_same_layer_again(name: str, data: st.DataObject) -> None:
    made = spec(name, data.draw(geometries(name)))
    request = read(list(made.arguments))
    assert request is not None
    assert request.spec == made


@LAYERS
def test_the_first_line_of_its_words_is_an_equation_of_the_language(name: str) -> None:
    from derive.parse import parse

    doc = inspect.getdoc(layers()[name])
    assert doc
    formula = doc.splitlines()[0].split(", over ")[0].rstrip(".")
    assert parse(formula)


@LAYERS
def test_the_public_function_has_the_layers_signature(name: str) -> None:
    assert inspect.signature(api.layer_function(name)).parameters == parameters(layers()[name])


@LAYERS
@settings(DRAWN, max_examples=3)
@given(data=st.data())
def test_its_kernel_is_proved(name: str, data: st.DataObject) -> None:
    layer = pipeline.layer(spec(name, data.draw(geometries(name))))
    assume(terms(layer.equation) <= 300)
    made = pipeline.make(pipeline.derive(layer))
    kinds = {claim.kind for claim in made.certificate.claims}
    assert kinds & {"symbolic", "selecting", "integer", "numeric"}
