"""The network's forward pass, loss, gradients and training step; all in kernel.py."""

from .kernel import EQUATIONS, SHAPES, forward, gradients, init, loss, sgd_step

__all__ = ["EQUATIONS", "SHAPES", "forward", "gradients", "init", "loss", "sgd_step"]
