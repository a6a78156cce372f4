"""Every product written out: scalar code for a sample or two of a layer with a few products.

    y00 = b0 + w00 * x00 + w01 * x01 + w10 * x10 + w11 * x11

A NumPy call takes as long as some twenty multiplications of Python's own numbers. So a layer as
small as those done by hand is fastest done as by hand: one line for every entry. Python's
numbers are of double precision, and are rounded once, when they are put into the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

from ...machines import Cost
from ...programs import Function
from ..snippets import listed, snippet
from ..tasks import Routine, Task
from ..windowed import Windowed, totals

NAME = "unrolled"
EXACT = True

LARGEST = 40
"""Products of a sample at most."""

WIDTH = 92
"""Characters at most of a line that names all entries of a tensor."""


def applies(task: Task) -> Iterator[tuple[str, ...]]:
    """Any side of Φ, dw with the sum of dy, and all gradients together."""
    sides: dict[str, tuple[str, ...]] = {}
    for target in task.forms:
        form = _form(task, target)
        if form is None:
            continue
        yield (target,)
        sides[form.target] = (target,)
        if form.target == "kernel" and (bias := totals(task.statements, form)):
            yield target, bias
            sides["kernel"] = target, bias
    if {"wide", "kernel"} <= sides.keys():
        yield (*sides["wide"], *sides["kernel"])


def _form(task: Task, target: str) -> Windowed | None:
    """The form of a target whose products are few; dx as it is scattered."""
    known = {form.target: form for form in task.forms[target]}
    form = next((known[side] for side in ("wide", "kernel", "narrow") if side in known), None)
    if form is None or not form.plain or not form.windows or form.products > LARGEST:
        return None
    entries = Entries(form)
    longest = max(len(", ".join(names)) for names in (entries.wide, entries.kernel, entries.narrow))
    return form if longest <= WIDTH else None


@dataclass(frozen=True)
class Entries:
    """Names of all entries of the three tensors, and which ones are multiplied."""

    form: Windowed

    @property
    def wide(self) -> list[str]:
        """``x00, x01, ...`` in the order of memory."""
        return _names(self.form.wide, self._wide_sizes())

    @property
    def kernel(self) -> list[str]:
        """``w00, w01, ...``."""
        return _names(self.form.kernel, self._sizes(self.form.kernel_labels))

    @property
    def narrow(self) -> list[str]:
        """``y00, y01, ...``."""
        return _names(self.form.narrow, self._sizes(self.form.narrow_labels[1:]))

    @property
    def products(self) -> Iterator[tuple[str, str, str]]:
        """Every (wide, kernel, narrow) whose product is part of Φ."""
        form, windows = self.form, self.form.windows
        labels = tuple(dict.fromkeys((*form.narrow_labels[1:], *form.kernel_labels)))
        wide, kernel, narrow = self.wide, self.kernel, self.narrow
        for values in product(*(range(size) for size in self._sizes(labels))):
            at = dict(zip(labels, values, strict=True))
            read = dict(at)
            for w in windows:
                tap = at[w.tap] if w.tap else 0
                tap = w.taps - 1 - tap if w.flipped else tap
                read[w.position] = w.stride * at[w.position] + w.dilation * tap + w.offset
            if all(0 <= read[w.position] < w.size for w in windows):
                yield (
                    wide[_flat(read, form.wide_labels[1:], self._wide_sizes())],
                    kernel[_flat(at, form.kernel_labels, self._sizes(form.kernel_labels))],
                    narrow[_flat(at, form.narrow_labels[1:], self._sizes(form.narrow_labels[1:]))],
                )

    def _sizes(self, labels: Sequence[str]) -> list[int]:
        sizes = dict(self.form.sizes)
        return [sizes[label] for label in labels]

    def _wide_sizes(self) -> list[int]:
        sizes = dict(self.form.sizes) | {w.position: w.size for w in self.form.windows}
        return [sizes[label] for label in self.form.wide_labels[1:]]


def _names(tensor: str, sizes: Sequence[int]) -> list[str]:
    """A name for each entry: its indices along the axes that are longer than one."""
    long = [size for size in sizes if size > 1]
    between = "_" if max(long, default=0) > 10 else ""
    return [f"{tensor}{between.join(map(str, k))}" for k in product(*map(range, long or [1]))]


def _flat(at: dict[str, int], labels: Sequence[str], sizes: Sequence[int]) -> int:
    number = 0
    for label, size in zip(labels, sizes, strict=True):
        number = number * size + at[label]
    return number


def cost(task: Task, targets: tuple[str, ...], batch: int) -> Cost:
    """Python's own arithmetic, counted in calls: about two dozen products each."""
    forms = [form for target in targets if (form := _form(task, target)) is not None]
    work = sum(form.products for form in forms) / 24
    return Cost(calls=1.2 + 0.5 * len(targets) + batch * (0.15 * len(targets) + work))


def lower(task: Task, targets: tuple[str, ...]) -> Routine:
    """``_y_unrolled(x, w, b)``, ``_dx_dw_db_unrolled(dy, x, w)`` and parts of the latter."""
    forms = {t: form for t in targets if (form := _form(task, t)) is not None}
    body = _Body()
    for form in forms.values():
        _read(form, body)
    for target, form in forms.items():
        own, shape = Entries(form), task.shape(target)
        if form.target == "kernel":
            body.total(target, _sums(own.products, 1, own.kernel), shape)
            if targets[-1] == totals(task.statements, form):
                bias = targets[-1]
                body.total(bias, _by_filter(own.narrow, form, bias), task.shape(bias))
        elif form.target == "wide":
            body.entries(target, _sums(own.products, 0, own.wide), shape)
        else:
            firsts = [name for name in _bias(form) for _ in range(form.counts[4])]
            body.entries(target, _sums(own.products, 2, own.narrow, firsts), shape)
    name = task.function("_".join(targets), NAME)
    doc = f"{', '.join(targets)}: every product written out, in Python's own numbers."
    text = snippet("\n".join(body.lines()))
    return Routine(targets, Function(name, tuple(body.parameters), text, (doc,), "", ("zip",)))


def _read(form: Windowed, body: _Body) -> None:
    """Name the entries of the two tensors that are multiplied, and of the bias."""
    own = Entries(form)
    sides = {"narrow": (form.narrow, own.narrow), "wide": (form.wide, own.wide)}
    for side, (tensor, names) in sides.items():
        if side != form.target and tensor not in body.parameters:
            body.sample(tensor, names)
    if form.target != "kernel":
        body.parameter(form.kernel, own.kernel)
    if form.bias:
        body.parameter(form.bias, _bias(form))


def _bias(form: Windowed) -> list[str]:
    return _names(form.bias, [form.counts[0] * form.counts[2]]) if form.bias else []


@dataclass
class _Body:
    """The lines of a function: before the loop over samples, inside of it, and what is returned.

    ``samples``: a tensor with samples → the names of the entries of one.
    """

    parameters: list[str] = field(default_factory=list)
    samples: dict[str, Sequence[str]] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)

    def sample(self, tensor: str, names: Sequence[str]) -> None:
        """Names for the entries of one sample."""
        self.parameters.append(tensor)
        self.samples[tensor] = names

    def parameter(self, tensor: str, names: Sequence[str]) -> None:
        """Names for the entries of a parameter."""
        self.parameters.append(tensor)
        self.before.append(f"{_tuple(names)} = {tensor}.ravel().tolist()")

    def entries(self, target: str, sums: dict[str, str], shape: tuple[int, ...]) -> None:
        """A line for each entry of a target that has samples."""
        self.before.append(f"{target} = ()")
        self.inside += [f"{name} = {text}" for name, text in sums.items()]
        self.inside.append(f"{target} += {_tuple(list(sums))}")
        self.results.append(f"np.array({target}, dtype).reshape({listed((-1, *shape))})")

    def total(self, target: str, sums: dict[str, str], shape: tuple[int, ...]) -> None:
        """A line for each entry of a parameter's gradient, which adds up over samples."""
        self.before += [f"{name} = 0.0" for name in sums]
        self.inside += [f"{name} += {text}" for name, text in sums.items()]
        made = f"np.array(({', '.join(sums)},), dtype)"
        self.results.append(made if shape == (len(sums),) else f"{made}.reshape({listed(shape)})")

    def lines(self) -> list[str]:
        """All of them in order."""
        return [
            f"dtype = {self.parameters[0]}.dtype",
            *self.before,
            *self._loop(),
            *(f"    {line}" for line in self.inside),
            f"return {', '.join(self.results)}",
        ]

    def _loop(self) -> list[str]:
        """The loop over samples, whose entries have names: in its head if they fit there."""
        rows = {t: f"{t}.reshape(-1, {len(names)}).tolist()" for t, names in self.samples.items()}
        apart = [f"    {_tuple(names)} = {t}_sample" for t, names in self.samples.items()]
        if len(rows) > 1:
            heads = ", ".join(f"{t}_sample" for t in rows)
            return [f"for {heads} in zip({', '.join(rows.values())}):", *apart]
        ((tensor, names),), (row,) = self.samples.items(), rows.values()
        head = f"for {_tuple(names)} in {row}:"
        return [head] if len(head) <= WIDTH else [f"for {tensor}_sample in {row}:", *apart]


def _tuple(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) > 1 else f"({names[0]},)"


def _sums(
    products: Iterator[tuple[str, str, str]],
    side: int,
    made: Sequence[str],
    firsts: Sequence[str] = (),
) -> dict[str, str]:
    """Name of an entry of one side → the sum of its products, after a first summand if any."""
    sums: dict[str, list[str]] = {name: [] for name in made}
    for name, first in zip(made, firsts, strict=False):
        sums[name].append(first)
    for triple in products:
        one, two = (triple[k] for k in (1, 0, 2) if k != side)
        sums[triple[side]].append(f"{one} * {two}")
    return {name: " + ".join(terms) or "0.0" for name, terms in sums.items()}


def _by_filter(narrow: Sequence[str], form: Windowed, bias: str) -> dict[str, str]:
    """The entries of dy of each filter added up."""
    places = form.counts[4]
    rows = [" + ".join(narrow[k : k + places]) for k in range(0, len(narrow), places)]
    return dict(zip(_names(bias, [len(rows)]), rows, strict=True))
