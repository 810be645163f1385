"""Data sets, and how they reach a model: loading in batches, splitting, standardizing."""

from ..optim.batch_plan import BatchPlan
from .dataset import ArrayDataset
from .digits import load_digits
from .loader import DataLoader
from .split import split
from .standardizer import Standardizer

__all__ = ["ArrayDataset", "BatchPlan", "DataLoader", "Standardizer", "load_digits", "split"]
