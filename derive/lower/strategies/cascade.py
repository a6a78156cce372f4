"""Products of all taps added up axis by axis: dx without a stride, by a few long additions.

    products[v, u, c, q] = Σ_f w[f, c, u, v] · dy[f, q]
    dx[c, q + (u, v)]   += products[v, u, c, q],   first over v, then over u

One matrix product makes the products of every tap, in planes as large as x with its zeros around;
what lies behind the rows of dy is zero. So the share of a tap is the whole plane, shifted, which
is a view that starts a little earlier: all taps v of a row are added at once, for every u and
channel, in one run without gaps, and then the rows. That is K_v + K_u additions for K_v · K_u, and
NumPy adds a run without gaps four times as fast as rows with gaps. Channels are taken some at a
time, so that their planes stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

from ...machines import FLOAT, GAP, Cost
from ...programs import Function
from ..rooms import room, sample, whole
from ..snippets import listed, snippet
from ..tasks import Routine, Task
from ..tiles import sliced
from ..windowed import Windowed

NAME = "cascade"
EXACT = True


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Targets that are the wide side of Φ, without stride and groups, with taps to add up."""
    for target in task.forms:
        form = task.form(target, "wide")
        if form is not None and form.plain and not form.bias and _dense(form):
            yield (target,)


def _dense(form: Windowed) -> bool:
    """Whether positions are as far apart as entries, from the first one on."""
    windows = form.windows
    return (
        form.counts[0] == 1
        and 1 <= len(windows) <= 3
        and any(w.taps > 1 for w in windows)
        and all(w.stride == 1 and w.start == 0 for w in windows)
    )


def _plane(form: Windowed) -> int:
    """Entries of a channel with the zeros around, and a gap if they would lie badly."""
    entries = prod(w.padded for w in form.windows)
    return entries + GAP if entries % 512 == 0 else entries


def _length(form: Windowed) -> int:
    """Entries of a plane up to the last row of dy."""
    return form.windows[0].outputs * prod(w.padded for w in form.windows[1:])


def _block(form: Windowed, task: Task) -> int:
    """Channels at a time: a divisor of all, their planes in the cache."""
    _, channels, _, taps, _ = form.counts
    most = max(1, 2 * task.machine.cache // (FLOAT * taps * _plane(form)))
    return max(c for c in range(1, channels + 1) if channels % c == 0 and c <= most)


def _slices(form: Windowed, task: Task) -> tuple[int, int]:
    """How many taps and places a product has that BLAS reads where they are."""
    taps, block = form.counts[3], _block(form, task)
    return sliced(task, taps * block, form.counts[2], _length(form))


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """One product for all taps of a block of channels, and one pass over their planes."""
    form = task.found(targets[0], "wide")
    _, channels, filters, taps, places = form.counts
    block, plane, length = _block(form, task), _plane(form), _length(form)
    blocks, (m, n) = batch * channels // block, _slices(form, task)
    size = prod(w.size for w in form.windows)
    rows = filters * places / form.windows[-1].outputs + channels * size / form.windows[-1].size
    stages = sum(w.taps > 1 for w in form.windows)
    return Cost(
        ((blocks * (taps * block // m) * (length // n), m, n, filters),),
        moved=blocks * block * plane * taps + batch * (filters * places + channels * size),
        runs=batch * rows + taps * channels * filters / 3,  # the kernel is turned
        calls=1 + batch + blocks * (2 + 0.5 * (sum(w.taps for w in form.windows) - stages)),
        scratch=(taps + 1) * block * plane,
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_dx_cascade(dy, w)``."""
    form, target = task.found(targets[0], "wide"), targets[0]
    dy, name = form.narrow, task.function(target, NAME)
    block, channels = _block(form, task), form.counts[1]
    shape = [channels, *(w.size for w in form.windows)]
    given = [form.counts[2], *(w.outputs for w in form.windows)]
    body = [
        f"N, dtype = len({dy}), {dy}.dtype",
        f"kernel, taps, inner, rows, products, stages, made = _room({name}_room, dtype)",
        f"taps[...] = {_kernel(form, block)[0]}",
        f"{target} = np.empty((N, {listed(shape)}), dtype)",
        "for n in range(N):",
        f"    inner[...] = {sample(task, dy, given)}",
        *(f"    {line}" for line in _sample(form, block, target)),
        f"return {whole(task, target, shape)}",
    ]
    doc = (
        f"{target} = Σ over taps of kernelᵀ · {dy}, shifted: added up axis by axis, each tap's "
        "planes as one run."
    )
    known = ("len", "_room", f"{name}_room")
    function = Function(name, (dy, form.kernel), snippet("\n".join(body)), (doc,), "", known)
    return Routine(targets, function, room=_room(form, task, name))


def _sample(form: Windowed, block: int, target: str) -> list[str]:
    """Lines for one sample: all channels at once, or part by part."""
    several = block < form.counts[1]
    own = f"n, {block} * part : {block} * (part + 1)" if several else "n"
    lines = [
        f"np.matmul({'kernel[part]' if several else 'kernel'}, rows, out=products)",
        "for shares, sums in stages:",
        "    np.add(shares[0], shares[1], out=sums)",
        "    for share in shares[2:]:",
        "        sums += share",
        f"{target}[{own}] = made",
    ]
    if not several:
        return lines
    return [f"for part in range({form.counts[1] // block}):", *(f"    {line}" for line in lines)]


def _kernel(form: Windowed, block: int) -> tuple[str, str]:
    """The kernel as a view, the taps of the last axis first; and such a view of the buffer."""
    _, channels, filters, _, _ = form.counts
    turned = replace(form, windows=form.windows[::-1])
    if block == channels:
        text, sizes = turned.kernel_axes("ucf")
        return text, f"kernel.reshape({listed(sizes)})"
    text, sizes = turned.kernel_axes("cuf")
    taps = sizes[len(form.channels) : len(sizes) - len(form.filters)]
    parts = (channels // block, block, *taps, filters)
    k = len(taps)
    view = f"kernel.reshape({listed([channels // block, *taps, block, filters])})"
    axes = [0, k + 1, *range(1, k + 1), k + 2]
    return f"{text}.reshape({listed(parts)})", f"{view}.transpose({listed(axes)})"


def _room(form: Windowed, task: Task, name: str) -> Function:
    """The kernel as a matrix, the rows of dy with zeros behind, products, and their sums."""
    windows, (_, channels, filters, taps, _) = form.windows, form.counts
    block, plane, length = _block(form, task), _plane(form), _length(form)
    lead, (m, n) = ([channels // block] if block < channels else []), _slices(form, task)
    depth, inside = taps * block, "".join(f", :{w.outputs}" for w in windows[1:])
    given, made = f"padded.reshape({filters}, {length})", f"taken[:, :{length}]"
    matrix = "kernel"
    if m < depth:
        matrix = f"kernel.reshape({listed([*lead, depth // m, m, filters])})"
        made = f"taken.reshape({depth // m}, {m}, {plane})[..., :{length}]"
    elif n < length:
        given = f"padded.reshape({filters}, {length // n}, {n}).swapaxes(0, 1)"
        made += f".reshape({depth}, {length // n}, {n}).swapaxes(0, 1)"
    sizes = [filters, windows[0].outputs, *(w.padded for w in windows[1:])]
    body = [
        f"kernel = np.zeros(({listed([*lead, depth, filters])}), dtype)",
        f"taps = {_kernel(form, block)[1]}",
        f"padded = np.zeros(({listed(sizes)}), dtype)",
        f"inner = padded[:, :{inside}]",
        f"rows = {given}",
        f"taken = np.zeros(({depth}, {plane}), dtype)",
        f"products = {made}",
        *_stages(form, block),
        f"return {matrix}, taps, inner, rows, products, stages, made",
    ]
    return room(name, body, "_windows", "tuple")


def _stages(form: Windowed, block: int) -> list[str]:
    """Lines that make the views of all shares of an axis and room for their sums; the last first.

    A share that is shifted starts before its own numbers: there the one before it ends in zeros.
    """
    lines, stages, windows = [], [], form.windows
    source, rest = "taken", form.counts[3]  # taps of the axes that are left
    for k, (w, tap) in reversed(list(enumerate(zip(windows, "uvt", strict=False)))):
        rest //= w.taps
        if w.taps == 1:
            continue
        size = rest * block * _plane(form)
        step = w.dilation * prod(v.padded for v in windows[k + 1 :])
        lines += [
            f"along_{tap} = _windows({source}, ({w.taps}, {size}), ({size - step}, 1))",
            f"sums_{tap} = np.zeros(({size},), dtype)",
        ]
        stages.append(f"(tuple(along_{tap}), sums_{tap})")
        source = f"sums_{tap}"
    padded, plane = [w.padded for w in windows], _plane(form)
    ends = ", ".join(f"{w.low} : {w.low + w.size}" for w in windows)
    whole = source
    if prod(padded) < plane:
        whole += f".reshape({block}, {plane})[:, :{prod(padded)}]"
    return [
        "# a shift is a view that starts earlier, where the share before ends in zeros",
        *lines,
        f"stages = ({', '.join(stages)},)",
        f"made = {whole}.reshape({listed([block, *padded])})[:, {ends}]",
    ]
