"""Data sets, and how they reach a model: loading in batches, splitting, standardizing."""

from ..optim.batch_plan import BatchPlan
from .dataset import ArrayDataset
from .digits import load_digits
from .encoder import Encoder
from .idx import load_idx, read_idx
from .loader import DataLoader
from .split import split
from .standardizer import Standardizer
from .table import Table, TableError, read_table
from .text import CharacterVocabulary, random_windows

__all__ = [
    "ArrayDataset", "BatchPlan", "CharacterVocabulary", "DataLoader", "Encoder", "Standardizer", "Table", "TableError",
    "load_digits", "load_idx", "random_windows", "read_idx", "read_table", "split",
]  # fmt: skip
