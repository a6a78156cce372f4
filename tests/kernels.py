"""Kernels in memory: layers of every kind, their source in each form, and arrays to run them on."""

from __future__ import annotations

import functools
from types import ModuleType

import numpy as np
from reference import Geometry

import derive
from derive import pipeline
from derive.derivations import Derivation
from derive.equations import Layer

FORMS = ("fastest", "scatter", "gather")


@functools.cache
def conv_layer(geometry: Geometry, bias: bool = True) -> Layer:
    """The convolution of a drawn geometry, with channels."""
    return derive.conv(
        input=(geometry.channels, *geometry.sizes),
        kernel=geometry.kernel,
        filters=geometry.filters,
        bias=bias,
        **geometry.settings,
    )


def pool_layer(
    sizes, kernel, stride=1, padding=0, dilation=1, outputs=None, op="max", ties="first"
) -> Layer:
    """A pool over the last axes, by its equation; ``sizes`` has the channels first."""
    outs, taps = "ijk"[: len(kernel)], "uvt"[: len(kernel)]
    read = ",".join(
        f"{stride}*{i}+{dilation}*{u}-{padding}" for i, u in zip(outs, taps, strict=True)
    )
    text = f"y[c,{','.join(outs)}] = {op}[{','.join(taps)}](x[c,{read}])"
    shapes = {"x": sizes, **dict(zip(taps, kernel, strict=True))}
    shapes |= {"y": (sizes[0], *outputs)} if outputs else {}
    return derive.equation(text, shapes, ties=ties)


@functools.cache
def derivation_of(layer: Layer) -> Derivation:
    """The plain derivation, with no proof attached."""
    return pipeline.derive(layer)


@functools.cache
def source_of(layer: Layer, form: str = "fastest") -> str:
    """The text of kernel.py."""
    return pipeline.kernel(derivation_of(layer), form)


def run(source: str) -> ModuleType:
    """The text as a module."""
    made = ModuleType("kernel")
    exec(compile(source, "kernel.py", "exec"), made.__dict__)
    return made


@functools.cache
def kernel_of(layer: Layer, form: str = "fastest") -> ModuleType:
    """The generated module of a layer."""
    return run(source_of(layer, form))


def integers(layer: Layer, seed: int = 0, batch: tuple[int, ...] = (2,)) -> dict[str, np.ndarray]:
    """Small random integers for every tensor, and for dy."""
    generator = np.random.default_rng(seed)
    sized = layer.equation.at_sizes()
    named = {t.name: t for t in sized.tensors} | {sized.output.gradient: sized.output}
    return {
        name: generator.integers(-9, 10, (*(batch if t.batched else ()), *t.sizes()))
        for name, t in named.items()
    }


def backward(kernel: ModuleType, arrays: dict[str, np.ndarray], gradient: str = "dy") -> tuple:
    """``backward(dy, x, ...)`` of arrays by name."""
    return kernel.backward(
        arrays[gradient], *(array for name, array in arrays.items() if name != gradient)
    )


def forward(kernel: ModuleType, arrays: dict[str, np.ndarray], gradient: str = "dy") -> np.ndarray:
    """``forward(x, ...)`` of arrays by name."""
    return kernel.forward(*(array for name, array in arrays.items() if name != gradient))
