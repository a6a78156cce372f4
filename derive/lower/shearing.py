"""Lines of kernels that sum by shearing: planes are copied, multiplied and added up."""

from __future__ import annotations

from dataclasses import dataclass, field

from .planes import listed, plus, times
from .shears import Sheared, numbered
from .windowed import Windowed


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


def now(s: Sheared, array: str) -> str:
    """The part of the planes that belongs to samples."""
    return array if s.most == 1 else f"{array}[..., :size]"


def frame(s: Sheared) -> list[int]:
    """A plane's rows and columns, behind the samples if there are some."""
    return [*([s.most] if s.most > 1 else []), s.down.outputs, s.pitch]


def shifted(s: Sheared, further: int = 0) -> str:
    """How far shift number v goes."""
    return plus(times(s.step, "v"), s.shifts[0] + further)


def edges(s: Sheared, array: str, why: str, left: int) -> list[str]:
    """Zeros for what a shift takes over the end of a row: (groups, shifts, filters, i, a)."""
    count, beyond = len(s.shifts), s.across.outputs - s.pitch
    every = ":, :count, :" if s.most > 1 else "..."
    lines = [f"# {why}"] * (left > 0 or s.right < count)
    if left == 1:
        lines.append(f"{array}[:, 0, {every}, {s.shifts[0]} :] = 0")
    elif left:
        lines += [f"for v in range({left}):", f"    {array}[:, v, {every}, {shifted(s)} :] = 0"]
    if s.right == count - 1:
        lines.append(f"{array}[:, {s.right}, {every}, : {s.shifts[-1] + beyond}] = 0")
    elif s.right < count:
        span = f"{s.right}, {count}" if s.right else str(count)
        stop = shifted(s, beyond)
        lines += [f"for v in range({span}):", f"    {array}[:, v, {every}, : {stop}] = 0"]
    return lines


# -- copies ------------------------------------------------------------------------------------
def copies(s: Sheared) -> Lines:
    """The planes of ``wide``, once for every vertical tap."""
    down, across, channels = s.down, s.across, s.form.counts[1]
    deep, stride = s.deep, down.stride
    shape = listed([s.block, channels, len(s.phases), down.taps, *frame(s)])
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
    result = f"{filters}, 1, {s.length}" if s.direct else f"{filters}, {s.down.outputs}, {outputs}"
    if s.origin:
        result = listed([s.origin.counts[1], *(w.size for w in s.origin.windows)])
    lines = Lines(
        before=[
            *_kernel(s),
            f'sums = _scratch("{s.name}_sums", ({s.block}, {s.tall}, {s.room}), dtype)',
            f"products = sums[:, :, {gap} : {gap + s.length}]",
            f"by_row = products.reshape({listed([s.block, count, filters, *frame(s)])})",
            f"sheared = _windows(sums, ({view}), ({steps}), {gap + s.shifts[0]})",
            f"ones = np.ones((1, {count}), dtype)",
            f"{target} = np.empty((N, {groups}, {result}), dtype)",
        ],
    )
    rows, into = now(s, "rows"), now(s, "products")
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
    lines.inner += edges(s, "by_row", "what a shift would take over the end of a row", s.left)
    lines.inner += _summed(s, target, lines)
    if s.form.bias and not s.ones:
        lines.after.append(f"{target} += {s.form.bias}.reshape({groups}, {filters}, 1, 1)")
    return lines


def _summed(s: Sheared, target: str, lines: Lines) -> list[str]:
    """The sheared sum, straight into the outputs if they lie like the planes."""
    part = f", {some(s)}" if some(s) else ""
    if s.direct:
        return [f"np.matmul(ones, sheared, out={target}[n{part}])"]
    filters = [s.form.counts[2]]
    sizes = listed([s.block, *filters, 1, s.length])
    if s.origin:
        filters = [s.origin.counts[1], *(w.stride for w in s.origin.windows)]
    lines.before += [
        f'full = _scratch("{s.name}_full", ({sizes}), dtype)',
        f"inside = full.reshape({listed([s.block, *filters, *frame(s)])})",
    ]
    added = f"np.matmul(ones, {now(s, 'sheared')}, out={now(s, 'full')})"
    samples = "n" if s.most == 1 else f"n : n + {s.most}"
    if s.origin:
        return [added, *_interleaved(s, s.origin, f"{target}[{samples}{part or ', :'}, :")]
    columns = "" if s.filled else f"[..., :{s.across.outputs}]"
    if s.most > 1:
        columns = f"[:, :, :count]{columns}.transpose(2, 0, 1, 3, 4)"
    return [added, f"{target}[{samples}{part}] = inside{columns}"]


def _interleaved(s: Sheared, form: Windowed, target: str) -> list[str]:
    """The planes of remainders, every entry to its place."""
    rows, columns = (w.stride for w in form.windows)
    samples = "[:, :, a, b, :count" if s.most > 1 else "[:, :, a, b"
    turned = ".transpose(2, 0, 1, 3, 4)" if s.most > 1 else ""
    return [
        f"for a in range({rows}):",
        f"    for b in range({columns}):",
        f"        part = {target}, a::{rows}, b::{columns}]",
        f"        part[...] = inside{samples}, : part.shape[-2], : part.shape[-1]]{turned}",
    ]


def _kernel(s: Sheared) -> list[str]:
    """The kernel as a matrix (shift, f) by (c, phase, u), the bias beside it."""
    if s.origin:
        return _spread(s, s.origin)
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
        numbers, phases = places(s)
        lines += [
            "# the columns that each tap reads: their shift, their remainder",
            f"apart = {inside}.reshape({shape})",
            f"apart[:, {numbers}, :, :, {phases}] = {taps}.transpose(4, 0, 1, 2, 3)",
        ]
    if s.ones:
        bias = f"{s.form.bias}.reshape({groups}, {filters})"
        lines.append(f"kernel[:, {s.shifts.index(0)}, :, {s.deep}] = {bias}")
    return [*lines, f"kernel = kernel.reshape({matrix})"]


def _spread(s: Sheared, form: Windowed) -> list[str]:
    """The kernel of the wide side, (shift, (c, remainders)) by (f, u), zeros where no tap is."""
    groups, channels, filters, _, _ = form.counts
    down, across = form.windows
    sizes = listed([groups, filters, channels, down.taps, across.taps])
    counts = [channels, down.stride, across.stride]
    shape = listed([groups, len(s.shifts), *counts, filters, s.down.taps])
    (rows, above), (columns, beside) = numbered(down), numbered(across)
    taps = f"{form.kernel_as('g', 'f', 'c', 'u')}.reshape({sizes})"
    matrix = listed([groups, *([1] if s.slices > 1 else []), s.tall, s.deep])
    return [
        f'kernel = _scratch("{s.name}_kernel", ({shape}), dtype)',
        "# where each tap goes: along the rows down, along the columns across",
        f"row_of, above = np.array((({listed(rows)}), ({listed(above)}))).reshape(2, -1, 1)",
        f"column_of, beside = np.array((({listed(columns)}), ({listed(beside)})))",
        "kernel[:, column_of, :, above, beside, :, row_of] = (",
        f"    {taps}.transpose(3, 4, 0, 2, 1)",
        ")",
        f"kernel = kernel.reshape({matrix})",
    ]


def places(s: Sheared) -> tuple[str, str]:
    """For each tap the number of its shift, and of its remainder."""
    numbers = [s.shifts.index(shift) for shift, _ in s.reads]
    phases = [s.phases.index(phase) for _, phase in s.reads]
    return f"({listed(numbers)})", f"({listed(phases)})"
