"""What the terminal can do: columns, colours, letters; and one line of progress.

Standard library only, nothing heavy: this is imported before anything is known to be right.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from types import TracebackType
from typing import TextIO

NARROW, WIDE, USUAL = 40, 120, 80
PATIENCE, STEP = 0.4, 0.5
"""Seconds before progress is shown, and between its changes."""


def width() -> int:
    """Columns of the page: those of the terminal or of COLUMNS, from 40 to 120; 80 in a pipe."""
    known = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    columns = shutil.get_terminal_size((USUAL, 24)).columns if known else USUAL
    return min(max(columns, NARROW), WIDE)


def colours() -> int:
    """How many colours are wanted on stdout: 0, 256, or 2²⁴ where COLORTERM says so.

    None with NO_COLOR, TERM=dumb, or where stdout is no terminal; FORCE_COLOR (but for 0)
    says that it is one.
    """
    forced = os.environ.get("FORCE_COLOR", "")
    if os.environ.get("NO_COLOR") or forced == "0":
        return 0
    if not forced and (not sys.stdout.isatty() or os.environ.get("TERM", "") == "dumb"):
        return 0
    return 1 << 24 if os.environ.get("COLORTERM", "") in ("truecolor", "24bit") else 256


def unicode() -> bool:
    """Whether stdout can print ∂ and boxes; else ASCII is asked for."""
    try:
        "∂∑·′≤⌊→ᵀ⟨─┼━╋╍╏▼◂✓…".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def show(text: str) -> None:
    """Print a text, with escapes for what the stream cannot encode (a file's name, say)."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "ascii"
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    sys.stdout.write(text)


class Progress:
    """One changing line on stderr, gone when the work is done; nothing unless it is a terminal.

    A context manager; call it with what is being done. It says how long that has run.
    """

    def __init__(self, *, wanted: bool = True, stream: TextIO | None = None) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.wanted = wanted and self.stream.isatty() and os.environ.get("TERM", "") != "dumb"
        self._stage, self._since, self._shown = "", 0.0, False
        self._lock, self._done = threading.Lock(), threading.Event()
        self._clock: threading.Thread | None = None

    def __enter__(self) -> Progress:
        if self.wanted:
            self._clock = threading.Thread(target=self._tick, daemon=True)
            self._clock.start()
        return self

    def __call__(self, stage: str) -> None:
        """Say what is being done from now on."""
        with self._lock:
            self._stage, self._since = stage, time.monotonic()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._done.set()
        if self._clock is not None:
            self._clock.join()
        if self._shown:
            self._write("")

    def _tick(self) -> None:
        wait = PATIENCE
        while not self._done.wait(wait):
            wait = STEP
            with self._lock:
                stage, seconds = self._stage, time.monotonic() - self._since
            self._shown = True
            self._write(f"{stage} … {seconds:.0f} s" if stage else "")

    def _write(self, text: str) -> None:
        room = shutil.get_terminal_size((USUAL, 24)).columns - 1
        letters = text[:room].encode(self.stream.encoding or "ascii", "replace")
        try:
            self.stream.write("\r\x1b[K" + letters.decode(self.stream.encoding or "ascii"))
            self.stream.flush()
        except OSError:  # nobody is looking any more
            self._done.set()
