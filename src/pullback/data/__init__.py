"""Data sets, and how they reach a model: loading in batches, splitting, standardizing."""

from ..optim.batch_plan import BatchPlan
from .dataset import ArrayDataset
from .digits import load_digits
from .encoder import Encoder
from .loader import DataLoader
from .split import split
from .standardizer import Standardizer
from .table import Table, TableError, read_table

__all__ = [
    "ArrayDataset", "BatchPlan", "DataLoader", "Encoder", "Standardizer", "Table", "TableError", "load_digits",
    "read_table", "split",
]  # fmt: skip
