"""Products of all taps added up axis by axis: dx without a stride, by a few long additions.

    products[v, u, c, q] = Σ_f w[f, c, u, v] · dy[f, q]
    dx[c, q + (u, v)]   += products[v, u, c, q],   first over v, then over u

One matrix product makes the products of every tap, in planes as large as x with its zeros around;
what lies behind the rows of dy is zero. So the share of a tap is the whole plane, shifted: all
taps v of a row are added at once, for every u and channel, in one run without gaps, and then
the rows. That is K_v + K_u additions for K_v · K_u, and NumPy adds a run without gaps four times as
fast as rows with gaps. Channels are taken some at a time, so that their planes stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod

from ...machines import Cost
from ...programs import Function
from ..snippets import snippet
from ..tasks import Routine, Task
from ..tiles import FLOAT
from ..windowed import Windowed

NAME = "cascade"
EXACT = True

GAP = 16
"""Numbers behind a plane whose size is a power of two, or else planes share cache sets."""


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


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """One product for all taps of a block of channels, and one pass over their planes."""
    form = _form(task, targets)
    _, channels, filters, taps, places = form.counts
    block, plane = _block(form, task), _plane(form)
    blocks = batch * channels // block
    size = prod(w.size for w in form.windows)
    rows = filters * places / form.windows[-1].outputs + channels * size / form.windows[-1].size
    return Cost(
        ((blocks, taps * block, _length(form), filters),),
        moved=blocks * block * plane * (taps + 3) + batch * (filters * places + channels * size),
        runs=batch * rows + taps * channels * filters / 3,  # the kernel is turned
        calls=4 + 1.5 * batch + blocks * (3 + 1.3 * sum(w.taps - 1 for w in form.windows)),
        scratch=taps * block * plane,
    )


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_dx_cascade(dy, w)``."""
    form, target = _form(task, targets), targets[0]
    windows, dy, name = form.windows, form.narrow, task.function(target, NAME)
    _, channels, filters, taps, _ = form.counts
    block, plane = _block(form, task), _plane(form)
    lines = _listed([filters, windows[0].outputs, *(w.padded for w in windows[1:])])
    inside = "".join(f", :{w.outputs}" for w in windows[1:])
    upstream = f"{dy}[n].reshape({_listed([filters, *(w.outputs for w in windows)])})"
    body = [
        f"N, dtype = len({dy}), {dy}.dtype",
        f"kernel = {_kernel(form, block)}",
        f'rows = _scratch("{name[1:]}_rows", ({lines}), dtype)',
        f"flat = rows.reshape({filters}, {_length(form)})",
        f'products = _scratch("{name[1:]}_products", ({taps * block}, {plane}), dtype)',
        f'planes = _scratch("{name[1:]}_planes", ({block * plane},), dtype)',
        f"{target} = np.empty((N, {_listed([channels, *(w.size for w in windows)])}), dtype)",
        "for n in range(N):",
        f"    rows[:, :{inside}] = {upstream}",
        *(f"    {line}" for line in _sample(form, block, target)),
        f"return {target}.reshape(N, {_listed(task.shape(target))})",
    ]
    doc = (
        f"{target} = Σ over taps of kernelᵀ · {dy}, shifted: added up axis by axis, each tap's "
        "planes as one run."
    )
    text = snippet("\n".join(body))
    given = ("len", "_scratch")
    return Routine(targets, Function(name, (dy, form.kernel), text, (doc,), "", given))


def _sample(form: Windowed, block: int, target: str) -> list[str]:
    """Lines for one sample: all channels at once, or part by part."""
    several = block < form.counts[1]
    own = f"n, {block} * part : {block} * (part + 1)" if several else "n"
    kernel = "kernel[part]" if several else "kernel"
    ends = ", ".join(f"{w.low} : {w.low + w.size}" for w in form.windows)
    lines = [
        f"np.matmul({kernel}, flat, out=products[:, :{_length(form)}])",
        *_added(form, block * _plane(form)),
        f"{target}[{own}] = {_whole(form, block)}[:, {ends}]",
    ]
    if not several:
        return lines
    return [f"for part in range({form.counts[1] // block}):", *(f"    {line}" for line in lines)]


def _form(task: Task, targets: tuple[str, ...]) -> Windowed:
    form = task.form(targets[0], "wide")
    assert form is not None  # applies said so
    return form


def _whole(form: Windowed, block: int) -> str:
    """The planes with an axis for every axis of the tensor."""
    padded = [w.padded for w in form.windows]
    if prod(padded) == _plane(form):
        return f"planes.reshape({_listed([block, *padded])})"
    without = f"planes.reshape({block}, {_plane(form)})[:, :{prod(padded)}]"
    return f"{without}.reshape({_listed([block, *padded])})"


def _kernel(form: Windowed, block: int) -> str:
    """The kernel as (parts, taps · channels, filters), the taps of the last axis first."""
    _, channels, filters, taps, _ = form.counts
    turned = replace(form, windows=form.windows[::-1])
    if block == channels:
        return turned.kernel_as("uc", "f")
    parts, depth = channels // block, taps * block
    opened = f"{turned.kernel_as('c', 'u', 'f')}.reshape({parts}, {block}, {taps}, {filters})"
    return f"{opened}.swapaxes(1, 2).reshape({parts}, {depth}, {filters})"


def _added(form: Windowed, size: int) -> list[str]:
    """Lines that add up the products, one axis after another, the last axis first."""
    lines: list[str] = []
    axes = list(zip(form.windows, "uvt", strict=False))
    rest = prod(w.taps for w in form.windows)  # taps of the axes that are left
    for k, (w, tap) in reversed(list(enumerate(axes))):
        step = w.dilation * prod(v.padded for v in form.windows[k + 1 :])
        shift = f"{step} * {tap}" if step > 1 else tap
        part = (
            "products" if rest == form.counts[3] else f"products[: {rest * _block_of(form, size)}]"
        )
        rest //= w.taps
        if k and w.taps == 1:
            continue
        lines.append(f"shares = {part}.reshape({w.taps}, {rest * size})")
        into = "shares[0, {}:]" if k else "planes[{}:]"
        if not k:
            lines.append("planes[...] = shares[0]")
        if w.taps > 1:
            lines.append(f"for {tap} in range(1, {w.taps}):")
            adding = f"{into.format(shift)} += shares[{tap}, : {rest * size} - {shift}]"
            lines.append(f"    {adding}")
    return lines


def _block_of(form: Windowed, size: int) -> int:
    return size // _plane(form)


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))
