"""A line of bilinear steps as the text of a private function, block by block of tiles.

Steps on the kernel alone come before the loop over blocks and after it, steps on tiles stand in
it. A value over tiles takes the room of one that is read no more (:mod:`.nested` says how it lies
there). What sums over tiles is added up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

from ..bilinear import Apply, Multiply, Put, Step, over_tiles, reads
from .kernels import Kernels, Slopes
from .laying import BUFFERS, Laying
from .nested import Nested
from .patches import Blocks
from .snippets import listed
from .tasks import Task
from .transforms import along, along_axes, cast, local, matrices
from .windowed import Windowed

SUMMED = {"c": "channels", "f": "filters"}


@dataclass(frozen=True)
class Writer:
    """``sides``: side of Φ → the target that is made of it; ``source``: what reads the kernel.

    The kernel side's own form names the kernel's gradient where others name the kernel.
    """

    task: Task
    blocks: Blocks
    steps: tuple[Step, ...]
    sides: Mapping[str, str]
    source: Windowed
    name: str

    @cached_property
    def arrays(self) -> dict[str, str]:
        """Value → the array that it is in the kernel: ``dnarrow`` → ``dy``."""
        form = self.blocks.form
        if "narrow" in self.sides:
            return {"wide": form.wide, "kernel": form.kernel, "narrow": self.sides["narrow"]}
        made = {f"d{side}": target for side, target in self.sides.items()}
        given = {"wide": form.wide, "kernel": self.source.kernel, "dnarrow": form.narrow}
        return {**given, **made}

    @cached_property
    def laying(self) -> Laying:
        """How samples get to their buffers and back."""
        return Laying(self.task, self.blocks, self.arrays, self.name)

    @cached_property
    def nested(self) -> Nested:
        """How values over tiles lie, and the products between them."""
        return Nested(self.blocks)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """What the function reads."""
        used = {name for step in self.steps for name in reads(step)}
        order = ("dnarrow", "wide", "kernel")
        names = [self.arrays[v] for v in order if v in used]
        form = self.blocks.form
        return (*names, form.bias) if form.bias and "narrow" in self.sides else tuple(names)

    def body(self) -> list[str]:
        """The lines of the function."""
        lead = self.parameters[0]
        return [
            f"N, dtype = len({lead}), {lead}.dtype",
            *self._matrices(),
            *(self.kernels.before() if self.kernels else []),
            *self._buffers(),
            *self._results(),
            *self._loop(),
            *self._finish(),
        ]

    @cached_property
    def _inside(self) -> list[Step]:
        """Steps of the loop: what they make or read has an axis of tiles."""
        return over_tiles(self.steps)

    @cached_property
    def _rooms(self) -> dict[str, str]:
        """Value over tiles → the buffer that it has for a time."""
        return self.nested.rooms(self._inside)

    # -- before the loop ------------------------------------------------------------------------
    def _matrices(self) -> list[str]:
        """The transforms in the arrays' own dtype."""
        used: dict[str, str] = {}
        for step in self.steps:
            match step:
                case Apply(_, letter, "kernel" | "dkernels", turned) if not (
                    self.slopes.part if turned else self.kernels and self.kernels.part
                ):
                    used[local(letter, turned)] = cast(matrices(self.blocks, letter), turned)
                case Apply(_, letter, _, turned):
                    used |= along_axes(self.blocks, letter, turned)
        lines = [f"{name} = {value}" for name, value in used.items()]
        if self.nested.biased in self._rooms:
            axis, inner = self.blocks.axes[self.blocks.inner], self._along("A")
            lines += [
                "# a last column of ones meets the bias",
                f"last = np.ones(({axis.outputs}, {axis.size + 1}), dtype)",
                f"last[:, :{axis.size}] = {inner}",
            ]
        return lines

    def _along(self, letter: str, turned: bool = False) -> str:
        """The name of a transform along the inner axis."""
        return along(self.blocks, letter, turned)[-1]

    @cached_property
    def kernels(self) -> Kernels | None:
        """How the kernel gets to its points, if a product reads it there."""
        read = [s for s in self.steps if isinstance(s, Multiply) and s.right == "kernels"]
        if not read:
            return None
        side = "narrow" if read[0].axes.split(",")[0].endswith("c") else "wide"
        names = (*along(self.blocks, "G", False), local("G", False))
        return Kernels(self.blocks, self.source, self.task.machine, self.laying, side, names)

    @cached_property
    def slopes(self) -> Slopes:
        """How the kernel's gradient is made of values at the points."""
        names = (*along(self.blocks, "G", True), local("G", True))
        count = "n" if self.blocks.count == 1 else "n + top"
        return Slopes(self.blocks, self.task.machine, self.laying, names, count)

    def _buffers(self) -> list[str]:
        """Memory that is kept between calls: samples with channels innermost, and tiles."""
        lines = [line for value in self._laid() for line in self.laying.room(value)]
        rooms: dict[str, int] = {}
        for value, room in self._rooms.items():
            rooms[room] = max(rooms.get(room, 0), self.nested.size(value))
        for room, numbers in rooms.items():
            lines.append(f"{room} = {self.laying.scratch(room, (numbers,))}")
        several = "every_" if self.blocks.samples > 1 else ""
        for value, room in self._rooms.items():
            columns = self.nested.columns(value) * self.blocks.samples
            shape = (*self.nested.lead(value), columns)
            numbers = self.nested.size(value)
            cut = f"[:{numbers}]" if numbers < rooms[room] else ""
            lines.append(f"{several}{value} = {room}{cut}.reshape({listed(shape)})")
        if "wide" in self.sides and self._leaves:
            carried = self.laying.scratch("carried", self.nested.carried)
            lines.append(f"carried = {carried}")
        if "kernel" in self.sides:
            lines += self.slopes.before()
        return lines

    def _laid(self) -> list[str]:
        """Sides that are laid out with channels innermost."""
        every = [v for s in self._inside for v in (s.made, *reads(s)) if v in BUFFERS]
        return [v for v in every if v != "narrow" or not self.nested.turning]

    @property
    def _leaves(self) -> bool:
        """Whether blocks of one sample share places."""
        return self.blocks.count > 1 and self.blocks.axes[0].size > self.blocks.axes[0].outputs

    def _results(self) -> list[str]:
        lines = []
        for side, target in self.sides.items():
            if side in ("narrow", "wide"):
                shape = self.laying.whole(side)
                lines.append(f"{target} = np.empty((N, {listed(shape)}), dtype)")
            elif side == "total":
                places = prod(self.blocks.buffer("narrow")[:-1])
                lines.append(f"{target} = np.zeros({self.blocks.filters}, dtype)")
                lines.append(f"ones = np.ones({places}, dtype)")
        return lines

    # -- the loop -------------------------------------------------------------------------------
    def _loop(self) -> list[str]:
        several, blocks = self.blocks.samples > 1, self.blocks
        head = f"for n in range(0, N, {blocks.samples}):" if several else "for n in range(N):"
        inner = [line for step in self._inside for line in (*_told(step), *self._step(step))]
        if blocks.count > 1:
            over = f"range(0, {blocks.axes[0].count}, {blocks.rows})"
            inner = [f"for top in {over}:", *(f"    {line}" for line in inner)]
        lines = [f"size = min({blocks.samples}, N - n)"] if several else []
        given = [v for v in self._laid() if v in ("wide", "dnarrow")]
        lines += [line for v in given for line in self.laying.loaded(v)]
        lines += self._totalled()
        lines += ["carried[...] = 0"] if "wide" in self.sides and self._leaves else []
        if several:
            lines += [
                f"{v} = every_{v}[..., : size * {self.nested.columns(v)}]" for v in self._rooms
            ]
        lines += inner
        if "wide" in self.sides:
            lines += self.laying.stored("dwide")
        return [head, *(f"    {line}" for line in lines)]

    def _totalled(self) -> list[str]:
        """Add the upstream gradient up over the places: the bias's."""
        if "total" not in self.sides:
            return []
        used, ones = BUFFERS["dnarrow"], "ones"
        if self.blocks.samples > 1:
            places = prod(self.blocks.lengths("narrow"))
            used, ones = f"{used}[:size]", f"ones[: size * {places}]"
        return [f"{self.sides['total']} += {ones} @ {used}.reshape(-1, {self.blocks.filters})"]

    def _step(self, step: Step) -> list[str]:
        nested = self.nested
        match step:
            case Apply("points" | "dsums" as made, letter, _, turned):
                tiles = self.laying.view("wide" if made == "points" else "dnarrow")
                return nested.ahead(made, tiles, *along(self.blocks, letter, turned))
            case Apply("ends", letter, of, turned):
                return nested.ends(of, along(self.blocks, letter, turned)[0])
            case Apply("dpatches", letter, of, turned):
                return nested.back(of, along(self.blocks, letter, turned)[0])
            case Put("narrow"):
                return self._outputs(self._along("A"))
            case Put("dwide"):
                return nested.placed(
                    "dpoints", self.laying.view("dwide"), self._along("B", turned=True)
                )
            case Multiply(made, left, right, axes):
                return self._multiply(made, left, right, axes)
        return []

    def _outputs(self, inner: str) -> list[str]:
        """The last product of the forward program: outputs of every line."""
        nested, lines = self.nested, []
        value = "sums" if self.blocks.outer is None else "strips"
        if bias := self.blocks.form.bias:
            filters, inner = self.blocks.filters, "last"
            whole = self.task.tensor(bias).sizes() == (filters,)
            flat = bias if whole else f"{bias}.reshape({filters})"
            lead = nested.lead(value)
            shape, skip = listed([*lead, -1, filters]), ":, " * (len(lead) - 1)
            lines.append(f"{value}.reshape({shape})[{skip}{lead[-1] - 1}] = {flat}")
        if nested.turning:
            return [*lines, *self.laying.turned_out(value, inner)]
        out = f"np.matmul({inner}, {nested.spread(value)}, out={self.laying.view('narrow')})"
        return [*lines, out, *self.laying.stored("narrow")]

    def _multiply(self, made: str, left: str, right: str, axes: str) -> list[str]:
        result = axes.split("->")[1]
        if result.endswith("t"):
            raise ValueError(f"{made} has its tiles last")
        if "t" in result:
            assert self.kernels is not None  # it is the other factor
            cut = f"[:{self.blocks.points}]" if made == self.nested.biased else ""
            return self.kernels.products(left, f"{made}{cut}")
        return self.slopes.products(left, right)

    # -- after the loop -------------------------------------------------------------------------
    def _finish(self) -> list[str]:
        lines = []
        for side, target in self.sides.items():
            if side == "kernel":
                lines += self.slopes.after()
            if (made := self._result(side, target)) != target:
                lines.append(f"{target} = {made}")
        return [*lines, f"return {', '.join(self.sides.values())}"]

    def _result(self, side: str, target: str) -> str:
        """What was made of a side, in the target's own shape."""
        shape = self.task.shape(target)
        if side == "kernel":
            return self.blocks.form.kernel_from("dtaps", self.slopes.order, shape)
        if side == "total":
            own = shape == (self.blocks.filters,)
            return target if own else f"{target}.reshape({listed(shape)})"
        own = shape == self.laying.whole(side)
        return target if own else f"{target}.reshape({listed(('N', *shape))})"


def _told(step: Step) -> list[str]:
    """What a step does, where its line does not say so."""
    match step:
        case Apply("points"):
            return ["# to the points of each tile, along one axis and then the other"]
        case Multiply(_, _, _, axes) if "t" in axes.split("->")[1]:
            return ["# at every point a product that sums over " + SUMMED[axes.split(",")[0][-1]]]
        case Multiply():
            return ["# at every point a product that sums over tiles"]
    return []
