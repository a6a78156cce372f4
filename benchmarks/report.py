"""All tables in one command: a page of Markdown and a plot, with the machine and the versions.

    python benchmarks/report.py DIR [--tables convolutions,pools] [--threads 1,2] [--seconds 0.6]

Extra: ``[bench]``. Every table is measured by a process of its own, as threads are fixed when one
starts; ``DIR/TABLE_THREADS.json`` holds what it found, so that tables can be measured one by one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from math import exp, log, log2
from pathlib import Path
from typing import Any

Row = dict[str, Any]
"""``name``, ``batch``, and column → ratio to PyTorch."""

TABLES = ("convolutions", "unseen", "pools", "dense", "networks")
OURS = ("forward", "backward")


# -- measuring ---------------------------------------------------------------------------------
def convolutions(seconds: float, threads: int, table: str = "CONVOLUTIONS") -> Iterator[Row]:
    """Ours, classic im2col and JAX."""
    import kernels
    import rows

    for name, settings in getattr(rows, table).items():
        for batch in (1, 8):
            found, told = kernels.row(settings, batch, seconds, {}, threads, jax=True)
            columns = [f"{w}{who}" for who in ("", ", im2col", ", JAX") for w in OURS]
            yield {
                "name": name,
                "batch": batch,
                "told": told,
                **dict(zip(columns, found, strict=True)),
            }


def unseen(seconds: float, threads: int) -> Iterator[Row]:
    """The same on geometries without a target."""
    return convolutions(seconds, threads, "UNSEEN")


def pools(seconds: float, threads: int) -> Iterator[Row]:
    """Backward is timed with forward, as PyTorch's needs the index."""
    import pools

    for name, (kind, settings) in pools.POOLS.items():
        for batch in (1, 8):
            found, told = pools.row(kind, settings, batch, seconds, {})
            yield {
                "name": name,
                "batch": batch,
                "told": told,
                "forward": found[0],
                "forward and backward": found[1],
            }


def dense(seconds: float, threads: int) -> Iterator[Row]:
    """Inputs → units."""
    import dense

    for inputs, units in dense.SIZES:
        for batch in (1, 8, 32):
            found = dense.row(inputs, units, batch, seconds)
            yield {"name": f"{inputs} → {units}", "batch": batch} | dict(
                zip(OURS, found, strict=True)
            )


def networks(seconds: float, threads: int) -> Iterator[Row]:
    """A step is a training step where there is a loss, else forward and backward."""
    import networks

    for name, make in networks.CASES.items():
        for batch in (1, 8, 32) if "LeNet" in name else (1, 8):
            found = networks.row(make(), batch, seconds, True, threads)
            one: Row = {"name": name, "batch": batch}
            for way, times in found.items():
                one |= {way: times["ours"] / times["torch"]}
                if "jax" in times:
                    one |= {f"{way}, JAX": times["jax"] / times["torch"]}
            yield one


def measure(table: str, threads: int, seconds: float, into: Path) -> None:
    """One table, in this process."""
    from timing import settle

    settle(threads)
    import torch

    torch.set_num_threads(threads)
    found = []
    for row in globals()[table](seconds, threads):
        found.append(row)
        print(f"{table}, {threads} threads: {row['name']}, N = {row['batch']}", file=sys.stderr)
    text = json.dumps(found, ensure_ascii=False, indent=1)
    (into / f"{table}_{threads}.json").write_text(text + "\n", encoding="utf-8")


# -- the page ----------------------------------------------------------------------------------
def machine() -> list[str]:
    """The processor and what is installed."""
    import numpy as np

    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    told = [f"CPU: {names[0] if names else platform.processor()}, {os.cpu_count()} cores"]
    told.append(f"Python {platform.python_version()}, NumPy {np.__version__}")
    told.append(f"BLAS: {blas['name']} {blas['version']}")
    for name in ("torch", "jax", "jaxlib"):
        try:
            told.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            told.append(f"{name} is not installed")
    return told


def mean(rows: list[Row], column: str) -> float:
    """The geometric mean of a column, over the rows that have it."""
    logs = [log(row[column]) for row in rows if row.get(column)]
    return exp(sum(logs) / len(logs)) if logs else 0.0


def page(tables: dict[tuple[str, int], list[Row]]) -> str:
    """Every table with its geometric means."""
    out = ["# Kernels against PyTorch", "", "Time divided by PyTorch's: below 1 is faster.", ""]
    out += [f"* {line}" for line in machine()]
    for (table, threads), rows in tables.items():
        columns = [c for c in rows[0] if c not in ("name", "batch", "told")]
        out += ["", f"## {table}, {threads} thread{'s' * (threads > 1)}", ""]
        out += [f"| | N | {' | '.join(columns)} |", "|---|--:|" + "--:|" * len(columns)]
        for row in rows:
            cells = " | ".join(f"{row[c]:.2f}" if row.get(c) else "" for c in columns)
            out.append(f"| {row['name']} | {row['batch']} | {cells} |")
        means = " | ".join(f"**{mean(rows, c):.3f}**" for c in columns)
        out.append(f"| **geometric mean** | | {means} |")
    return "\n".join([*out, ""])


# -- the plot ----------------------------------------------------------------------------------
LEFT, WIDE, HIGH, LOW, TOP = 300, 420, 16, -5.0, 2.0
"""Pixels left of the plot, its width, a row's height; the ends of the axis as powers of 2."""

FONT = 'font-family="sans-serif" font-size="11"'
COLOURS = {"forward": "#1b6ca8", "backward": "#d1495b", "step": "#d1495b"}


def plot(tables: dict[tuple[str, int], list[Row]]) -> str:
    """An SVG: a line for every row, a dot for every ratio, on a logarithmic axis."""
    body, y = [], 40
    for (table, threads), rows in tables.items():
        y += HIGH
        body.append(_text(8, y, f"{table}, {threads} thread{'s' * (threads > 1)}", "bold"))
        for row in rows:
            y += HIGH
            body.append(_text(16, y, f"{row['name']}, N = {row['batch']}"))
            for column, value in row.items():
                way = column.split(",")[0].split(" ")[0]
                if isinstance(value, float) and value and "," not in column:
                    colour = COLOURS["backward" if column != way else way]
                    title = f"<title>{column} {value:.2f}</title>"
                    at = f'cx="{_x(value):.1f}" cy="{y - 4}" r="4"'
                    body.append(f'<circle {at} fill="{colour}">{title}</circle>')
        y += HIGH
    lines = [
        f'<line x1="{_x(2.0**k):.1f}" y1="30" x2="{_x(2.0**k):.1f}" y2="{y}" '
        f'stroke="{"#444" if k == 0 else "#ddd"}"/>' + _text(_x(2.0**k) - 8, 24, f"{2.0**k:g}")
        for k in range(int(LOW), int(TOP) + 1)
    ]
    size = f'width="{LEFT + WIDE + 20}" height="{y + 10}"'
    told = "time / PyTorch's; blue: forward, red: backward, both or step"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {FONT}>',
            '<rect width="100%" height="100%" fill="white"/>',
            _text(8, 12, told),
            *lines,
            *body,
            "</svg>",
            "",
        ]
    )


def _x(ratio: float) -> float:
    return LEFT + WIDE * (min(max(log2(ratio), LOW), TOP) - LOW) / (TOP - LOW)


def _text(x: float, y: float, words: str, weight: str = "normal") -> str:
    safe = words.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y}" font-weight="{weight}">{safe}</text>'


def main() -> int:
    """Measure what was asked for, then write the page and the plot of all that is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("into", type=Path, metavar="DIR")
    parser.add_argument("--tables", default=",".join(TABLES), help="empty: only the page")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=0.6, help="per competitor and row")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.into.mkdir(parents=True, exist_ok=True)
    if given.here:
        measure(given.tables, int(given.threads), given.seconds, given.into)
        return 0
    asked = [table for table in given.tables.split(",") if table]
    if unknown := set(asked) - {*TABLES}:
        parser.error(f"no table {', '.join(sorted(unknown))}; there are {', '.join(TABLES)}")
    for threads in given.threads.split(","):
        for table in asked:
            words = ["--tables", table, "--threads", threads, "--seconds", str(given.seconds)]
            call = [sys.executable, __file__, str(given.into), *words, "--here"]
            subprocess.run(call, check=True)
    known = {
        (table, int(threads)): json.loads(path.read_text(encoding="utf-8"))
        for threads in ("1", "2")
        for table in TABLES
        if (path := given.into / f"{table}_{threads}.json").exists()
    }
    (given.into / "report.md").write_text(page(known), encoding="utf-8")
    (given.into / "report.svg").write_text(plot(known), encoding="utf-8")
    print(page(known), end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
