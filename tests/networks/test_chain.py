"""The claim about the whole chain: it holds for what is derived, and a wrong module fails it."""

from __future__ import annotations

import pytest

import derive
from derive import assembly
from derive.errors import Disproved
from derive.verify import verify_network

TEXT = "conv 2x2 as a > tanh > conv 1x1 > add a > flatten > dense 2 > mse"

MUTANTS = {
    "a layer is left out on the way back": (
        "d_conv1_by_tanh1_x = _tanh1_backward(d_tanh1, tanh1)",
        "d_conv1_by_tanh1_x = d_tanh1",
        "conv1.w",
    ),
    "a branch is forgotten": (
        "d_conv1 = d_conv1_by_tanh1_x + d_conv1_by_add1_z",
        "d_conv1 = d_conv1_by_tanh1_x",
        "conv1.w",
    ),
    "a layer is given another input": (
        'd_tanh1, d_conv2_w = _conv2_backward(d_conv2, tanh1, arrays["conv2.w"])',
        'd_tanh1, d_conv2_w = _conv2_backward(d_conv2, conv1, arrays["conv2.w"])',
        "conv2.w",
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_wire_is_disproved_with_the_first_wrong_gradient(mutant: str) -> None:
    derivation = assembly.derive(derive.network(TEXT, input=(3, 3)))
    right, wrong, tensor = MUTANTS[mutant]
    source = assembly.kernel(derivation)
    assert source.count(right) == 1
    with pytest.raises(Disproved, match=f"the chain claim fails at ∂L/∂{tensor}"):
        verify_network(derivation, source.replace(right, wrong))


def test_a_wrong_layer_is_disproved_by_its_name() -> None:
    derivation = assembly.derive(derive.network(TEXT, input=(3, 3)))
    source = assembly.kernel(derivation)
    right = "dy *= 1 - y**2"
    assert source.count(right) == 1
    with pytest.raises(Disproved, match=r"^tanh1: "):
        verify_network(derivation, source.replace(right, "dy *= 1 - y"))


def test_a_large_network_is_checked_by_central_differences() -> None:
    text = "conv 3x3 filters=32 > relu > max_pool 4x4 > conv 3x3 filters=8 > flatten > dense 2"
    derivation = assembly.derive(derive.network(text, input=(3, 32, 32)))
    made = assembly.make(derivation)
    (claim,) = made.certificate.claims
    assert dict(claim.checked)["method"] == "central differences"
