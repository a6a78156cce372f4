"""Receptive fields and counts, against numbers that are published or counted by hand."""

from __future__ import annotations

from fractions import Fraction

import derive
from derive import assembly
from derive.render.notes.counts import connected, multiply_adds, trained
from derive.render.notes.reach import fields


def seen(text: str, shape: tuple[int, ...]) -> dict[str, list[tuple[Fraction, Fraction]]]:
    found = fields(assembly.derive(derive.network(text, input=shape)))
    return {name: [(f.size, f.jump) for f in axes] for name, axes in found.items()}


def test_lenet_sees_what_the_literature_says() -> None:
    """LeNet-5's layers C1, S2, C3, S4 see 5, 6, 14 and 16 pixels (Araujo et al., Distill 2019)."""
    text = "conv 5x5 filters=6 > subsample 2x2 > conv 5x5 filters=16 > subsample 2x2"
    sizes = [axes[0] for axes in seen(text, (1, 32, 32)).values()]
    assert sizes == [(5, 1), (6, 2), (14, 2), (16, 4)]


def test_dilation_widens_and_stride_multiplies_the_jump() -> None:
    text = "conv 3x3 stride=2 > conv 3x3 dilation=2 > max_pool 2x2"
    assert [axes[0] for axes in seen(text, (33, 33)).values()] == [(3, 2), (11, 2), (13, 4)]


def test_a_dense_layer_sees_everything() -> None:
    found = seen("conv 2x2 > relu > flatten > tanh > dense 1", (3, 5))
    assert found["tanh1"] == [(2, 1), (2, 1)]
    assert found["dense1"] == [(3, 0), (5, 0)]


def test_where_branches_meet_the_wider_field_counts() -> None:
    found = seen("conv 3x3 padding=1 as a > conv 3x3 padding=1 > add a", (9, 9))
    assert found["add1"] == [(5, 1), (5, 1)]


def test_behind_two_branches_the_wider_field_goes_on() -> None:
    found = seen("conv 3x3 padding=1 as a > conv 3x3 padding=1 > add a > relu", (9, 9))
    assert found["relu1"] == [(5, 1), (5, 1)]


def test_a_transposed_convolution_halves_the_jump() -> None:
    """Stride 2, kernel 3: an output lies over at most two inputs, half a step apart."""
    found = seen("conv_transpose 3x3 stride=2", (5, 5))
    assert found["conv_transpose1"] == [(2, Fraction(1, 2))] * 2


def test_four_shared_weights_stand_for_thirty_six() -> None:
    """3×3 input, 2×2 kernel: 9 inputs and 4 outputs, fully connected, make 36."""
    network = derive.network("conv 2x2 > flatten > dense 1", input=(3, 3))
    conv, dense = network.node("conv1"), network.node("dense1")
    assert (trained(conv), connected(conv), multiply_adds(conv)) == (4, 36, 16)
    assert (trained(dense), connected(dense), multiply_adds(dense)) == (5, 4, 4)
    assert network.size == 9


def test_a_transposed_convolution_makes_one_product_for_every_input_and_tap() -> None:
    network = derive.network("conv_transpose 3x3 stride=2", input=(5, 5))
    assert multiply_adds(network.nodes[0]) == 25 * 9


def test_behind_groups_all_channels_are_seen_again() -> None:
    found = seen("conv 3x3 filters=8 groups=2 > conv 1x1 filters=2", (4, 9, 9))
    assert [size for size, _ in found["conv1"]] == [2, 3, 3]
    assert [size for size, _ in found["conv2"]] == [4, 3, 3]
