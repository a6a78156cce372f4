"""Global pooling: one number for each channel."""

from __future__ import annotations

from .. import geometry
from ..geometry import Sizes
from ..spatial import LETTERS, OUTS, WORDS
from ..specs import Spec, one_of

__all__ = ["global_avg_pool", "global_max_pool"]


def global_avg_pool(*, input: Sizes, channels: int | None = None) -> Spec:
    """y[c] = mean[i,j](x[c,i,j]), over 1 to 3 axes.

    Shapes: x (C, H, W), y (C,). ``input`` has channels first if it has three or more numbers;
    with ``channels`` all are spatial. Without channels y is a number.
    """
    return _global("global_avg_pool", "mean", input, channels, "Global average pooling")


def global_max_pool(*, input: Sizes, ties: str = "first", channels: int | None = None) -> Spec:
    """y[c] = max[i,j](x[c,i,j]), over 1 to 3 axes.

    Shapes: x (C, H, W), y (C,); channels as for ``global_avg_pool``. Of equal maxima the first
    in row-major order gets the gradient; with ``ties="split"`` each of k gets 1/k.
    """
    one_of("ties", ties, "first", "split")
    return _global("global_max_pool", "max", input, channels, "Global max pooling", ties)


def _global(
    name: str, reducer: str, input: Sizes, channels: int | None, title: str, ties: str = ""
) -> Spec:
    C, space = geometry.channels_and_space(input, None, channels)
    letters, outs = LETTERS[len(space) - 1], OUTS[: len(space)]
    deep = [] if C is None else ["c"]
    entry = f"[{','.join(deep)}]" if deep else ""
    x = (*(() if C is None else (C,)), *space)
    return Spec(
        name=name,
        text=f"y{entry} = {reducer}[{','.join(outs)}](x[{','.join([*deep, *outs])}])",
        shapes={"x": x},
        axes={"x": (*(["C"] if deep else []), *(letter.upper() or "H" for letter in letters))},
        ties=ties or "first",
        slug=f"{name}_{geometry.text(x)}" + ("_split" if ties == "split" else ""),
        title=title,
        meanings={"x": "input", "y": "output"}
        | ({"c": "channel"} if deep else {})
        | {out: f"input {WORDS[letter]}" for out, letter in zip(outs, letters, strict=True)},
        settings={
            "input": x if len(x) != 2 or C is None else space,
            "channels": C if len(x) == 2 else None,
            **({"ties": ties} if ties else {}),
        },
        source="Lin, Chen, Yan, arXiv 1312.4400, section 3.2",
    )
