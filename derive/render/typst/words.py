"""Words and source code as Typst: every character that Typst could read as a command is escaped."""

from __future__ import annotations

from ..shell import spelled

_PLAIN = {"'": "’", "\t": " ", "\n": " ", "\r": " ", "\u202f": "\u202f"}
_MATH = "⊤′√∂∑⋯⟨⟩⌊⌋⌈⌉⋆⊙≤≥≠∣∈→∞"
"""Signs that belong into the mathematical font of the page, like the Greek letters."""


def escape(text: str) -> str:
    """The text as Typst sets it, letter by letter."""
    return "".join(_escaped(c) for c in text)


def _escaped(c: str) -> str:
    if c in _PLAIN:
        return _PLAIN[c]
    if c in _MATH or "α" <= c <= "ω" or "Α" <= c <= "Ω":
        return f"${c}$"
    if c == "ᵀ":
        return "#super[$⊤$]"
    if c.isascii() and c.isprintable():
        return c if c.isalnum() or c == " " else f"\\{c}"
    if _in_font(c):
        return c
    return f"#raw({string(f'U+{ord(c):04X}')})"  # rather a code point than an empty box


def _in_font(c: str) -> bool:
    """Whether the fonts that Typst brings along hold a character."""
    return c.isprintable() and (ord(c) < 0x500 or 0x2000 < ord(c) < 0x2300)


def string(text: str) -> str:
    """The text as a Typst string literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def code(text: str, language: str) -> str:
    """A listing; a command is spelled so that it works where a letter cannot be shown."""
    if language == "sh":
        text = spelled(text, lambda c: c == "\n" or _in_font(c))
    body = "".join(c if c.isprintable() or c == "\n" else f"U+{ord(c):04X}" for c in text)
    lang = ', lang: "python"' if language == "python" else ""
    return f"#raw({string(body.rstrip())}, block: true{lang})"
