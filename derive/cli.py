"""The command line: read the words, run the pipeline, print, exit with the right code.

Results go to stdout; progress and messages to stderr. A mistake is one message, never a
traceback. The exit code is the error's: 0 done, 1 a claim or a check failed or a file could
not be written, 2 bad input, 3 an outside tool is missing, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path

from . import arguments, assembly, building, pipeline, reports, terminal, writing
from .arguments import Request
from .errors import DeriveError, OutputError, UsageError
from .layers import layers
from .specs import Style

COMMANDS = {"build": building.main}
"""What the first word can be, if it is not an option."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except DeriveError as error:
        return _complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _complain("interrupted; nothing is half-written", 130)
    except BrokenPipeError:
        # the reader went away (`| head`): say nothing, and keep the interpreter's own
        # flush at exit from saying it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except RecursionError:
        return _complain("the equation is nested too deeply", 2)
    except MemoryError:
        return _complain("the sizes are too large for the memory there is", 2)
    except Exception as error:  # a bug of ours: one line, with what is needed to report it
        return _complain(f"internal error, please report it: {type(error).__name__}: {error}", 1)


def _complain(message: str, code: int) -> int:
    try:
        print(f"derive: {message}", file=sys.stderr)
    except UnicodeEncodeError:
        print(f"derive: {message.encode('ascii', 'backslashreplace').decode()}", file=sys.stderr)
    return code


def _dispatch(words: list[str]) -> int:
    if not words:
        arguments.parser().print_usage(sys.stderr)
        return 2
    if not words[0].startswith("-"):
        if words[0] in COMMANDS:
            return COMMANDS[words[0]](words[1:])
        close = get_close_matches(words[0], [*COMMANDS, *layers()], 1, 0.6)
        hint = f"did you mean {_as_typed(close[0])}?" if close else "see --help"
        raise UsageError(f"unknown command {words[0][:60]!r}; {hint}")
    request = arguments.read(words)
    if request is None:
        print(reports.layer_list())
        return 0
    return _derive(request)


def _as_typed(name: str) -> str:
    return name if name in COMMANDS else f"--layer {name}"


def _derive(request: Request) -> int:
    options = request.options
    arrows = assembly.arrows(request.spec)
    layer = arrows.layer(request.spec, options)
    with terminal.Progress(wanted=not (request.quiet or request.json)) as line:
        progress = _told(line, options.style)
        progress("derive")
        derivation = arrows.derive(layer, options.wrt)
        folder = request.out / layer.slug
        recorded = writing.recorded(folder) if request.check else None
        made = arrows.make(derivation, progress, options, recorded)
        progress("notes")
        files, facts = arrows.files(made, options), arrows.facts(made)
    if request.check:
        return _check(folder, writing.sealed(folder, files, facts), request)
    names, written = (*files, writing.CERTIFICATE), not request.dry_run
    if request.json:
        text = (
            json.dumps(reports.machine(made, folder, names, written, options.formats), indent=2)
            + "\n"
        )
    else:
        text = "" if request.quiet else reports.summary(made, folder, names, written, options.style)
    if written:  # only when all that is to be said is known to be sayable
        writing.write(folder, files, facts, force=request.force)
    terminal.show(text)
    return 0


def _told(show: Callable[[str], None], style: Style) -> Callable[[str], None]:
    """``show`` with the phrase of a step: ``notes``, or ``claim integer`` with what it is about."""
    from .render.phrases import phrases

    with pipeline.dressed(style):
        say = phrases()

    def told(step: str) -> None:
        key, _, name = step.partition(" ")
        known = f"progress.{key}" in say
        show(say.words(f"progress.{key}", {"name": name} if name else {}) if known else step)

    return told


def _check(folder: Path, files: writing.Files, request: Request) -> int:
    found = writing.difference(folder, files)
    if request.json:
        print(json.dumps({"folder": str(folder), "same": not found, "difference": found}))
    elif not request.quiet:
        terminal.show(found)
    if found:
        raise OutputError(f"{folder} is not what is derived now")
    return 0
