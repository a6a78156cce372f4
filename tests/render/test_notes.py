"""The notes say everything the derivation says, in order, and in every format alike."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from examples import (
    CERTIFICATE,
    attention,
    batch_norm,
    conv,
    equation,
    named,
    separable,
    softmax,
    strided,
    toy,
    transposed,
)

from derive import pipeline
from derive.calculus import rules
from derive.derivations import Derivation, Form, Step
from derive.documents import (
    Beside,
    Display,
    Document,
    Heading,
    Items,
    Listing,
    Paragraph,
    Steps,
    Table,
)
from derive.layers import spec
from derive.render.hues import HUES
from derive.render.notes.forms import form_sentence, reason
from derive.render.notes.layer import equations, notes
from derive.render.notes.sheet import Sheet
from derive.render.notes.steps import sentence
from derive.render.phrases import Phrases, phrases
from derive.render.terminal.summary import summary
from derive.render.terminal.text import inline, line
from derive.render.tex.page import tex
from derive.render.tex.words import escape
from derive.specs import Style

DERIVATIONS = {
    "toy": toy,
    "strided": strided,
    "flipped": lambda: conv(input=(3, 3), kernel=(2, 2), flip=True),
    "groups": lambda: conv(input=(4, 4, 4), kernel=(2, 2), filters=4, groups=2),
    "dilated": lambda: conv(input=(7, 7), kernel=(2, 2), dilation=2, stride=2),
    "large": lambda: conv(input=(64, 224, 224), kernel=(3, 3), filters=64, padding=1),
    "symbolic": lambda: equation("y[i] = sum[u](x[s*i+u]*w[u])"),
    "max": lambda: equation("y[i] = max[u](x[2*i+u])", (("x", (4,)), ("y", (2,)))),
    "loss": lambda: equation("y = mean[i]((x[i]-t[i])**2)", (("x", (4,)), ("t", (4,)))),
    "softmax": softmax,
    "batch_norm": batch_norm,
    "attention": attention,
    "separable": separable,
    "transposed": transposed,
    "kinked": lambda: equation("y[i] = where(x[i] > 0, x[i], 0.01*x[i])", (("x", (3,)),)),
}
ROOT = Path(__file__).resolve().parents[2]


def words(document: Document) -> str:
    """Everything a reader reads, formulas included."""
    out = [document.title]
    for block in document.blocks:
        match block:
            case Heading(_, text) | Paragraph(text):
                out.append(inline(text))
            case Display():
                out += shown(block)
            case Beside(left, right):
                out += [*shown(left), *shown(right)]
            case Steps(steps):
                for why, after in steps:
                    out += [inline(why.text), *shown(after)]
            case Items(items):
                out += [inline(item) for item in items]
            case Table(header, rows):
                out += [inline(cell) for row in (header, *rows) for cell in row]
            case Listing(code):
                out.append(code)
    return "\n".join(out)


def shown(display: Display) -> list[str]:
    return [line(left) + "".join(map(line, pieces)) for left, pieces in display.rows]


@pytest.mark.parametrize("name", DERIVATIONS)
def test_notes_and_summary_of_every_kind_of_layer_can_be_made(name):
    d = DERIVATIONS[name]()
    assert tex(notes(d, CERTIFICATE, "x = 1\n")).endswith("\\end{document}\n")
    assert d.layer.title in summary(d, CERTIFICATE, ("a.py",))


def test_sections_stand_in_the_order_of_an_article():
    document = notes(toy(), CERTIFICATE, "import numpy as np\n")
    found = [inline(b.text) for b in document.blocks if isinstance(b, Heading) and b.level == 1]
    assert found == [
        "The layer",
        "Forward",
        "Counts and connections",
        "The gradient with respect to x",
        "The gradient with respect to w",
        "The layer as a sparse matrix",
        "The NumPy kernel",
        "What was proved",
    ]


def test_every_step_of_the_derivation_is_shown():
    document = notes(toy())
    sheet = Sheet(toy())
    shown = equations(document)
    for gradient in toy().instance:
        for step in gradient.steps:
            assert sheet.row(step.after, here=True) in shown


def test_the_4x9_matrix_is_printed_with_its_counts():
    text = words(notes(toy()))
    assert "4 × 9 = 36 entries, of which 16 are not zero, and only 4 different weights" in text


def test_the_output_size_is_printed_with_its_numbers():
    text = words(notes(strided()))
    assert "O_h = ⌊(H + 2p − K_h)/s_h⌋ + 1 = ⌊(5 + 2·1 − 3)/2⌋ + 1 = 3" in text
    assert "O_w = W + 2p − K_w + 1 = 6 + 2·1 − 3 + 1 = 6" in text


def test_the_rotated_kernel_is_drawn_for_the_input_gradient():
    text = words(notes(toy()))
    padded = "[0, 0, 0, 0; 0, g[0,0], g[0,1], 0; 0, g[1,0], g[1,1], 0; 0, 0, 0, 0]"
    assert f"∂L/∂x = {padded} ⋆ [w[1,1], w[1,0]; w[0,1], w[0,0]]" in text
    assert "rotated by 180°" in text


def test_stride_is_given_as_the_reason_why_there_is_no_full_convolution():
    text = words(notes(strided()))
    assert "zeros have to be put between the entries of g" in text
    assert "is the full convolution" not in text


def test_nothing_is_said_to_be_rotated_where_the_forward_pass_turns_the_kernel():
    text = words(notes(DERIVATIONS["flipped"]()))
    assert "the forward pass turned the kernel already" in text
    assert "rotated by 180°" not in text


def test_swapped_strides_are_told_of_the_weights_only():
    swapped = "Stride and dilation of the layer have changed places"
    assert swapped in words(notes(strided()))
    assert swapped not in words(notes(conv(input=(4, 4), kernel=(3, 3), padding=1)))


def test_above_six_entries_an_axis_three_entries_are_worked():
    text = words(notes(DERIVATIONS["large"]()))
    assert "Three entries, at a corner, on an edge and inside:" in text
    assert "⋯" in text


def test_every_entry_is_there_with_full():
    d = conv(input=(9,), kernel=(2,))
    assert "∂L/∂x[8] = g[7]·w[1]" in words(notes(d, style=Style(full=True))).replace("=  ", "= ")


def test_entries_count_from_one_on_request_and_the_notes_say_so():
    text = words(notes(toy(), style=Style(index_base=1)))
    assert "y[1,1] = x[1,1]·w[1,1]" in text
    assert "y[0,0]" not in text
    assert "count from 1" in text


def test_claims_and_omissions_are_told_in_words_and_unknown_ones_by_name():
    text = words(notes(toy(), CERTIFICATE))
    assert "17 entries compared" in text
    assert "sorcery" in text
    assert "candles 13" in text
    assert "the numeric check: the layer is too large for it" in text
    assert "magic: moon phase" in text


# -- several equations ------------------------------------------------------------------------
def headings(document: Document) -> list[str]:
    return [inline(b.text) for b in document.blocks if isinstance(b, Heading) and b.level == 1]


def test_gradients_of_intermediates_come_first_and_the_last_made_first():
    found = headings(notes(attention()))
    letters = [text[-1] for text in found if text.startswith("The gradient with respect to")]
    assert "".join(letters) == "azems" + "qkv"
    backwards = found.index("Backwards through the equations")
    assert found.index("Forward") < backwards < found.index("The gradient with respect to a")


def test_every_statement_is_shown_in_order():
    d, sheet = softmax(), Sheet(softmax())
    (forward,) = (b for b in notes(d).blocks if isinstance(b, Display) and b.name == "forward")
    assert forward.rows == tuple(sheet.row(s) for s in d.equation.statements)
    text = summary(d)
    places = [text.index(left) for left in ("m = max", "e[i] = exp", "s = ∑", "y[i] = e[i]/s")]
    assert places == sorted(places)


def test_every_intermediate_value_is_listed_with_its_shape():
    (table,) = (b for b in notes(softmax()).blocks if isinstance(b, Table))
    listed = {inline(row[0]): tuple(map(inline, row[1:])) for row in table.rows}
    assert listed["m"] == ("intermediate value", "one number", "one number")
    assert listed["e"][::2] == ("intermediate value", "4")
    assert "e  4           intermediate value" in summary(softmax())


def test_a_tensor_read_by_two_equations_gets_one_sum_for_each():
    text = words(notes(softmax()))
    assert "one sum for every equation that reads e" in text
    assert "∂L/∂e[q] = ∂L/∂s·∂s/∂e[q] + ∑_{i} g[i]·∂y[i]/∂e[q]" in text


def test_the_gradient_through_the_maximum_that_stabilises_softmax_is_seen_to_vanish():
    rows = [inline((left, *pieces)) for left, pieces in equations(notes(softmax()))]
    vanished = rows.index("∂L/∂m = 0")
    assert "exp(x[i] − m)" in rows[vanished - 1] or "∑" in rows[vanished - 1]


def test_entries_of_intermediate_values_are_not_written_out():
    text = words(notes(softmax()))
    assert "y[3] = e[3]/s" in text
    assert "∂L/∂x[3] =" in text
    assert "e[3] = exp" not in text


def test_the_summary_shows_the_gradients_of_intermediates_that_others_are_made_from():
    text = summary(attention())
    assert text.index("∂L/∂a[i,j] = ∑_{d}") < text.index("∂L/∂s[i,j] =") < text.index("∂L/∂q[i,d]")
    assert "∂L/∂z" not in text


def test_a_forward_equation_with_deltas_is_solved_in_sight():
    text = words(notes(transposed()))
    assert "y[m] = ∑_{i,u} x[i]·w[u]·δ[2i+u,m]" in text
    assert "y[m] = ∑_{u: 2 ∣ m − u, 0 ≤ (m − u)/2 < 3} x[(m−u)/2]·w[u]" in text
    assert "y[2i+u] += x[i]·w[u]" in text
    assert "y[4] = x[2]·w[0] + x[1]·w[2]" in text.replace(" + ", " + ").replace("  ", " ")


def test_steps_of_a_correlation_are_told():
    assert "of g with w, moving in steps of 2; nothing is turned" in one_line(summary(transposed()))


def test_a_loss_is_said_to_be_the_loss_itself():
    d = named("mse", input=(3,))
    text = words(notes(d))
    assert "The output y is the loss L itself" in text
    assert "x acts on L only through y, which is L itself." in text
    assert "hand back" not in text
    assert "Gradients of y = L" in summary(d)


def test_a_copied_entry_is_not_called_a_sum():
    text = one_line(summary(named("pad", input=(3, 3), padding=1)))
    assert "Every entry of ∂L/∂x is one entry of g: the one that it was copied to." in text


def test_a_count_inside_of_an_entry_is_its_number():
    d = named("avg_pool", input=(5, 5), kernel=3, stride=2, padding=1, count_include_pad=False)
    text = words(notes(d)).replace("=  ", "= ")
    assert "∂L/∂x[0,0] = g[0,0]/4" in text  # the corner window has 4 places inside x
    assert "∂L/∂x[2,2] = g[1,1]/9" in text


def test_a_short_sum_inside_of_an_entry_is_written_out():
    d = named("dense", input=(2,), units=2)
    tanh = equation("y[k] = tanh(sum[i](x[i]*w[k,i]))", (("x", (2,)), ("w", (2, 2))))
    assert "y[1] = tanh(x[0]·w[1,0] + x[1]·w[1,1])" in words(notes(tanh))
    assert "y[1] = w[1,0]·x[0] + w[1,1]·x[1] + b[1]" in words(notes(d)).replace("  ", " ")


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_a_derivative_in_a_numerator_stands_beside_the_quotient():
    assert "∑_{j} k[j,d]/2·∂L/∂s[i,j]" in words(notes(attention()))


def test_only_the_two_passes_of_the_kernel_are_listed():
    source = "import numpy as np\n\n\ndef forward(x):\n    # y\n    return x\n\n\n"
    source += "def backward(dy, x):\n    return dy\n\n\ndef _arrays(**given):\n    return given\n"
    shown = [b.code for b in notes(toy(), None, source).blocks[1:] if isinstance(b, Listing)]
    assert shown[:2] == [
        "def forward(x):\n    # y\n    return x",
        "def backward(dy, x):\n    return dy",
    ]


# -- phrases --------------------------------------------------------------------------------
def test_every_rule_of_the_calculus_has_a_phrase():
    recorded = {
        rule for make in DERIVATIONS.values() for s in every_step(make()) for rule in did(s)
    }
    named = {name for name, _ in rules.RULES} | recorded
    missing = [rule for rule in sorted(named - {"selection"}) if f"steps.{rule}" not in phrases()]
    assert missing == []


def did(step: Step) -> list[str]:
    """A rewrite by its rule; one that does several things by each of them."""
    found = str(dict(step.slots).get("did", ""))
    composed = step.rule in ("simplify", "fold", "factor")
    return found.split(", ") if found else ["named" if composed else step.rule]


def every_step(d: Derivation) -> list[Step]:
    gradients = (*d.inner, *d.gradients, *d.inner_instance, *d.instance)
    return [s for g in gradients for s in (*g.steps, *g.scatter_steps)]


def test_a_rule_without_a_phrase_is_named():
    step = replace(toy().gradient("x").steps[0], rule="fold_back")
    assert inline(sentence(step, "x", Sheet(toy()))) == "Rule “fold back”."


def test_a_form_or_reason_without_a_phrase_is_named():
    sheet, gradient = Sheet(toy()), toy().gradient("x")
    form = Form("winograd", "dy", "w")
    assert inline(form_sentence(gradient, form, sheet)) == "∂L/∂x has the form “winograd”."
    assert inline(reason("moon", (), form, sheet)) == "Another reason: moon."


def test_a_slot_that_is_missing_is_named():
    with pytest.raises(KeyError, match=r"steps\.x needs the slot index"):
        Phrases({"steps": {"x": "over {index}"}}).say("steps.x")


def test_names_in_backticks_are_mathematics():
    text = Phrases({"a": "stride `s_h` of {n}"}).say("a", n=2)
    assert inline(text) == "stride s_h of 2"
    assert len(text) == 3


def test_a_maximum_says_who_wins_a_tie():
    assert "the first one in row-major order" in words(notes(DERIVATIONS["max"]()))


# -- TeX ------------------------------------------------------------------------------------
def test_words_of_a_person_cannot_become_tex_commands():
    layer = replace(toy().layer, title=r"\input{/etc/passwd} 100% & #1 $x$ _a^b ~ {", command="%\\")
    text = tex(notes(replace(toy(), layer=layer)))
    assert r"\input{" not in text
    assert r"\textbackslash{}input\{/etc/passwd\} 100\% \& \#1 \$x\$ \_a" in text


def test_a_listing_cannot_be_ended_from_inside():
    text = tex(Document("", (Listing("a = 1\n\\end{lstlisting}\n\\input{x} # é ∂\n"),)))
    assert text.count("\\end{lstlisting}") == text.count("\\begin{lstlisting}")


def test_every_character_survives_escaping_or_is_spelled_out():
    assert escape("a_b") == r"a\_b"
    assert escape("日") == r"\texttt{U+65E5}"


def test_hues_have_enough_contrast_on_white():
    def luminance(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    assert len(set(HUES)) == len(HUES)
    assert all(1.05 / (luminance(colour) + 0.05) >= 4.5 for colour in HUES)


def whole(kind: str, **settings: object) -> Document:
    """The notes with their worked example and their kernel."""
    made = pipeline.make(pipeline.derive(pipeline.layer(spec(kind, settings))))
    return pipeline.document(made)


TIGHT = {
    "toy": lambda: notes(toy(), CERTIFICATE, "import numpy as np\n"),
    "strided": lambda: notes(strided()),
    "16x16_k5x5": lambda: notes(conv(input=(16, 16), kernel=(5, 5))),
    "16x16_k3x3_channels": lambda: notes(
        conv(input=(3, 16, 16), kernel=(3, 3), filters=4, stride=2, padding=1, bias=True)
    ),
    "6x6_k5x5": lambda: notes(conv(input=(6, 6), kernel=(5, 5)), style=Style(index_base=1)),
    "groups": lambda: notes(DERIVATIONS["groups"]()),
    "softmax": lambda: notes(softmax()),
    "batch_norm": lambda: notes(batch_norm()),
    "attention": lambda: notes(attention()),
    "transposed": lambda: notes(transposed()),
    "max": lambda: notes(DERIVATIONS["max"]()),
    "numbers": lambda: whole("conv", input=(5, 5), kernel=(3, 3), stride=2, padding=1),
    "long_numbers": lambda: whole("cross_entropy", input=(10,)),
    "ties": lambda: whole("max_pool", input=(6, 6), kernel=3, stride=1, padding=1),
    "root_mean_square": lambda: notes(
        equation("y[i] = x[i]/sqrt(mean[k](x[k]**2) + 0.001)", (("x", (4,)),))
    ),
}


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX on this machine")
@pytest.mark.parametrize("name", TIGHT)
def test_no_line_runs_over_the_margin(name, tmp_path):
    (tmp_path / "notes.tex").write_text(tex(TIGHT[name]()), encoding="utf-8")
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "notes.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=120)
    log = (tmp_path / "notes.log").read_text(encoding="latin-1")
    assert done.returncode == 0, log[-2000:]
    over = [row for row in log.splitlines() if row.startswith("Overfull \\hbox")]
    wide = [row for row in over if float(row.split("(")[1].split("pt")[0]) > 2]
    assert wide == []


# -- determinism ----------------------------------------------------------------------------
SCRIPT = """
import sys
sys.path[:0] = ["tests/render", "."]
from examples import CERTIFICATE, strided, toy
from derive.render.notes.layer import notes
from derive.render.terminal.summary import summary
from derive.render.tex.page import tex
for d in (toy(), strided()):
    print(tex(notes(d, CERTIFICATE)), summary(d, CERTIFICATE).encode())
print("sympy" in sys.modules, "numpy" in sys.modules)
"""


def test_the_bytes_do_not_depend_on_hashes_and_cost_no_sympy():
    outputs = []
    for seed in ("0", "1"):
        run = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
        )
        outputs.append(run.stdout)
    assert outputs[0] == outputs[1]
    assert outputs[0].decode().endswith("False False\n")
