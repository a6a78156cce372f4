"""Lines of kernels that sum by shearing: planes are copied, multiplied and added up."""

from __future__ import annotations

from dataclasses import dataclass, field

from .planes import listed, plus, times
from .shears import Sheared


@dataclass
class Lines:
    """A target's share of a function: before all, then for some groups, then for some samples."""

    before: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    inner: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


# -- what belongs to a block -------------------------------------------------------------------
def some(s: Sheared) -> str:
    """The subscript of the groups of a block, if they are not all."""
    return f"g : g + {s.block}" if s.block < s.form.counts[0] else ""


def of(s: Sheared, array: str) -> str:
    """An array's groups of a block."""
    return f"{array}[{some(s)}]" if some(s) else array


def planes(s: Sheared, array: str, *sizes: int) -> str:
    """The planes of the groups of a block, (groups, channels, [samples], rows, columns)."""
    shape = f"{s.form.counts[0]}, {listed(sizes)}"
    if s.most == 1:
        return of(s, f"{array}[n].reshape({shape})")
    part = f"[:, {some(s)}]" if some(s) else ""
    return f"{array}[n : n + {s.most}].reshape(count, {shape}){part}.transpose(1, 2, 0, 3, 4)"


def loop(s: Sheared) -> list[str]:
    """The loop over samples."""
    if s.most == 1:
        return ["for n in range(N):"]
    return [
        f"for n in range(0, N, {s.most}):",
        f"    count = min({s.most}, N - n)",
        f"    size = {s.plane} * count",
    ]


def _now(s: Sheared, array: str) -> str:
    """The part of the planes that belongs to samples."""
    return array if s.most == 1 else f"{array}[..., :size]"


def _frame(s: Sheared) -> list[int]:
    """A plane's rows and columns, behind the samples if there are some."""
    return [*([s.most] if s.most > 1 else []), s.down.outputs, s.pitch]


def _shifted(s: Sheared, further: int = 0) -> str:
    """How far shift number v goes."""
    return plus(times(s.step, "v"), s.shifts[0] + further)


def _edges(s: Sheared, array: str, why: str, left: int) -> list[str]:
    """Zeros for what a shift takes over the end of a row: (groups, shifts, filters, i, a)."""
    count, stop = len(s.shifts), _shifted(s, s.across.outputs - s.pitch)
    every = ":, :count, :" if s.most > 1 else "..."
    lines = [f"# {why}"] * (left > 0 or s.right < count)
    if left:
        lines += [f"for v in range({left}):", f"    {array}[:, v, {every}, {_shifted(s)} :] = 0"]
    if s.right < count:
        span = f"{s.right}, {count}" if s.right else str(count)
        lines += [f"for v in range({span}):", f"    {array}[:, v, {every}, : {stop}] = 0"]
    return lines


# -- copies ------------------------------------------------------------------------------------
def copies(s: Sheared) -> Lines:
    """The planes of ``wide``, once for every vertical tap."""
    down, across, channels = s.down, s.across, s.form.counts[1]
    deep, stride = s.deep, down.stride
    shape = listed([s.block, channels, len(s.phases), down.taps, *_frame(s)])
    tap = times(down.dilation, "u")
    above = f"{stride - 1 - down.offset} - {tap}"
    above = f"({above}) // {stride}" if stride > 1 else above
    first = plus(tap, down.offset)
    first = f"{times(stride, 'low')} + {first}" if down.low else first
    end = down.offset + stride * (down.outputs - 1) + 1
    stop = f"max(0, {plus(tap, end)})" if end < 0 else plus(tap, end)
    step = f" : {stride}" if stride > 1 else ""
    return Lines(
        before=[
            f'rows = _scratch("{s.name}_rows", ({s.block}, {deep + s.ones}, {s.length}), dtype)',
            *([f"rows[:, {deep}] = 1"] if s.ones else []),
            f"placed = rows{f'[:, :{deep}]' if s.ones else ''}.reshape({shape})",
        ],
        inner=[
            f"block = {planes(s, s.form.wide, channels, down.size, across.size)}",
            f"for u in range({down.taps}):",
            *([f"    low = max(0, {above})"] if down.low else []),
            f"    seen = block[..., {first} : {stop}{step}, :]",
            *(f"    {line}" for line in _columns(s)),
        ],
    )


def _columns(s: Sheared) -> list[str]:
    """Columns into the planes of their remainders."""
    size, stride = s.across.size, s.across.stride
    into = "low : low + seen.shape[-2]" if s.down.low else ": seen.shape[-2]"
    into = f":count, {into}" if s.most > 1 else into
    lines = []
    for number, phase in enumerate(s.phases):
        count = -(-(size - phase) // stride)
        columns = "" if count == s.pitch else f", :{count}"
        taken = "" if stride == 1 else f"[..., {phase or ''}::{stride}]"
        lines.append(f"placed[:, :, {number}, u, {into}{columns}] = seen{taken}")
    return lines


# -- outputs -----------------------------------------------------------------------------------
def narrow(s: Sheared, target: str) -> Lines:
    """Products of the kernel with ``rows``, then the sheared sum of their planes."""
    groups, _, filters, _, _ = s.form.counts
    outputs, gap, count = s.across.outputs, s.gap, len(s.shifts)
    view = listed([s.block, filters, count, s.length])
    steps = listed([s.tall * s.room, s.room, filters * s.room + s.step, 1])
    result = f"1, {s.length}" if s.direct else f"{s.down.outputs}, {outputs}"
    lines = Lines(
        before=[
            *_kernel(s),
            f'sums = _scratch("{s.name}_sums", ({s.block}, {s.tall}, {s.room}), dtype)',
            f"products = sums[:, :, {gap} : {gap + s.length}]",
            f"by_row = products.reshape({listed([s.block, count, filters, *_frame(s)])})",
            f"sheared = _windows(sums, ({view}), ({steps}), {gap + s.shifts[0]})",
            f"ones = np.ones((1, {count}), dtype)",
            f"{target} = np.empty((N, {groups}, {filters}, {result}), dtype)",
        ],
    )
    rows, into = _now(s, "rows"), _now(s, "products")
    if s.slices > 1:
        size = s.length // s.slices
        rows, into = "slices", "sliced"
        lines.before += [
            "# in slices small enough for BLAS to read them where they are",
            f"slices = rows.reshape({s.block}, {s.deep + s.ones}, {s.slices}, {size})",
            f"sliced = products.reshape({s.block}, {s.tall}, {s.slices}, {size})",
            "slices, sliced = slices.swapaxes(1, 2), sliced.swapaxes(1, 2)",
        ]
    lines.inner.append(f"np.matmul({of(s, 'kernel')}, {rows}, out={into})")
    lines.inner += _edges(s, "by_row", "what a shift would take over the end of a row", s.left)
    lines.inner += _summed(s, target, lines)
    if s.form.bias and not s.ones:
        lines.after.append(f"{target} += {s.form.bias}.reshape({groups}, {filters}, 1, 1)")
    return lines


def _summed(s: Sheared, target: str, lines: Lines) -> list[str]:
    """The sheared sum, straight into the outputs if they lie like the planes."""
    part = f", {some(s)}" if some(s) else ""
    if s.direct:
        return [f"np.matmul(ones, sheared, out={target}[n{part}])"]
    filters = s.form.counts[2]
    sizes = listed([s.block, filters, 1, s.length])
    lines.before += [
        f'full = _scratch("{s.name}_full", ({sizes}), dtype)',
        f"inside = full.reshape({listed([s.block, filters, *_frame(s)])})",
    ]
    columns = "" if s.filled else f"[..., :{s.across.outputs}]"
    if s.most == 1:
        taken = f"{target}[n{part}] = inside{columns}"
    else:
        samples = f"inside[:, :, :count]{columns}.transpose(2, 0, 1, 3, 4)"
        taken = f"{target}[n : n + {s.most}{part}] = {samples}"
    return [f"np.matmul(ones, {_now(s, 'sheared')}, out={_now(s, 'full')})", taken]


def _kernel(s: Sheared) -> list[str]:
    """The kernel as a matrix (shift, f) by (c, phase, u), the bias beside it."""
    groups, channels, filters, _, _ = s.form.counts
    down, across, count = s.down, s.across, len(s.shifts)
    sizes = listed([groups, filters, channels, down.taps, across.taps])
    taps = f"{s.form.kernel_as('g', 'f', 'c', 'u')}.reshape({sizes})"
    matrix = listed([groups, *([1] if s.slices > 1 else []), s.tall, s.deep + s.ones])
    if across.stride == 1 and not s.ones:
        return [f"kernel = {taps}.transpose(0, 4, 1, 2, 3).reshape({matrix})"]
    lines = [
        f'kernel = _scratch("{s.name}_kernel", ({groups}, {count}, {filters}, '
        f"{s.deep + s.ones}), dtype)",
    ]
    inside = f"kernel[..., :{s.deep}]" if s.ones else "kernel"
    if across.stride == 1:
        shape = listed([groups, count, filters, s.deep])
        lines.append(f"{inside} = {taps}.transpose(0, 4, 1, 2, 3).reshape({shape})")
    else:
        shape = listed([groups, count, filters, channels, len(s.phases), down.taps])
        numbers, phases = _places(s)
        lines += [
            "# the columns that each tap reads: their shift, their remainder",
            f"apart = {inside}.reshape({shape})",
            f"apart[:, {numbers}, :, :, {phases}] = {taps}.transpose(4, 0, 1, 2, 3)",
        ]
    if s.ones:
        bias = f"{s.form.bias}.reshape({groups}, {filters})"
        lines.append(f"kernel[:, {s.shifts.index(0)}, :, {s.deep}] = {bias}")
    return [*lines, f"kernel = kernel.reshape({matrix})"]


def _places(s: Sheared) -> tuple[str, str]:
    """For each tap the number of its shift, and of its remainder."""
    numbers = [s.shifts.index(shift) for shift, _ in s.reads]
    phases = [s.phases.index(phase) for _, phase in s.reads]
    return f"({listed(numbers)})", f"({listed(phases)})"


# -- gradients of parameters -------------------------------------------------------------------
def kernel(s: Sheared, target: str) -> Lines:
    """Products of ``rows`` with ``narrow``, shifted sideways once for every shift."""
    groups, _, filters, _, _ = s.form.counts
    gap, count = s.gap, len(s.shifts)
    order = listed([s.deep, s.tall])
    frame = _frame(s)
    # all of them: the zeros of rows would not silence what is no number
    back = sum(shift < 0 for shift in s.shifts)
    span = f"{_shifted(s, gap)} : {_shifted(s, gap + s.length)}"
    taken = "[:, :, :count]" if s.most > 1 else ""
    taken += "" if s.filled else f"[..., :{s.across.outputs}]"
    rows, place, part = _now(s, "rows"), "by_place", "part"
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
            f"framed = framed.reshape({listed([s.block, count, filters, *frame])})",
            f"by_place = beside.reshape({s.block}, {s.tall}, {s.room})",
            f"by_place = by_place[:, :, {gap} : {gap + s.length}].swapaxes(1, 2)",
            f'part = _scratch("{s.name}_part", ({s.block}, {order}), dtype)',
            f"{target} = np.empty(({groups}, {order}), dtype)",
        ],
        opened=[f"total = np.zeros(({s.block}, {order}), dtype)"],
        inner=[
            f"other = {planes(s, s.form.narrow, filters, s.down.outputs, s.across.outputs)}",
            f"for v in range({count}):",
            f"    aside = beside[:, v, :, {span}].reshape({listed([s.block, filters, *frame])})",
            f"    aside{taken or '[...]'} = other",
            *_edges(s, "framed", "what went over the end of a row", back),
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
    numbers, phases = _places(s)
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
