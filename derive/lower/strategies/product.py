"""Plain matrix products, where no window slides: dense layers and 1×1 convolutions.

    y[n] = w · x[n]        dx[n] = wᵀ · dy[n]        dw = Σ_n dy[n] · x[n]ᵀ

x and dy are read where they lie. A large product is taken in slices, each so small that BLAS
reads its operands in place instead of packing them first.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...machines import Cost
from ...programs import Function
from ..snippets import listed, snippet
from ..tasks import Routine, Task
from ..windowed import Windowed, totals

NAME = "product"
EXACT = True

SAMPLES = 32
"""Samples of a dense layer that are multiplied at a time, if so many may be."""
PART = 64
"""Numbers of a row that are worth reading."""
LONG = 4096
"""A row that NumPy multiplies by a number where it lies; of shorter ones it makes copies."""
FEW = 16384
"""Numbers that are made one by one as fast as by BLAS."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Targets that are the narrow side or the kernel of Φ without windows and groups."""
    for target, forms in task.forms.items():
        for form in forms:
            if form.target != "wide" and form.plain and form.counts[0] == 1 and _pointwise(form):
                yield (target,)
                if form.target == "kernel" and (bias := totals(task.statements, form)):
                    yield target, bias
                break


def _pointwise(form: Windowed) -> bool:
    return all((w.taps, w.stride, w.offset) == (1, 1, 0) for w in form.windows) and all(
        w.size == w.outputs for w in form.windows
    )


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """One product a sample, or one for all samples of a dense layer."""
    form = _form(task, targets)
    _, channels, filters, _, places = form.counts
    if places == 1 and form.target == "kernel" and batch == 1:
        return Cost(moved=channels * filters, runs=filters, calls=6)
    if places == 1:
        size = _slice(task, form)
        moved = batch * (channels + filters) + channels * filters
        if _turned(form):
            channels, filters = filters, channels
        sides = (batch, size, channels) if form.target == "narrow" else (size, channels, batch)
        return Cost(((filters // size, *sides),), moved, calls=5)
    moved = batch * (channels + filters) * places
    if form.target == "kernel":
        return Cost(((batch, channels, filters, places),), moved, calls=6 + 3 * batch)
    size = _rows(task, form)
    often = batch * filters // size
    return Cost(((often, size, places, channels),), moved, calls=6 + batch)


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_y_product(x, w, b)``."""
    form = _form(task, targets)
    if form.target == "kernel":
        lines = _kernel(task, form, targets)
        parameters: tuple[str, ...] = (form.narrow, form.wide)
        doc = f"{targets[0]} = Σ {form.narrow}[n] · {form.wide}[n]ᵀ."
    else:
        lines = (
            _dense(task, form, targets[0])
            if form.counts[4] == 1
            else _places(task, form, targets[0])
        )
        parameters = tuple(n for n in (form.wide, form.kernel, form.bias) if n)
        doc = f"{targets[0]}[n] = {form.kernel} · {form.wide}[n], one matrix product."
    name = task.function("_".join(targets), NAME)
    given = ("len", "slice", "range", "_scratch")
    function = Function(name, parameters, snippet("\n".join(lines)), (doc,), "", given)
    return Routine(targets, function)


def _form(task: Task, targets: tuple[str, ...]) -> Windowed:
    return next(f for f in task.forms[targets[0]] if f.target != "wide" and _pointwise(f))


def _turned(form: Windowed) -> bool:
    """Whether a kernel's gradient lies as (channels, filters) in memory."""
    return form.target == "kernel" and form.kernel_labels[:1] == form.channels[:1] != ()


def _slice(task: Task, form: Windowed) -> int:
    """How many filters at a time, for SAMPLES samples; all of them if that is few."""
    _, channels, filters, _, _ = form.counts
    if _turned(form):
        channels, filters = filters, channels
    most = task.machine.sliced // (SAMPLES * channels)
    if form.target == "narrow":
        if "transpose" in form.kernel_as("f", "cu"):  # parts of the kernel's rows
            most = max(most, PART)
        else:  # both operands along their rows: BLAS wants a small result as well
            most = min(most, task.machine.sliced_result // SAMPLES)
    if filters <= most:
        return filters
    fits = [s for s in range(8, filters, 8) if filters % s == 0]
    small = [s for s in fits if s <= most]
    return small[-1] if small else fits[0] if fits else filters


def _samples(task: Task, form: Windowed) -> int:
    """How many samples at a time, for such slices."""
    most = task.machine.sliced // (_slice(task, form) * form.counts[1])
    return SAMPLES if most >= SAMPLES else max(4, most // 4 * 4)


def _rows(task: Task, form: Windowed) -> int:
    """How many filters at a time for one sample of a 1×1 convolution."""
    _, channels, filters, _, places = form.counts
    fits = [s for s in range(8, filters + 1) if filters % s == 0]
    small = [s for s in fits if s * channels * places <= task.machine.sliced]
    return small[-1] if small else filters


def _dense(task: Task, form: Windowed, target: str) -> list[str]:
    """All samples against slices of the filters."""
    _, channels, filters, _, _ = form.counts
    size, x = _slice(task, form), form.wide
    shape = ", ".join(map(str, task.shape(target)))
    bias = f" + {form.bias}.reshape({filters})" if form.bias else ""
    opening = f"N, dtype = len({form.wide}), {form.wide}.dtype"
    if size == filters:
        made = f"np.dot({x}.reshape(N, {channels}), {form.kernel_as('cu', 'f')}){bias}"
        return [
            f"N = len({form.wide})",
            f"{target} = {made}",
            f"return {target}.reshape(N, {shape})",
        ]
    count, samples = filters // size, _samples(task, form)
    return [
        opening,
        f"{x} = {x}.reshape(N, {channels})",
        "if N == 1:",
        f"    {target} = np.dot({x}, {form.kernel_as('cu', 'f')})",
        "else:",
        "    # in slices small enough for BLAS to read them where they are",
        f"    kernel = {form.kernel_as('f', 'cu')}.reshape({count}, {size}, {channels})",
        f"    {target} = np.empty((N, {filters}), dtype)",
        f"    slices = {target}.reshape(N, {count}, {size}).swapaxes(0, 1)",
        f"    for start in range(0, N, {samples}):",
        f"        some = slice(start, start + {samples})",
        f"        np.matmul({x}[some], kernel.swapaxes(1, 2), out=slices[:, some])",
        *([f"{target} +={bias[2:]}"] if bias else []),
        f"return {target}.reshape(N, {shape})",
    ]


def _places(task: Task, form: Windowed, target: str) -> list[str]:
    """Each sample's positions against slices of the filters."""
    _, channels, filters, _, places = form.counts
    size = _rows(task, form)
    count = filters // size
    shape = ", ".join(map(str, task.shape(target)))
    sliced = f".reshape({count}, {size}, {channels})" if count > 1 else ""
    kernel = form.kernel_as("f", "cu")
    x = form.wide
    lines = [f"N, dtype = len({x}), {x}.dtype", f"{x} = {x}.reshape(N, {channels}, {places})"]
    if count == 1:
        lines += [f"{target} = np.matmul({kernel}, {x})"]
    else:
        lines += [
            "# in slices small enough for BLAS to read them where they are",
            f"kernel = {kernel}{sliced}",
            f"{target} = np.empty((N, {count}, {size}, {places}), dtype)",
            "for n in range(N):",
            f"    np.matmul(kernel, {x}[n], out={target}[n])",
            f"{target} = {target}.reshape(N, {filters}, {places})",
        ]
    if form.bias:
        lines.append(f"{target} += {form.bias}.reshape({filters}, 1)")
    return [*lines, f"return {target}.reshape(N, {shape})"]


def _kernel(task: Task, form: Windowed, targets: tuple[str, ...]) -> list[str]:
    """The outer products of all samples, added up."""
    _, channels, filters, _, places = form.counts
    dy, x = form.narrow, form.wide
    shape = listed(task.shape(targets[0]))
    typed = places > 1 or len(targets) > 1 or _paired(form)
    opening = [f"N, dtype = len({x}), {x}.dtype" if typed else f"N = len({x})"]
    wide, narrow = [channels], [filters]
    if places > 1:
        wide, narrow = [channels, places], [filters, places]
    opening += [
        f"{x} = {x}.reshape(N, {', '.join(map(str, wide))})",
        f"{dy} = {dy}.reshape(N, {', '.join(map(str, narrow))})",
    ]
    if places == 1:
        lines = [*opening, *_outer(task, form, targets[0])]
        order, axis = "cfu" if _turned(form) else "fcu", "0"
    else:
        lines = [
            *opening,
            f"total = np.zeros(({channels}, {filters}), dtype)",
            "for n in range(N):",
            f"    total += {x}[n] @ {dy}[n].T",
        ]
        order, axis = "cfu", "(0, 2)"
    result = f"{form.kernel_from('total', order)}.reshape({shape})"
    if len(targets) == 1:
        return [*lines, f"return {result}"]
    bias = listed(task.shape(targets[1]))
    return [*lines, f"return {result}, {dy}.sum(axis={axis}, dtype=dtype).reshape({bias})"]


def _outer(task: Task, form: Windowed, target: str) -> list[str]:
    """dyᵀ · x of all samples of a dense layer, in slices of the filters; or xᵀ · dy.

    The kernel's own order: whoever reads its gradient next to the kernel reads both along rows.
    """
    _, channels, filters, _, _ = form.counts
    size, dy, x = _slice(task, form), form.narrow, form.wide
    if _turned(form):
        dy, x, filters, channels = x, dy, channels, filters
    count = filters // size
    sliced = f"slices = {dy}.reshape(-1, {count}, {size}).transpose(1, 2, 0)"
    told = "# in slices small enough for BLAS to read them where they are"
    made = [told, sliced, f"total = np.matmul(slices, {x})"]
    if count == 1:
        made = [f"total = {dy}.T @ {x}"]
    if _paired(form):
        name = task.function(target, NAME)[1:]
        return [
            "if N == 1:",
            "    # with a sample of zeros, since BLAS does not multiply one row by one column",
            f'    rows = _scratch("{name}_rows", (2, {channels}), dtype)',
            f'    columns = _scratch("{name}_columns", (2, {filters}), dtype)',
            f"    rows[:1], columns[:1] = {x}, {dy}",
            f"    {x}, {dy} = rows, columns",
            *made,
        ]
    return [
        "if N == 1:",
        "    # nothing to add up: each entry is one product",
        f"    total = {dy}.T * {x}",
        "else:",
        *(f"    {line}" for line in made),
    ]


def _paired(form: Windowed) -> bool:
    """Whether a single sample is multiplied faster by BLAS: most of them."""
    _, channels, filters, _, _ = form.counts
    along = filters if _turned(form) else channels
    return along < LONG and channels * filters > FEW
