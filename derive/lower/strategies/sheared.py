"""Few channels a group (depthwise): one product for the rows of windows, one for their columns.

    sums[(v,f), (i,a)] = Σ_(c,u) kernel[f, c, u, v] · rows[(c,u), (i,a)]
    y[f, (i,j)] = Σ_v sums[(v,f), (i, j + v − p)]         rows[(c,u), (i,a)] = x[c, i + u − p, a]

The planes of a group are copied once for every vertical tap, some rows further on: long runs. A
first product makes a plane of sums for every horizontal tap. They lie at equal distances, so that
the same numbers with one more from plane to plane are a matrix whose rows are shifted against each
other - sheared -, and ones times that matrix is y. Where a shift runs over the end of a row the
sums are put to zero before. The gradient of the kernel is the product of the same rows with copies
of dy that are shifted sideways; if the gradient of x is wanted as well, the rows are those of
dy and serve both.

Without a stride along the columns a number of x that is infinite, or none at all, spoils the
outputs whose windows hold it and no others. It does spoil more of the gradient of the kernel, where
the ends of the rows meet zeros of the layout, and with a stride, where some taps of a remainder are
zeros: 0 times infinity is no number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...machines import Cost
from ...programs import Function
from ..planes import indented, listed
from ..shears import Lines, Sheared
from ..snippets import snippet
from ..tasks import Routine, Task
from ..tiles import FLOAT, starts
from ..windowed import Window, totals

NAME = "sheared"
EXACT = True

LONG, STRIDED = 0.6, 1.5
"""What a number costs in a copy of whole planes, and of columns that lie apart."""

SINGLE = 4
"""So many single numbers are put to zero in the time of a run."""

CACHES = 2
"""How many caches a block of groups may fill."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Targets with groups, over two axes of windows, the columns without a stride."""
    made = {target: plan for target in task.forms if (plan := _plan(task, target))}
    for target, plan in made.items():
        yield (target,)
        if plan.form.target == "kernel":
            others = [other for other in made if _joint(task, other, target)]
            bias = totals(task.statements, plan.form)
            yield from ((other, target) for other in others)
            if bias:
                yield target, bias
                yield from ((other, target, bias) for other in others)


# -- plans -------------------------------------------------------------------------------------
def _plan(task: Task, target: str, name: str = "") -> Sheared | None:
    """How a target lies in memory; None where the strategy does not apply."""
    form = task.form(target, "narrow") or task.form(target, "kernel")
    if form is None or not form.plain or form.counts[0] == 1 or len(form.windows) != 2:
        return None
    plan = Sheared(form, name=name)
    if min(plan.down.taps, plan.across.taps) == 1:
        return None
    groups, held = form.counts[0], plan.deep * plan.length + plan.tall * plan.room
    most = min(groups, max(1, CACHES * task.machine.cache // (FLOAT * held)))
    even = max(b for b in range(1, most + 1) if groups % b == 0)
    return replace(plan, block=even if 2 * even > most else most)


def _joint(task: Task, x: str, kernel: str, name: str = "") -> Sheared | None:
    """The gradient of the kernel from the rows of dy that the gradient of x reads, if it can be.

    Without strides Σ_i wide[i + d·u + o] · narrow[i] is Σ_a narrow[a − d·u − o] · wide[a].
    """
    first, second = _plan(task, x), _plan(task, kernel)
    if first is None or second is None:
        return None
    form, other = first.form, second.form
    if (form.target, other.target) != ("narrow", "kernel") or form.wide != other.narrow:
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
    return Sheared(turned, first.block, name)


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
    planes = batch * first.form.counts[0]
    blocks = batch * -(-first.form.counts[0] // first.block)
    pace = LONG if first.whole else STRIDED if first.across.stride > 1 else 1
    total = Cost(
        moved=planes * first.deep * first.length * pace,
        runs=planes * first.deep * (1 if first.whole else first.down.outputs),
        calls=blocks * (3 * first.down.taps + 2) + 15,
        scratch=first.block * first.deep * first.length,
    )
    for plan in plans:
        made = _products if plan.form.target == "kernel" else _sums
        total += made(plan, batch)
    if len(targets) > len(plans):
        total += Cost(moved=planes * first.length / 3, calls=2 * blocks)
    return total


def _sums(plan: Sheared, batch: int) -> Cost:
    """Two products for every group, the second of as few flops as there are numbers read."""
    groups, _, filters, *_ = plan.form.counts
    planes, blocks = batch * groups, batch * -(-groups // plan.block)
    outside = filters * plan.down.outputs * (len(plan.shifts) - 1) / SINGLE
    return Cost(
        (
            (planes, plan.tall, plan.length, plan.deep + plan.ones),
            (planes * filters, 1, plan.length, len(plan.shifts)),
        ),
        moved=planes * plan.length * (plan.tall / 5 + filters * (LONG + 1 - plan.filled)),
        runs=planes * (outside + (not plan.filled) * filters * plan.down.outputs),
        calls=blocks * (4 + 2 * len(plan.shifts)),
        scratch=plan.block * plan.tall * plan.room,
    )


def _products(plan: Sheared, batch: int) -> Cost:
    """Copies shifted sideways, a product for every group."""
    groups, _, filters, *_ = plan.form.counts
    planes, blocks = batch * groups, batch * -(-groups // plan.block)
    outside = filters * plan.down.outputs * (len(plan.shifts) - 1) / SINGLE
    whole = plan.filled and plan.pitch == plan.across.size
    runs, pace = (plan.tall, LONG) if whole else (plan.tall * plan.down.outputs, 1)
    return Cost(
        ((planes, plan.deep, plan.tall, plan.length),),
        moved=planes * plan.length * (plan.tall * pace + (plan.tall + plan.deep) / 3),
        runs=planes * (outside + runs),
        calls=blocks * (4 + 4 * len(plan.shifts)) + 5,
        scratch=plan.block * plan.tall * plan.room,
    )


# -- lines -------------------------------------------------------------------------------------
def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_y_sheared(x, w, b)``, ``_dw_sheared(dy, x)`` or ``_dx_dw_db_sheared(dy, x, w)``."""
    name = task.function("_".join(targets), NAME)
    plans = _plans(task, targets, name[1:])
    shares = [plans[0].copies()]
    shares += [
        plan.kernel(target) if plan.form.target == "kernel" else plan.narrow(target)
        for plan, target in zip(plans, targets, strict=False)
    ]
    shares += [_bias(plans, target) for target in targets[len(plans) :]]
    form = plans[0].form
    body = [f"N, dtype = len({form.wide}), {form.wide}.dtype"]
    body += [line for share in shares for line in share.before]
    opened = [line for share in shares for line in share.opened]
    inner = ["for n in range(N):", *indented([line for s in shares for line in s.inner])]
    closed = [line for share in shares for line in share.closed]
    loop = [*opened, *inner, *closed]
    if plans[0].some:
        loop = [f"for g in {starts(form.counts[0], plans[0].block)}:", *indented(loop)]
    body += [*loop, *(line for share in shares for line in share.after)]
    body.append(f"return {', '.join(_result(task, plans, t) for t in targets)}")
    given = ("len", "max", "range", "_scratch", "_windows")
    code = snippet("\n".join(body))
    function = Function(name, _parameters(plans), code, (_told(plans, targets),), "", given)
    return Routine(targets, function)


def _bias(plans: tuple[Sheared, ...], target: str) -> Lines:
    """The gradient of a bias: dy times ones, as long as it is close."""
    plan, dy = (plans[0], "block") if len(plans) > 1 else (plans[-1], "other")
    groups, channels, filters, _, _ = plan.form.counts
    many = channels if dy == "block" else filters
    places = [w.size if dy == "block" else w.outputs for w in plan.form.windows]
    count = places[0] * places[1]
    return Lines(
        before=[
            f"all_places = np.ones({count}, dtype)",
            f"{target} = np.empty(({groups}, {many}), dtype)",
        ],
        opened=[f"bias = np.zeros(({plan.block}, {many}), dtype)"],
        inner=[f"bias += {dy}.reshape({plan.block}, {many}, {count}) @ all_places"],
        closed=[f"{target}[{plan.some or '...'}] = bias"],
    )


def _result(task: Task, plans: tuple[Sheared, ...], target: str) -> str:
    lead = ["N"] if task.tensor(target).batched else []
    del plans
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


def _told(plans: tuple[Sheared, ...], targets: tuple[str, ...]) -> str:
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
    return (
        f"{', '.join(targets)}: the planes of {first.block} groups are copied for every vertical "
        f"tap, some rows further on; {'; '.join(said)}."
    )
