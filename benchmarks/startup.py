"""How long a command line takes, against ``import sympy`` and against Python itself.

Run where derive is installed: ``python benchmarks/startup.py``. Every round starts each
process once, in turn, so that a slow moment of the machine hits all of them; medians are
printed.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 15

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import sympy": ["-c", "import sympy"],
    "--help": ["-m", "derive", "--help"],
    "a usage error": ["-m", "derive", "--input", "3x3", "--kernal", "2x2"],
    "--input 3x3 --kernel 2x2": [
        *["-m", "derive", "--input", "3x3", "--kernel", "2x2"],
        "--dry-run",
    ],
}


def seconds(arguments: list[str]) -> float:
    """One process, from start to end."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )
    taken = time.perf_counter() - start
    if "Error" in done.stderr:
        raise SystemExit(done.stderr)
    return taken


def main() -> None:
    """Print the median of each command and its ratio to ``import sympy``."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for round_ in range(ROUNDS + 1):
        for name, arguments in COMMANDS.items():
            taken = seconds(arguments)
            if round_:  # the first round warms the disk's cache
                times[name].append(taken)
    sympy = statistics.median(times["import sympy"])
    print(f"{'command':<28}{'median ms':>10}{'x sympy':>9}")
    for name, taken_ in times.items():
        median = statistics.median(taken_)
        print(f"{name:<28}{1000 * median:>10.0f}{median / sympy:>9.2f}")


if __name__ == "__main__":
    main()
