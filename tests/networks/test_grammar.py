"""The grammar of networks: what is read, and the whole text of what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import derive
from derive import chaining, networks
from derive.arguments import read
from derive.errors import NetworkError, UsageError
from derive.graphs import Draft, NetworkSpec


def drafts(text: str) -> list[tuple[str, dict[str, object]]]:
    spec = networks.read(text, (8, 8), chaining.signatures())
    return [(draft.kind, dict(draft.settings)) for draft in spec.drafts]


def test_sizes_go_to_the_parameter_that_a_layer_needs() -> None:
    assert drafts("conv 3x3 > max_pool 2x2 > dense 10 > pad 1x2") == [
        ("conv", {"kernel": (3, 3)}),
        ("max_pool", {"kernel": (2, 2)}),
        ("dense", {"units": 10}),
        ("pad", {"padding": (1, 2)}),
    ]


def test_kinds_keys_and_flags_are_compared_without_underscores() -> None:
    plain = drafts("max_pool 2 ceil_mode > cross_entropy > conv 2 bias")
    assert drafts("maxpool 2 ceilmode > crossentropy > Conv 2 bias=true") == plain
    assert drafts("max-pool 2 ceil-mode > cross-entropy > conv kernel=2 bias=yes") == plain


def test_flags_can_be_denied() -> None:
    assert drafts("dense 2 no-bias") == drafts("dense 2 bias=false")
    assert drafts("dense 2 no_bias") == [("dense", {"units": 2, "bias": False})]


def test_values_are_read_like_those_of_the_command_line() -> None:
    assert drafts(
        "conv 3x3 padding=1,2x0,1 stride=2x1 > conv 3 padding=same > huber delta=0.5"
    ) == [
        ("conv", {"kernel": (3, 3), "padding": ((1, 2), (0, 1)), "stride": (2, 1)}),
        ("conv", {"kernel": 3, "padding": "same"}),
        ("huber", {"delta": 0.5}),
    ]


def test_lines_comments_and_arrows_separate_layers() -> None:
    text = "# LeNet\nconv 2x2 > relu  # here\n\n > flatten >\n dense 1\nmse"
    assert drafts(text) == drafts("conv 2x2 > relu > flatten > dense 1 > mse")


def test_a_layer_is_named_before_or_behind() -> None:
    for text in ("a: conv 2x2 > relu > add a", "conv 2x2 as a > relu > add a"):
        spec = networks.read(text, (8, 8), chaining.signatures())
        assert [(d.alias, d.other) for d in spec.drafts] == [("a", ""), ("", ""), ("", "a")]


def test_the_command_has_the_text_without_comments_and_blanks() -> None:
    spec = networks.read("conv   2x2 # x\n relu", (3, 3), chaining.signatures())
    assert spec.arguments == ("--network", "conv 2x2 > relu", "--input", "3x3")


def test_names_are_counted_per_kind_in_order() -> None:
    pieces = [Draft(kind, kind) for kind in ("conv", "relu", "conv", "dense")]
    assert networks.counted(pieces) == ["conv1", "relu1", "conv2", "dense1"]


def test_a_list_in_python_is_the_same_network_as_its_text() -> None:
    listed = derive.network(
        [
            ("conv", {"kernel": 2, "filters": 3}),
            "relu",
            ("max_pool", {"kernel": 2}),
            "flatten",
            ("dense", {"units": 10}),
            "cross_entropy",
        ],
        input=(1, 9, 9),
    )
    text = "conv 2 filters=3 > relu > max_pool 2 > flatten > dense 10 > cross_entropy"
    written = derive.network(text, input=(1, 9, 9))
    assert [n.layer.equations for n in listed.nodes] == [n.layer.equations for n in written.nodes]


def test_a_list_keeps_values_that_have_no_text() -> None:
    network = derive.network([("conv", {"kernel": (3,), "filters": 2})], input=(2, 9))
    assert network.shape("conv1") == (2, 7)


REFUSED = {
    "": "the network has no layer; write layers with > between them",
    "# nothing": "the network has no layer; write layers with > between them",
    "conv 2x2 >": """\
a layer is missing behind this >
    conv 2x2 >
             ^""",
    "conv 2x2 > > relu": """\
a layer is missing before this >
    conv 2x2 > > relu
               ^""",
    "covn 2x2 > relu": """\
layer 'covn' is unknown
    covn 2x2 > relu
    ^^^^
    did you mean conv?""",
    "relu > conv 2x2 filtres=3": """\
conv has no parameter 'filtres'
    relu > conv 2x2 filtres=3
                    ^^^^^^^^^
    did you mean filters?""",
    "flatten 3": """\
flatten takes no sizes
    flatten 3
            ^
    flatten has no parameters""",
    "dense 3 4": """\
dense takes one size, units
    dense 3 4
            ^
    dense has units, bias""",
    "dense 3 units=4": """\
dense: units is given twice
    dense 3 units=4
            ^^^^^^^""",
    "conv 2x2 stride": """\
conv: stride needs a value
    conv 2x2 stride
             ^^^^^^
    write stride=...""",
    "conv 2x2 bias=maybe": """\
bias (='maybe') is true or false
    conv 2x2 bias=maybe
             ^^^^^^^^^^""",
    "conv 2xx2": """\
kernel (='2xx2') is not a size: '' is no whole number \
(write 3, 3x3 or 1,2x0,1 with the digits 0 to 9)
    conv 2xx2
         ^^^^""",
    "if: relu": """\
the name 'if' is a word of Python
    if: relu
    ^^""",
    "x: relu": """\
the name x is taken already
    x: relu
    ^""",
    "relu as": """\
as takes one name, at the end: conv 3x3 as NAME
    relu as
         ^^""",
    "relu\nc: # nothing": """\
no layer stands behind the name c
    c:
    ^^""",
    "rel\u016b": "the network's text holds a character that is not ASCII: "
    "at most 16000 ASCII characters",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_read_is_refused_with_the_whole_message(text: str) -> None:
    with pytest.raises(NetworkError) as caught:
        networks.read(text, (8, 8), chaining.signatures())
    assert str(caught.value) == REFUSED[text]


def test_a_path_reads_the_same_grammar_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "small.net"
    file.write_text("# small\nconv 2x2\nflatten\n")
    for text in (str(file), "conv 2x2 > flatten"):
        request = read(["--network", text, "--input", "3x3"])
        assert request is not None
        assert isinstance(request.spec, NetworkSpec)
        assert [draft.kind for draft in request.spec.drafts] == ["conv", "flatten"]
        assert request.spec.text == "conv 2x2 > flatten"


COMMANDS = {
    ("--network", "no/such.net", "--input", "3"): "--network: there is no file 'no/such.net'",
    ("--network", "relu"): "--network needs --input, the shape of x: --input 3x3",
    ("--network", "relu", "--input", "3", "--kernel", "2"): "--kernel does not go with --network: "
    "write it behind the layer",
    ("--network", "relu", "--input", "3", "--wrt", "x"): "--wrt does not go with --network: "
    "write it behind the layer",
    ("--network", "relu", "--input", "3", "--shape", "x=3"): "--shape does not go with --network; "
    "the shape of x is --input",
}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_flags_that_do_not_go_together_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        read(words)
    assert str(caught.value) == COMMANDS[words]


def test_from_names_the_first_input_of_a_layer() -> None:
    for text in (
        "conv 2x2 > conv 1x1 from x as a > add conv1",
        "conv 2x2 > a: conv 1x1 from x > add conv1",
    ):
        spec = networks.read(text, (8, 8), chaining.signatures())
        assert [(d.alias, d.source, d.other) for d in spec.drafts] == [
            ("", "", ""),
            ("a", "x", ""),
            ("", "", "conv1"),
        ]
