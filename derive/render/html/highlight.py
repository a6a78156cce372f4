"""Source code as HTML: keywords, numbers, texts, comments and defined names in spans."""

from __future__ import annotations

import io
import keyword
import tokenize
from html import escape

_KINDS = {
    tokenize.COMMENT: "comment",
    tokenize.STRING: "text",
    tokenize.NUMBER: "number",
}


def highlighted(code: str, language: str) -> str:
    """The code, escaped; Python in colours, and anything that is no Python as it is."""
    if language != "python":
        return escape(code)
    try:
        return _spans(code)
    except (tokenize.TokenError, SyntaxError):
        return escape(code)


def _spans(code: str) -> str:
    lines = code.splitlines(keepends=True)
    out: list[str] = []
    row, column, before = 1, 0, ""
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        (top, left), (bottom, right) = token.start, token.end
        kind = _kind(token, before)
        if kind:
            out.append(escape(_between(lines, (row, column), (top, left))))
            out.append(f'<span class="{kind}">{escape(token.string)}</span>')
            row, column = bottom, right
        if token.string.strip():
            before = token.string
    return "".join(out) + escape(_between(lines, (row, column), (len(lines) + 1, 0)))


def _kind(token: tokenize.TokenInfo, before: str) -> str:
    if token.type == tokenize.NAME:
        if keyword.iskeyword(token.string):
            return "keyword"
        return "defined" if before in ("def", "class") else ""
    return _KINDS.get(token.type, "")


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """The text from one (row, column) to another, rows counted from 1."""
    (row, column), (last, stop) = start, end
    if row > len(lines):
        return ""
    if row == last:
        return lines[row - 1][column:stop]
    inner = "".join(lines[row : last - 1])
    tail = lines[last - 1][:stop] if last <= len(lines) else ""
    return lines[row - 1][column:] + inner + tail
