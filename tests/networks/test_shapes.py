"""Shapes go from layer to layer; a layer that does not fit is named with both shapes."""

from __future__ import annotations

import pytest

import derive
from derive.errors import NetworkError, UsageError


def shapes(text: str, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [node.shape for node in derive.network(text, input=shape).nodes]


def test_every_layer_takes_the_shape_that_the_one_before_gives() -> None:
    text = "conv 5x5 filters=6 padding=2 > relu > max_pool 2x2 > flatten > dense 10 > cross_entropy"
    assert shapes(text, (1, 28, 28)) == [
        (6, 28, 28),
        (6, 28, 28),
        (6, 14, 14),
        (1176,),
        (10,),
        (),
    ]


def test_channels_left_out_of_the_input_are_one() -> None:
    network = derive.network("conv 5x5 filters=6", input=(28, 28))
    assert network.shape("x") == (1, 28, 28)


def test_an_axis_of_length_one_comes_where_a_layer_wants_it() -> None:
    network = derive.network("conv 2x2 > conv 2x2 filters=3", input=(5, 5))
    assert [n.shape for n in network.nodes] == [(4, 4), (3, 3, 3)]


def test_channels_tell_a_one_dimensional_kernel_from_a_square_one() -> None:
    assert shapes("conv 3 channels=2 filters=4", (2, 9)) == [(4, 7)]


def test_two_branches_are_added_or_put_one_behind_the_other() -> None:
    text = "conv 1x1 filters=2 as a > conv 3x3 filters=3 padding=1 > concat a > relu > add concat1"
    assert shapes(text, (2, 4, 4)) == [(2, 4, 4), (3, 4, 4), (5, 4, 4), (5, 4, 4), (5, 4, 4)]


REFUSED = {
    ("conv 2x2 > relu > max_pool 5x5 > flatten", (3, 3)): """\
layer 3 of 4, max_pool 5x5, does not fit behind relu1, which gives 2x2
    conv 2x2 > relu > max_pool 5x5 > flatten
                      ^^^^^^^^^^^^
    kernel (=5x5) is larger than the padded input (=2x2): on axis 0 the kernel is 5, \
the input is 2""",
    ("conv 4x4", (3, 3)): """\
layer 1 of 1, conv 4x4, does not fit behind x, which is 3x3
    conv 4x4
    ^^^^^^^^
    kernel (=4x4) is larger than the padded input (=3x3): on axis 0 the kernel is 4, \
the input is 3""",
    ("conv 2x2 as a > conv 2x2 > add a", (4, 4)): """\
layer 3 of 3, add a, does not fit behind conv2, which gives 2x2
    conv 2x2 as a > conv 2x2 > add a
                               ^^^^^
    add needs two equal shapes, but input (=2x2) is not other (=3x3)""",
    ("conv 2x2 as early > relu > add earli", (4, 4)): """\
add: there is no layer 'earli' before it
    conv 2x2 as early > relu > add earli
                               ^^^^^^^^^
    did you mean early?""",
    ("conv 2x2 as main > conv 1x1 from mian > add main", (4, 4)): """\
conv: there is no layer 'mian' before it
    conv 2x2 as main > conv 1x1 from mian > add main
                       ^^^^^^^^^^^^^^^^^^
    did you mean main?""",
    ("conv 2x2 > conv 1x1 from x > relu", (4, 4)): """\
no layer reads what conv1 gives
    conv 2x2 > conv 1x1 from x > relu
    ^^^^^^^^
    name it, and add it behind: conv as a > ... > add a""",
    ("conv 2x2 > add", (4, 4)): """\
add needs a second input: add NAME
    conv 2x2 > add
               ^^^""",
    ("flatten > mse > relu", (4,)): """\
relu stands behind a loss; a loss is the last layer
    flatten > mse > relu
                    ^^^^""",
}


@pytest.mark.parametrize(("text", "shape"), REFUSED, ids=[text for text, _ in REFUSED])
def test_what_does_not_fit_is_refused_with_the_whole_message(
    text: str, shape: tuple[int, ...]
) -> None:
    with pytest.raises(NetworkError) as caught:
        derive.network(text, input=shape)
    assert str(caught.value) == REFUSED[text, shape]


def test_gradients_of_some_tensors_alone_are_refused() -> None:
    with pytest.raises(UsageError, match="all gradients are needed on the way"):
        derive.derive(derive.network("relu", input=(2,)), wrt=["x"])
