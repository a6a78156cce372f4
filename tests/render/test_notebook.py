"""The notebook: valid, the same bytes every time, run to its end, and able to fail."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

import derive
from derive import assembly, pipeline
from derive.documents import Cell, Document, Figure, Items, Paragraph, Symbol, Table
from derive.render.notebook import escape, notebook

LAYERS = {
    "conv": {"input": (5, 5), "kernel": (3, 3), "stride": 2, "padding": 1},
    "max_pool": {"input": (5, 5), "kernel": (3, 3), "stride": 2, "padding": 1},
    "relu": {"input": (3, 3)},
    "bce_with_logits": {"input": (3,)},
    "cross_entropy": {"input": (4,)},
    "batch_norm": {"input": (2, 3, 3)},
    "conv_transpose": {"input": (3, 3), "kernel": (2, 2), "stride": 2},
}
EQUATIONS = {
    "y[i] = log(x[i])/sqrt(x[i])": {"x": (4,)},
    "y = sum[i](abs(x[i] - t[i]))": {"x": (4,), "t": (4,)},
}
NETWORK = "conv 2x2 bias > relu > max_pool 2x2 stride=1 > flatten > dense 3 > cross_entropy"


def made(d: Any) -> dict[str, Any]:
    """The notebook of a derivation, without its notes."""
    read: dict[str, Any] = json.loads(notebook(Document("Title", ()), d.arrows.runnable(d.made)))
    return read


def code(book: dict[str, Any]) -> str:
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    return "\n".join("".join(cell["source"]) for cell in cells)


def run(text: str) -> str:
    """What the code cells print, run in one namespace."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(text, "notebook", "exec"), {"__name__": "notebook"})
    return printed.getvalue()


@pytest.fixture(scope="module")
def toy() -> Any:
    return derive.derive(derive.conv(input=(3, 3), kernel=(2, 2)))


# -- as Jupyter sees it ------------------------------------------------------------------------
def test_a_written_notebook_is_valid_and_runs_anywhere(toy: Any, tmp_path: Path) -> None:
    folder = toy.write(tmp_path, formats="ipynb")
    book = nbformat.read(folder / "notes.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(book)
    (tmp_path / "elsewhere").mkdir()
    place = {"metadata": {"path": str(tmp_path / "elsewhere")}}
    NotebookClient(book, timeout=60, resources=place).execute()
    table = book.cells[-1].outputs[0].text.splitlines()
    assert [row.split()[:2] for row in table[1:]] == [["dx", "9"], ["dw", "4"]]


def test_a_broken_kernel_fails_in_jupyter(toy: Any) -> None:
    text = json.dumps(made(toy))
    broken = text.replace("return Gradients(dx.", "return Gradients(1 + dx.")
    assert broken != text
    book = nbformat.reads(broken, as_version=4)  # type: ignore[no-untyped-call]
    with pytest.raises(CellExecutionError, match="dx: not the difference quotient"):
        NotebookClient(book, timeout=60).execute()


def test_a_notebook_has_the_same_bytes_every_time_and_was_not_run(toy: Any) -> None:
    options = pipeline.Options(formats=("ipynb",))
    text = pipeline.files(toy.made, options)["notes.ipynb"]
    assert text == pipeline.files(toy.made, options)["notes.ipynb"]
    cells = json.loads(str(text))["cells"]
    assert [cell["id"] for cell in cells] == [f"cell-{n}" for n in range(len(cells))]
    assert all(cell["outputs"] == [] for cell in cells if cell["cell_type"] == "code")


def test_the_notes_and_the_whole_kernel_are_in_it(toy: Any) -> None:
    options = pipeline.Options(formats=("ipynb",))
    cells = json.loads(str(pipeline.files(toy.made, options)["notes.ipynb"]))["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    assert toy.numpy().strip() in texts
    assert any(r"\frac{\partial L}{\partial w_{u,v}}" in text for text in texts)
    assert not any(r"\color{tap" in text for text in texts)  # no notebook knows our colours


def test_without_sizes_there_are_notes_and_no_code() -> None:
    d = derive.derive(derive.equation("y[i] = sum[u](x[s*i+u]*w[u])"))
    cells = json.loads(
        str(pipeline.files(d.made, pipeline.Options(formats=("ipynb",)))["notes.ipynb"])
    )
    assert {cell["cell_type"] for cell in cells["cells"]} == {"markdown"}


# -- what the cells compute --------------------------------------------------------------------
@pytest.mark.parametrize("name", LAYERS)
def test_the_check_of_a_layer_holds(name: str) -> None:
    d = derive.derive(getattr(derive, name)(**LAYERS[name]))
    last = run(code(made(d))).splitlines()[-1].split()
    assert int(last[1]) > 0
    assert float(last[2]) < 1e-6


@pytest.mark.parametrize("text", EQUATIONS)
def test_the_check_of_an_equation_holds_where_it_is_defined(text: str) -> None:
    d = derive.derive(derive.equation(text, shapes=EQUATIONS[text], data=list(EQUATIONS[text])))
    assert run(code(made(d)))


@pytest.mark.parametrize("name", ["conv", "relu", "cross_entropy"])
def test_the_check_finds_a_gradient_that_is_a_thousandth_off(name: str) -> None:
    d = derive.derive(getattr(derive, name)(**LAYERS[name]))
    text = code(made(d))
    broken = re.sub(
        r"^( +)return Gradients\(dx",
        r"\1dx = dx * 1.001\n\1return Gradients(dx",
        text,
        flags=re.M,
    )
    broken = re.sub(
        r"^( +)return Gradients\((?!dx)", r"\1return Gradients(1.001 * ", broken, flags=re.M
    )
    assert broken != text
    with pytest.raises(AssertionError, match="dx: not the difference quotient"):
        run(broken)


def test_a_network_is_checked_and_trained() -> None:
    d = derive.derive(derive.network(NETWORK, input=(4, 4)))
    text = code(made(d))
    losses = [float(row.split()[1]) for row in run(text).splitlines()[-20:]]
    assert losses == sorted(losses, reverse=True)
    broken = text.replace('"conv1.w": d_conv1_w', '"conv1.w": 2 * d_conv1_w')
    assert broken != text
    with pytest.raises(AssertionError, match=r"conv1\.w: not the difference quotient"):
        run(broken)


def test_a_network_without_a_loss_is_checked_with_a_gradient_from_behind() -> None:
    d = derive.derive(derive.network("dense 2 > tanh", input=3))
    rows = run(code(made(d))).splitlines()[-3:]
    assert [row.split()[0] for row in rows] == ["dense1.w", "dense1.b", "x"]
    assert isinstance(d.made, assembly.Assembled)


# -- Markdown ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b *c* `d`", r"a\_b \*c\* \`d\`"),
        ("$x$ <b> & [l](u)", r"\$x\$ &lt;b&gt; &amp; \[l\](u)"),
        ("# no heading", r"\# no heading"),
        ("- no item", r"\- no item"),
        ("1. no item", r"\1. no item"),
        ("two\nlines", "two lines"),
    ],
)
def test_words_are_words_in_markdown(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_a_pipe_or_a_sign_of_html_in_a_formula_cannot_end_a_cell() -> None:
    head = (("a|b",), (Symbol("x"),))
    blocks = (Table(head, (head,)), Items((("1 < 2",),)), Paragraph(("x",)))
    cell = json.loads(notebook(Document("", blocks), None))["cells"][1]
    assert "".join(cell["source"]).splitlines() == [
        r"| a\|b | $x$ |",
        "| --- | --- |",
        r"| a\|b | $x$ |",
        "",
        "- 1 &lt; 2",
        "",
        "x",
    ]


def test_a_figure_is_a_picture_with_words_for_those_who_cannot_see_it() -> None:
    figure = Figure("one", 1, 1, (Cell(0, 0, Symbol("x")),), ("a caption",), "one [cell]")
    cell = json.loads(notebook(Document("", (figure,)), None))["cells"][1]
    found = re.match(
        r"!\[one \\\[cell\\\]\]\(data:image/svg\+xml;base64,(.*?)\)", "".join(cell["source"])
    )
    assert found is not None
    assert base64.b64decode(found[1]).startswith(b"<svg")
