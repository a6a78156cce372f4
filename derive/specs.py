"""What a layer's file returns: its equation as text, the sizes, and words. No mathematics yet.

A :class:`Spec` goes through the same parser as an equation typed by a person, so a layer can
say nothing that a person could not.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from .errors import UsageError
from .geometry import LARGEST
from .geometry import text as size_text


@dataclass(frozen=True)
class Spec:
    """A layer before it is parsed.

    ``name``      the layer's kind, ``conv`` say
    ``text``      its equation, or several, one a line, in the equation language
    ``shapes``    unbatched shape of tensors (a tuple), value of named integers (an int);
                  empty: sizes stay symbolic
    ``axes``      names for the extents of indices (``{"i": "O_h"}``) and of tensors' axes
                  (``{"x": ("C", "H", "W")}``)
    ``slug``      the folder's name, which says the sizes
    ``meanings``  what each index and tensor stands for
    ``settings``  the layer function's arguments that give this layer again, where they are not
                  simply those given
    ``arguments`` the same as the command line's words
    ``loss``      whether the output is the loss itself, one number for the whole batch
    """

    name: str
    text: str
    shapes: Mapping[str, tuple[int, ...] | int] = field(default_factory=dict)
    axes: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    data: tuple[str, ...] = ()
    outside: Mapping[str, str] = field(default_factory=dict)
    ties: str = "first"
    slug: str = "equation"
    title: str = ""
    meanings: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    source: str = ""
    loss: bool = False


@dataclass(frozen=True)
class Style:
    """How notes are written; no formula and no number depends on it.

    ``index_base``  the first index in notes, 0 or 1 (code counts from 0)
    ``full``        print every entry, however many there are
    ``notation``    the upstream gradient: ``∂L/∂y`` or one letter, ``g`` or ``δ`` say
    ``title``       what stands at the head; empty: the layer's own title
    ``language``    the file of phrases
    ``templates``   a folder whose templates come before ours; empty: none
    """

    index_base: int = 0
    full: bool = False
    notation: str = "g"
    title: str = ""
    language: str = "en"
    templates: str = ""

    def __post_init__(self) -> None:
        if self.index_base not in (0, 1):
            raise UsageError(f"index_base (={str(self.index_base)[:20]!r}) must be 0 or 1")
        for name in ("title", "templates"):
            if reason := _not_a_line(getattr(self, name)):
                raise UsageError(f"{name} (={getattr(self, name)[:40]!r}) {reason}")

    @property
    def arguments(self) -> tuple[str, ...]:
        """The words that ask for it, those that have their default left out."""
        return (
            *(("--index-base", str(self.index_base)) if self.index_base else ()),
            *(("--full",) if self.full else ()),
            *(("--notation", self.notation) if self.notation != "g" else ()),
            *(("--title", self.title) if self.title else ()),
            *(("--language", self.language) if self.language != "en" else ()),
            *(("--templates", self.templates) if self.templates else ()),
        )


def _not_a_line(text: str) -> str:
    """Why a text cannot stand in one line, as the end of a sentence; empty if it can."""
    if len(text) > LONGEST_TITLE:
        return f"must have at most {LONGEST_TITLE} characters, it has {len(text)}"
    for c in text:
        if c in "\n\r\x0b\x0c\x85\u2028\u2029":
            return "must be one line"
        if not c.isprintable():
            return f"has a character that cannot be seen, U+{ord(c):04X}"
    return ""


LONGEST_TITLE = 200
"""Characters of a title, or of a folder's name."""


PLAIN = Style()
"""Counted from 0, in English, with g for the upstream gradient."""


FORMATS = ("py", "tex", "html", "ipynb", "pdf")
"""The formats there are, in the order they are written."""


@dataclass(frozen=True)
class Options:
    """What is wanted of a layer, whatever the layer is.

    ``wrt``         the tensors whose gradient is wanted; None: all
    ``name``        the folder's name; empty: the layer's slug
    ``formats``     which files
    ``style``       how notes are written
    ``tune``        measure the kernel's strategies instead of estimating them
    ``exact_order`` keep sums in the order of the equation: nothing like Winograd's
    """

    wrt: tuple[str, ...] | None = None
    name: str = ""
    formats: tuple[str, ...] = ("py", "tex", "html")
    style: Style = PLAIN
    tune: bool = False
    exact_order: bool = False

    def __post_init__(self) -> None:
        for name in self.formats:
            if name not in FORMATS:
                close = get_close_matches(name, FORMATS, 1, 0.5)
                hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(FORMATS)}"
                raise UsageError(f"formats (={name[:20]!r}): no such format; {hint}")

    @property
    def arguments(self) -> tuple[str, ...]:
        """The words that ask for the same content (which files are made is not content)."""
        return (
            *(("--wrt", ",".join(self.wrt)) if self.wrt is not None else ()),
            *(("--name", self.name) if self.name else ()),
            *self.style.arguments,
            *(("--tune",) if self.tune else ()),
            *(("--exact-order",) if self.exact_order else ()),
        )


DEFAULTS = Options()
"""All gradients, in the formats that everybody needs, counted from 0."""


def flags(settings: Mapping[str, object], defaults: Mapping[str, object]) -> tuple[str, ...]:
    """Settings as command-line words, those that have their default left out."""
    words: list[str] = []
    for name, value in settings.items():
        flag = name.replace("_", "-")
        if name in defaults and (value == defaults[name] or value is None):
            continue
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", size_text(value)]
    return tuple(words)


def one_of(name: str, value: object, *known: str) -> None:
    """Refuse a word that is none of the known ones."""
    if value not in known:
        raise UsageError(f"{name} (={value!r}) must be {' or '.join(known)}")


def number(value: float) -> str:
    """A number as the equation language writes it; a negative one in brackets."""
    text = repr(float(value))
    text = text[:-2] if text.endswith(".0") else text
    return f"({text})" if value < 0 else text


def real(name: str, value: object) -> float:
    """A parameter as a number; a UsageError for anything else, and beyond a million."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise UsageError(f"{name} (={value!r}) must be a number")
    if abs(value) > LARGEST:
        raise UsageError(f"{name} (={value}) is not between -{LARGEST} and {LARGEST}")
    return value


_AXES = ("i", "ij", "cij", "cijk")


def entry(name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """One letter an axis; with three or more axes the first is that of channels or classes."""
    if len(shape) > len(_AXES):
        raise UsageError(
            f"{name} (={size_text(shape)}) has {len(shape)} axes: at most {len(_AXES)} are derived"
        )
    return tuple(_AXES[len(shape) - 1]) if shape else ()


def leading(name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Letters for axes before the one that a layer acts on."""
    if len(shape) > 3:
        raise UsageError(f"{name} has {len(shape) + 1} axes: at most 4 are derived")
    return tuple("hkl"[: len(shape)])


def equation(
    text: str,
    *,
    shapes: Mapping[str, tuple[int, ...] | int] | None = None,
    data: tuple[str, ...] = (),
    outside: Mapping[str, str] | None = None,
    ties: str = "first",
) -> Spec:
    """A typed equation as a layer: its folder's name has the shapes and a digest of the text."""
    shapes, outside = shapes or {}, outside or {}
    words = ["--equation", text]
    words += [w for n, s in shapes.items() for w in ("--shape", f"{n}={size_text(s)}")]
    words += ["--data", ",".join(data)] if data else []
    words += [w for n, rule in outside.items() for w in ("--outside", f"{n}={rule}")]
    words += ["--ties", ties] if ties != "first" else []
    digest = hashlib.sha256(shlex.join(words).encode()).hexdigest()[:6]
    sized = [f"{name}{size_text(shape)}" for name, shape in shapes.items()]
    return Spec(
        name="equation",
        text=text,
        shapes=shapes,
        data=data,
        outside=outside,
        ties=ties,
        slug="_".join(["equation", *(sized if len(sized) <= 4 else []), digest]),
        title="An index equation",
        arguments=tuple(words),
    )
