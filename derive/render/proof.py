"""The certificate in plain words."""

from __future__ import annotations

from ..certificates import Certificate, Claim, Omitted
from ..documents import Inline
from .phrases import Slot
from .sheet import Sheet


def claim(value: Claim, sheet: Sheet) -> tuple[Inline, ...]:
    """What was checked, and in what numbers."""
    slots = {"subject": ", ".join(value.subject), "kind": value.kind}
    sentence = sheet.say.first((f"claims.{value.kind}", "claims.unknown"), slots)
    numbers = [_number(name, number, sheet) for name, number in value.checked]
    return (*sentence, f" ({', '.join(numbers)}.)") if numbers else sentence


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


def sentences(certificate: Certificate, sheet: Sheet) -> list[tuple[Inline, ...]]:
    """One sentence a claim."""
    return [claim(c, sheet) for c in certificate.claims]
