"""The backward pass of a network at a glance: what every layer hands back, the last one first."""

from __future__ import annotations

from collections.abc import Callable

from ...documents import Block, Display, Heading, Inline, Math, Paragraph, Symbol
from ...expressions import ZERO
from ...graphs import TARGET, NetworkDerivation, Node
from ...specs import Style
from ..mathematics.notation import affine
from ..phrases import Phrases, Slot
from .forms import form_of, form_sentence
from .grids import turned
from .sheet import Sheet


def delta_blocks(
    derivation: NetworkDerivation, style: Style, value: Callable[[str], Math], say: Phrases
) -> list[Block]:
    """One paragraph a layer: what comes in, the gradients as derived, and their textbook form.

    ``value`` is the letter of what a node gives.
    """
    out: list[Block] = [Heading(1, say.say("deltas.heading")), Paragraph(say.say("deltas.intro"))]
    sheets = [(node, Sheet(one, style)) for node, one in derivation.pairs()]
    for node, sheet in reversed(sheets):
        out += _layer(node, sheet, value, say)
    read = [sheet for _, sheet in sheets if sheet.derivation.resolved is None]
    sliding = [sheet for sheet in read if sheet.taps is not None and sheet.taps.tensor]
    ways = tuple(dict.fromkeys(turned(sheet) for sheet in sliding))
    for way in ways:
        out.append(Paragraph(say.say(f"deltas.{'turned' if way else 'rotated'}")))
    return out


def _layer(node: Node, sheet: Sheet, value: Callable[[str], Math], say: Phrases) -> list[Block]:
    """What one layer does with what comes back to it."""
    sources = [value(source) for _, source in node.reads if source != TARGET]
    read: list[Inline] = []
    for source in sources:
        read += [", ", source] if read else [source]
    slots: dict[str, Slot] = {"layer": node.name, "written": node.text}
    slots |= {"made": value(node.name), "read": tuple(read), "g": sheet.upstream()}
    letters: list[Inline] = []
    for tensor, name in node.reads:
        one: dict[str, Slot] = {"tensor": Symbol(tensor.name), "source": value(name)}
        if name != TARGET:
            letters += [*([", "] if letters else []), *say.say("deltas.letters", one)]
    slots["letters"] = tuple(letters)
    gradients = [g for g in sheet.derivation.gradients if g.gather.rhs != ZERO]
    rows = tuple(sheet.row(gradient.gather) for gradient in gradients)
    key = "layer_loss" if node.is_loss else "layer"
    told_first = list(say.say(f"deltas.{key}", slots))
    if not sheet.batch:
        equation = sheet.equation
        count = affine(equation.extent(equation.batch))
        told_first += [" ", *say.say("deltas.samples", batch=Symbol(equation.batch), count=count)]
    out: list[Block] = [Paragraph(tuple(told_first))]
    if rows:
        out.append(Display(rows, name=f"delta_{node.name}"))
    told: list[Inline] = []
    for gradient in gradients:
        form = form_of(gradient, sheet)
        if form is not None and form.axes:
            told += [" "] * bool(told)
            told += form_sentence(gradient, form, sheet, brief=True)
    return [*out, Paragraph(tuple(told))] if told else out
