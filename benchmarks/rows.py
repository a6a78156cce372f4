"""The layers that kernels are timed on: common ones, and some of other shapes."""

from __future__ import annotations

CONVOLUTIONS: dict[str, dict[str, object]] = {
    "toy 1x3x3, 1@2x2": {"input": (1, 3, 3), "kernel": (2, 2), "filters": 1},
    "LeNet-1 1x28x28, 6@5x5": {"input": (1, 28, 28), "kernel": (5, 5), "filters": 6},
    "LeNet-2 6x12x12, 16@5x5": {"input": (6, 12, 12), "kernel": (5, 5), "filters": 16},
    "CIFAR 3x32x32, 32@3x3 p1": {
        "input": (3, 32, 32),
        "kernel": (3, 3),
        "filters": 32,
        "padding": 1,
    },
    "VGG 64x56x56, 64@3x3 p1": {
        "input": (64, 56, 56),
        "kernel": (3, 3),
        "filters": 64,
        "padding": 1,
    },
    "VGG 128x28x28, 128@3x3 p1": {
        "input": (128, 28, 28),
        "kernel": (3, 3),
        "filters": 128,
        "padding": 1,
    },
    "stem 3x224x224, 64@7x7 s2 p3": {
        "input": (3, 224, 224),
        "kernel": (7, 7),
        "filters": 64,
        "stride": 2,
        "padding": 3,
    },
    "1x1 256x14x14, 64": {"input": (256, 14, 14), "kernel": (1, 1), "filters": 64},
    "3x3 s2 64x56x56, 128 p1": {
        "input": (64, 56, 56),
        "kernel": (3, 3),
        "filters": 128,
        "stride": 2,
        "padding": 1,
    },
    "depthwise 64x56x56, 3x3 p1": {
        "input": (64, 56, 56),
        "kernel": (3, 3),
        "filters": 64,
        "padding": 1,
        "groups": 64,
    },
    "dilated 64x28x28, 64@3x3 d2 p2": {
        "input": (64, 28, 28),
        "kernel": (3, 3),
        "filters": 64,
        "padding": 2,
        "dilation": 2,
    },
}
"""Eleven geometries, each at N = 1 and 8."""

UNSEEN: dict[str, dict[str, object]] = {
    "16x20x24, 24@3x5 p1x2": {
        "input": (16, 20, 24),
        "kernel": (3, 5),
        "filters": 24,
        "padding": (1, 2),
    },
    "32x30x30, 48@5x5 p2": {"input": (32, 30, 30), "kernel": (5, 5), "filters": 48, "padding": 2},
    "96x14x14, 192@3x3 p1": {"input": (96, 14, 14), "kernel": (3, 3), "filters": 192, "padding": 1},
    "48x33x33, 64@3x3 s2": {"input": (48, 33, 33), "kernel": (3, 3), "filters": 64, "stride": 2},
    "grouped 64x28x28, 64@3x3 g8 p1": {
        "input": (64, 28, 28),
        "kernel": (3, 3),
        "filters": 64,
        "padding": 1,
        "groups": 8,
    },
    "512x7x7, 512@3x3 p1": {"input": (512, 7, 7), "kernel": (3, 3), "filters": 512, "padding": 1},
    "1x1 s2 128x28x28, 256": {
        "input": (128, 28, 28),
        "kernel": (1, 1),
        "filters": 256,
        "stride": 2,
    },
    "depthwise 32x40x40, 5x5 p2": {
        "input": (32, 40, 40),
        "kernel": (5, 5),
        "filters": 32,
        "padding": 2,
        "groups": 32,
    },
    "8x64x64, 8@3x3": {"input": (8, 64, 64), "kernel": (3, 3), "filters": 8},
}
"""Geometries for which no target was set; the cost model was checked on them as well."""
