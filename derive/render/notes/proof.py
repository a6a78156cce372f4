"""The certificate in plain words."""

from __future__ import annotations

from ...certificates import Certificate, Claim, Omitted
from ...documents import Inline
from ..phrases import Slot
from .sheet import Sheet
from .values import in_words, powers


def claim(value: Claim, sheet: Sheet, *, brief: bool = False) -> tuple[Inline, ...]:
    """What was checked, and in what numbers; ``brief`` for one line of a terminal."""
    slots: dict[str, Slot] = {"subject": ", ".join(value.subject), "kind": value.kind}
    slots["g"] = sheet.upstream()
    checked = dict(value.checked)
    slots["ways"] = checked.get("ways", "")
    kind = value.kind + ("_rounded" if checked.get("exact") == "false" else "")
    end = "_brief" if brief else ""
    sentence = sheet.say.first((f"claims.{kind}{end}", f"claims.unknown{end}"), slots)
    told = [_number(name, number, sheet) for name, number in value.checked]
    numbers = ", ".join(filter(None, told))
    if not numbers:
        return sentence
    if brief:
        return (*sentence, f" ({powers(numbers)})")
    return (*sentence, " (", *in_words(numbers), ")")


def _number(name: str, value: str, sheet: Sheet) -> str:
    slots = {"name": name.replace("_", " "), "value": value}
    key = f"checked.{name}" if f"checked.{name}" in sheet.say else "checked.unknown"
    return sheet.say.words(key, slots)


def omitted(value: Omitted, sheet: Sheet) -> tuple[Inline, ...]:
    """What was not checked, and why."""
    kind = f"kinds.{value.kind}"
    named = sheet.say.words(kind) if kind in sheet.say else value.kind
    slots: dict[str, Slot] = {"kind": named, "reason": value.reason.replace("_", " ")}
    for name, text in value.slots:
        slots[name] = text
    return sheet.say.first((f"omitted.{value.reason}", "omitted.unknown"), slots)


def sentences(
    certificate: Certificate, sheet: Sheet, *, brief: bool = False
) -> list[tuple[Inline, ...]]:
    """One sentence a claim."""
    return [claim(c, sheet, brief=brief) for c in certificate.claims]
