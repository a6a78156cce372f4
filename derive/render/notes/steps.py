"""The recorded steps of one gradient as sentences and displays."""

from __future__ import annotations

from collections.abc import Iterable

from ...affine import Affine
from ...derivations import Gradient, Step
from ...documents import Block, Display, Inline, Math, Paragraph, Row, Steps, Symbol, Upright
from ...equations import Statement
from ...expressions import Bracket, Condition, Equal, Expr, Read, Reduce, Within, walk
from ..mathematics.formulas import expression
from ..mathematics.notation import COMMA, EQUALS, affine, condition, from_text, joined
from ..mathematics.sample import condition_names
from ..phrases import Slot
from .sheet import Sheet


def steps(gradient: Gradient, sheet: Sheet, *, here: bool) -> list[Block]:
    """Every step: why it is allowed, and what is there after it."""
    shown = [s for s in gradient.steps if sheet.one(s.before) != sheet.one(s.after)]
    found = tuple(
        (
            Paragraph(sentence(step, gradient.of, sheet)),
            Display((sheet.row(step.after, here=here),)),
        )
        for step in shown
    )
    return [Steps(found)] if found else []


def sentence(step: Step, tensor: str, sheet: Sheet) -> tuple[Inline, ...]:
    """Why a step is allowed; a rule without a phrase is named."""
    slots = _slots(step, tensor, sheet)
    if (told := _told(step, slots, sheet)) is not None:
        return told
    return sheet.say.first(tuple(f"steps.{key}" for key in _keys(step, slots, sheet)), slots)


def _told(step: Step, slots: dict[str, Slot], sheet: Sheet) -> tuple[Inline, ...] | None:
    """A sentence for everything that a rewrite did; None if it is one rule that has a name."""
    if step.rule not in ("simplify", "fold", "factor"):
        return None
    given = dict(step.slots)
    keys = _listed(step, "did")
    if named := given.get("tensor"):
        keys.insert(0, "named_several" if ", " in str(named) else "named")
    out: list[Inline] = []
    for key in keys or ["tidy"]:
        out += [*([" "] if out else []), *sheet.say.say(f"steps.{key}", slots)]
    return tuple(out)


def _keys(step: Step, slots: dict[str, Slot], sheet: Sheet) -> Iterable[str]:
    """The phrase of the rule, first the one for this very case."""
    if step.rule == "selection":
        yield f"selection_{slots['ties']}"
    if step.rule == "solve" and not step.conditions:
        yield "solve_always"
    if step.rule == "chain_rule" and ", " in str(dict(step.slots).get("output")):
        yield "chain_rule_several"
    if step.rule == "chain_rule" and _only_loss(step, sheet):
        yield "chain_rule_loss"
    if step.rule == "insert_forward" and ", " in str(dict(step.slots).get("output")):
        yield "insert_forward_several"
    if step.rule == "delta" and not sheet.one(step.before).lhs.axes:
        yield "delta_one"
    if step.rule == "merge":
        nodes = [*walk(sheet.one(step.before).rhs)]
        if not any(_has_delta(node) for node in nodes):
            nested = sum(isinstance(node, Reduce) for node in nodes) > 1
            yield "merge_plain" if nested else "tidy"
    if step.rule == "inline" and "zero" in slots:
        yield "inline_zero"
    if step.rule == "drop_conditions" and not step.conditions:
        yield "drop_conditions_some"
    if step.rule == "drop_conditions" and any(_quotient(c) for c in step.conditions):
        yield "drop_conditions_whole"
    if not sheet.notation.kronecker:
        yield f"{step.rule}_bracket"
    yield step.rule
    yield "unknown"


def _only_loss(step: Step, sheet: Sheet) -> bool:
    return sheet.equation.loss and dict(step.slots).get("output") == sheet.equation.output.name


def _quotient(value: Condition) -> bool:
    """Whether the condition speaks of a quotient, which is whole only where another one holds."""
    return isinstance(value, Within) and not value.value.is_whole


def _has_delta(node: Expr) -> bool:
    return isinstance(node, Bracket) and any(isinstance(c, Equal) for c in node.conditions)


def _slots(step: Step, tensor: str, sheet: Sheet) -> dict[str, Slot]:
    out: dict[str, Slot] = {
        "rule": step.rule.replace("_", " "),
        "tensor": Symbol(tensor),
        "output": Symbol(sheet.equation.output.name),
        "ties": sheet.equation.ties,
        "function": "",
    }
    for name, value in step.slots:
        out[name] = _slot(name, value, sheet)
    pairs = [
        (index, value)
        for index, value in zip(_listed(step, "index"), _listed(step, "value"), strict=False)
        if index not in sheet.batch
    ]
    if pairs:
        out["index"] = joined([Symbol(index) for index, _ in pairs], COMMA)
        out["value"] = joined([from_text(value) for _, value in pairs], COMMA)
        solved = [Row((Symbol(i), EQUALS, from_text(v))) for i, v in pairs]
        out["solution"] = joined(solved, COMMA)
    out["conditions"] = _conditions(step.conditions, sheet)
    return out


def _listed(step: Step, slot: str) -> list[str]:
    found = dict(step.slots).get(slot, "")
    return str(found).split(", ") if found else []


def _slot(name: str, value: str | Affine | Expr, sheet: Sheet) -> Slot:
    if isinstance(value, Affine):
        return affine(value)
    if isinstance(value, Expr):
        return _entry(value, sheet)
    if name in ("tensor", "output", "zero"):
        return joined([Symbol(tensor) for tensor in value.split(", ")], COMMA)
    return _functions(value, sheet) if name == "function" and value else value


def _functions(names: str, sheet: Sheet) -> tuple[Inline, ...]:
    """``tanh``, ``a quotient``: the functions that a rule was applied to."""
    out: list[Inline] = []
    for name in names.split(", "):
        key = f"functions.{name}"
        known = sheet.say.say(key) if key in sheet.say else (Upright(name),)
        out += [*([", "] if out else []), *known]
    return tuple(out)


def _entry(value: Expr, sheet: Sheet) -> Math:
    if isinstance(value, Read):  # ∂L/∂x[...] is about the entry x[...]
        plain = sheet.one(Statement(value, value)).lhs
        tensor = sheet.notation.gradients.get(plain.tensor, plain.tensor)
        return expression(Read(tensor, plain.axes), sheet.notation)
    return expression(value, sheet.notation)


def _conditions(conditions: tuple[Condition, ...], sheet: Sheet) -> tuple[Inline, ...]:
    """The conditions with ``and`` between them."""
    shown = [condition(c) for c in conditions if not _about(c, sheet.batch)]
    out: list[Inline] = []
    for number, one in enumerate(shown):
        link = sheet.say.words("steps.and") if number == len(shown) - 1 else ", "
        out += [link, one] if out else [one]
    return tuple(out)


def _about(value: Condition, names: tuple[str, ...]) -> bool:
    return bool(set(condition_names(value)) & set(names))
