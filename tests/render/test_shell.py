"""A command on paper is the command that was given, whatever letters the fonts lack."""

from __future__ import annotations

import shlex
import shutil
import subprocess

import pytest

from derive.documents import Document, Listing
from derive.render.shell import spelled
from derive.render.tex.page import tex
from derive.render.typst.page import typst

WORDS = ["--notation", "δ", "--title", "Übung 3×3: 日本 \U0001f600 it's a \\ and 'more'", "--full"]
COMMAND = shlex.join(WORDS)


@pytest.mark.skipif(shutil.which("bash") is None, reason="the form is bash's")
@pytest.mark.parametrize("shows", [str.isascii, str.isprintable, lambda c: ord(c) < 0x250])
def test_a_shell_reads_the_words_that_were_given(shows: object) -> None:
    line = "printf '%s\\n' " + spelled(COMMAND, shows)  # type: ignore[arg-type]
    run = ["bash", "-c", line]
    said = subprocess.run(run, capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    assert said.stdout.decode().splitlines() == WORDS


def test_only_words_with_letters_that_are_not_shown_are_spelled() -> None:
    assert spelled("a 'b ü' 'c 日'", lambda c: ord(c) < 0x250) == r"a 'b ü' $'c \u65e5'"


def test_letters_that_the_fonts_have_are_shown_as_they_are() -> None:
    pages = Document("t", (Listing(COMMAND, "sh"),))
    paper, other = tex(pages), typst(pages)
    assert r"\ensuremath{\delta}" in paper
    assert r"Übung 3\ensuremath{\times}3:" in paper
    assert r"\textbackslash{}u65e5\textbackslash{}u672c" in paper
    assert "--notation 'δ' --title $'Übung 3×3: \\\\u65e5\\\\u672c \\\\U0001f600" in other
