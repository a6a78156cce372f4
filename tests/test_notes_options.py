"""What a person may ask of the notes: formats, letters, titles, languages, templates of their own.

Through the command line: exit code, message, files.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import threading
from pathlib import Path

import pytest

import derive
from derive.cli import main
from derive.errors import UsageError
from derive.render.templates import folder, language, text, using

TOY = ["--input", "3x3", "--kernel", "2x2", "--out", "out", "--name", "toy", "--quiet"]
TEX = [*TOY, "--formats", "tex"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def own(elsewhere: Path) -> Path:
    (elsewhere / "own" / "phrases").mkdir(parents=True)
    return elsewhere / "own"


def notes(kind: str = "tex") -> str:
    return Path(f"out/toy/notes.{kind}").read_text(encoding="utf-8")


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one message of a command line that is refused and writes nothing."""
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert not Path("out").exists()
    assert said.err.count("\n") == 1
    return said.err.removeprefix("derive: ").rstrip("\n")


# -- formats -----------------------------------------------------------------------------------
def test_formats_say_which_files_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    words = [w for w in TOY if w != "--quiet"]
    assert main([*words, "--formats", "ipynb,tex,py", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    made = ["__init__.py", "certificate.json", "kernel.py", "notes.ipynb", "notes.tex"]
    assert said["files"] == made == sorted(p.name for p in Path("out/toy").iterdir())
    assert said["formats"] == ["py", "tex", "ipynb"]


def test_without_a_word_there_is_code_a_text_to_print_and_a_page() -> None:
    assert main(TOY) == 0
    made = {"__init__.py", "certificate.json", "kernel.py", "notes.html", "notes.tex"}
    assert {p.name for p in Path("out/toy").iterdir()} == made


def test_a_misspelt_format_is_corrected(capsys: pytest.CaptureFixture[str]) -> None:
    message = refused([*TOY, "--formats", "py,htm"], capsys)
    assert message == "--formats (='htm'): no such format; did you mean html?"


def test_an_option_of_other_layers_is_named_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    message = refused([*TOY, "--units", "3"], capsys)
    assert message == "--units is no option of layer conv; it belongs to dense"
    message = refused([*TOY, "--ceil-mode"], capsys)
    assert message.endswith("; it belongs to avg_pool and max_pool")


# -- the upstream gradient ---------------------------------------------------------------------
def test_the_upstream_gradient_has_the_letter_that_was_asked_for() -> None:
    assert main([*TEX, "--notation", "q"]) == 0
    assert r"written $q$ for short" in notes()
    formulas = re.sub(r"\\begin\{lstlisting\}.*?\\end\{lstlisting\}", "", notes(), flags=re.S)
    assert r"q_{i,j}" in formulas
    assert not re.search(r"(?<![a-z\\])g_\{", formulas)


@pytest.mark.parametrize("word", ["δ", "delta"])
def test_delta_is_one_meaning_at_a_time(word: str) -> None:
    assert main([*TEX, "--notation", word]) == 0
    assert r"written $\delta$ for short" in notes()
    assert r"\delta_{i,j}" in notes()
    # Kronecker's δ, which the steps need as well, is a bracket then
    assert "Kronecker" not in notes()
    assert r"[i+u=a,\,j+v=b]" in notes().replace("[i+u=a,j+v=b]", r"[i+u=a,\,j+v=b]")


@pytest.mark.parametrize("word", ["∂L/∂y", "dL/dy"])
def test_the_derivative_itself_needs_no_abbreviation(word: str) -> None:
    assert main([*TEX, "--notation", word]) == 0
    assert "for short" not in notes()
    assert r"\frac{\partial L}{\partial y_{i,j}}" in notes()
    assert not re.search(r"(?<![a-z\\])g_\{", notes())


@pytest.mark.parametrize("letter", ["w", "x", "y", "i", "v", "L", "a", "s"])
def test_a_letter_that_is_taken_is_refused(letter: str, capsys: pytest.CaptureFixture[str]) -> None:
    message = refused([*TEX, "--stride", "2", "--notation", letter], capsys)
    assert message.startswith(f"--notation (='{letter}'): the layer uses {letter} already; free")
    free = message.split(" free are ")[1].split(", ")
    assert "g" in free
    assert letter not in free


@pytest.mark.parametrize("word", ["gg", "", "1", "\\g", "g_1", "Ж", "$"])
def test_what_is_no_letter_is_refused(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "must be ∂L/∂y (dL/dy), or one letter" in refused([*TEX, "--notation", word], capsys)


def test_all_layers_of_a_network_have_the_notation() -> None:
    words = ["--network", "dense 2 > relu > dense 1 > mse", "--input", "3", *TEX[4:]]
    assert main([*words, "--notation", "q"]) == 0
    assert notes().count("written $q$ for short") == 1
    assert len(re.findall(r"q_\{\w+\}", notes())) > 20
    assert not re.search(r"\bg_\{", notes())


# -- words in code -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "title", ['"""', "\\", '\\"""', 'a"""\'; x = 1 #', "\\N{BULLET}", "{x}<<x>>"]
)
def test_a_title_cannot_end_the_docstring_that_records_it(title: str) -> None:
    assert main([*TOY, "--formats", "py", "--title", title]) == 0
    code = Path("out/toy/kernel.py").read_text(encoding="utf-8")
    described = ast.get_docstring(ast.parse(code))
    assert described is not None
    assert shlex.quote(title) in " ".join(described.split())


# -- title and first index ---------------------------------------------------------------------
EVIL = r"50% of \input{x} & <script>alert(1)</script> #set $1$ {{x}}"


def test_a_title_is_words_in_every_format() -> None:
    words = [*TOY, "--formats", "tex,html,ipynb,pdf", "--title", EVIL]
    assert main(words) == 0
    assert r"50\% of \textbackslash{}input\{x\} \& \textless{}script" in notes()
    assert "&lt;script&gt;alert(1)" in notes("html")
    assert "<script>alert" not in notes("html")
    first = "".join(json.loads(notes("ipynb"))["cells"][0]["source"])
    assert (
        first
        == r"# 50% of \\input{x} &amp; &lt;script&gt;alert(1)&lt;/script&gt; \#set \$1\$ {{x}}"
    )
    assert Path("out/toy/notes.pdf").read_bytes().startswith(b"%PDF")


def test_a_title_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused([*TEX, "--title", "a\nb"], capsys).startswith("--title (='a\\nb') must be one")
    assert refused([*TEX, "--title", "a" * 201], capsys).startswith("--title (=")


def test_every_format_counts_from_the_base_that_was_asked_for() -> None:
    assert main([*TOY, "--formats", "tex,html,ipynb", "--index-base", "1"]) == 0
    assert "x_{3,3}" in notes()
    assert "x_{0,0}" not in notes()
    assert "x_{3,3}" in notes("ipynb")
    assert "x_{0,0}" not in notes("ipynb")
    assert "Numbered entries count from 1" in notes("html")


def test_the_command_in_the_notes_gives_the_same_notes() -> None:
    assert main([*TEX, "--notation", "δ", "--title", "A & B", "--index-base", "1"]) == 0
    command = json.loads(Path("out/toy/certificate.json").read_text(encoding="utf-8"))["command"]
    assert command.endswith("--index-base 1 --notation 'δ' --title 'A & B'")


# -- language ----------------------------------------------------------------------------------
def test_an_unknown_language_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused([*TEX, "--language", "xx"], capsys) == "--language (='xx'): there is en"
    assert "there is en" in refused([*TEX, "--language", "../en"], capsys)


def test_a_translation_may_be_partial(own: Path) -> None:
    german = '[headings]\nforward = "Vorwärts"\n[setting]\nbase = "Gezählt wird ab {base}."\n'
    (own / "phrases" / "de.toml").write_text(german, encoding="utf-8")
    words = [*TOY, "--formats", "tex,html,ipynb", "--templates", "own", "--language", "de"]
    assert main([*words, "--index-base", "1"]) == 0
    for kind in ("tex", "html", "ipynb"):
        assert "Vorwärts" in notes(kind)
        assert "Gezählt wird ab 1." in notes(kind)
        assert "What was proved" in notes(kind)  # not translated
    assert '<html lang="de"' in notes("html")


def test_own_words_come_before_ours(own: Path) -> None:
    (own / "phrases" / "en.toml").write_text('[headings]\nforward = "Onwards & up"\n')
    assert main([*TEX, "--templates", "own"]) == 0
    assert r"{Onwards \& up}" in notes()
    assert "{The layer}" in notes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("[headings\n", "own/phrases/en.toml: "),
        (
            "[heading]\nforward = 'x'\n",
            "there is no phrase heading.forward; did you mean headings.",
        ),
        ("[setting]\nbase = '{bas}'\n", "setting.base has no slot bas; its slots are base"),
        ("[headings]\nforward = '{x}'\n", "headings.forward has no slot x; it has no slots"),
    ],
)
def test_phrases_that_cannot_be_said_are_refused(
    words: str, message: str, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "phrases" / "en.toml").write_text(words)
    assert message in refused([*TEX, "--templates", "own"], capsys)


# -- templates ---------------------------------------------------------------------------------
def test_own_templates_shadow_ours_one_by_one(own: Path) -> None:
    (own / "notes.tex.j2").write_text("% of the school\n<< title >>: << blocks | length >>\n")
    assert main([*TOY, "--formats", "tex,html", "--templates", "own"]) == 0
    first, second = notes().splitlines()
    assert first == "% of the school"
    assert re.fullmatch(r"Convolution \(cross-correlation\) in 2-D: \d+", second)
    assert (folder() / "page.css").read_text(encoding="utf-8").strip() in notes("html")
    command = json.loads(Path("out/toy/certificate.json").read_text(encoding="utf-8"))["command"]
    assert command.endswith(" --templates own")


def test_an_own_style_sheet_goes_into_our_page(own: Path) -> None:
    (own / "page.css").write_text("body { color: rebeccapurple }\n")
    assert main([*TOY, "--formats", "html", "--templates", "own"]) == 0
    assert "body { color: rebeccapurple }" in notes("html")
    assert (folder() / "page.css").read_text(encoding="utf-8").strip() not in notes("html")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("a\n<% if %>\n", "--templates: own/notes.tex.j2:2: Expected an expression"),
        (
            "a\n<< titel >>\n",
            "--templates: own/notes.tex.j2:2: 'titel' is undefined; the slots are",
        ),
        ("<% include 'kernel.py.j2' %>", "there is no template 'kernel.py.j2'"),
        ("<% include '../../../etc/passwd' %>", "there is no template"),
        ("<< 1/0 >>", "own/notes.tex.j2:1: ZeroDivisionError: division by zero"),
    ],
)
def test_a_mistake_in_a_template_is_found_by_file_and_line(
    template: str, message: str, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "notes.tex.j2").write_text(template)
    assert message in refused([*TEX, "--templates", "own"], capsys)


def test_an_undefined_slot_names_those_there_are(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "notes.tex.j2").write_text("<< titel >>")
    message = refused([*TEX, "--templates", "own"], capsys)
    assert message.split("; the slots are ")[1].split(", ")[0] == "blocks"


@pytest.mark.parametrize(
    "attack",
    [
        "<< ''.__class__.__mro__[1].__subclasses__() >>",
        "<< title.__init__.__globals__ >>",
        "<< ''['__class__']['__base__'] >>",
        "<< (title|attr('__class__'))|attr('mro') >>",
        "<< self.__init__.__globals__ >>",
        "<< lipsum.__globals__['os'].popen('id').read() >>",
        "<< cycler.__init__.__globals__.os >>",
        "<% set x = hues.append('x') %><< blocks.clear() >>",
        "<< 'a' * 10 ** 9 >>",
        "<< 9 ** 9 ** 9 >>",
        "<% for i in range(10 ** 9) %><% endfor %>",
        "<< '%s' | format(title.__class__) >>",
        "<< '{0.__class__}'.format(title) >>",
    ],
)
def test_an_attack_from_a_template_is_refused(
    attack: str, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "notes.tex.j2").write_text(attack)
    message = refused([*TEX, "--templates", "own"], capsys)
    assert message.startswith("--templates: own/notes.tex.j2:1: ")
    assert "uid=" not in message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kernel.py.j2", "own/kernel.py.j2 cannot be replaced, because it becomes code that runs"),
        ("network.py.j2", "cannot be replaced"),
        ("helpers/erf.py.j2", "own/helpers/erf.py.j2 cannot be replaced"),
        ("note.tex.j2", "own/note.tex.j2 replaces nothing; did you mean notes.tex.j2?"),
        ("style.css", "own/style.css replaces nothing; "),
    ],
)
def test_only_what_is_shown_can_be_replaced(
    name: str, message: str, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / name).parent.mkdir(exist_ok=True)
    (own / name).write_text("x")
    assert message in refused([*TEX, "--templates", "own"], capsys)


def test_a_folder_that_is_not_there_or_empty_is_refused(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused([*TEX, "--templates", "no"], capsys) == "--templates: there is no folder 'no'"
    assert "own holds no template; it may hold notes.tex.j2" in refused(
        [*TEX, "--templates", "own"], capsys
    )
    (own / "notes.tex.j2").write_bytes(b"\xff\xfe")
    assert "cannot read own/notes.tex.j2" in refused([*TEX, "--templates", "own"], capsys)


def test_templates_and_language_are_in_use_within_and_in_one_thread_only(own: Path) -> None:
    (own / "page.css").write_text("mine")
    (own / "phrases" / "de.toml").write_text("")
    seen: list[tuple[str, str]] = []

    def look() -> None:
        seen.append((language(), text("page.css")[:4]))

    with using("own", "de"):
        look()
        other = threading.Thread(target=look)
        other.start()
        other.join()
    look()
    assert seen[0] == ("de", "mine")
    assert seen[1] == seen[2]
    assert seen[2][0] == "en"
    assert seen[2][1] != "mine"


# -- the same from Python ----------------------------------------------------------------------
def test_python_takes_the_same_words(own: Path) -> None:
    (own / "notes.tex.j2").write_text("<< title >>\n")
    d = derive.derive(derive.conv(input=(3, 3), kernel=(2, 2)))
    plain = d.latex()
    assert d.latex(title="A & B", templates="own") == "A \\& B\n"
    assert r"written $q$ for short" in d.latex(notation="q")
    assert "q" in re.findall(r"<mi>(\w)</mi>", d.html(notation="q"))
    assert d.latex() == plain
    made = d.write("out", name="toy", formats="tex", title="Mine", templates="own")
    assert (made / "notes.tex").read_text(encoding="utf-8") == "Mine\n"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"titel": "x"}, "unknown option 'titel'; did you mean title?"),
        ({"notation": "w"}, "the layer uses w already"),
        ({"index_base": 2}, "index_base .='2'. must be 0 or 1"),
        ({"language": "xx"}, "there is en"),
        ({"templates": "no"}, "there is no folder 'no'"),
    ],
)
def test_python_gets_the_same_messages(given: dict[str, str | int], message: str) -> None:
    d = derive.derive(derive.conv(input=(3, 3), kernel=(2, 2)))
    with pytest.raises(UsageError, match=message):
        d.latex(**given)


# -- on the terminal ---------------------------------------------------------------------------
def test_the_summary_follows_the_style(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own / "phrases" / "de.toml").write_text('[summary]\ngradients_plain = "Es gilt {upstream}"\n')
    words = [w for w in TEX if w != "--quiet"]
    style = ["--notation", "dL/dy", "--title", "Mine", "--language", "de", "--templates", "own"]
    assert main([*words, *style]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Mine\n")
    assert "Es gilt ∂L/∂y" in said
    assert not re.search(r"\bg\b", said)


def test_the_summary_of_a_network_follows_the_notation(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--network", "dense 2 > relu", "--input", "3", "--dry-run", "--formats", "py"]
    assert main([*words, "--notation", "q"]) == 0
    assert "(q = ∂L/∂y is given)" in capsys.readouterr().out
    assert main([*words, "--notation", "dL/dy"]) == 0
    assert "(∂L/∂y is given)" in capsys.readouterr().out
