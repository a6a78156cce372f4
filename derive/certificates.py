"""What was proved about the very text that was written."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """One claim that was checked and holds.

    ``kind``    ``symbolic``, ``selecting``, ``integer``, ``numeric`` or ``agreement``
    ``subject`` what it is about: ``y``, ``dx``, ``dw``, or several of them
    ``checked`` what was compared, in numbers: ``(("entries", "17"), ("bound", "2^-72"))``
    """

    kind: str
    subject: tuple[str, ...]
    checked: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Omitted:
    """A claim that was not checked, and why (``too_large``, ``not_polynomial``, ...)."""

    kind: str
    reason: str
    slots: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Certificate:
    """All claims about one kernel. A claim that fails is never recorded: it raises."""

    claims: tuple[Claim, ...]
    omitted: tuple[Omitted, ...] = ()
