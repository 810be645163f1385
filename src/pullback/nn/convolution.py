"""Convolutions."""

from .module import Module


class Convolution(Module):
    """Being written."""
