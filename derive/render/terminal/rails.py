"""The edges of a network as rails beside its rows: straight on, or around the rows between."""

from __future__ import annotations

from collections.abc import Sequence

Edge = tuple[int, int]
"""The row where an edge starts, and the row of the layer that reads."""


def rails(count: int, edges: Sequence[Edge]) -> list[str]:
    """What stands in front of each of ``count`` rows, all of one width.

    ``○`` starts a rail, ``▼`` is a layer that reads the row above; an edge that skips rows goes
    out at ``┬`` or ``╮`` and comes back in at ``◂``.
    """
    straight = {end for start, end in edges if end == start + 1}
    tracks: list[list[Edge]] = []
    for edge in sorted({edge for edge in edges if edge[1] > edge[0] + 1}):
        free = next((t for t in tracks if t[-1][1] < edge[0]), None)
        if free is None:
            tracks.append([edge])
        else:
            free.append(edge)
    return [_row(row, row in straight, tracks) for row in range(count)]


def _row(row: int, straight: bool, tracks: Sequence[Sequence[Edge]]) -> str:
    ends = [any(row == end for _, end in track) for track in tracks]
    starts = [any(row == start for start, _ in track) for track in tracks]
    passing = [any(start < row < end for start, end in track) for track in tracks]
    corner = [end or start for end, start in zip(ends, starts, strict=True)]
    far = max((k for k, turns in enumerate(corner) if turns), default=-1)
    out = "▼" if straight else "○"
    for k in range(len(tracks)):
        reading = k == 0 and any(ends)
        out += "◂" if reading else "─" if k <= far else " "
        if corner[k]:
            sign = "╯" if ends[k] else "╮"
            out += {"╯": "┴", "╮": "┬"}[sign] if k < far else sign
        else:
            out += "┼" if passing[k] and k < far else "│" if passing[k] else "─" if k < far else " "
    return out + "  "
