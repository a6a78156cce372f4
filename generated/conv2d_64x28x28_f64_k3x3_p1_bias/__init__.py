"""The layer's forward and backward pass; everything is in kernel.py."""

from .kernel import EQUATIONS, SHAPES, Gradients, backward, forward

__all__ = ["EQUATIONS", "SHAPES", "Gradients", "backward", "forward"]
