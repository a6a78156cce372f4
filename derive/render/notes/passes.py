"""The two passes of a network in numbers: every x_k, every δ_k, one entry by hand, one check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...affine import Affine
from ...documents import Block, Display, Fraction, Math, Paragraph, Row, Scripts, Symbol, Table
from ...expressions import Read
from ...graphs import NetworkDerivation, Node
from ...specs import Style
from ...trials import Check, Trial
from ..mathematics.notation import DEL, EQUALS
from ..phrases import Phrases, Slot
from .numbers import checked, head, worked_entry
from .sheet import Sheet
from .values import array, number

Value = Callable[[str], Math]


def pass_blocks(
    trial: Trial, derivation: NetworkDerivation, style: Style, value: Value, say: Phrases
) -> list[Block]:
    """What layers give, what comes back, and one weight's gradient worked out and checked."""
    network = derivation.network
    out: list[Block] = []
    if trial.values:
        rows = [_row(value(name), found) for name, found in trial.values]
        if network.loss is not None:
            rows.append((value(network.loss.name), (Row((EQUALS, number(trial.losses[0]))),)))
        out += [Paragraph(say.say("chain.forwards")), Display(tuple(rows), name="values")]
        back = tuple(_row(_delta(value(name)), found) for name, found in trial.slopes)
        slots: dict[str, Slot] = {"delta": _delta(Symbol("x"))}
        out += [Paragraph(say.say("chain.backwards", slots)), Display(back, name="deltas")]
    if trial.check is not None:
        out += _by_hand(trial, trial.check, derivation, style, say)
        out += _checked(trial.check, derivation, style, say)
    return out


def _row(left: Math, found: Any) -> tuple[Math, tuple[Math, ...]]:
    return left, (Row((EQUALS, array(found))),)


def _delta(value: Math) -> Math:
    """``δ_2`` for ``x_2``."""
    return Scripts(Symbol("delta"), value.sub) if isinstance(value, Scripts) else Symbol("delta")


def _node(check: Check, derivation: NetworkDerivation, style: Style) -> tuple[Node, Sheet, str]:
    """The layer of a parameter, and the parameter's letter there."""
    name, _, tensor = check.of.partition(".")
    return derivation.network.node(name), Sheet(derivation.of(name), style), tensor


def _by_hand(
    trial: Trial, check: Check, derivation: NetworkDerivation, style: Style, say: Phrases
) -> list[Block]:
    """The products of one entry of the first parameter's gradient."""
    node, sheet, tensor = _node(check, derivation, style)
    known = {**dict(trial.given), **dict(trial.values)}
    if node.name not in dict(trial.slopes):
        return []
    data = {t.name: known[source].reshape(t.sizes()) for t, source in node.reads}
    arrays = {**data, node.equation.output.gradient: dict(trial.slopes)[node.name]}
    arrays = {name: found.round(5) for name, found in arrays.items()}
    arrays |= {t.name: dict(trial.before)[name] for name, t in node.parameters}
    gather = next(g.gather for g in sheet.derivation.instance if g.of == tensor)
    result = dict(trial.gradients)[check.of]
    line = worked_entry(gather, check.place, arrays, result, sheet)
    if line is None:
        return []
    slots: dict[str, Slot] = {"layer": node.name}
    return [Paragraph(say.say("chain.by_hand", slots)), Display((line,), name="by_hand")]


def _checked(
    check: Check, derivation: NetworkDerivation, style: Style, say: Phrases
) -> list[Block]:
    """The difference quotient of that weight."""
    node, sheet, tensor = _node(check, derivation, style)
    place = sheet.number(Read(tensor, tuple((Affine.of(k),) for k in check.place)))
    slope = Fraction(Row((DEL, Symbol("L"))), Row((DEL, place)))
    slots: dict[str, Slot] = {"layer": node.name, "slope": slope}
    return [
        Paragraph(say.say("chain.check", slots)),
        Table(head(sheet), (checked(check, place),)),
    ]
