"""The grammar of networks: text → drafts of layers.

    conv 5x5 filters=6 bias > relu > max_pool 2x2 > flatten > dense 10 > cross_entropy

Layers stand between ``>`` or on lines of their own; ``#`` starts a comment. A layer is ``kind
[sizes] [key=value] [flag]``; ``name:`` before it or ``as name`` behind it names it, so that
``add name`` or ``concat name`` can take it as a second input. A layer reads the one before it, or
another with ``from name`` behind its settings: ``conv 1x1 stride=2 from x as short``. Kinds, keys
and flags are compared without underscores: ``maxpool`` is ``max_pool``.

The grammar knows no layer: the signatures of all layers are handed in.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from inspect import Parameter

from . import geometry
from .errors import NetworkError, UsageError
from .graphs import INPUT, TARGET, Draft, NetworkSpec
from .names import why_not

Parameters = Mapping[str, Parameter]
Signatures = Mapping[str, Parameters]
"""Every layer's parameters by name."""

Item = str | tuple[str, Mapping[str, object]]
"""A layer in Python: its text, or its kind and a dictionary of settings."""

LONGEST = 16_000
"""Characters of a network's text."""

SECOND = "other"
"""The parameter of a layer that has a second input: the shape of that input."""

_FROM_OUTSIDE = ("input", SECOND)
_COMMENT = re.compile(r"#[^\n]*")
_PART = re.compile(r">|[^>]+")
_NAMED = re.compile(r"\s*([A-Za-z]\w*)\s*:", re.ASCII)
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}


def read(text: str, shape: tuple[int, ...], signatures: Signatures) -> NetworkSpec:
    """The drafts that a text makes; a NetworkError with a caret where it cannot be meant."""
    if len(text) > LONGEST or not text.isascii():
        what = "is too long" if len(text) > LONGEST else "holds a character that is not ASCII"
        raise NetworkError(f"the network's text {what}: at most {LONGEST} ASCII characters")
    drafts = tuple(_draft(piece, signatures) for piece in _pieces(text))
    if not drafts:
        raise NetworkError("the network has no layer; write layers with > between them")
    _check_names(drafts)
    return _spec(drafts, shape)


def listed(items: Iterable[Item], shape: tuple[int, ...], signatures: Signatures) -> NetworkSpec:
    """The drafts of a Python list: texts of layers, or pairs of a kind and its settings."""
    given = list(items)
    spec = read(" > ".join(_written(item) for item in given), shape, signatures)
    drafts = [
        draft if isinstance(item, str) else _with_settings(draft, item[1])
        for draft, item in zip(spec.drafts, given, strict=True)
    ]
    return replace(spec, drafts=tuple(drafts))


def _written(item: Item) -> str:
    if isinstance(item, str):
        return item
    kind, settings = item
    given = {name: value for name, value in settings.items() if value is not None}
    return " ".join([kind, *(f"{name}={geometry.text(value)}" for name, value in given.items())])


def _with_settings(draft: Draft, settings: Mapping[str, object]) -> Draft:
    """The very values given, not their texts read again: ``(3,)`` is not ``3``."""
    given = {name.replace("_", "").lower(): value for name, value in settings.items()}
    kept = {name: given.get(name.replace("_", ""), value) for name, value in draft.settings}
    return replace(draft, settings=tuple(kept.items()))


# -- pieces --------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Piece:
    """The text of one layer, and the line that it stands in."""

    text: str
    line: str
    column: int

    def error(self, what: str, remedy: str = "", word: str = "") -> NetworkError:
        """An error with a caret under a word of the layer, or under all of it."""
        at = self.text.find(word) if word else 0
        width = len(word or self.text)
        return NetworkError(what, self.line, self.column + max(at, 0), width, remedy)


def _pieces(text: str) -> Iterator[_Piece]:
    """Every layer's text; a line may also begin or end with ``>``."""
    layer_before, line, at = False, "", 0
    for row in text.split("\n"):
        bare = _COMMENT.sub("", row).rstrip()
        for found in _PART.finditer(bare):
            part = found.group()
            if part == ">":
                if not layer_before:
                    raise NetworkError("a layer is missing before this >", bare, found.start())
                layer_before, line, at = False, bare, found.start()
            elif part.strip():
                start = found.start() + len(part) - len(part.lstrip())
                yield _Piece(part.strip(), bare, start)
                layer_before = True
    if line and not layer_before:
        raise NetworkError("a layer is missing behind this >", line, at)


# -- one layer -----------------------------------------------------------------------------
def _draft(piece: _Piece, signatures: Signatures) -> Draft:
    body, alias = _named(piece)
    words = body.split()
    if not words:
        raise piece.error(f"no layer stands behind the name {alias}")
    kind = _known(words[0], signatures)
    if not kind:
        close = get_close_matches(words[0].lower(), signatures, 1, 0.5)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(signatures)}"
        raise piece.error(f"layer {words[0][:40]!r} is unknown", hint, words[0])
    words, source = _source(piece, words)
    settings, other = _settings(piece, kind, words[1:], signatures[kind])
    text = " ".join(piece.text.split())
    return Draft(kind, text, settings, alias, other, source, piece.line, piece.column)


def _source(piece: _Piece, words: list[str]) -> tuple[list[str], str]:
    """The words without ``from NAME`` at their end, and the name."""
    if "from" not in words:
        return words, ""
    if words.index("from") != len(words) - 2:
        raise piece.error(
            "from takes one name, behind the settings: conv 3x3 from NAME", "", "from"
        )
    return words[:-2], words[-1]


def _named(piece: _Piece) -> tuple[str, str]:
    """The text without the name, and the name."""
    body, alias = piece.text, ""
    if found := _NAMED.match(body):
        alias, body = found.group(1), body[found.end() :]
    words = body.split()
    if "as" in words:
        at = words.index("as")
        if alias or at != len(words) - 2:
            raise piece.error("as takes one name, at the end: conv 3x3 as NAME", word="as")
        alias, body = words[-1], body[: body.rindex(" as ")]
    if alias and (reason := why_not(alias)):
        raise piece.error(f"the name {alias[:40]!r} {reason}", word=alias)
    return body, alias


def _settings(
    piece: _Piece, kind: str, words: list[str], parameters: Parameters
) -> tuple[tuple[tuple[str, object], ...], str]:
    own = {name: p for name, p in parameters.items() if name not in _FROM_OUTSIDE}
    settings: dict[str, object] = {}
    other = ""
    for word in words:
        key, equals, value = word.partition("=")
        flag = _known(key, own)
        negated = _known(key[2:], own) if key.lower().startswith("no") else ""
        if equals and flag:
            name, meant = flag, _value(piece, word, own[flag], value)
        elif not equals and flag and isinstance(own[flag].default, bool):
            name, meant = flag, True
        elif not equals and negated and isinstance(own[negated].default, bool):
            name, meant = negated, False
        elif not equals and word[0].isdigit():
            name = _sized(piece, kind, word, own, settings)
            meant = _number(piece, word, name, word)
        elif not equals and SECOND in parameters and not other:
            other = word
            continue
        else:
            raise piece.error(*_unknown(kind, word, key, own), word)
        if name in settings:
            raise piece.error(f"{kind}: {name} is given twice", word=word)
        settings[name] = meant
    return tuple(settings.items()), other


def _known(word: str, names: Iterable[str]) -> str:
    """The name that a word means, compared without underscores; empty if none."""
    plain = word.replace("_", "").replace("-", "").lower()
    return next((name for name in names if name.replace("_", "") == plain), "")


def _value(piece: _Piece, word: str, parameter: Parameter, value: str) -> object:
    if isinstance(parameter.default, bool):
        if value.lower() not in _TRUTH:
            raise piece.error(f"{parameter.name} (={value[:40]!r}) is true or false", word=word)
        return _TRUTH[value.lower()]
    return _number(piece, word, parameter.name, value)


def _number(piece: _Piece, word: str, name: str, value: str) -> object:
    try:
        return geometry.value(name, value)
    except UsageError as error:
        raise piece.error(str(error), word=word) from None


def _sized(
    piece: _Piece, kind: str, word: str, own: Parameters, settings: Mapping[str, object]
) -> str:
    """The parameter that bare sizes go to: the first that the layer cannot do without."""
    needed = [name for name, p in own.items() if p.default is Parameter.empty]
    if not needed:
        raise piece.error(f"{kind} takes no sizes", _there_are(kind, own), word)
    if needed[0] in settings:
        raise piece.error(f"{kind} takes one size, {needed[0]}", _there_are(kind, own), word)
    return needed[0]


def _unknown(kind: str, word: str, key: str, own: Parameters) -> tuple[str, str]:
    if "=" not in word and _known(key, own):
        name = _known(key, own)
        return f"{kind}: {name} needs a value", f"write {name}=..."
    close = get_close_matches(key.lower(), own, 1, 0.5)
    hint = f"did you mean {close[0]}?" if close else _there_are(kind, own)
    return f"{kind} has no parameter {key[:40]!r}", hint


def _there_are(kind: str, own: Parameters) -> str:
    return f"{kind} has {', '.join(own)}" if own else f"{kind} has no parameters"


# -- the whole -----------------------------------------------------------------------------
def _check_names(drafts: tuple[Draft, ...]) -> None:
    """Names are used once, and none can be mistaken for a counted one."""
    taken = {INPUT, TARGET} | set(_counted(drafts))
    for draft in drafts:
        if draft.alias in taken:
            piece = _Piece(draft.text, draft.line, draft.column)
            raise piece.error(f"the name {draft.alias} is taken already", word=draft.alias)
        taken |= {draft.alias} if draft.alias else set()


def counted(drafts: Iterable[Draft]) -> list[str]:
    """``conv1``, ``relu1``, ``conv2``: the names of layers, counted per kind in order."""
    return list(_counted(drafts))


def _counted(drafts: Iterable[Draft]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for draft in drafts:
        seen[draft.kind] = seen.get(draft.kind, 0) + 1
        yield f"{draft.kind}{seen[draft.kind]}"


def _spec(drafts: tuple[Draft, ...], shape: tuple[int, ...]) -> NetworkSpec:
    text = " > ".join(draft.text for draft in drafts)
    sizes = geometry.text(shape)
    digest = hashlib.sha256(f"{text} {sizes}".encode()).hexdigest()[:6]
    kinds = [draft.kind for draft in drafts]
    words = kinds if len(kinds) <= 6 else [f"{len(kinds)}layers"]
    slug = "_".join(["net", sizes, *words, digest])
    return NetworkSpec(text, shape, drafts, slug, title=f"A network of {len(drafts)} layers")
