"""Times competitors side by side: sample by sample in turn, medians, disturbed samples dropped.

Ratios are what counts: machines are shared, and a slow minute slows all of them.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median

ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 25),  # glibc takes no more
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
    "MALLOC_TOP_PAD_": str(1 << 26),
}
"""Without it page faults depend on what was freed before, and favour one side at random."""


def settle(threads: int) -> None:
    """Start the process again with the allocator fixed and so many threads in every library."""
    counts = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "")
    wanted = {**ALLOCATOR, **{name: str(threads) for name in counts}}
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **wanted})
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


def medians(
    calls: Mapping[str, Callable[[], object]],
    *,
    seconds: float = 0.6,
    least: float = 1e-3,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Name → median seconds of one call; each gets about ``seconds`` of samples, in turn.

    Calls of many milliseconds are never left undisturbed on a busy machine: for them, and for
    one thread, ``time.process_time`` is a ``clock`` that stands still meanwhile.
    """
    often = {name: _repeats(call, least) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    disturbed: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + seconds * len(calls)
    while time.perf_counter() < end or min(map(len, samples.values())) < 5:
        for name, call in calls.items():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
            start = clock()
            for _ in range(often[name]):
                call()
            taken = (clock() - start) / often[name]
            quiet = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw == before
            (samples if quiet else disturbed)[name].append(taken)
        if time.perf_counter() > end + 3 * seconds * len(calls):  # never quiet: take what there is
            samples = {n: samples[n] + disturbed[n] for n in calls}
            break
    return {name: median(found) for name, found in samples.items()}


def _repeats(call: Callable[[], object], least: float) -> int:
    """How many calls make a sample of at least so many seconds."""
    call()
    start = time.perf_counter()
    call()
    return max(1, int(least / max(time.perf_counter() - start, 1e-7)))
