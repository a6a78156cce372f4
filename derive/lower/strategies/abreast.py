"""im2col of several samples side by side: a large kernel meets few places, and is read once.

    columns[(c,u,v), (n,i,j)] = x[n, c, s·i + d·u − p, s·j + d·v − p]
    y  = kernel · columns        dw = dy · columnsᵀ        dx: kernelᵀ · dy, added up tap by tap

Late in a network a sample has few places and the kernel is larger than all its columns. Then it
is the kernel that products wait for: so it is read where it lies, never copied to put a bias
beside it, and each product takes as many samples as give it a long row. dw is made in its own
order; of dx every product is added to the entry that its tap reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from ...machines import Cost
from ...programs import Function
from ..rooms import room, whole
from ..snippets import listed, nested, plus, snippet, times
from ..tasks import Routine, Task
from ..tiles import pace
from ..windowed import Window, Windowed

NAME = "abreast"
EXACT = True

ROW = 512
"""Places of a product: BLAS gains little from more."""
LARGEST = 1 << 22
"""Numbers of the columns."""
SIDES = ("narrow", "kernel", "wide")


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Targets of a form without groups of which several samples go into a product."""
    for target in task.forms:
        if _offered(task, target) is not None:
            yield (target,)


def _offered(task: Task, target: str) -> Windowed | None:
    """The first side of Φ for which the kernel is taken as it lies."""
    for side in SIDES:
        form = task.form(target, side)
        if form is None or not form.plain or form.counts[0] > 1 or form.counts[3] == 1:
            continue
        straight = side == "kernel" or form.kernel_axes("fcu")[0] == form.kernel
        if straight and _samples(form) > 1:
            return form
    return None


def _form(task: Task, targets: tuple[str, ...]) -> Windowed:
    form = _offered(task, targets[0])
    assert form is not None  # applies said so
    return form


def _depth(form: Windowed) -> int:
    """Rows of the column matrix."""
    return form.counts[1] * form.counts[3]


def _samples(form: Windowed) -> int:
    """Side by side in a product."""
    places = form.counts[4]
    return min(ROW // places, LARGEST // (_depth(form) * places))


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """A product for every block of samples; windows are copied, or products added up."""
    form = _form(task, targets)
    _, channels, filters, _, places = form.counts
    depth, most = _depth(form), _samples(form)
    size, row = prod(w.size for w in form.windows), form.windows[-1].outputs
    blocks, (number, run) = -(-batch // most), pace(form)
    moved = batch * (3 * channels * size + number * depth * places)
    runs = batch * (run * depth * places / row + channels * size / form.windows[-1].size)
    sides = {
        "narrow": (filters, 0, depth),
        "wide": (depth, 0, filters),
        "kernel": (filters, depth, 0),
    }[form.target]
    products = []
    for often, count in ((batch // most, most), (1, batch % most)):
        if often * count:
            m, n, k = (side or count * places for side in sides)
            products.append((float(often), m, n, k))
    moved += 2 * batch * filters * places
    runs += batch * filters
    if form.target == "kernel":
        moved += (2 * blocks - 1) * filters * depth
    if form.target == "wide":
        moved += batch * depth * places
        runs += 2 * batch * depth * places / row
    calls = 3 + blocks * (7 + 1.5 * (form.counts[3] if form.target == "wide" else 0))
    return Cost(tuple(products), moved, runs, calls, scratch=most * depth * places)


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_y_abreast(x, w, b)``."""
    form, target = _form(task, targets), targets[0]
    name, most = task.function(target, NAME), _samples(form)
    made = {"narrow": _narrow, "kernel": _kernel, "wide": _wide}[form.target]
    parameters, views, before, inside, result = made(task, form, target)
    body = [
        f"N, dtype = len({parameters[0]}), {parameters[0]}.dtype",
        f"{', '.join(views)} = _room({name}_room, dtype)",
        *before,
        f"for n in range(0, N, {most}):",
        f"    count = min({most}, N - n)",
        *(f"    {line}" for text in inside for line in text.splitlines()),
        f"return {result}",
    ]
    doc = {
        "narrow": f"{target} = kernel · columns({form.wide})",
        "kernel": f"{target} = {form.narrow} · columns({form.wide})ᵀ",
        "wide": f"{target} = kernelᵀ · {form.narrow}, each product added to the entry that its "
        "tap reads",
    }[form.target]
    doc += f", {most} samples side by side in one product."
    given = ("len", "min", "_room", f"{name}_room")
    function = Function(name, parameters, snippet("\n".join(body)), (doc,), "", given)
    return Routine(targets, function, room=_room(form, name, views))


Lines = tuple[tuple[str, ...], tuple[str, ...], list[str], list[str], str]
"""Parameters, views of the room, lines before the loop over blocks and inside, the result."""


def _narrow(task: Task, form: Windowed, target: str) -> Lines:
    """The kernel times columns; what comes out goes to its samples, the bias with it."""
    _, _, filters, _, places = form.counts
    made = f"products.reshape({filters}, count, {places}).swapaxes(0, 1)"
    into = f"{target}[n : n + count]"
    last = f"{into} = {made}"
    if form.bias:
        last = f"np.add({made}, {form.bias}.reshape({filters}, 1), out={into})"
    before = [
        f"kernel = {form.kernel}.reshape({filters}, {_depth(form)})",
        f"{target} = np.empty((N, {filters}, {places}), dtype)",
    ]
    inside = [
        *_columns(form),
        _some("products", "kept", filters, form),
        "np.matmul(kernel, columns, out=products)",
        last,
    ]
    parameters = tuple(n for n in (form.wide, form.kernel, form.bias) if n)
    own = whole(task, target, (filters, places))
    return parameters, ("inner", "copied", "room", "kept"), before, inside, own


def _kernel(task: Task, form: Windowed, target: str) -> Lines:
    """The product of dy and columns, in the order of the kernel."""
    filters, depth = form.counts[2], _depth(form)
    before = [
        f"{target} = np.empty(({filters}, {depth}), dtype)",
        f"if N == 0:\n    {target}[...] = 0",
    ]
    product = (
        f"if n == 0:\n    np.matmul(rows, columns.T, out={target})\n"
        f"else:\n    {target} += np.matmul(rows, columns.T, out=part)"
    )
    made = form.kernel_from(target, "fcu")
    own = listed(form.count((label,)) for label in form.kernel_labels)
    if own != (shape := listed(task.shape(target))):
        made += f".reshape({shape})"
    views = ("inner", "copied", "room", "kept", "part")
    inside = [*_columns(form), *_rows(form), product]
    return (form.narrow, form.wide), views, before, inside, made


def _wide(task: Task, form: Windowed, target: str) -> Lines:
    """The kernel's transpose times dy: for every tap its share is added up where it reads."""
    channels, filters = form.counts[1:3]
    sizes = [w.size for w in form.windows]
    shares = listed((channels, *(w.taps for w in form.windows)))
    outputs = listed(w.outputs for w in form.windows)
    taps = ["uvqr"[k] for k in range(len(sizes))]
    at = listed(_span(w, tap) for w, tap in zip(form.windows, taps, strict=True))
    adding = f"sums[:count, :, {at}] += shares[:, {listed(taps)}].swapaxes(0, 1)"
    loops = [(tap, f"range({w.taps})") for tap, w in zip(taps, form.windows, strict=True)]
    before = [
        f"kernel = {form.kernel}.reshape({filters}, {_depth(form)})",
        f"{target} = np.empty((N, {listed((channels, *sizes))}), dtype)",
    ]
    inside = [
        *_rows(form),
        _some("products", "room", _depth(form), form),
        "np.matmul(kernel.T, rows, out=products)",
        f"shares = products.reshape({shares}, count, {outputs})",
        "sums[:count] = 0",
        nested(loops, adding),
        f"{target}[n : n + count] = inner[:count]",
    ]
    own = whole(task, target, (channels, *sizes))
    return (form.narrow, form.kernel), ("kept", "room", "sums", "inner"), before, inside, own


def _span(w: Window, tap: str) -> str:
    """What a tap reads along an axis of the padded array."""
    begin = plus(times(w.dilation, tap), w.start)
    stop = plus(times(w.dilation, tap), w.start + w.stride * (w.outputs - 1) + 1)
    return f"{begin} : {stop}" + (f" : {w.stride}" if w.stride > 1 else "")


def _some(name: str, room: str, rows: int, form: Windowed) -> str:
    """A matrix with the places of as many samples as there are: fewer lie closer together."""
    places = form.counts[4]
    return f"{name} = {room}[: {rows * places} * count].reshape({rows}, {places} * count)"


def _columns(form: Windowed) -> list[str]:
    """The windows of some samples side by side."""
    sizes = (form.counts[1], *(w.size for w in form.windows))
    shape = listed((form.counts[1], *(w.taps for w in form.windows)))
    outputs = listed(w.outputs for w in form.windows)
    skipped = ":, " * (1 + len(form.windows))
    return [
        f"inner[:count] = {form.wide}[n : n + count].reshape(count, {listed(sizes)})",
        _some("columns", "room", _depth(form), form),
        f"columns.reshape({shape}, count, {outputs})[...] = copied[{skipped}:count]",
    ]


def _rows(form: Windowed) -> list[str]:
    """The narrow side of some samples side by side."""
    filters, places = form.counts[2], form.counts[4]
    given = f"{form.narrow}[n : n + count].reshape(count, {filters}, {places})"
    return [
        _some("rows", "kept", filters, form),
        f"rows.reshape({filters}, count, {places})[...] = {given}.swapaxes(0, 1)",
    ]


def _room(form: Windowed, name: str, views: tuple[str, ...]) -> Function:
    """Samples with zeros around them, and the numbers of the largest matrices."""
    _, channels, filters, _, places = form.counts
    most, depth, sizes = _samples(form), _depth(form), [w.padded for w in form.windows]
    inner = listed(f"{w.low} : {w.low + w.size}" for w in form.windows)
    padded = "sums" if "sums" in views else "padded"
    lines = [
        f"{padded} = np.zeros(({listed((most, channels, *sizes))}), dtype)",
        f"inner = {padded}[:, :, {inner}]",
        *(_view(form, most) if "copied" in views else []),
        f"room = np.zeros({depth} * {places * most}, dtype)",
        f"kept = np.zeros({filters} * {places * most}, dtype)",
    ]
    if "part" in views:
        lines.append(f"part = np.zeros(({listed((filters, depth))}), dtype)")
    return room(name, [*lines, f"return {', '.join(views)}"], "_windows")


def _view(form: Windowed, most: int) -> list[str]:
    """``copied``: the windows of the padded samples, in the order of the columns."""
    sizes = [w.padded for w in form.windows]
    strides = [prod(sizes[k + 1 :]) for k in range(len(sizes))]
    pairs = list(zip(form.windows, strides, strict=True))
    shape = (form.counts[1], *(w.taps for w in form.windows), most)
    shape += tuple(w.outputs for w in form.windows)
    steps = (prod(sizes), *(w.dilation * s for w, s in pairs), form.counts[1] * prod(sizes))
    steps += tuple(w.stride * s for w, s in pairs)
    begin = sum(w.start * s for w, s in pairs)
    start = f", {begin}" if begin else ""
    return [f"copied = _windows(padded, ({listed(shape)}), ({listed(steps)}){start})"]
