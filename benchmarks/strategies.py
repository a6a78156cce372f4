"""Every strategy that applies, measured against what the cost model says of it.

    python benchmarks/strategies.py [--rows VGG] [--batch 1,8,32] [--unseen] [--all]

Prints for every row and batch size the strategies of each direction, microseconds measured and
estimated, and how much the model's choice loses against the best by the clock; at the end the
geometric mean and the worst of these losses. One thread, float32; ``--keep FILE`` writes the
measurements as JSON, ``--from FILE`` reads them instead of measuring.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from math import exp, log
from pathlib import Path
from typing import Any

from rows import CONVOLUTIONS, UNSEEN
from timing import settle

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

TABLE = CONVOLUTIONS | UNSEEN


def main() -> int:
    """Print a block for every geometry and batch size, and the losses."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="", help="only those with this in their name")
    parser.add_argument("--batch", default="1,8,32")
    parser.add_argument("--seconds", type=float, default=0.1, help="per strategy")
    parser.add_argument("--within", type=float, default=8, help="of the best estimate, to measure")
    parser.add_argument("--quiet", action="store_true", help="only the losses above 5 %%")
    parser.add_argument("--keep", metavar="FILE")
    parser.add_argument("--from", metavar="FILE", dest="known")
    given = parser.parse_args()
    settle(1)
    known = json.loads(Path(given.known).read_text()) if given.known else {}
    kept: dict[str, dict[str, float]] = {}
    losses: list[float] = []
    for name, settings in TABLE.items():
        if given.rows not in name:
            continue
        for batch in map(int, given.batch.split(",")):
            row = f"{name}, N = {batch}"
            kept[row], lost = block(row, settings, batch, given, known.get(row))
            losses += lost
            if given.keep:
                Path(given.keep).write_text(json.dumps(kept, indent=1))
    mean = exp(sum(map(log, losses)) / len(losses))
    worst = max(losses)
    print(f"the choice loses {100 * mean - 100:.1f} % in the geometric mean, {worst:.2f} at worst")
    return 0


def block(
    row: str, settings: dict[str, Any], batch: int, given: Any, known: dict[str, float] | None
) -> tuple[dict[str, float], list[float]]:
    """The measurements of a row at a batch size, and the loss of each direction's choice."""
    import derive
    from derive import pipeline, tuning
    from derive.lower import choose
    from derive.lower.branching import Asked

    derivation = pipeline.derive(derive.conv(**settings, bias=True))
    asked = Asked()
    within = given.within if known is None else 1e9
    found = tuning.candidates(derivation, asked, lambda _: [batch], within)
    names = {c: f"{'+'.join(c.group[1])} {c.group[0].NAME}" for c in found}
    if known is None:
        timed = least(tuning.calls(derivation, found), given.seconds)
    else:
        timed = {c: known[names[c]] for c in found if names[c] in known}
    losses = []
    for task in {c.task.direction: c.task for c in found}.values():
        clock = {c.group: s for c, s in timed.items() if c.task is task}
        priced = {c.group: c.estimate for c in found if c.task is task}
        targets, offered = tuple(task.statements), tuple(clock)
        best = choose.cheapest(targets, offered, lambda g, _, clock=clock: clock[g], batch)
        model = choose.cheapest(targets, offered, lambda g, _, priced=priced: priced[g], batch)
        assert best is not None
        assert model is not None
        loss = sum(clock[g] for g in model[1]) / best[0]
        losses.append(loss)
        if given.quiet and loss < 1.05:
            continue
        print(f"{row}, {task.direction}: loses {loss:.2f}")
        for group in sorted(clock, key=lambda g: (g[1], clock[g])):
            mark = f"{'*' if group in best[1] else ' '}{'<' if group in model[1] else ' '}"
            label = f"{'+'.join(group[1])} {group[0].NAME}"
            print(f"  {mark} {label:24} {1e6 * clock[group]:10.1f} {1e6 * priced[group]:10.1f} us")
    sys.stdout.flush()
    return {names[c]: s for c, s in timed.items()}, losses


def least(calls: Mapping[Any, Callable[[], object]], seconds: float) -> dict[Any, float]:
    """The shortest of some runs of each, in turn: on a busy machine that is what repeats."""
    often = {}
    for key, call in calls.items():
        call()
        often[key] = max(1, int(5e-4 / max(once(call, 1), 1e-7)))
    found = dict.fromkeys(calls, float("inf"))
    end, rounds = time.perf_counter() + seconds * len(calls), 0
    while rounds < 4 or time.perf_counter() < end:
        for key, call in calls.items():
            found[key] = min(found[key], once(call, often[key]))
        rounds += 1
    return found


def once(call: Callable[[], object], times: int) -> float:
    """Seconds of this process for a call, of so many in a row: others may be running."""
    start = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - start) / times


if __name__ == "__main__":
    raise SystemExit(main())
