"""Zero padding as a layer of its own."""

from __future__ import annotations

from .. import geometry
from ..errors import UsageError
from ..geometry import Padding, Sizes
from ..spatial import LETTERS, OUTS, WORDS, brief, short_sides
from ..specs import Spec

__all__ = ["pad"]


def pad(*, input: Sizes, padding: Padding, channels: int | None = None) -> Spec:
    """y[c,i,j] = x[c, i - p_h, j - p_w], over 1 to 3 axes.

    Shapes: x (C, H, W), y (C, H + low + high, W + low + high); what is read outside of x is 0.
    ``input`` has channels first if it has one number more than a written-out padding.
    """
    if isinstance(padding, str):
        raise UsageError(f"padding (={padding!r}) must be numbers: 1, 1x2 or 1,2x0,1")
    C, space = _channels_and_space(input, padding, channels)
    rank = len(space)
    pads = geometry.sides(padding, space, (1,) * rank, (1,) * rank, (1,) * rank)
    letters, outs = LETTERS[rank - 1], OUTS[:rank]
    deep = [] if C is None else ["c"]
    lows = [low for low, _ in pads]
    names = ["p" if len(set(lows)) == 1 or not x else f"p_{x}" for x in letters]
    # a low side of 0 keeps its name: i alone would make both axes equally long
    places = [
        f"{i} - {p}" if any(side) else i for i, p, side in zip(outs, names, pads, strict=True)
    ]
    x = (*(() if C is None else (C,)), *space)
    sizes = tuple(low + size + high for size, (low, high) in zip(space, pads, strict=True))
    kept = {p: low for p, low, side in zip(names, lows, pads, strict=True) if any(side)}
    short = short_sides(pads)
    return Spec(
        name="pad",
        text=f"y[{','.join([*deep, *outs])}] = x[{', '.join([*deep, *places])}]",
        shapes={"x": x, "y": (*x[: len(deep)], *sizes), **kept},
        slug=f"pad{rank}d_{geometry.text(x)}_p{geometry.text(brief(short)).replace(',', '_')}",
        title=f"Zero padding in {rank}-D",
        meanings={"x": "input", "y": "output"}
        | ({"c": "channel"} if deep else {})
        | {out: f"output {WORDS[letter]}" for out, letter in zip(outs, letters, strict=True)},
        settings={
            "input": x if len(x) != 2 or C is None else space,
            "padding": brief(short),
            "channels": C if len(x) == 2 else None,
        },
        source="Dumoulin, Visin, arXiv 1603.07285, section 2",
    )


def _channels_and_space(
    input: Sizes, padding: object, channels: int | None
) -> tuple[int | None, tuple[int, ...]]:
    """As a kernel with as many numbers as the padding would mean."""
    axes = tuple(1 for _ in padding) if isinstance(padding, tuple | list) else None
    try:
        return geometry.channels_and_space(input, axes, channels)
    except UsageError as error:
        raise UsageError(str(error).replace("kernel", "padding", 1)) from None
