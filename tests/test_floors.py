"""The house holds: who may import whom, and what costs what at start-up.

Read from the source with ``ast``; a module that is in no list below is a verb.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "derive"

ERRORS = {"errors"}
NOUNS = {
    *("affine", "expressions", "functions", "equations", "derivations", "programs", "machines"),
    *("documents", "certificates", "geometry", "spatial", "classes", "specs", "names", "places"),
    "scenes",
    "toom",
    "bilinear",
    "trials",
    "tensors",
    "combining",
    "graphs",
    "monotone",
}
CLAIMS = {"verify"}
PIPELINE = {"pipeline", "assembly", "chaining", "training", "trying", "tuning"}
DOORS = {
    "arguments",
    "options",
    "shown",
    "terminal",
    "reports",
    "building",
    "cli",
    "api",
    "__init__",
    "__main__",
}

ORACLE = {"interpret", "explicit", "expansion"}
ORACLE_READS = {"errors", "affine", "expressions", "equations", "functions", "tensors"} | ORACLE

HEAVY = {"sympy", "numpy", "jinja2"}
HEAVY_AT_HOME = {*ORACLE, *CLAIMS, "render"}
"""Rooms that are imported only when the work begins, and may import heavily themselves."""


def room(path: Path) -> str:
    """The part of the house that a module belongs to: the first name below the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def floor(name: str) -> int:
    for number, rooms in ((0, ERRORS), (1, NOUNS), (3, CLAIMS), (4, PIPELINE), (5, DOORS)):
        if name in rooms:
            return number
    return 2


def imports(path: Path, *, top_only: bool = False) -> Iterator[tuple[str, str]]:
    """(package, name) of everything a module imports: ("derive", room) or ("sympy", "")."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = path.relative_to(PACKAGE).parts[:-1]
    for node in _at_import_time(tree) if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                package, _, rest = alias.name.partition(".")
                yield package, rest.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:
                package, _, rest = (node.module or "").partition(".")
                yield package, rest.split(".")[0]
                continue
            base = [*inside[: len(inside) + 1 - node.level], *(node.module or "").split(".")]
            parts = [part for part in base if part]
            for alias in node.names:
                yield "derive", parts[0] if parts else alias.name


def _at_import_time(tree: ast.AST) -> Iterator[ast.AST]:
    """Everything that runs when the module is imported: no function bodies, no TYPE_CHECKING."""
    for node in ast.iter_child_nodes(tree):
        typing_only = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not typing_only and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from _at_import_time(node)


MODULES = sorted(PACKAGE.rglob("*.py"))
NAMED = pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))


def test_every_room_in_the_lists_exists() -> None:
    rooms = {room(path) for path in MODULES}
    assert rooms >= ERRORS | NOUNS | CLAIMS | PIPELINE | DOORS | ORACLE


@NAMED
def test_a_module_imports_only_from_lower_floors_and_its_own_room(path: Path) -> None:
    here = room(path)
    upwards = {
        name
        for package, name in imports(path)
        if package == "derive"
        and name != here
        and floor(name) >= floor(here)
        and not (floor(name) == floor(here) and floor(here) in (1, 4, 5))
        and not {here, name} <= ORACLE
    }
    assert not upwards, f"{here} (floor {floor(here)}) imports {sorted(upwards)}"


@NAMED
def test_the_oracle_shares_nothing_with_what_it_judges(path: Path) -> None:
    if room(path) in ORACLE:
        ours = {name for package, name in imports(path) if package == "derive"}
        assert ours <= ORACLE_READS


@NAMED
def test_sympy_numpy_and_jinja_are_imported_late(path: Path) -> None:
    if room(path) not in HEAVY_AT_HOME:
        assert not HEAVY & {package for package, _ in imports(path, top_only=True)}


@pytest.mark.parametrize("path", sorted(ROOT.glob("generated/*/kernel.py")), ids=str)
def test_generated_kernels_import_numpy_alone(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    froms = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    late = {"concurrent.futures", "os", "threadpoolctl"}  # only where a batch is split
    assert names | froms <= {"numpy", "typing", "math", "threading", "__future__"} | late


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--list"],
        [],
        ["--input", "3x3", "--kernal", "2x2"],
        ["--input", "3x3", "--kernel", "4x4"],
        ["build", "--chek"],
    ],
    ids=" ".join,
)
def test_help_and_mistakes_import_neither_sympy_nor_numpy(words: list[str]) -> None:
    code = (
        "import sys\n"
        "from derive.cli import main\n"
        "try:\n"
        f"    main({words!r})\n"
        "except SystemExit:\n"
        "    pass\n"
        f"print('heavy:', sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert run.stdout.endswith("heavy: []\n")


def test_importing_the_package_imports_neither_sympy_nor_numpy() -> None:
    code = f"import derive, sys; print(derive.conv, sorted({HEAVY!r} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert run.stdout.endswith("[]\n")
