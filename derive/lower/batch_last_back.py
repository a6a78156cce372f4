"""The gradient of x where samples lie innermost: planes of products, added up tap by tap.

    products[(u,v), c, q, n] = Σ_f w[f, c, u, v] · dy[f, q, n]
    planes[c, q + d·(u,v), n] += products[(u,v), c, q, n]

A plane is as large as a channel of x with the zeros around, so that what a tap adds is one run
through all channels. Where rows hardly get longer by their zeros (:func:`spread`), a product sums
the taps of the last axis over windows of dy, and only those of the first axis are added up:

    shifted[(f,v), i, (r,n)] = dy[f, i, r − d·v, n]
    products[u, c, i, (r,n)] = Σ_(f,v) w[f, c, u, v] · shifted[(f,v), i, (r,n)]
    planes[c, s·i + d·u, (r,n)] += products[u, c, i, (r,n)]
"""

from __future__ import annotations

from math import prod

from ..machines import GAP, Cost
from .snippets import listed, nested
from .windowed import Windowed


def spread(form: Windowed) -> bool:
    """Whether the product gains by summing the taps of the last axis: rows hardly get longer."""
    if len(form.windows) != 2:
        return False
    last = form.windows[-1]
    return last.stride == 1 and last.taps > 1 and 2 * last.padded <= 3 * last.outputs


def held(form: Windowed, samples: int) -> int:
    """Numbers in the planes of all taps and channels."""
    return form.counts[3] * _size(form, samples)


def _size(form: Windowed, samples: int) -> int:
    """Numbers in a plane of every channel."""
    return form.counts[1] * samples * prod(w.padded for w in form.windows)


def cost(form: Windowed, samples: int) -> Cost:
    """Products laid into planes, each tap's added as one run."""
    if spread(form):
        return _spread_cost(form, samples)
    _, channels, filters, taps, places = form.counts
    steps = form.windows[0].outputs if len(form.windows) > 1 else 1
    depth, planes = channels * taps, held(form, samples)
    return Cost(
        ((steps, depth, samples * places // steps, filters),),
        moved=planes + _size(form, samples) + depth * samples * places / 2,
        calls=1.2 * taps + 4,
        scratch=planes,
    )


def _spread_cost(form: Windowed, samples: int) -> Cost:
    """Windows of dy along the last axis, a product for every row, planes added for each tap."""
    _, channels, filters, _, _ = form.counts
    first, last = form.windows
    width = samples * last.padded
    copied, plane = filters * last.taps * first.outputs, channels * first.padded * width
    return Cost(
        ((first.outputs, first.taps * channels, width, filters * last.taps),),
        moved=(copied + filters * first.outputs) * width + (first.taps + 2) * plane,
        runs=copied + filters * first.outputs,
        calls=1.2 * first.taps + 5,
        scratch=copied * width + (first.taps + 1) * plane,
    )


def lines(form: Windowed, samples: int, name: str) -> tuple[list[str], list[str]]:
    """Lines before the loop over samples, and in it, that fill ``planes``.

    ``upstream`` is dy as (filters, positions · samples), ``turned`` the same with samples apart.
    """
    return (_spread if spread(form) else _planes)(form, samples, name)


def _planes(form: Windowed, samples: int, name: str) -> tuple[list[str], list[str]]:
    """A plane for every tap and channel."""
    windows = form.windows
    _, channels, filters, taps, _ = form.counts
    size, padded = _size(form, samples), [w.padded for w in windows]
    row = f":{samples * windows[-1].outputs}"
    shape = listed([channels * taps, *padded[:-1], samples * padded[-1]])
    written, share = f"products.reshape({shape})[:, {row}]", "upstream"
    if len(windows) > 1:
        written = f"products.reshape({shape})[:, {_rows(form)}, {row}].transpose(1, 0, 2)"
        share = f"upstream.reshape({filters}, {windows[0].outputs}, {row[1:]}).transpose(1, 0, 2)"
    before = [
        f"taps = {form.kernel_as('uc', 'f')}",
        "# a plane for every tap and channel; between the rows that are written zeros stay",
        f'products = _scratch("{name}_products", ({taps}, {size}), dtype)',
        f"rows = {written}",
        f'planes = _scratch("{name}_planes", ({size},), dtype)',
    ]
    return before, [
        f"np.matmul(taps, {share}, out=rows)",
        "planes[...] = 0",
        *_added(form, samples),
    ]


def _rows(form: Windowed) -> str:
    """The rows of a plane in which dy's lie, a stride apart."""
    first = form.windows[0]
    return f":{first.stride * (first.outputs - 1) + 1}" + f":{first.stride}" * (first.stride > 1)


def _added(form: Windowed, samples: int) -> list[str]:
    """The loop over taps: each one's products start where it reads first."""
    letters, windows = "uv"[: len(form.windows)], form.windows
    steps = [samples * prod(w.padded for w in windows[k + 1 :]) for k in range(len(windows))]
    first = sum(w.start * step for w, step in zip(windows, steps, strict=True))
    terms = [f"{w.dilation * n} * {k}" for w, n, k in zip(windows, steps, letters, strict=True)]
    begin = " + ".join([*([str(first)] if first else []), *terms])
    tap = letters if len(windows) == 1 else f"{windows[1].taps} * u + v"
    size = _size(form, samples)
    adding = f"begin = {begin}\nplanes[begin:] += products[{tap}, : {size} - begin]"
    loops = [(k, f"range({w.taps})") for k, w in zip(letters, windows, strict=True)]
    return nested(loops, adding).split("\n")


def _spread(form: Windowed, samples: int, name: str) -> tuple[list[str], list[str]]:
    """A plane for every tap of the first axis, and channel."""
    _, channels, filters, _, _ = form.counts
    first, last = form.windows
    low, width = last.start + last.dilation * (last.taps - 1), samples * last.padded
    long = low + last.padded - last.start  # a row of dy with zeros around
    plane, rows = first.padded * width, listed((filters, first.outputs, last.outputs, samples))
    shape = listed((filters, last.taps, first.outputs, width))
    steps = listed((first.outputs * long * samples, -last.dilation * samples, long * samples, 1))
    deep, step = filters * last.taps, first.dilation * width
    begin = f"{first.start * width} + {step} * u" if first.start else f"{step} * u"
    before = [
        f"kernel = {form.kernel_as('tc', 'fv')}",
        f'spread = _scratch("{name}_spread", ({listed((filters, first.outputs, long, samples))}), '
        "dtype)",
        f"shifted = _windows(spread, ({shape}), ({steps}), {(low - last.start) * samples})",
        f'laid = _scratch("{name}_laid", ({listed((deep, first.outputs * width + GAP))}), dtype)',
        f"laid = laid[:, :{first.outputs * width}]",
        "# a plane for every first tap and channel; rows that are not written stay zeros",
        f'products = _scratch("{name}_products", ({first.taps}, {channels * plane}), dtype)',
        f"rows = products.reshape({listed((first.taps * channels, first.padded, width))})"
        f"[:, {_rows(form)}].swapaxes(0, 1)",
        f'planes = _scratch("{name}_planes", ({channels * plane},), dtype)',
    ]
    return before, [
        f"spread[:, :, {low} : {low + last.outputs}] = turned.reshape({rows})",
        f"laid.reshape({shape})[...] = shifted",
        f"np.matmul(kernel, laid.reshape({listed((deep, first.outputs, width))}).swapaxes(0, 1), "
        "out=rows)",
        "planes[...] = 0",
        f"for u in range({first.taps}):",
        f"    begin = {begin}",
        f"    planes[begin:] += products[u, : {channels * plane} - begin]",
    ]
