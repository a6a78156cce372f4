"""Where the templates are, and how they are filled.

Templates hold shape only: every slot is a finished string. The delimiters leave TeX and Python
alone, and a slot that nobody filled is an error.

A folder of a teacher's own shadows ours: the pages of the notes, their style sheet and the
phrases, never what becomes code that runs. Its templates run in a sandbox. It is read once and
is in use within ``with using(...)`` only, in this thread only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ..errors import UsageError

_HERE = Path(__file__).resolve().parent.parent

PAGES = ("notes.tex.j2", "notes.html.j2", "page.css", "notes.typ.j2")
"""What a folder of templates may shadow, beside ``phrases/<language>.toml``."""

LONGEST = 1_000_000
"""Characters of one file; a template is a few thousand."""

_SYNTAX: dict[str, Any] = {
    "undefined": jinja2.StrictUndefined,
    "variable_start_string": "<<",
    "variable_end_string": ">>",
    "block_start_string": "<%",
    "block_end_string": "%>",
    "comment_start_string": "<#",
    "comment_end_string": "#>",
    "trim_blocks": True,
    "lstrip_blocks": True,
    "keep_trailing_newline": True,
    "autoescape": False,  # not HTML alone; the printers escape what they hand over
}


def folder() -> Path:
    """The templates of an installed package, else those of the repository."""
    return next(p for p in (_HERE / "templates", _HERE.parent / "templates") if p.is_dir())


@cache
def _ours() -> jinja2.Environment:
    return jinja2.Environment(loader=jinja2.FileSystemLoader(folder()), **_SYNTAX)


class _Sandbox(ImmutableSandboxedEnvironment):
    """A sandbox in which a template cannot make numbers or texts of any size either."""

    intercepted_binops = frozenset(["*", "**"])

    def call_binop(
        self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any
    ) -> Any:
        """Products of numbers below a million."""
        if any(not isinstance(n, int | float) or abs(n) > LONGEST for n in (left, right)):
            raise SecurityError(f"{operator} is for numbers below {LONGEST} only")
        if operator == "**" and abs(right) > 9:
            raise SecurityError("** is for powers up to 9 only")
        return super().call_binop(context, operator, left, right)


class Shelf:
    """A teacher's templates: the files of one folder, read and checked once."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.pages: dict[str, str] = {}
        self.phrases: dict[str, str] = {}
        for name in _files(where):
            text = _text(where, name)
            if name in PAGES:
                self.pages[name] = text
            elif name.startswith("phrases/"):
                self.phrases[name.removeprefix("phrases/").removesuffix(".toml")] = text
            else:
                raise UsageError(f"--templates: {_refusal(where, name)}")
        if not self.pages and not self.phrases:
            raise UsageError(f"--templates: {where} holds no template; {_KNOWN}")
        for name in self.pages:
            self.template(name)

    @cached_property
    def _environment(self) -> jinja2.Environment:
        def source(name: str) -> tuple[str, str, None]:
            if name in self.pages:
                return self.pages[name], f"{self.where}/{name}", None
            if name in _parts():
                return _plain(name), name, None
            raise jinja2.TemplateNotFound(name)

        return _Sandbox(loader=jinja2.FunctionLoader(source), **_SYNTAX)

    def template(self, name: str) -> jinja2.Template:
        """One of the templates, compiled; UsageError with its file and line if it is none."""
        try:
            return self._environment.get_template(name)
        except jinja2.TemplateSyntaxError as error:
            place = f"{self.where}/{name}:{error.lineno}"
            raise UsageError(f"--templates: {place}: {error.message}") from error

    def fill(self, name: str, slots: dict[str, Any]) -> str:
        """One of the templates with its slots filled; whatever it does wrong is a UsageError."""
        made = self.template(name)
        try:
            return made.render(slots)
        except Exception as error:  # a template may do anything; our own slots are strings
            place = f"{self.where}/{name}{_line(error, f'{self.where}/{name}')}"
            raise UsageError(f"--templates: {place}: {_complaint(error, slots)}") from error


@cache
def _parts() -> frozenset[str]:
    """Our pages, style sheets and scripts: what a page may include."""
    found = (path.relative_to(folder()) for path in folder().rglob("*"))
    shown = {path.as_posix() for path in found if path.suffix in (".css", ".js")}
    return frozenset(shown | set(PAGES))


_KNOWN = f"it may hold {', '.join(PAGES)} and phrases/<language>.toml"


def _files(where: str) -> list[str]:
    """Everything in the folder that could be meant as a template, sorted."""
    if not Path(where).is_dir():
        raise UsageError(f"--templates: there is no folder {where[:200]!r}")
    found = []
    for path in sorted(Path(where).rglob("*")):
        name = path.relative_to(where).as_posix()
        hidden = any(part.startswith(".") for part in path.relative_to(where).parts)
        if not hidden and path.is_file() and path.suffix in (".j2", ".css", ".toml", ".js"):
            found.append(name)
    return found


def _text(where: str, name: str) -> str:
    try:
        with (Path(where) / name).open(encoding="utf-8") as file:
            text = file.read(LONGEST + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"--templates: cannot read {where}/{name}: {error}") from error
    if len(text) > LONGEST:
        raise UsageError(f"--templates: {where}/{name} is longer than {LONGEST} characters")
    return text


def _refusal(where: str, name: str) -> str:
    """Why a file of the folder is no template of ours."""
    if (folder() / name).is_file():
        return f"{where}/{name} cannot be replaced, because it becomes code that runs; {_KNOWN}"
    close = get_close_matches(name, PAGES, 1, 0.6)
    hint = f"did you mean {close[0]}?" if close else _KNOWN
    return f"{where}/{name} replaces nothing; {hint}"


def _line(error: BaseException, filename: str) -> str:
    """``:12``, the last line of the template on the way to the error."""
    found, trace = "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == filename:
            found = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _complaint(error: Exception, slots: dict[str, Any]) -> str:
    if isinstance(error, SecurityError):
        return f"refused, templates only fill in: {error}"
    if isinstance(error, jinja2.TemplateNotFound):
        return f"there is no template {error.name!r} in this folder"
    if isinstance(error, jinja2.UndefinedError):
        return f"{error.message}; the slots are {', '.join(sorted(slots))}"
    return f"{type(error).__name__}: {error}"


# -- what is in use ----------------------------------------------------------------------------
_SHELF: ContextVar[Shelf | None] = ContextVar("shelf", default=None)
_LANGUAGE: ContextVar[str] = ContextVar("language", default="en")


@contextmanager
def using(where: str, language: str) -> Iterator[None]:
    """Templates and language of everything printed within; what was before is again after."""
    shelf = _SHELF.set(Shelf(where) if where else None)
    spoken = _LANGUAGE.set(language)
    try:
        yield
    finally:
        _LANGUAGE.reset(spoken)
        _SHELF.reset(shelf)


def language() -> str:
    """The language that is in use: ``en``, unless another is asked for."""
    return _LANGUAGE.get()


def own_phrases() -> dict[str, str]:
    """Language → text of the phrases that the folder in use brings along."""
    shelf = _SHELF.get()
    return shelf.phrases if shelf is not None else {}


def own_folder() -> str:
    """The folder of a teacher's own templates that is in use, empty for none."""
    shelf = _SHELF.get()
    return shelf.where if shelf is not None else ""


class Template:
    """A template of ours, or the one that shadows it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def render(self, *given: dict[str, Any], **slots: Any) -> str:
        """The text with its slots filled."""
        every = {name: value for one in (*given, slots) for name, value in one.items()}
        shelf = _SHELF.get()
        if shelf is not None and self.name in PAGES:
            return shelf.fill(self.name, every)
        return _ours().get_template(self.name).render(every)


def template(name: str) -> Template:
    """A template with the delimiters ``<< >>``, ``<% %>`` and ``<# #>``."""
    return Template(name)


def text(name: str) -> str:
    """A file that has no slots, a style sheet say, as it is."""
    shelf = _SHELF.get()
    if shelf is not None and name in shelf.pages:
        return shelf.pages[name]
    return _plain(name)


@cache
def _plain(name: str) -> str:
    return (folder() / name).read_text(encoding="utf-8")
