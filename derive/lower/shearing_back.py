"""Lines of kernels that sum by shearing: the gradients of parameters."""

from __future__ import annotations

from .planes import listed
from .shearing import Lines, edges, frame, now, places, planes, shifted, some
from .shears import Sheared


def kernel(s: Sheared, target: str) -> Lines:
    """Products of ``rows`` with ``narrow``, shifted sideways once for every shift."""
    groups, _, filters, _, _ = s.form.counts
    gap, count = s.gap, len(s.shifts)
    order = listed([s.deep, s.tall])
    sizes = frame(s)
    # all of them: the zeros of rows would not silence what is no number
    back = sum(shift < 0 for shift in s.shifts)
    span = f"{shifted(s, gap)} : {shifted(s, gap + s.length)}"
    taken = "[:, :, :count]" if s.most > 1 else ""
    taken += "" if s.filled else f"[..., :{s.across.outputs}]"
    rows, place, part = now(s, "rows"), "by_place", "part"
    place = "by_place" if s.most == 1 else "by_place[:, :size]"
    if s.slices > 1:
        apart = listed([s.block, s.slices, s.deep // s.slices])
        rows, place = f"rows.reshape({apart}, {s.length})", "by_place[:, np.newaxis]"
        rows = rows if s.most == 1 else f"{rows}[..., :size]"
        place = place if s.most == 1 else "by_place[:, np.newaxis, :size]"
        part = f"part.reshape({apart}, {s.tall})"
    return Lines(
        before=[
            f'beside = _scratch("{s.name}_beside", ({s.block}, {count}, {filters}, {s.room}), '
            "dtype)",
            f"framed = beside[..., {gap} : {gap + s.length}]",
            f"framed = framed.reshape({listed([s.block, count, filters, *sizes])})",
            f"by_place = beside.reshape({s.block}, {s.tall}, {s.room})",
            f"by_place = by_place[:, :, {gap} : {gap + s.length}].swapaxes(1, 2)",
            f'part = _scratch("{s.name}_part", ({s.block}, {order}), dtype)',
            f"{target} = np.empty(({groups}, {order}), dtype)",
        ],
        opened=[f"total = np.zeros(({s.block}, {order}), dtype)"],
        inner=[
            f"other = {planes(s, s.form.narrow, filters, s.down.outputs, s.across.outputs)}",
            f"for v in range({count}):",
            f"    aside = beside[:, v, :, {span}].reshape({listed([s.block, filters, *sizes])})",
            f"    aside{taken or '[...]'} = other",
            *edges(s, "framed", "what went over the end of a row", back),
            f"np.matmul({rows}, {place}, out={part})",
            "total += part",
        ],
        closed=[f"{target}[{some(s) or '...'}] = total"],
        after=_taps(s, target),
    )


def _taps(s: Sheared, target: str) -> list[str]:
    """The products of the taps that there are, as the kernel has them."""
    groups, channels, filters, _, _ = s.form.counts
    if s.across.stride == 1:
        return [f"{target} = {s.form.kernel_from(target, 'gcuf')}"]
    sizes = [groups, channels, len(s.phases), s.down.taps, len(s.shifts), filters]
    numbers, phases = places(s)
    return [
        f"{target} = {target}.reshape({listed(sizes)})[:, :, {phases}, :, {numbers}]",
        f"{target} = {target}.transpose(1, 2, 3, 0, 4)",
        f"{target} = {s.form.kernel_from(target, 'gcuf')}",
    ]


def bias(s: Sheared, target: str, dy: str) -> Lines:
    """The gradient of a bias: dy times ones while it is close; ``dy`` is the planes' name."""
    groups, channels, filters, _, _ = s.form.counts
    turned = dy == s.form.wide
    many = channels if turned else filters
    places = [w.size if turned else w.outputs for w in s.form.windows]
    count = places[0] * places[1]
    if s.most == 1:
        name = "block" if turned else "other"
        added = f"bias += {name}.reshape({s.block}, {many}, {count}) @ all_places"
    else:
        part = f"[:, {some(s)}]" if some(s) else ""
        own = f"{dy}[n : n + {s.most}].reshape(count, {groups}, {many}, {count}){part}"
        added = f"bias += ({own} @ all_places).sum(axis=0, dtype=dtype)"
    return Lines(
        before=[
            f"all_places = np.ones({count}, dtype)",
            f"{target} = np.empty(({groups}, {many}), dtype)",
        ],
        opened=[f"bias = np.zeros(({s.block}, {many}), dtype)"],
        inner=[added],
        closed=[f"{target}[{some(s) or '...'}] = bias"],
    )
