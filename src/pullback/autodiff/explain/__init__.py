"""Backpropagation as it is taught: tables, the chain rule, pictures of the graph."""

from .explanation import Explanation, explain
from .network import Layer, NetworkSummary
from .steps import Link, Step

__all__ = ["Explanation", "Layer", "Link", "NetworkSummary", "Step", "explain"]
