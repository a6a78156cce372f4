"""Kernels that derive wrote and proved; each folder stands alone and needs NumPy only.

from generated.conv2d_3x3_k2x2 import forward, backward
"""
