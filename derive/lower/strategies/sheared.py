"""Few channels, or few a group: one product for the rows of windows, one for their columns.

    sums[(v,f), (i,a)] = Σ_(c,u) kernel[f, c, u, v] · rows[(c,u), (i,a)]
    y[f, (i,j)] = Σ_v sums[(v,f), (i, j + v − p)]         rows[(c,u), (i,a)] = x[c, i + u − p, a]

The planes of a group are copied once for every vertical tap, some rows further on: long runs. A
first product makes a plane of sums for every horizontal tap. They lie at equal distances, so that
the same numbers with one more from plane to plane are a matrix whose rows are shifted against each
other - sheared -, and ones times that matrix is y. Where a shift runs over the end of a row the
sums are put to zero before. The gradient of the kernel is the product of the same rows with copies
of dy that are shifted sideways; if the gradient of x is wanted as well, the rows are those of
dy and serve both. With a stride, columns that lie a stride apart are planes of their own; so are
the entries of the gradient of x, which is then made of dy like a y with more filters.

Without a stride an infinity or a NaN in x spoils the outputs whose windows hold it and no others.
It may spoil more of the gradient of the kernel, where the ends of the rows meet zeros of the
layout, and with a stride, where some taps of a remainder are zeros: 0 times infinity is NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...machines import Cost
from ...programs import Function
from ..planes import indented, listed
from ..shearing import copies, loop, narrow, some
from ..shearing_back import bias, kernel
from ..shears import CACHES, Sheared, unstrided
from ..snippets import snippet
from ..tasks import Routine, Task
from ..tiles import FLOAT, starts
from ..windowed import Window, totals

NAME = "sheared"
EXACT = True

WHOLE = 0.6
"""What a number costs in a copy of whole planes that stay close."""

SINGLE = 4
"""So many single numbers are put to zero in the time of a run."""

SPOILED = (
    "Numbers meet zeros of the layout here: an infinity or a NaN may spoil more results than those "
    "it belongs to."
)


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Targets over two axes of windows; dx and dw together without a stride."""
    made = {target: plan for target in task.forms if (plan := _plan(task, target))}
    for target, plan in made.items():
        yield (target,)
        if plan.form.target == "kernel":
            others = [other for other in made if _joint(task, other, target)]
            total = totals(task.statements, plan.form)
            yield from ((other, target) for other in others)
            if total:
                yield target, total
                yield from ((other, target, total) for other in others)


# -- plans -------------------------------------------------------------------------------------
def _plan(task: Task, target: str, name: str = "") -> Sheared | None:
    """How a target lies in memory; None where the strategy does not apply."""
    form = task.form(target, "narrow") or task.form(target, "kernel") or task.form(target, "wide")
    if form is None or not form.plain or len(form.windows) != 2:
        return None
    if any(w.taps == 1 for w in form.windows) or (form.target == "wide" and form.bias):
        return None
    plan, machine = Sheared(form, name=name), task.machine
    if form.target == "wide":
        plan = replace(plan, form=unstrided(form), origin=form)
    plan = replace(plan, most=plan.most_for(machine))
    plan = replace(plan, block=plan.block_for(machine))
    return replace(plan, slices=plan.slices_for(machine))


def _joint(task: Task, x: str, w: str, name: str = "") -> Sheared | None:
    """The gradient of the kernel from the rows of dy that the gradient of x reads, if it can be.

    Without strides Σ_i wide[i + d·u + o] · narrow[i] is Σ_a narrow[a − d·u − o] · wide[a].
    """
    first, second = _plan(task, x), _plan(task, w)
    if first is None or second is None:
        return None
    form, other = first.form, second.form
    if (
        first.origin
        or (form.target, other.target) != ("narrow", "kernel")
        or form.wide != other.narrow
    ):
        return None
    windows = tuple(map(_turned, other.windows))
    if any(w.stride > 1 for w in windows) or list(map(_sizes, windows)) != list(
        map(_sizes, form.windows)
    ):
        return None
    turned = replace(
        other,
        wide=other.narrow,
        narrow=other.wide,
        channels=other.filters,
        filters=other.channels,
        wide_labels=other.narrow_labels,
        narrow_labels=other.wide_labels,
        windows=windows,
    )
    plan = replace(first, form=turned, name=name)
    return replace(plan, slices=plan.slices_for(task.machine))


def _turned(w: Window) -> Window:
    """The window from the narrow side, its taps counted the other way round."""
    offset = -w.offset - w.dilation * (w.taps - 1)
    return replace(w, size=w.outputs, outputs=w.size, offset=offset, flipped=not w.flipped)


def _sizes(w: Window) -> tuple[int, ...]:
    return w.size, w.outputs, w.taps, w.stride, w.dilation, w.offset


def _plans(task: Task, targets: tuple[str, ...], name: str = "") -> tuple[Sheared, ...]:
    """One for each target that is not a bias; they share their rows."""
    first = _plan(task, targets[0], name)
    assert first is not None  # applies said so
    joint = _joint(task, targets[0], targets[1], name) if len(targets) > 1 else None
    return (first, joint) if joint else (first,)


# -- cost --------------------------------------------------------------------------------------
def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """Copies into rows, then what each target takes."""
    plans = _plans(task, targets)
    first = plans[0]
    planes, turns = batch * first.form.counts[0], _turns(first, batch)
    close = FLOAT * first.deep * first.length <= CACHES * task.machine.cache
    total = Cost(
        moved=planes * first.deep * first.plane * (WHOLE if first.whole and close else 1),
        runs=planes * first.deep * (1 if first.whole else first.down.outputs),
        calls=turns * (3 * first.down.taps + 2) + 15,
        scratch=first.block * first.deep * first.length,
    )
    for plan in plans:
        made = _products if plan.form.target == "kernel" else _sums
        total += made(plan, batch)
    if len(targets) > len(plans):
        total += Cost(moved=planes * first.plane / 3, calls=2 * turns)
    return total


def _turns(plan: Sheared, batch: int) -> int:
    """How often the loop over groups and samples goes round."""
    return -(-batch // plan.most) * -(-plan.form.counts[0] // plan.block)


def _stack(plan: Sheared, batch: int) -> tuple[int, int]:
    """How many products there are in a stack of all samples, and how wide they are."""
    return -(-batch // plan.most) * plan.form.counts[0], min(batch, plan.most) * plan.plane


def _sums(plan: Sheared, batch: int) -> Cost:
    """Two products for every group, the second of as few flops as there are numbers read."""
    filters, (stack, wide) = plan.form.counts[2], _stack(plan, batch)
    planes, parts = batch * plan.form.counts[0], plan.slices
    outside = filters * plan.down.outputs * (len(plan.shifts) - 1) / SINGLE
    rows = 0 if plan.direct else filters * (1 if plan.filled else plan.down.outputs)
    return Cost(
        (
            (stack * parts, plan.tall, wide // parts, plan.deep + plan.ones),
            (stack * filters, 1, wide, len(plan.shifts)),
        ),
        moved=planes * plan.plane * (plan.tall / 5 + filters * (WHOLE + 1 - plan.direct))
        + 5 * plan.form.counts[0] * plan.deep * plan.tall,
        runs=planes * (outside + rows),
        calls=_turns(plan, batch) * (4 + 2 * len(plan.shifts)),
        scratch=plan.block * plan.tall * plan.room,
    )


def _products(plan: Sheared, batch: int) -> Cost:
    """Copies shifted sideways, a product for every group."""
    filters, (stack, wide) = plan.form.counts[2], _stack(plan, batch)
    planes, parts = batch * plan.form.counts[0], plan.slices
    outside = filters * plan.down.outputs * (len(plan.shifts) - 1) / SINGLE
    whole = plan.filled and plan.pitch == plan.across.size
    runs, pace = (plan.tall, WHOLE) if whole else (plan.tall * plan.down.outputs, 1)
    return Cost(
        ((stack * parts, plan.deep // parts, plan.tall, wide),),
        moved=planes * plan.plane * (plan.tall * pace + (plan.tall + plan.deep) / 3)
        + (3 * stack + 2 * plan.form.counts[0]) * plan.deep * plan.tall,
        runs=planes * (outside + runs),
        calls=_turns(plan, batch) * (4 + 4 * len(plan.shifts)) + 5,
        scratch=plan.block * plan.tall * plan.room,
    )


# -- lines -------------------------------------------------------------------------------------
def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_y_sheared(x, w, b)``, ``_dw_sheared(dy, x)`` or ``_dx_dw_db_sheared(dy, x, w)``."""
    name = task.function("_".join(targets), NAME)
    plans = _plans(task, targets, name[1:])
    first, form = plans[0], plans[0].form
    shares = [copies(first)]
    for plan, target in zip(plans, targets, strict=False):
        shares.append((kernel if plan.form.target == "kernel" else narrow)(plan, target))
    dy = form.wide if len(plans) > 1 else form.narrow
    shares += [bias(plans[-1], target, dy) for target in targets[len(plans) :]]
    round_ = [
        *(line for share in shares for line in share.opened),
        *loop(first),
        *indented([line for share in shares for line in share.inner]),
        *(line for share in shares for line in share.closed),
    ]
    if some(first):
        round_ = [f"for g in {starts(form.counts[0], first.block)}:", *indented(round_)]
    body = [
        f"N, dtype = len({form.wide}), {form.wide}.dtype",
        *(line for share in shares for line in share.before),
        *round_,
        *(line for share in shares for line in share.after),
        f"return {', '.join(_result(task, target) for target in targets)}",
    ]
    given = ("len", "max", "min", "range", "_scratch", "_windows")
    code = snippet("\n".join(body))
    function = Function(name, _parameters(plans), code, _told(plans, targets), "", given)
    return Routine(targets, function)


def _result(task: Task, target: str) -> str:
    lead = ["N"] if task.tensor(target).batched else []
    return f"{target}.reshape({listed([*lead, *task.shape(target)])})"


def _parameters(plans: tuple[Sheared, ...]) -> tuple[str, ...]:
    """The tensors that are read: dy before x, as everywhere."""
    names: list[str] = []
    for plan in plans:
        form = plan.form
        more = (form.narrow,) if form.target == "kernel" else (form.kernel, form.bias)
        names += [form.wide, *more]
    found = tuple(dict.fromkeys(n for n in names if n))
    return found if len(plans) > 1 or plans[0].form.target != "kernel" else found[::-1]


def _told(plans: tuple[Sheared, ...], targets: tuple[str, ...]) -> tuple[str, ...]:
    first = plans[0]
    said = []
    for plan in plans:
        if plan.form.target == "kernel":
            said.append("the gradient of the kernel is their product with copies shifted sideways")
        else:
            said.append(
                "a product makes a plane for every horizontal tap, and ones times these planes, "
                "shifted against each other, are the sums"
            )
    made = (
        f"{', '.join(targets)}: the planes of {first.block} groups are copied for every vertical "
        f"tap, some rows further on; {'; '.join(said)}."
    )
    zeros = first.origin or any(p.form.target == "kernel" or p.across.stride > 1 for p in plans)
    return (made, SPOILED) if zeros else (made,)
